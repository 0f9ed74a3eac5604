#include "apps/airlock/loader_words.h"

namespace airlock::apps {

// "PROGRAM: error while loading shared libraries: LIBRARY: REASON"
std::string explain_loader(std::string_view stderr_head) {
  static constexpr std::string_view kComplaint = ": error while loading shared libraries: ";
  const std::string_view line = stderr_head.substr(0, stderr_head.find('\n'));
  const auto at = line.find(kComplaint);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = line.substr(at + kComplaint.size());
  const std::string library(rest.substr(0, rest.find(':')));
  return "the program did not start: the loader cannot use the library " + library +
         " inside the sandbox, which sees /usr of this host and its own workspace (bring it with "
         "--file " +
         library + " --env LD_LIBRARY_PATH=/workspace, or link it statically)";
}

}  // namespace airlock::apps
