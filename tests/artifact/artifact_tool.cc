// Drives src/artifact as a job would, for tests/artifact/run.py:
//
//   artifact-tool [OPTION...] fetch URI FOLDER     "path size sha256" of each file
//   artifact-tool [OPTION...] push URI FOLDER [MANIFEST]   all below FOLDER; MANIFEST is last
//   artifact-tool [OPTION...] list URI             "size key" of each object
//   artifact-tool [OPTION...] sweep URI SECONDS    how many interrupted uploads were removed
//
// Options: --attempts N --wait-ms N --multipart-from BYTES --part-size BYTES --root FOLDER (any
// number) --deadline-ms N --files-max N --bytes-max BYTES --progress
// --clock-offset SECONDS (how wrong our clock is). S3 is in the environment.
// Errors go to stderr as "error CODE: message" and "hint: ...", with status 1; SIGTERM cancels.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "artifact/beneath.h"
#include "artifact/s3_store.h"
#include "artifact/transfer.h"
#include "base/clock.h"
#include "base/ids.h"

namespace airlock::artifact {
namespace {

std::atomic<bool> cancelled = false;

// The host's clock, wrong by as much as a test wants.
class OffsetClock final : public base::Clock {
 public:
  explicit OffsetClock(std::chrono::seconds offset) : offset_(offset) {}
  std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::now();
  }
  std::chrono::system_clock::time_point wall_now() const override {
    return std::chrono::system_clock::now() + offset_;
  }

