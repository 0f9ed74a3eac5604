// Any text as a path and as a pattern: no crash, no hang, and a path that is called safe stays
// below the directory it is joined to.
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/check.h"
#include "jail/path_rules.h"

namespace airlock::jail {
namespace {

void try_text(std::string_view pattern, std::string_view path) {
  if (is_safe_path(path)) {
    AIRLOCK_CHECK(path.find('\0') == std::string_view::npos);
    const std::filesystem::path joined = (std::filesystem::path("/top") / path).lexically_normal();
    AIRLOCK_CHECK(joined.native().starts_with("/top/"));
    AIRLOCK_CHECK_EQ(joined.native().size(), std::string_view("/top/").size() + path.size());
  }
  if (is_printable_utf8(path)) {
    for (const char c : path) AIRLOCK_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
  matches_glob(pattern, path);
  AIRLOCK_CHECK(matches_glob("**", path));
}

}  // namespace
}  // namespace airlock::jail

// The first line is the pattern, the rest the path.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(text.find('\n'), text.size());
  airlock::jail::try_text(text.substr(0, end), text.substr(std::min(end + 1, text.size())));
  return 0;
}
