// Lists of words on their way to the launcher: each with a NUL behind it, as the wire wants them.
//
// A word with a NUL in it would be two there: check_words refuses it, and names the list. Pure
// functions; what list_words gives borrows `joined`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "jail/wire.h"
#include "model/limits.h"

namespace airlock::backend::native {

inline std::string join_words(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) {
    joined += word;
    joined += '\0';
  }
  return joined;
}

inline jail::StringList list_words(const std::string& joined,
                                   const std::vector<std::string>& words) {
  return {joined.data(), joined.size(), static_cast<std::uint32_t>(words.size())};
}

inline base::Status check_words(const std::vector<std::string>& words, const char* what) {
  if (words.size() > model::kArgumentsMax) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      std::string(what) + ": more than " + std::to_string(model::kArgumentsMax));
  }
  for (const std::string& word : words) {
    if (word.find('\0') != std::string::npos) {
      return base::fail(base::ErrorCode::kInvalidArgument, std::string(what) + ": contains NUL");
    }
  }
  return {};
}

}  // namespace airlock::backend::native
