// WorkspaceStore: the file system behind one workspace, with a quota that holds.
//
// Up to model::kTmpfsDiskMax a tmpfs, made by init. Above it, as root: a directory
// with a project quota where the state directory's file system has them, else an ext4 image on a
// loop device whose file has no name. Otherwise a plain directory that is watched. The destructor
// deletes it; what a killed keeper leaves is at most one directory, which sweep_workspaces removes.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "jail/id_map.h"
#include "jail/slot_pool.h"

namespace airlock::jail {

inline constexpr std::uint64_t kTmpfsBytesMax = 64ull << 20;

// kInPlace: the writable folders of a place that a slot has for good (LowerTier), watched, too.
enum class WorkspaceKind : std::uint8_t { kTmpfs, kProjectQuota, kLoopImage, kWatched, kInPlace };

class WorkspaceStore {
 public:
  static base::Result<WorkspaceStore> create(const IdHost& ids, const std::string& state_directory,
                                             std::uint32_t slot, std::uint64_t bytes,
                                             std::uint32_t inodes);
  // Of the place `path`, which stays; its writable folders are emptied. `input_mode`: of /input.
  static base::Result<WorkspaceStore> in_place(const std::string& path, std::uint64_t bytes,
                                               std::uint32_t inodes, mode_t input_mode);
  // Of a container, whose runtime makes it: only the sizes are known here.
  static WorkspaceStore in_runtime(std::uint64_t bytes, std::uint32_t inodes);
  WorkspaceStore(WorkspaceStore&&) = default;
  WorkspaceStore& operator=(WorkspaceStore&&) = delete;
  ~WorkspaceStore();

  WorkspaceKind kind() const { return kind_; }
  // How the next sandbox gets it: mount_fd() if it is valid, else directory() unless it is empty,
  // else a tmpfs with tmpfs_options().
  int mount_fd() const { return mount_.get(); }
  const std::string& directory() const { return directory_; }
  // Of that directory in its parent; empty if there is none.
  const std::string& name() const { return name_; }
  const std::string& tmpfs_options() const { return tmpfs_options_; }
  // The handle that the last sandbox gave back.
  void keep_mount(base::UniqueFd mount) { mount_ = std::move(mount); }
  // Only our own id may be mapped, so that the files can be deleted again.
  bool needs_single_id() const { return kind_ == WorkspaceKind::kWatched; }
  bool is_watched() const {
    return kind_ == WorkspaceKind::kWatched || kind_ == WorkspaceKind::kInPlace;
  }
  // A sandbox that was begun before there was a workspace can take it.
  bool suits_any_sandbox() const {
    return kind_ == WorkspaceKind::kTmpfs || kind_ == WorkspaceKind::kInPlace;
  }
  // is_watched(): whether more is in use than allowed, after a look at the tree.
  bool over_limit() const;

 private:
  WorkspaceStore() = default;
  base::Status make_project_directory(const IdHost& ids, std::uint32_t slot);
  base::Status make_loop_image(const IdHost& ids, std::uint32_t slot);
  base::Status make_watched_directory();
  base::Status empty_parts();
  void describe_tmpfs();
  bool parts_over_limit() const;

  WorkspaceKind kind_ = WorkspaceKind::kTmpfs;
  std::uint64_t bytes_ = 0;
  std::uint32_t inodes_ = 0;
  mode_t input_mode_ = 0755;  // kInPlace
  base::UniqueFd parent_;     // the directory that holds directory_
  std::string name_;          // of directory_ in parent_
  std::string directory_;
  std::string tmpfs_options_;
  base::UniqueFd mount_;
};

// Deletes the directories of slots whose owner is dead, and of `own_slot` that which is not `kept`.
void sweep_workspaces(const std::string& state_directory, const SlotPool& slots,
                      std::uint32_t own_slot, const std::string& kept);

}  // namespace airlock::jail
