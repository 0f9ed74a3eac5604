// RunSpec: everything that decides what a run does, resolved: no language names, no defaults left.
//
// A pure value. Whoever reads flags or a request resolves the language, the limits and the paths
// and hands a RunSpec to the runner; the bytes of files and streams travel beside it. LimitsGiven
// holds what a user asked for by name, so that a language's own defaults can sit between the
// built-in defaults and the user's wishes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/isolation.h"
#include "model/limits.h"
#include "model/network.h"

namespace airlock::model {

// One exec: the compiler, or the program.
struct PhaseSpec {
  std::vector<std::string> argv;
  Limits limits;
};

struct RunSpec {
  std::optional<PhaseSpec> compile;  // must exit with 0 before `run` is started
  PhaseSpec run;
  std::vector<std::string> env;  // complete: "NAME=value"
  std::string cwd = "/workspace";
  std::vector<std::string> collect;       // patterns of files below /workspace to give back
  bool collect_output_directory = false;  // everything below /output, too
  std::optional<IsolationLevel> min_isolation;
  std::string seccomp_profile = "default";
  std::string image;  // the root, where that is an image; empty: the operator's default
  NetworkMode network = NetworkMode::kNone;
};

// Limits that were asked for; absent means "whatever the default is".
struct LimitsGiven {
  std::optional<std::chrono::milliseconds> wall_time;
  std::optional<std::chrono::milliseconds> cpu_time;
  std::optional<base::ByteCount> memory;
  std::optional<std::uint32_t> pids;
  std::optional<std::uint32_t> cpu_rate_percent;
  std::optional<base::ByteCount> output;
  std::optional<base::ByteCount> disk;
  std::optional<std::uint32_t> inodes;
  std::optional<std::uint32_t> open_files;

  // `defaults` with every given value in place of its own.
  Limits over(Limits defaults) const {
    defaults.wall_time = wall_time.value_or(defaults.wall_time);
    defaults.cpu_time = cpu_time.value_or(defaults.cpu_time);
    defaults.memory = memory.value_or(defaults.memory);
    defaults.pids = pids.value_or(defaults.pids);
    defaults.cpu_rate_percent = cpu_rate_percent.value_or(defaults.cpu_rate_percent);
    defaults.output = output.value_or(defaults.output);
    defaults.disk = disk.value_or(defaults.disk);
    defaults.inodes = inodes.value_or(defaults.inodes);
    defaults.open_files = open_files.value_or(defaults.open_files);
    return defaults;
  }
};

}  // namespace airlock::model
