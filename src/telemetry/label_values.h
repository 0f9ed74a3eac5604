// BoundedValues: values of a label that others choose, made safe for the page of metrics.
//
// Each distinct value is a series for as long as the service lives, here and in whatever collects
// them. So only the first `most` are told apart; everybody after them is kOthers together. One
// thread at a time.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

namespace airlock::telemetry {

inline constexpr std::string_view kOthers = "(other)";
inline constexpr std::string_view kNobody = "(none)";

// What is no UTF-8 and what is no character to look at becomes "\x0a". An empty text is kNobody: a
// label without a value is the same as none.
std::string printable_label(std::string_view text);

class BoundedValues {
 public:
  explicit BoundedValues(std::size_t most) : most_(most) {}

  std::string of(std::string_view text);

 private:
  const std::size_t most_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace airlock::telemetry
