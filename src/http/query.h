// What stands behind the '?' of a request: "lines=100&phase=prep".
//
// A name counts once, the first time; a '+' is a space; the rest is percent-decoded. All functions
// are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/api_error.h"

namespace airlock::http {

// nullopt: not there, or not valid.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

// `usual` where it is not there; 400 for what is no whole number, or above `highest`.
ApiResult<std::uint64_t> query_number(std::string_view query, std::string_view name,
                                      std::uint64_t usual, std::uint64_t highest);

// "follow", "follow=1", but not "follow=0" and "follow=false".
bool query_flag(std::string_view query, std::string_view name);

}  // namespace airlock::http
