// KeeperPool: the launcher's keepers, each a process that serves one workspace after another.
//
// Forking one for every workspace would cost as much as its cgroups: the fork, the pages that it
// copies, its end. Between two workspaces nothing of the first is left in it, and it sleeps. One of
// those that sleep has a sandbox made ahead, for a request like the last one.
//
// A keeper that dies is forgotten, whatever it did: what it leaves is the sweep's.
#pragma once

#include <sys/types.h>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "jail/launcher_host.h"
#include "jail/wire.h"

namespace airlock::jail {

class KeeperPool {
 public:
  // `launchers_own` is closed in every child.
  KeeperPool(const LauncherHost& host, std::vector<base::UniqueFd*> launchers_own);

  // Hands request and channel to a keeper that sleeps, or to a new one. Where none can be had the
  // channel closes, which is what the caller sees.
  void give(const OpenWorkspace& request, base::UniqueFd channel);
  // Readable when a keeper has something to say: it sleeps again.
  int news_fd() const { return news_.get(); }
  void take_news();
  // Forks a child of the launcher that has nothing of the pool's; 0 in the child.
  pid_t fork_apart();
  // What else has to be closed in every child.
  void on_leave(std::function<void()> close) { on_leave_ = std::move(close); }
  // Reaps children that have ended, whatever they were; true if one did not end by itself.
  bool reap(std::vector<pid_t>* ended);
  // From here on whoever has nothing to do ends.
  void close();
  // Those that are left hang; what they leave is the sweep's.
  void kill_all();
  bool empty() const { return keepers_.empty(); }

 private:
  struct Link {
    pid_t pid;
    base::UniqueFd socket;
    bool asleep = false;
    bool has_spare = false;  // a sandbox made ahead; only who sleeps
  };

  bool send(Link* link, const OpenWorkspace& request, int channel);  // -1: a spare is wanted
  // `in_transit` is closed in the keeper: it gets a descriptor of its own for it by a message.
  Link* fork_keeper(base::UniqueFd* in_transit = nullptr);
  Link* find_asleep(bool with_spare);
  void prepare_spare();
  void retire_surplus();
  void leave_launcher();
  [[noreturn]] void run_keeper(base::UniqueFd requests);

  const LauncherHost& host_;
  std::vector<base::UniqueFd*> launchers_own_;
  base::UniqueFd news_;
  base::UniqueFd news_sender_;  // every keeper has it
  std::vector<Link> keepers_;
  std::function<void()> on_leave_ = [] {};
  OpenWorkspace last_;  // the next one is expected to be like it
  bool closed_ = false;
};

}  // namespace airlock::jail
