// gzip for answers that are worth it.
//
// Pure functions. Fast rather than small: the answers are text, and the client waits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace airlock::http {

// Below that an answer is a packet or two anyway.
inline constexpr std::size_t kGzipBytesMin = 4 * 1024;

// Whether an Accept-Encoding of that value takes gzip: by name or by "*", with a q above 0.
bool accepts_gzip(std::string_view accept_encoding);

// The whole of `text` as one gzip member (RFC 1952); empty if there is no memory for it.
std::string gzip(std::string_view text);

}  // namespace airlock::http
