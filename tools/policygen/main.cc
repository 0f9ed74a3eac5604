// policygen POLICIES SECCOMP.CC HOST_VIEW.CC EGRESS_PRESETS.CC: compiles the policy files of a
// folder to C++ source.
//
// Runs at build time only, so that the launcher neither parses YAML nor links libseccomp.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "emit.h"
#include "program.h"

namespace airlock::policygen {
namespace {

constexpr const char* kProfiles[] = {"default", "gpu"};

base::Status write_file(const std::string& path, const std::string& text) {
  std::ofstream stream(path, std::ios::trunc);
  stream << text;
  stream.close();
  if (!stream) return base::fail_errno("write " + path);
  return {};
}

base::Status generate(const std::string& folder, const std::string& seccomp_path,
                      const std::string& host_view_path, const std::string& egress_path) {
  std::vector<Profile> profiles;
  for (const char* name : kProfiles) {
    AIRLOCK_ASSIGN(Profile profile, load_profile(folder + "/seccomp", name, native_architecture()));
    profiles.push_back(std::move(profile));
  }
  AIRLOCK_ASSIGN(const HostView view, load_host_view(folder + "/host-view.yaml"));
  AIRLOCK_ASSIGN(const auto presets, load_egress_presets(folder + "/egress-presets.yaml"));
  AIRLOCK_TRY(write_file(seccomp_path, emit_seccomp(profiles, native_architecture())));
  AIRLOCK_TRY(write_file(egress_path, emit_egress_presets(presets)));
  return write_file(host_view_path, emit_host_view(view));
}

}  // namespace
}  // namespace airlock::policygen

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: policygen POLICIES SECCOMP.CC HOST_VIEW.CC EGRESS_PRESETS.CC\n");
    return 2;
  }
  const auto status = airlock::policygen::generate(argv[1], argv[2], argv[3], argv[4]);
  if (status.has_value()) return 0;
  std::fprintf(stderr, "policygen: %s\n", status.error().to_string().c_str());
  return 1;
}
