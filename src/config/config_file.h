// The configuration file: YAML, a mapping of the table's names.
//
//   listen: [http://127.0.0.1:8088]
//   max_wall: 2m
//   execution:
//     max_processes: 128
//
// Unknown keys, keys twice, wrong kinds of values, and secrets in a file that others read are
// errors with line and column, an unknown key with the nearest that is known. What a value means is
// checked later, with its place.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "config/values.h"

namespace airlock::config {

inline constexpr std::size_t kConfigBytesMax = 1 << 20;

enum class Readers { kOwner, kOthers };

struct ConfigText {
  std::string yaml;
  Readers readers = Readers::kOthers;  // who can read the file
};

// `origin` is the file's name, for errors and places. An empty file says nothing.
base::Status put_file(Values& values, const ConfigText& text, const std::string& origin);

// A regular file of at most kConfigBytesMax.
base::Result<ConfigText> read_config_file(const std::string& path);

}  // namespace airlock::config
