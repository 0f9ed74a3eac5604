// The report of `airlock doctor` for a person: the verdict first, then what to fix, then the rest.
//
// Guarantees: no byte of a finding reaches the terminal as a control character; fixes are never
// wrapped, so that they can be copied. JSON is made elsewhere (http/doctor_json.h).
#pragma once

#include <cstddef>
#include <string>

#include "host/finding.h"

namespace airlock::host {

enum class TextColor { kPlain, kAnsi };

struct TextOptions {
  TextColor color = TextColor::kPlain;
  std::size_t columns = 100;  // meanings are wrapped here; at least kColumnsMin is assumed
};
inline constexpr std::size_t kColumnsMin = 40;

std::string report_text(const Report& report, const TextOptions& options);

}  // namespace airlock::host
