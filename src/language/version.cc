#include "language/version.h"

#include <algorithm>
#include <charconv>

namespace airlock::language {
namespace {

constexpr std::size_t kNumbersMax = 8;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads "12.3.4" at the start of `text` and takes it away; empty if a number is too large.
std::vector<std::uint32_t> take_numbers(std::string_view& text) {
  std::vector<std::uint32_t> numbers;
  bool sound = true;
  while (!text.empty() && is_digit(text.front())) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    sound = sound && error == std::errc() && numbers.size() < kNumbersMax;
    if (sound) numbers.push_back(number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.size() < 2 || text[0] != '.' || !is_digit(text[1])) break;
    text.remove_prefix(1);
  }
  return sound ? numbers : std::vector<std::uint32_t>();
}

}  // namespace

std::optional<Version> Version::find_in(std::string_view text) {
  Version first;
  while (true) {
    const auto* digit = std::ranges::find_if(text, is_digit);
    text.remove_prefix(static_cast<std::size_t>(digit - text.begin()));
    if (text.empty()) break;
    Version version;
    version.numbers_ = take_numbers(text);
    if (version.numbers_.size() > 1) return version;
    if (first.numbers_.empty()) first = std::move(version);
  }
  if (first.numbers_.empty()) return std::nullopt;
  return first;
}

std::string Version::to_string() const {
  std::string text;
  for (const std::uint32_t number : numbers_) {
    if (!text.empty()) text += '.';
    text += std::to_string(number);
  }
  return text;
}

std::strong_ordering Version::operator<=>(const Version& other) const {
  const std::size_t size = std::max(numbers_.size(), other.numbers_.size());
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint32_t ours = i < numbers_.size() ? numbers_[i] : 0;
    const std::uint32_t theirs = i < other.numbers_.size() ? other.numbers_[i] : 0;
    if (const auto order = ours <=> theirs; order != 0) return order;
  }
  return std::strong_ordering::equal;
}

}  // namespace airlock::language