 private:
  std::chrono::seconds offset_;
};

struct Arguments {
  StorageConfig storage{
      .file_roots = {}, .s3 = {}, .environment = process_environment(), .retry = {}};
  TransferOptions options;
  base::ByteCount multipart_from = base::mebibytes(64);
  base::ByteCount part_size = base::mebibytes(16);
  std::chrono::seconds clock_offset{0};
  std::vector<std::string> words;
};

std::string_view name_of(base::ErrorCode code) {
  switch (code) {
    case base::ErrorCode::kInvalidArgument: return "invalid_argument";
    case base::ErrorCode::kNotFound: return "not_found";
    case base::ErrorCode::kPermissionDenied: return "permission_denied";
    case base::ErrorCode::kUnavailable: return "unavailable";
    case base::ErrorCode::kLimitExceeded: return "limit_exceeded";
    case base::ErrorCode::kProtocol: return "protocol";
    case base::ErrorCode::kIo: return "io";
    case base::ErrorCode::kBusy: return "busy";
    case base::ErrorCode::kCancelled: return "cancelled";
  }
  return "unknown";
}

int complain(const base::Error& error) {
  std::fprintf(stderr, "error %s: %s\n", std::string(name_of(error.code)).c_str(),
               error.to_string().c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "hint: %s\n", error.hint.c_str());
  return 1;
}

std::optional<Arguments> parse_arguments(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string word = values[i];
    if (!word.starts_with("--")) {
      arguments.words.push_back(word);
      continue;
    }
    if (word == "--progress") {
      arguments.options.control.on_bytes = [](std::uint64_t bytes) {
        std::fprintf(stderr, "progress %" PRIu64 " bytes\n", bytes);
      };
      continue;
    }
    if (++i == count) return std::nullopt;
    const std::string value = values[i];
    const std::uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    if (word == "--attempts") {
      arguments.storage.retry.attempts = static_cast<unsigned>(number);
    } else if (word == "--wait-ms") {
      arguments.storage.retry.first_wait = std::chrono::milliseconds(number);
    } else if (word == "--multipart-from") {
      arguments.multipart_from = base::ByteCount(number);
    } else if (word == "--part-size") {
      arguments.part_size = base::ByteCount(number);
    } else if (word == "--root") {
      arguments.storage.file_roots.push_back(value);
    } else if (word == "--deadline-ms") {
      arguments.options.control.deadline =
          std::chrono::steady_clock::now() + std::chrono::milliseconds(number);
    } else if (word == "--files-max") {
      arguments.options.limits.files_max = number;
    } else if (word == "--bytes-max") {
      arguments.options.limits.bytes_max = base::ByteCount(number);
    } else if (word == "--clock-offset") {
      arguments.clock_offset = std::chrono::seconds(std::atoi(value.c_str()));
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

class Tool {
 public:
  explicit Tool(Arguments arguments)
      : arguments_(std::move(arguments)), clock_(arguments_.clock_offset) {
    arguments_.options.control.cancelled = &cancelled;
  }

  base::Status run() {
    const std::vector<std::string>& words = arguments_.words;
    if (words.size() == 3 && words[0] == "fetch") return fetch(words[1], words[2]);
    if (words.size() >= 3 && words[0] == "push") {
      return push(words[1], words[2], words.size() > 3 ? words[3] : std::string());
    }
    if (words.size() == 2 && words[0] == "list") return list(words[1]);
    if (words.size() == 3 && words[0] == "sweep") return sweep(words[1], words[2]);
    return base::fail(base::ErrorCode::kInvalidArgument, "there is no such verb");
  }

 private:
  base::Result<OpenedLocation> open(const std::string& uri) {
    AIRLOCK_ASSIGN(const Location location, parse_location(uri));
    if (location.kind == Location::Kind::kFile) {
      return open_location(location, arguments_.storage, clock_, random_);
    }
    AIRLOCK_ASSIGN(auto store, open_bucket(location));
    return OpenedLocation{std::move(store), location.key};
  }

  base::Result<std::unique_ptr<S3Store>> open_bucket(const Location& location) {
    AIRLOCK_ASSIGN(S3Config config,
                   make_s3_config(arguments_.storage.s3, arguments_.storage.environment));
    config.retry = arguments_.storage.retry;
    config.multipart_from = arguments_.multipart_from;
    config.part_size = arguments_.part_size;
    return std::make_unique<S3Store>(location.bucket, std::move(config), clock_);
  }

  static void print(const std::vector<model::ArtifactDigest>& digests) {
    for (const model::ArtifactDigest& digest : digests) {
      std::printf("%s %" PRIu64 " %s\n", digest.sha256.c_str(), digest.size.count(),
                  digest.path.c_str());
    }
  }

  base::Status fetch(const std::string& uri, const std::string& folder) {
    AIRLOCK_ASSIGN(OpenedLocation from, open(uri));
    const base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return base::fail_errno("open " + folder);
    FolderSink sink(fd.get(), random_);
    AIRLOCK_ASSIGN(const auto digests, fetch_input(from, sink, arguments_.options));
    print(digests);
    return {};
  }

  base::Status push(const std::string& uri, const std::string& folder,
                    const std::string& manifest) {
    AIRLOCK_ASSIGN(OpenedLocation to, open(uri));
    const base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return base::fail_errno("open " + folder);
    std::vector<OutputFile> files;
    std::optional<OutputFile> last;
    const auto see = [&](int, const std::string& path, std::uint64_t size) -> base::Status {
      const auto open_file = [&fd, path] { return open_regular_beneath(fd.get(), path); };
      OutputFile output{.path = path, .open = open_file, .size = base::ByteCount(size)};
      if (path == manifest) {
        last = std::move(output);
      } else {
        files.push_back(std::move(output));
      }
      return {};
    };
    AIRLOCK_TRY(walk_beneath(fd.get(), "", Seen::kFiles, see));
    AIRLOCK_ASSIGN(const auto outputs, push_outputs(to, files, last, arguments_.options));
    print(outputs);
    return {};
  }

  base::Status list(const std::string& uri) {
    AIRLOCK_ASSIGN(OpenedLocation at, open(uri));
    AIRLOCK_ASSIGN(const auto objects, at.store->list(at.key, arguments_.options.limits.files_max,
                                                      arguments_.options.control));
    for (const ObjectInfo& object : objects) {
      std::printf("%" PRIu64 " %s\n", object.size.count(), object.key.c_str());
    }
    return {};
  }

  base::Status sweep(const std::string& uri, const std::string& seconds) {
    AIRLOCK_ASSIGN(OpenedLocation at, open(uri));
    const SweepRequest request{.prefix = at.key,
                               .age_min = std::chrono::seconds(std::atoi(seconds.c_str()))};
    AIRLOCK_ASSIGN(const std::size_t swept, at.store->sweep(request, arguments_.options.control));
    std::printf("%zu\n", swept);
    return {};
  }

  Arguments arguments_;
  OffsetClock clock_;
  base::SystemRandom random_;
};

}  // namespace
}  // namespace airlock::artifact

int main(int count, char** values) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, [](int) { airlock::artifact::cancelled = true; });
  auto arguments = airlock::artifact::parse_arguments(count, values);
  if (!arguments) {
    std::fprintf(stderr, "artifact-tool: an option is not known, or lacks its value\n");
    return 2;
  }
  const auto done = airlock::artifact::Tool(std::move(*arguments)).run();
  return done ? 0 : airlock::artifact::complain(done.error());
}
