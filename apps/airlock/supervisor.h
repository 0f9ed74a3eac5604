// Supervisor: the process that `airlock serve` is, and that everything else of it belongs to.
//
//   supervisor (who started it: opens the sockets, and reads nothing that a client sends)
//     launcher  airlock-jail: as the supervisor, makes sandboxes for whoever holds its socket
//     brokers   airlock-broker: the same with containers, if the mode wants any
//     daemon    airlock serve again, as a user of its own without privilege: HTTP, JSON, runs
//
// When the launcher or the daemon dies, when the daemon says nothing for 20 s, or says that no
// sandbox could be made or removed for 30 s, both are started anew; the listening sockets stay open
// meanwhile, so that clients wait and are not refused. When the supervisor dies, the kernel ends
// both. SIGTERM and SIGINT are passed to the daemon, which drains, and the supervisor ends with it;
// SIGHUP has it look for toolchains again.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "telemetry/log.h"

namespace airlock::apps {

struct SupervisorOptions {
  std::vector<std::string> daemon_words;    // argv[0] is the program's path
  std::vector<std::string> launcher_words;  // argv[0] is the program's path
  // More launchers: airlock-broker for each backend that is not the native one.
  std::vector<std::vector<std::string>> broker_words;
  std::vector<base::UniqueFd> listeners;  // that of the metrics, if there is one, is the last
  // A sealed memfd, for launcher and daemon: the devices that sandboxes may be given.
  base::UniqueFd devices;
  base::UniqueFd config;  // a memfd that the daemon reads: an environment is for others to see
};

// Names of the descriptors in the daemon's environment: "control,news,config,devices,
// broker...,listener...".
inline constexpr const char* kDaemonFdsVariable = "AIRLOCK_DAEMON_FDS";

// Until it was told to end, or cannot go on. The exit status.
int supervise(SupervisorOptions options, const telemetry::Log& log);

}  // namespace airlock::apps
