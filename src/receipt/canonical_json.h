// Canonical JSON: exactly one text for a value, so that its digest means something.
//
// RFC 8785 for the values that are used here: keys sorted and ASCII, no white space, whole numbers
// only, escapes only where JSON asks for them. A text is taken only if it is that text: a key that
// is there twice, white space, "1.0", "\u0041", bytes behind the end and malformed UTF-8 are all
// refused, and so no two texts have one meaning. Pure functions.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::receipt {

// `value` holds no fractions; at most as deep as what parse_canonical_json gives.
std::string canonical_json(const boost::json::value& value);

// kProtocol with `what` in front unless `text` is what canonical_json makes of its own value.
base::Result<boost::json::value> parse_canonical_json(std::string_view text, std::string_view what);

// Text for JSON from anywhere: what is no UTF-8 becomes \xNN, four characters of ASCII.
std::string json_safe(std::string_view bytes);

}  // namespace airlock::receipt
