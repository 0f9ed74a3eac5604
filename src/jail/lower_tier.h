// LowerTier: what a keeper does in another way where sandboxes are not made as in the full tier.
//
// On a host that cannot give it airlock-jail becomes airlock-nest (hand_down.h), so that the
// program with privilege holds no code for hosts without; airlock-broker has containers of a
// runtime (src/container). One instance for the life of a launcher; keepers, which are forks of it,
// only read it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"
#include "jail/stage.h"
#include "jail/tier.h"
#include "jail/wire.h"
#include "jail/workspace_store.h"
#include "sys/raw_clone.h"

namespace airlock::jail {

// Holds the words of a translated request.
struct TranslatedWords {
  std::string cwd;
  std::string argv;
  std::string env;
};

class LowerTier {
 public:
  virtual ~LowerTier() = default;

  virtual Tier tier() const = 0;
  // Bits of Missing that every sandbox of this tier lacks.
  virtual std::uint32_t missing() const = 0;
  // As sys::clone_and_execute, but `pidfd` is a pipe that closes when init and all that it has
  // forked for itself are gone.
  virtual sys::RawChild start_init(std::uint32_t slot, int channel_fd) const = 0;
  // Makes the place of the slot, if it is not there, and tells init of it. Valid as long as
  // `words`.
  virtual StageFailure describe(std::uint32_t slot, ViewSetup* view, std::string* words) const = 0;
  virtual base::Result<WorkspaceStore> make_store(std::uint32_t slot, std::uint64_t bytes,
                                                  std::uint32_t inodes) const = 0;
  // Puts the paths of the sandbox where they are in this tier.
  virtual void translate(std::uint32_t slot, Exec* request, TranslatedWords* words) const = 0;
  // Of all that init has started; watched, since nothing limits it.
  virtual std::uint64_t memory_bytes(pid_t init) const = 0;
  // After init has ended: what it left running, if anything.
  virtual void end_rest(std::uint32_t slot) const = 0;
  // A container: pid and network are its own, and memory and rates are its runtime's to limit. What
  // is in a group of ours is not only the guest's processes but the runtime's, too.
  virtual bool is_container() const { return false; }
  // Of a container: its tasks are tasks of the host, and a group can limit them.
  virtual bool has_host_tasks() const { return false; }
  // Of a container: folders of the host and layers can be mounted in it.
  virtual bool takes_mounts() const { return false; }
  // Of a container: its runtime is told the names of devices, and gives them.
  virtual bool gives_devices() const { return false; }
  // Of a container: its root is an image, and which one can be asked for.
  virtual bool has_images() const { return false; }
  // Nothing of the slot's workspace is needed any more.
  virtual void end_workspace(std::uint32_t /*slot*/) const {}
};

}  // namespace airlock::jail
