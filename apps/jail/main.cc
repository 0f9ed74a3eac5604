// airlock-jail: the launcher (jail/launcher.h) as a program of its own, started by airlock.
#include <fcntl.h>
#include <getopt.h>
#include <cstdio>
#include <cstdlib>

#include "base/result.h"
#include "jail/launcher.h"

namespace airlock::jail {
namespace {

struct Arguments {
  int control_fd = -1;
  LauncherOptions launcher;
};

base::Result<Arguments> parse_arguments(int argc, char** argv) {
  Arguments arguments;
  LauncherOptions& launcher = arguments.launcher;
  const option known[] = {{"control-fd", required_argument, nullptr, 'c'},
                          {"init", required_argument, nullptr, 'i'},
                          {"run-dir", required_argument, nullptr, 'r'},
                          {"state-dir", required_argument, nullptr, 's'},
                          {"cgroup-parent", required_argument, nullptr, 'g'},
                          {"single", no_argument, nullptr, '1'},
                          {nullptr, 0, nullptr, 0}};
  for (int found = 0; (found = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    switch (found) {
      case 'c': arguments.control_fd = std::atoi(optarg); break;
      case 'i': launcher.init_path = optarg; break;
      case 'r': launcher.run_directory = optarg; break;
      case 's': launcher.state_directory = optarg; break;
      case 'g': launcher.cgroup_parent = optarg; break;
      case '1': launcher.single = true; break;
      default: return base::fail(base::ErrorCode::kInvalidArgument, "unknown option");
    }
  }
  if (arguments.control_fd < 3) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "airlock-jail is started by airlock, with --control-fd",
                      "run: airlock run PROGRAM");
  }
  if (launcher.cgroup_parent.find('/') != std::string::npos) {
    return base::fail(base::ErrorCode::kInvalidArgument, "--cgroup-parent takes one name");
  }
  return arguments;
}

int run(int argc, char** argv) {
  auto arguments = parse_arguments(argc, argv);
  if (!arguments.has_value()) {
    std::fprintf(stderr, "airlock-jail: %s\n", arguments.error().to_string().c_str());
    return 2;
  }
  base::UniqueFd control(arguments->control_fd);
  fcntl(control.get(), F_SETFD, FD_CLOEXEC);
  return run_launcher(std::move(arguments->launcher), std::move(control));
}

}  // namespace
}  // namespace airlock::jail

int main(int argc, char** argv) { return airlock::jail::run(argc, argv); }
