// FakeHost: a host made of strings, for the tests of the checks.
//
// A fresh one is a healthy Debian 12 on cgroup v2 that runs the checks as root; a test changes the
// one thing that it is about. `as_user` makes the same host as seen by an ordinary user.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "host/checks.h"
#include "host/host_probe.h"

namespace airlock::host {

class FakeHost : public HostProbe {
 public:
  FakeHost();
  // As alice (uid 1000), in a systemd scope that was delegated to her.
  static FakeHost as_user();

  Identity identity() override { return who; }
  KernelName kernel() override { return kernel_name; }
  std::optional<std::string> read(const std::string& path) override;
  std::optional<FileFacts> facts(const std::string& path) override;
  bool may_write(const std::string& path) override { return !read_only.contains(path); }
  bool may_execute(const std::string& path) override { return programs.contains(path); }
  std::optional<Space> space(const std::string& folder) override;
  std::optional<std::string> find_socket_owner(std::uint64_t inode) override;
  Attempt attempt(Trial trial) override;
  CgroupAttempt attempt_cgroup(const CgroupTrial& trial) override;

  void set_sysctl(std::string name, const std::string& value);
  void remove_file(const std::string& path) { files.erase(path); }

  Identity who;
  KernelName kernel_name;
  std::map<std::string, std::string> files;
  std::map<std::string, FileFacts> nodes;  // what facts() knows beside `files`
  std::set<std::string> read_only;
  std::set<std::string> programs;
  std::map<Trial, Attempt> failures;
  std::map<std::uint64_t, std::string> socket_owners;
  Space disk;
  // Cgroup trials: the errno of mkdir by parent, and of writing a limit or a member by file name.
  std::map<std::string, int> mkdir_errors;
  std::map<std::string, int> cgroup_file_errors;
  std::set<std::string> cgroup_files;
};

// The question that a test asks where nothing else matters.
Question usual_question();
const Finding* find_finding(const Findings& findings, std::string_view id);

}  // namespace airlock::host
