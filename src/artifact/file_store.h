// FileStore: a folder that the operator allows, as a Store; and which folder allows a path.
//
// Guarantees: whatever lies in the folder, nothing outside of it is reached: no symbolic link is
// followed (openat2, RESOLVE_BENEATH), anything but regular files and folders is refused by
// name. A file is written under a temporary name, synced and renamed: whole or absent, also
// after a loss of power. Who writes holds a lock on the temporary file, so that a sweep takes
// only what the dead left. `clock` and `random` outlive the store. One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/store.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/unique_fd.h"

namespace airlock::artifact {

inline constexpr std::string_view kPartPrefix = ".airlock-part-";  // of temporary names

class FileStore final : public Store {
 public:
  // `root` is the operator's: links on the way to it are followed.
  static base::Result<std::unique_ptr<FileStore>> open(const std::string& root,
                                                       const base::Clock& clock,
                                                       base::RandomSource& random);

  std::string describe(std::string_view key) const override;
  base::Result<std::vector<ObjectInfo>> list(const std::string& prefix, std::size_t objects_max,
                                             const Control& control) override;
  base::Result<ContentDigest> get(const std::string& key, int fd, base::ByteCount size_max,
                                  const Control& control) override;
  base::Result<ContentDigest> put(const Upload& upload, const Control& control) override;
  base::Result<std::size_t> sweep(const SweepRequest& request, const Control& control) override;

  // For open().
  FileStore(std::string root, base::UniqueFd fd, const base::Clock& clock,
            base::RandomSource& random);

 private:
  std::string root_;
  base::UniqueFd root_fd_;
  const base::Clock* clock_;
  base::RandomSource* random_;
};

// A root and what follows it: "/data/in/a" below "/data" is "in/a". The longest root that holds the
// path is taken. kPermissionDenied names the path and the roots.
struct RootedPath {
  std::string root;
  std::string key;  // empty: the root itself
};
base::Result<RootedPath> find_root(std::string_view path, const std::vector<std::string>& roots);

}  // namespace airlock::artifact
