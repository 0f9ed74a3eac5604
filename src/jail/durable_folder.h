// DurableFolder: the sockets under whose names the keepers of durable workspaces listen.
//
// A name lives as long as somebody listens under it; a socket whose owner is dead refuses, and is
// removed by the next one who wants the name. The folder is the run directory's `jobs`, closed to
// others. What is in it belongs to a state directory (a part of the socket's name stands for it):
// two services on one host with states of their own do not see each other's workspaces.
//
// No call waits for a keeper, but for stop_keeper().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::jail {

inline constexpr std::size_t kDurableNameBytesMax = 64;

// [a-z0-9_]{1,64}: of a durable workspace, and of a process in it.
bool is_durable_name(std::string_view name);

class DurableFolder {
 public:
  static base::Result<DurableFolder> open(const std::string& run_directory,
                                          const std::string& state_directory);

  // A socket that listens under `name`, which only a keeper may do: stop_keeper() kills who did.
  // 0, EEXIST if somebody does, or another errno.
  int listen_as(std::string_view name, base::UniqueFd* listener) const;
  // 0; ENOENT: there is no such name; ECONNREFUSED: its keeper is dead; EAGAIN: it is busy.
  int connect_to(std::string_view name, base::UniqueFd* connection) const;
  struct Names {
    std::vector<std::string> alive;
    std::vector<std::string> dead;
  };
  Names list() const;
  // Of a keeper, before it stops to listen: its own name.
  void remove(std::string_view name) const;
  // The name of a keeper that is dead; one that lives stays.
  void remove_dead(std::string_view name) const;
  // Asks the keeper to end all that it has, and kills it if it does not listen; returns when it is
  // dead. 0; EOWNERDEAD: it was killed, and has left things; or another errno.
  int stop_keeper(std::string_view name) const;

 private:
  std::string file_name(std::string_view name) const { return prefix_ + std::string(name); }

  base::UniqueFd directory_;
  std::string prefix_;
};

}  // namespace airlock::jail
