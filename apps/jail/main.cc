// airlock-jail: the launcher (jail/launcher.h) as a program of its own, started by airlock.
#include <fcntl.h>
#include <cstdio>

#include "jail/hand_down.h"
#include "jail/launcher.h"

int main(int argc, char** argv) {
  int control_fd = -1;
  auto options = airlock::jail::parse_launcher_arguments(argc, argv, &control_fd);
  if (!options.has_value()) {
    std::fprintf(stderr, "airlock-jail: %s\n", options.error().to_string().c_str());
    return 2;
  }
  airlock::base::UniqueFd control(control_fd);
  fcntl(control.get(), F_SETFD, FD_CLOEXEC);
  return airlock::jail::run_launcher(std::move(*options), std::move(control));
}
