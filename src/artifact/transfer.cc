#include "artifact/transfer.h"

#include <algorithm>
#include <set>

#include "artifact/beneath.h"
#include "artifact/file_store.h"
#include "artifact/names.h"
#include "artifact/s3_store.h"

namespace airlock::artifact {
namespace {

model::ArtifactDigest digest_of(std::string path, const ContentDigest& content) {
  return {.path = std::move(path), .size = content.size, .sha256 = content.sha256};
}

base::Result<ContentDigest> fetch_one(Store& store, const std::string& key, const std::string& path,
                                      base::ByteCount size_max, InputSink& sink,
                                      const Control& control) {
  AIRLOCK_ASSIGN(const int fd, sink.begin(path));
  auto got = store.get(key, fd, size_max, control);
  if (!got) {
    sink.discard();
    return got;
  }
  AIRLOCK_TRY(sink.end());
  return got;
}

struct PlannedFile {
  std::string key;
  std::string path;
  base::ByteCount size;
};

// A file where another needs a folder cannot be made.
base::Status check_no_file_is_a_folder(const std::vector<PlannedFile>& files) {
  std::set<std::string, std::less<>> paths;
  for (const PlannedFile& file : files) paths.insert(file.path);
  for (const PlannedFile& file : files) {
    std::string_view folder = file.path;
    for (std::size_t slash = folder.rfind('/'); slash != std::string_view::npos;
         slash = folder.rfind('/')) {
      folder = folder.substr(0, slash);
      if (paths.contains(folder)) {
        return base::fail(base::ErrorCode::kInvalidArgument,
                          quoted(folder) + " is an object and, for " + quoted(file.path) +
                              ", a folder: both cannot be made");
      }
    }
  }
  return {};
}

// What below the prefix is to be fetched, and whereto; refuses what cannot be.
base::Result<std::vector<PlannedFile>> plan_prefix(Store& store, const std::string& prefix,
                                                   const TransferOptions& options) {
  const std::string what = "fetch " + store.describe(prefix);
  AIRLOCK_ASSIGN(const auto objects, store.list(prefix, options.limits.files_max, options.control));
  std::vector<PlannedFile> files;
  std::uint64_t bytes = 0;
  for (const ObjectInfo& object : objects) {
    const std::string path = object.key.substr(std::min(prefix.size(), object.key.size()));
    // Consoles make folders as empty objects whose names end so.
    const bool is_marker = object.size.count() == 0 && (path.empty() || path.ends_with('/'));
    if (is_marker) continue;
    AIRLOCK_TRY(check_relative_path(path).with_context(what));
    bytes += object.size.count();
    if (object.size > options.limits.bytes_max || bytes > options.limits.bytes_max.count()) {
      return base::fail(base::ErrorCode::kLimitExceeded,
                        what + ": its files have more than the limit of " +
                            base::format_byte_count(options.limits.bytes_max) + " together");
    }
    files.push_back({object.key, path, object.size});
  }
  if (files.empty()) {
    return base::fail(base::ErrorCode::kNotFound, what + ": there is nothing below it",
                      "look at the spelling of the location");
  }
  AIRLOCK_TRY(check_no_file_is_a_folder(files).with_context(what));
  return files;
}

base::Result<std::vector<model::ArtifactDigest>> fetch_prefix(Store& store,
                                                              const std::string& prefix,
                                                              InputSink& sink,
                                                              const TransferOptions& options) {
  AIRLOCK_ASSIGN(const auto files, plan_prefix(store, prefix, options));
  std::uint64_t bytes = 0;
  std::vector<model::ArtifactDigest> digests;
  for (const PlannedFile& file : files) {
    // An object may have grown since it was listed.
    const base::ByteCount room(options.limits.bytes_max.count() - bytes);
    AIRLOCK_ASSIGN(const ContentDigest got,
                   fetch_one(store, file.key, file.path, room, sink, options.control));
    bytes += got.size.count();
    digests.push_back(digest_of(file.path, got));
  }
  return digests;
}

base::Status check_outputs(const std::vector<OutputFile>& files, const TransferLimits& limits) {
  std::set<std::string> paths;
  std::uint64_t bytes = 0;
  for (const OutputFile& file : files) {
    AIRLOCK_TRY(check_relative_path(file.path));
    if (!paths.insert(file.path).second) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        "the output " + quoted(file.path) + " is there twice");
    }
    bytes += file.size.count();
  }
  if (files.size() > limits.files_max) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      "there are more than " + std::to_string(limits.files_max) + " outputs");
  }
  if (bytes > limits.bytes_max.count()) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      "the outputs have more than the limit of " +
                          base::format_byte_count(limits.bytes_max) + " together");
  }
  return {};
}

}  // namespace

