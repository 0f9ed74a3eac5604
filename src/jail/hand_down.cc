#include "jail/hand_down.h"

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "jail/launcher_host.h"

namespace airlock::jail {
namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

bool is_refused_by_host(const StageFailure& failure) {
  switch (failure.stage) {
    case Stage::kClone:
    case Stage::kIdMap:
    case Stage::kIdentity:
    case Stage::kMountPrivate:
    case Stage::kMountRoot:
    case Stage::kMountHostView:
    case Stage::kMountDevices:
    case Stage::kMountProc:
    case Stage::kMountWorkspace:
    case Stage::kPivotRoot:
    case Stage::kNetwork:
    case Stage::kCapabilities: break;
    default: return false;
  }
  const int error = failure.os_errno;
  return error == EPERM || error == EACCES || error == ENOSYS || error == EINVAL ||
         error == EOPNOTSUPP || error == ENODEV || error == EROFS;
}

void hand_down(const LauncherOptions& options, const base::UniqueFd& control) {
  const std::string program = beside_ourselves("airlock-nest");
  std::vector<std::string> words = {"airlock-nest", "--control-fd", number(control.get())};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {name, value});
  };
  add("--init", options.init_path);
  add("--run-dir", options.run_directory);
  add("--state-dir", options.state_directory);
  if (options.expected.disk_bytes != 0) {
    add("--expect-disk", number(options.expected.disk_bytes));
    add("--expect-inodes", number(options.expected.inodes));
  }
  if (options.single) words.emplace_back("--single");
  if (options.tells_when_settled) words.emplace_back("--tell");
  if (options.allow_process) words.insert(words.end(), {"--allow-tier", "process"});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  fcntl(control.get(), F_SETFD, 0);
  execv(program.c_str(), argv.data());
  fcntl(control.get(), F_SETFD, FD_CLOEXEC);
}

base::Result<LauncherOptions> parse_launcher_arguments(int argc, char** argv, int* control_fd) {
  LauncherOptions launcher;
  const option known[] = {{"control-fd", required_argument, nullptr, 'c'},
                          {"init", required_argument, nullptr, 'i'},
                          {"run-dir", required_argument, nullptr, 'r'},
                          {"state-dir", required_argument, nullptr, 's'},
                          {"cgroup-parent", required_argument, nullptr, 'g'},
                          {"allow-tier", required_argument, nullptr, 'a'},
                          {"folder", required_argument, nullptr, 'f'},
                          {"devices-fd", required_argument, nullptr, 'v'},
                          {"expect-disk", required_argument, nullptr, 'd'},
                          {"expect-inodes", required_argument, nullptr, 'n'},
                          {"single", no_argument, nullptr, '1'},
                          {"tell", no_argument, nullptr, 't'},
                          {nullptr, 0, nullptr, 0}};
  for (int found = 0; (found = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    switch (found) {
      case 'c': *control_fd = std::atoi(optarg); break;
      case 'i': launcher.init_path = optarg; break;
      case 'r': launcher.run_directory = optarg; break;
      case 's': launcher.state_directory = optarg; break;
      case 'g': launcher.cgroup_parent = optarg; break;
      case 'a': launcher.allow_process = std::string_view(optarg) == kAllowedTier; break;
      case 'f': launcher.folders.emplace_back(optarg); break;
      case 'v': launcher.devices_fd = std::atoi(optarg); break;
      case 'd': launcher.expected.disk_bytes = std::strtoull(optarg, nullptr, 10); break;
      case 'n':
        launcher.expected.inodes = static_cast<std::uint32_t>(std::strtoul(optarg, nullptr, 10));
        break;
      case '1': launcher.single = true; break;
      case 't': launcher.tells_when_settled = true; break;
      default: return base::fail(base::ErrorCode::kInvalidArgument, "unknown option");
    }
  }
  if (*control_fd < 3) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "this program is started by airlock, with --control-fd",
                      "run: airlock run PROGRAM");
  }
  if (launcher.cgroup_parent.find('/') != std::string::npos) {
    return base::fail(base::ErrorCode::kInvalidArgument, "--cgroup-parent takes one name");
  }
  return launcher;
}

}  // namespace airlock::jail
