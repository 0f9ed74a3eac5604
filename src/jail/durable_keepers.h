// DurableKeepers: the launcher's side of workspaces that outlive their callers.
//
// Each has a keeper that is forked for it alone, leaves the launcher's session, and ends by itself:
// neither its caller's end nor the launcher's is its own. The launcher knows of it nothing but its
// name (jail/durable_folder.h), so that the next launcher knows as much. What has to be waited for
// (the end of a keeper that is stopped, the removal of what a dead one left) children do.
//
// Requests are answered on the channel that came with them. Single-threaded, as the launcher.
#pragma once

#include <sys/types.h>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "jail/durable_folder.h"
#include "jail/keeper_pool.h"
#include "jail/launcher_host.h"
#include "jail/wire_durable.h"

namespace airlock::jail {

inline constexpr std::size_t kDurableMax = 100;  // alive at once, of one state directory

class DurableKeepers {
 public:
  // All of them outlive this.
  DurableKeepers(const LauncherHost& host, const DurableFolder& folder, KeeperPool& children);

  void open(OpenWorkspace request, base::UniqueFd channel);
  void adopt(const AdoptWorkspace& request, base::UniqueFd channel);
  void discard(const DiscardWorkspace& request, base::UniqueFd channel);
  void list(base::UniqueFd channel);
  // Children of the launcher that it has reaped.
  void note_ended(std::span<const pid_t> children);

 private:
  enum class Found { kAlive, kDead };
  struct Waiting {
    std::string name;
    base::UniqueFd channel;
    Found found;
  };

  int pass_on(const AdoptWorkspace& request, int channel) const;
  // A child ends the keeper if there was one alive, never one that has come to the name of a dead
  // one meanwhile; it removes what is left, and then answers. What has to wait for its turn is
  // answered after it, or at once with EAGAIN.
  void clear(std::string_view name, base::UniqueFd channel, Found found);
  void start_clearing(std::string_view name, const base::UniqueFd& channel, Found found);
  void sweep_up() const;
  [[noreturn]] void run_keeper(const OpenWorkspace& request, std::string name,
                               base::UniqueFd channel, base::UniqueFd started);

  const LauncherHost& host_;
  const DurableFolder& folder_;
  KeeperPool& children_;
  std::vector<pid_t> clearing_;  // children that clear
  std::deque<Waiting> waiting_;  // for one of those to end
};

}  // namespace airlock::jail
