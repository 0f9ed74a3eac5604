// Transfer: a job's inputs from a location to its sink, and its outputs from descriptors to one.
//
// A key that is an object becomes the one file `input_data`; a prefix, its objects by their
// names relative to it. Names that could lead astray are refused by name before anything is
// fetched. Each file is whole or absent; a set of files is not atomic, so the manifest goes
// last, and both can be done again after any interruption. One thread; borrows all until it
// returns.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "artifact/location.h"
#include "artifact/s3_config.h"
#include "artifact/store.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/unique_fd.h"
#include "model/job.h"

namespace airlock::artifact {

inline constexpr std::string_view kSingleInputName = "input_data";  // contract, section 1.4

struct StorageConfig {
  std::vector<std::string> file_roots;  // absolute folders that file:// may name; none: no file://
  S3Settings s3;
  EnvironmentLookup environment;  // for S3; empty: nothing is looked up
  RetryPolicy retry;
};

// A store, and the key of the location in it ("" is all of a file root).
struct OpenedLocation {
  std::unique_ptr<Store> store;
  std::string key;
};
// `clock` and `random` outlive the store.
base::Result<OpenedLocation> open_location(const Location& location, const StorageConfig& config,
                                           const base::Clock& clock, base::RandomSource& random);

struct TransferLimits {
  std::size_t files_max = 10'000;
  base::ByteCount bytes_max = base::gibibytes(100);  // of all files together
};

// Where inputs are put. A file is written to the descriptor that begin() lends, then end() is
// called; what was begun and not ended is to be thrown away.
class InputSink {
 public:
  virtual ~InputSink() = default;
  virtual base::Result<int> begin(const std::string& path) = 0;
  virtual base::Status end() = 0;
  virtual void discard() = 0;
};

// Files below a folder, each under a temporary name until it is whole. Owner and mode are ours and
// 0644. Not synced: a fetch that was cut off is done again. `random` outlives it.
class FolderSink final : public InputSink {
 public:
  FolderSink(int folder_fd, base::RandomSource& random);
  ~FolderSink() override;
  base::Result<int> begin(const std::string& path) override;
  base::Status end() override;
  void discard() override;

 private:
  struct Pending;
  int folder_fd_;
  base::RandomSource& random_;
  std::unique_ptr<Pending> pending_;
};

struct TransferOptions {
  TransferLimits limits;
  Control control;
};

// kNotFound if there is neither an object nor anything below the prefix. Sorted by path.
base::Result<std::vector<model::ArtifactDigest>> fetch_input(OpenedLocation& from, InputSink& sink,
                                                             const TransferOptions& options);

struct OutputFile {
  std::string path;  // relative
  // A regular file, asked for when its turn has come: there may be more files than descriptors.
  std::function<base::Result<base::UniqueFd>()> open;
  base::ByteCount size;
};

// To <location>/<path>, in the order of the files; `manifest`, if there is one, goes up after
// everything else did. What earlier, interrupted pushes of these files left is taken away first, as
// far as the server lets us.
base::Result<std::vector<model::ArtifactDigest>> push_outputs(
    OpenedLocation& to, const std::vector<OutputFile>& files,
    const std::optional<OutputFile>& manifest, const TransferOptions& options);

}  // namespace airlock::artifact
