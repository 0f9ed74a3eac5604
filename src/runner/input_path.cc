#include "runner/input_path.h"

#include <algorithm>

namespace airlock::runner {
namespace {

base::Status refuse(std::string reason, std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument, std::move(reason), std::move(hint));
}

bool is_control(char byte) {
  const auto code = static_cast<unsigned char>(byte);
  return code < 0x20 || code == 0x7f;
}

base::Status check_part(std::string_view part) {
  if (part.empty()) return refuse("has an empty part", "write it with single slashes");
  if (part == "..") return refuse("contains \"..\"", "name a place below /workspace");
  if (part == ".") return refuse("contains \".\"", "leave that part out");
  if (part.size() > kInputNameBytesMax) {
    return refuse("has a part longer than " + std::to_string(kInputNameBytesMax) + " bytes");
  }
  return {};
}

}  // namespace

base::Status check_input_path(std::string_view path) {
  if (path.empty()) return refuse("is empty");
  if (path.front() == '/') {
    return refuse("is absolute",
                  "it is taken below /workspace: write it without the leading slash");
  }
  if (path.size() > kInputPathBytesMax) {
    return refuse("is longer than " + std::to_string(kInputPathBytesMax) + " bytes");
  }
  if (std::ranges::any_of(path, is_control)) return refuse("contains a control character");
  std::uint32_t depth = 0;
  for (std::string_view rest = path;;) {
    const auto slash = rest.find('/');
    AIRLOCK_TRY(check_part(rest.substr(0, slash)));
    ++depth;
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (depth > kInputPathDepthMax) {
    return refuse("is deeper than " + std::to_string(kInputPathDepthMax) + " folders");
  }
  return {};
}

base::Status InputPaths::add(const std::string& path) {
  if (folders_.contains(path)) return refuse("\"" + path + "\" is a folder of another file");
  if (!files_.insert(path).second) return refuse("\"" + path + "\" is given twice");
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    std::string folder = path.substr(0, slash);
    if (files_.contains(folder)) return refuse("\"" + folder + "\" is a file and a folder at once");
    folders_.insert(std::move(folder));
  }
  return {};
}

}  // namespace airlock::runner
