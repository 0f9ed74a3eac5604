#include "client/wire_time.h"

namespace airlock::client {
namespace {

constexpr std::size_t kSecondsEnd = 19;  // of "2026-11-29T10:15:30"
constexpr std::size_t kFractionDigits = 6;

// Reads exactly `count` digits, or fails for good.
class Digits {
 public:
  explicit Digits(std::string_view text) : text_(text) {}

  int take(std::size_t count) {
    int value = 0;
    for (; count > 0; --count) {
      const char c = text_.empty() ? '\0' : text_.front();
      good_ = good_ && c >= '0' && c <= '9';
      if (!good_) return 0;
      value = value * 10 + (c - '0');
      text_.remove_prefix(1);
    }
    return value;
  }
  void skip(char expected) {
    good_ = good_ && text_.starts_with(expected);
    if (good_) text_.remove_prefix(1);
  }
  bool good() const { return good_; }

 private:
  std::string_view text_;
  bool good_ = true;
};

}  // namespace

std::optional<model::WallTime> parse_wire_time(std::string_view text) {
  Digits digits(text);
  const std::chrono::year year(digits.take(4));
  digits.skip('-');
  const std::chrono::month month(static_cast<unsigned>(digits.take(2)));
  digits.skip('-');
  const std::chrono::day day(static_cast<unsigned>(digits.take(2)));
  digits.skip('T');
  const int hours = digits.take(2);
  digits.skip(':');
  const int minutes = digits.take(2);
  digits.skip(':');
  const int seconds = digits.take(2);
  int microseconds = 0;
  if (text.size() > kSecondsEnd) {
    const std::size_t fraction = text.size() - kSecondsEnd - 1;
    if (fraction == 0 || fraction > kFractionDigits) return std::nullopt;
    digits.skip('.');
    microseconds = digits.take(fraction);
    for (std::size_t i = fraction; i < kFractionDigits; ++i) microseconds *= 10;
  }
  const std::chrono::year_month_day date(year, month, day);
  if (!digits.good() || !date.ok() || hours > 23 || minutes > 59 || seconds > 60) {
    return std::nullopt;
  }
  return std::chrono::sys_days(date) + std::chrono::hours(hours) + std::chrono::minutes(minutes) +
         std::chrono::seconds(seconds) + std::chrono::microseconds(microseconds);
}

}  // namespace airlock::client
