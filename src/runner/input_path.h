// Rules for the path of an input inside a sandbox, wherever it comes from (a flag, a request).
//
// An accepted path is relative to /workspace and cannot lead out of it: no leading '/', no "." or
// "..", no empty part, no control characters, within the limits below. Says nothing about what a
// guest makes of the path later; that is for whoever writes the file inside.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/limits.h"

namespace airlock::runner {

// The folder that a path is put below counts, too: "workspace/", the longest there is.
inline constexpr std::uint32_t kInputPathBytesMax = model::kPathBytesMax - 10;
inline constexpr std::uint32_t kInputPathDepthMax = model::kPathDepthMax - 1;
inline constexpr std::uint32_t kInputNameBytesMax = 255;  // one part; NAME_MAX of Linux

base::Status check_input_path(std::string_view path);

// The paths of one run. Two files at one place, or a file where another needs a folder, are errors.
class InputPaths {
 public:
  // `path` has passed check_input_path.
  base::Status add(const std::string& path);

 private:
  std::set<std::string, std::less<>> files_;
  std::set<std::string, std::less<>> folders_;
};

}  // namespace airlock::runner
