// JSON as text in which numbers look as a person writes them: 18.504, not 1.8504E1.
//
// The same value as boost::json::serialize gives, byte for byte but for numbers with a fraction.
// For values that this program made: recursion goes as deep as the value does.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace airlock::http {

std::string json_text(const boost::json::value& value);

// An empty text as null; what is not UTF-8 is made printable.
boost::json::value text_or_null(const std::string& text);

}  // namespace airlock::http
