#include "telemetry/label_values.h"

#include <algorithm>

#include "base/utf8.h"

namespace airlock::telemetry {

std::string printable_label(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  if (text.empty()) return std::string(kNobody);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = base::utf8_character_length(text);
    const auto code = static_cast<unsigned char>(text[0]);
    if (length == 0 || code < 0x20 || code == 0x7f) {
      out.append({'\\', 'x', kDigits[code >> 4], kDigits[code & 0xf]});
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return out;
}

std::string BoundedValues::of(std::string_view text) {
  std::string value = printable_label(text);
  if (known_.contains(value)) return value;
  if (known_.size() >= most_) return std::string(kOthers);
  known_.insert(value);
  return value;
}

}  // namespace airlock::telemetry
