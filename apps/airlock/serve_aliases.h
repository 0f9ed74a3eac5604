// The variables of other systems that `airlock serve` understands, so that their operators need not
// rename anything.
//
// Amon's runner: AMON_SANDBOX_*, always. The SwissBrain executor: PORT, HOST, MAX_MEMORY and the
// like, only with --compat swissbrain, because shells and platforms export such names to everybody.
// Each is obeyed as the setting that it means, or refused with the reason; what means nothing here
// is named in a Notice. Nothing is ignored in silence. An alias loses to our own variable and wins
// over the file. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/values.h"

namespace airlock::apps {

inline constexpr std::string_view kSwissbrainCompat = "swissbrain";

// A variable that is there and changes nothing. Never holds its value, which may be a secret.
struct Notice {
  std::string variable;
  std::string reason;
};

// `values` has everything else already: which aliases count is in its "compat".
base::Result<std::vector<Notice>> put_aliases(config::Values& values,
                                              const config::Environment& environment);

// Variables that look like ours or Amon's and that nobody knows: most likely mistyped.
std::vector<Notice> find_unknown_variables(const config::Values& values,
                                           const config::Environment& environment);

}  // namespace airlock::apps
