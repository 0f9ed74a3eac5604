// Runtime: what makes one container, and ends it. A shim has one for the container that it stands
// for; gvisor.cc and docker.cc are the two there are.
//
// Every container is made from one template of ours: no network, nothing of the host to be written
// to, no capability of a guest's, no new privileges. What differs is in ContainerRequest, of which
// a caller chooses the sizes, devices by names that the operator's specs have, and one of the
// images that the operator allows.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "jail/wire.h"

namespace airlock::container {

// From the moment that a container is asked for until init has said that it is ready.
inline constexpr std::chrono::seconds kStartTimeout{20};
// nobody: whom init and guests run as, in every container, and whom airlock-link becomes.
inline constexpr std::uint32_t kNobody = 65'534;
// Tasks that are not the guest's: airlock-link and init.
inline constexpr std::uint32_t kOwnTasks = 2;
// Where the two programs are, inside.
inline constexpr const char* kProgramsFolder = "/.airlock";
// The first process of every container: root, but only to become nobody (apps/link).
inline constexpr const char* kLinkCapabilities[] = {"SETUID", "SETGID", "SETPCAP"};
inline std::vector<std::string> link_command() {
  const std::string folder = kProgramsFolder;
  return {folder + "/airlock-link", folder + "/airlock-init", std::to_string(kNobody)};
}

// What the options of every runtime have.
struct CommonOptions {
  std::string programs;           // the folder of airlock-init and airlock-link
  std::string scratch_directory;  // for files that are collected; ours alone
  std::chrono::milliseconds start_timeout{kStartTimeout};
};

struct ContainerRequest {
  std::uint32_t slot = 0;
  std::string tmpfs_options;         // of the workspace, unless there is one already
  base::UniqueFd workspace;          // a detached mount
  std::string directory;             // or a folder of the host, with a quota
  bool workspace_read_only = false;  // but for the other parts
  // Of the host, each a detached mount with its attributes, and where it is seen.
  struct Given {
    base::UniqueFd mount;
    std::string target;
  };
  std::vector<Given> given;
  std::string image;                      // for its root; empty: the default
  std::vector<std::string> devices;       // of CDI: "nvidia.com/gpu=GPU-1f..."
  bool reusable = false;                  // another sandbox will want the same workspace
  std::vector<base::UniqueFd> entrances;  // of a cgroup; all processes of the runtime belong there
};

struct Container {
  base::UniqueFd in;  // stdin and stdout of its first process
  base::UniqueFd out;
  base::UniqueFd workspace;  // to be handed back
  base::UniqueFd said;       // a file with what its makers complain of, if there is one
  // As of link::TunnelOptions.
  std::function<bool(std::string* wrapped, std::string* plain)> unwrap = {};
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual base::Result<Container> start(ContainerRequest request) = 0;
  // Writes a file below /input, which is not the guest's to write. An errno.
  virtual int put_input(const jail::PutFile& request, const base::UniqueFd& content) = 0;
  // The limits of a program that is about to start, where they are the runtime's to hold.
  virtual base::Status limit(const jail::Exec& request) = 0;
  // A container that is not there, or not ready in time, is so because of its image, as far as can
  // be known: nothing is wrong with the runtime.
  virtual bool fails_by_image() const { return false; }
  // What the image wants of every program's environment, as "NAME=value".
  virtual std::vector<std::string> environment() const { return {}; }
};

}  // namespace airlock::container