base::Result<OpenedLocation> open_location(const Location& location, const StorageConfig& config,
                                           const base::Clock& clock, base::RandomSource& random) {
  if (location.kind == Location::Kind::kFile) {
    AIRLOCK_ASSIGN(RootedPath rooted, find_root(location.path, config.file_roots));
    AIRLOCK_ASSIGN(auto store, FileStore::open(rooted.root, clock, random));
    return OpenedLocation{std::move(store), std::move(rooted.key)};
  }
  const EnvironmentLookup nothing = [](std::string_view) { return std::nullopt; };
  AIRLOCK_ASSIGN(S3Config s3,
                 make_s3_config(config.s3, config.environment ? config.environment : nothing));
  s3.retry = config.retry;
  return OpenedLocation{std::make_unique<S3Store>(location.bucket, std::move(s3), clock),
                        location.key};
}

struct FolderSink::Pending {
  PendingFile file;
};

FolderSink::FolderSink(int folder_fd, base::RandomSource& random)
    : folder_fd_(folder_fd), random_(random) {}

FolderSink::~FolderSink() = default;

base::Result<int> FolderSink::begin(const std::string& path) {
  AIRLOCK_ASSIGN(PendingFile file, PendingFile::create(folder_fd_, path, random_, Sync::kNone));
  pending_ = std::make_unique<Pending>(std::move(file));
  return pending_->file.fd();
}

base::Status FolderSink::end() {
  auto published = pending_->file.publish();
  pending_.reset();
  return published;
}

void FolderSink::discard() { pending_.reset(); }

base::Result<std::vector<model::ArtifactDigest>> fetch_input(OpenedLocation& from, InputSink& sink,
                                                             const TransferOptions& options) {
  Store& store = *from.store;
  const bool is_prefix = from.key.empty() || from.key.ends_with('/');
  if (is_prefix) return fetch_prefix(store, from.key, sink, options);
  const std::string path(kSingleInputName);
  auto got = fetch_one(store, from.key, path, options.limits.bytes_max, sink, options.control);
  if (got) return std::vector{digest_of(path, *got)};
  if (got.error().code != base::ErrorCode::kNotFound) return base::fail(std::move(got).error());
  auto below = fetch_prefix(store, from.key + "/", sink, options);
  // Of two that say that nothing is there the first says it of what was asked for.
  const bool is_nothing = !below && below.error().code == base::ErrorCode::kNotFound;
  return is_nothing ? base::fail(std::move(got).error()) : std::move(below);
}

base::Result<std::vector<model::ArtifactDigest>> push_outputs(
    OpenedLocation& to, const std::vector<OutputFile>& files,
    const std::optional<OutputFile>& manifest, const TransferOptions& options) {
  std::vector<OutputFile> all = files;
  if (manifest) all.push_back(*manifest);
  AIRLOCK_TRY(check_outputs(all, options.limits));
  const std::string prefix = to.key.empty() || to.key.ends_with('/') ? to.key : to.key + "/";
  SweepRequest sweep{.prefix = prefix};
  for (const OutputFile& file : all) {
    if (prefix.size() + file.path.size() > kKeyBytesMax) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        "the output " + quoted(file.path) + " has, below " +
                            to.store->describe(prefix) + ", a key of more than 1,024 bytes");
    }
    sweep.keys.insert(prefix + file.path);
  }
  if (!all.empty()) {
    // Not every key may list uploads, and what is left there does no harm to this push.
    (void)to.store->sweep(sweep, options.control);
  }
  std::vector<model::ArtifactDigest> digests;
  for (const OutputFile& file : all) {
    AIRLOCK_ASSIGN(const base::UniqueFd content, file.open());
    AIRLOCK_ASSIGN(
        const ContentDigest put,
        to.store->put({.key = prefix + file.path, .fd = content.get(), .size = file.size},
                      options.control));
    digests.push_back(digest_of(file.path, put));
  }
  return digests;
}

}  // namespace airlock::artifact
