// HostView: what of the host every sandbox sees, as folders that a sandbox only has to mount.
//
// The skeleton is the root of a sandbox, made once on disk in the run directory: directories,
// mount points, links, made files, and copies of what host-view.yaml lists below /etc. Its name
// bears a stamp of all it was made from: when that changes, the next launcher makes another one.
// Only what every user of the host may read is copied. Not noticed: a file that is written in
// place below a listed folder, where distributions replace files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "jail/grants.h"

namespace airlock::jail {

struct HostView {
  std::string name() const { return skeleton.substr(skeleton.rfind('/') + 1); }

  std::string run_directory;
  // Where skeletons lie. Init is started there and goes on by name: as root the run directory is
  // closed to others, who could lock a skeleton otherwise, and init is somebody else soon.
  std::string roots;
  std::string skeleton;               // the directory
  base::UniqueFd in_use;              // holds a lock, without which others may remove the skeleton
  std::vector<std::string> trees;     // folders of the host seen whole: /usr and its like
  std::vector<std::string> recalled;  // lines that recall_host_view() read
  // Of what this launcher may give to sandboxes. A view with any is neither recalled nor
  // remembered: it is nothing to launchers that give something else.
  std::vector<MountPoint> points;
};

// What the launcher before us used, unchecked; nothing is `in_use` if there is none.
HostView recall_host_view(const std::string& run_directory, std::vector<MountPoint> points = {});

// The next launcher finds no view to recall.
void forget_host_view(const HostView& view);

// The first slots have a copy of the root for themselves, made when it is first needed: it is bound
// and not overlaid, which costs less, and no other sandbox sees its inodes. Its name in the
// skeleton; empty where there is none.
inline constexpr std::uint32_t kSlotsWithRoots = 16;
std::string slot_root(const HostView& view, std::uint32_t slot);

// Compares the view with the host and finds or makes another skeleton where it differs: true then.
// Any number of launchers may do so at once.
base::Result<bool> check_host_view(HostView* view);

}  // namespace airlock::jail
