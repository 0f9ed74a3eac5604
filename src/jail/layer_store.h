// Layers: trees that a build left in /build, kept under a name to be seen read-only by others.
//
// `layers/<name>/` in the state directory holds `tree`, a copy of ours in which there is nothing
// but folders, plain files and symbolic links, owned by us, readable by all, without further bits;
// and `size`. Its time of modification is that of the last use. A name stands for a whole layer
// that is on the disk, or for nothing: what is being written or removed has another name and is
// locked, and sweep_layers() removes what nobody has locked any more. Who uses a layer holds a
// shared lock on it. Paths that a guest chose are never followed, only made, one name at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "jail/wire_grants.h"

namespace airlock::jail {

inline constexpr std::size_t kLayerNameBytesMax = 96;
inline constexpr std::size_t kLayerDepthMax = 64;  // as of outputs: each takes a descriptor
// Of one state directory, whatever callers ask for; they are to remove what they need no more.
inline constexpr std::size_t kLayersMax = 1'024;
inline constexpr std::uint64_t kLayersBytesMax = 1ull << 40;
// Of the file system: what is left to others.
inline constexpr std::uint64_t kLayersFreeBytesMin = 256ull << 20;
inline constexpr std::uint64_t kLayersFreeInodesMin = 10'000;

// [a-z0-9_]{1,96}
bool is_layer_name(std::string_view name);

struct LayerLimits {
  std::uint64_t bytes = 0;    // of the contents of files
  std::uint64_t entries = 0;  // files, folders and links
};

// One layer in the making. What was not finished is removed with it.
class LayerWriter {
 public:
  static base::Result<LayerWriter> begin(const std::string& state_directory, std::string_view name,
                                         LayerLimits limits);
  LayerWriter(LayerWriter&&) = default;
  LayerWriter& operator=(LayerWriter&&) = delete;
  ~LayerWriter();

  // As told by init, which is not believed: 0 or an errno. `content` is of a file.
  int add(const TreeEntry& entry, const base::UniqueFd& content);
  // One of that name is there: nothing needs to be added, and finish() only says so.
  bool existed() const { return kept_.existed; }
  // Writes everything to the disk and gives it its name. Blocks for as long as that takes.
  LayerKept finish();

 private:
  LayerWriter() = default;
  int add_folder(const TreeEntry& entry);
  int add_file(const TreeEntry& entry, const base::UniqueFd& content);
  int copy(const base::UniqueFd& from, const base::UniqueFd& to);
  bool leaves_room(std::uint64_t bytes) const;
  int write_size();

  base::UniqueFd layers_;
  base::UniqueFd lock_;  // of its folder
  std::string passing_;  // its name until it is whole
  std::string name_;
  LayerLimits limits_;
  std::vector<base::UniqueFd> folders_;  // from the top to the one that is being filled
  LayerKept kept_;
  std::uint64_t bytes_ = 0;
};

// A layer that stays for as long as this does.
struct HeldLayer {
  base::UniqueFd lock;
  base::UniqueFd tree;
  std::string path;  // of the tree
};
base::Result<HeldLayer> hold_layer(const std::string& state_directory, std::string_view name);

struct LayerState {
  std::string name;
  std::uint64_t bytes = 0;
  std::int64_t used_us = 0;
};
std::vector<LayerState> list_layers(const std::string& state_directory);

// 0 or an errno: EBUSY while somebody uses it, ENOENT.
int remove_layer(const std::string& state_directory, std::string_view name);

// Removes what dead writers and removers left.
void sweep_layers(const std::string& state_directory);

// Carries out an order and answers on `answers`.
void serve_layer_order(const std::string& state_directory, const LayerOrder& order,
                       const base::UniqueFd& answers);

}  // namespace airlock::jail
