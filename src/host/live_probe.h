// LiveProbe: the host itself, as a HostProbe.
//
// Reads what this process may read, tries in children what only trying can tell, and changes
// nothing that outlives a call. The process must be single-threaded while a trial runs.
#pragma once

#include "host/host_probe.h"

namespace airlock::host {

class LiveProbe : public HostProbe {
 public:
  Identity identity() override;
  KernelName kernel() override;
  std::optional<std::string> read(const std::string& path) override;
  std::optional<FileFacts> facts(const std::string& path) override;
  bool may_write(const std::string& path) override;
  bool may_execute(const std::string& path) override;
  std::optional<Space> space(const std::string& folder) override;
  std::optional<std::string> find_socket_owner(std::uint64_t inode) override;
  Attempt attempt(Trial trial) override;
  CgroupAttempt attempt_cgroup(const CgroupTrial& trial) override;
};

}  // namespace airlock::host
