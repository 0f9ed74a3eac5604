// Daemon: the half of `airlock serve` that talks to clients, and may do nothing else.
//
// Gives up every privilege before it reads a byte of anybody: as root it becomes a user of its own
// without capabilities, without a way back. Sandboxes are made by the launcher at the other end of
// `control`. Ends when the supervisor or the launcher does, or when it was told to and has drained.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "apps/airlock/serve_options.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "telemetry/log.h"

namespace airlock::apps {

// How the daemon ends when the launcher has ended before it. What that means the launcher's own
// status says.
inline constexpr int kExitLauncherGone = 3;
// The launcher, or a keeper of it, has not made or removed a sandbox for so long that it hangs.
inline constexpr int kExitSandboxesHang = 4;

// Bytes that the daemon says to its supervisor: once that a run has worked, and again and again
// that the thread that serves everybody does not hang.
inline constexpr char kNewsReady = 'r';
inline constexpr char kNewsAlive = 'a';
inline constexpr std::chrono::milliseconds kAliveEvery{2'000};

struct DaemonFds {
  base::UniqueFd control;                 // to the launcher
  std::vector<base::UniqueFd> brokers;    // to the launchers of other backends, as of the chain
  base::UniqueFd news;                    // to the supervisor
  base::UniqueFd devices;                 // the table that the launcher has, too
  base::UniqueFd config;                  // what the supervisor has read, the key included
  std::vector<base::UniqueFd> listeners;  // that of the metrics, if there is one, is the last
};

// `names` is what the supervisor has put into AIRLOCK_DAEMON_FDS.
base::Result<DaemonFds> take_daemon_fds(const char* names);

// Everything that the memfd holds; where others stand in it does not matter.
base::Result<std::string> read_whole(int memfd);

// Puts the first so many of the listeners where they belong: how many brokers there are is known
// only from the configuration.
void take_brokers(DaemonFds& fds, const ServeOptions& options);

int run_daemon(DaemonFds fds, const ServeOptions& options, const telemetry::Log& log);

}  // namespace airlock::apps
