// JobFile: what a repository says about itself in `airlock.yaml` (docs/jobs.md).
//
// Strict: unknown keys, wrong types and impossible values are errors with line and column and, for
// a key, the nearest one that exists. Bounded in every direction. It asks; the operator decides:
// limits and hosts in here are wishes within what the operator allows. A pure value.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace airlock::source {

inline constexpr std::string_view kJobFileName = "airlock.yaml";
inline constexpr base::ByteCount kJobFileBytesMax = base::kibibytes(64);
inline constexpr std::size_t kJobFileTextBytesMax = 8 * 1024;  // one command
inline constexpr std::size_t kJobFileWordsMax = 256;           // of one command
inline constexpr std::size_t kJobFileListMax = 64;             // of every other list

// argv. A command that is one text is a shell's: {"/bin/sh", "-c", TEXT}.
using Command = std::vector<std::string>;

struct LimitWishes {
  std::optional<std::uint32_t> cpu_millis;
  std::optional<base::ByteCount> memory;
  std::optional<std::uint32_t> pids;
  std::optional<std::chrono::milliseconds> prep_timeout;
  std::optional<std::chrono::milliseconds> inference_timeout;
};

struct JobFile {
  std::string language;                       // empty: not said
  std::string image;                          // of prep and inference; empty: the operator's
  std::optional<std::vector<Command>> build;  // absent: what the files of the repository suggest
  Command prep;                               // empty: this phase has nothing to do
  Command inference;
  std::vector<std::string> inputs;   // below /input, that must be there before inference
  std::vector<std::string> outputs;  // patterns below /output; empty: everything
  std::vector<std::string> allow;    // hosts of prep: "host", ".suffix", "host:port", or a preset
  LimitWishes limits;
};

// What only the host knows. An error is told with the place in the file; without a check any short
// name is taken.
struct HostChecks {
  std::function<base::Status(std::string_view name)> language = {};
  std::function<base::Result<std::string>(std::string_view name)> image = {};  // as it is known
};

base::Result<JobFile> parse_job_file(std::string_view text, const HostChecks& host = {});

}  // namespace airlock::source
