// airlock-nest: the launcher of hosts that cannot give the full tier, because they are containers.
//
// airlock-jail, and the launcher of `airlock run`, become this program when the kernel has refused
// them a step for good. A program of its own, so that theirs, which may have root's privilege, does
// not contain it.
#include <fcntl.h>
#include <cstdio>
#include <string_view>
#include <utility>

#include "jail/hand_down.h"
#include "jail/launcher.h"
#include "jail/launcher_host.h"
#include "nest/tiers.h"
#include "sys/seccomp.h"

namespace airlock::nest {
namespace {

int refuse(const base::Error& error) {
  std::fprintf(stderr, "airlock-nest: %s%s%s\n", error.to_string().c_str(),
               error.hint.empty() ? "" : "; ", error.hint.c_str());
  return 1;
}

int run(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--find-tier") {
    std::puts(jail::tier_name(find_tier(/*allow_process=*/true)).data());
    return 0;
  }
  int control_fd = -1;
  auto options = jail::parse_launcher_arguments(argc, argv, &control_fd);
  if (!options) return refuse(options.error());
  base::UniqueFd control(control_fd);
  fcntl(control.get(), F_SETFD, FD_CLOEXEC);
  options->run_directory = lower_run_directory(*options);
  auto host = jail::LauncherHost::open(*options);
  if (!host) return refuse(host.error());
  // One id, no cgroups: whatever root of a container might still have of them.
  host->ids.kind = jail::IdMapKind::kSingle;
  host->ids.slots_max = jail::kSlotsWithRoots;
  host->cgroups = {};
  host->seccomp_listener = sys::has_user_notification();
  if (auto view = jail::check_host_view(&host->view); !view) return refuse(view.error());
  auto tier = make_tier(find_tier(options->allow_process), *host);
  if (!tier) return refuse(tier.error());
  host->lower = tier->get();
  return jail::run_lower_launcher(std::move(*options), std::move(*host), std::move(control));
}

}  // namespace
}  // namespace airlock::nest

int main(int argc, char** argv) { return airlock::nest::run(argc, argv); }
