// Text encoding: bytes of guests on their way into JSON, which holds UTF-8 and nothing else.
//
// Pure functions; every one takes any bytes. Nothing is lost silently: what is no text is either
// kept whole as base64 or shown escaped.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace airlock::http {

// Well-formed by RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);
// Without a character at the end whose last bytes are cut off; other malformed bytes stay.
std::string_view without_partial_character(std::string_view text);
// Every byte that is no UTF-8 shown as \xNN.
std::string printable_utf8(std::string_view text);
// Every longest piece that could begin a character and does not become one shown as U+FFFD, as
// Unicode recommends and Python does. For contracts that leave no other way.
std::string utf8_with_replacement(std::string_view bytes);
// RFC 4648 with padding.
std::string base64(std::string_view bytes);
// Nothing unless `text` is what base64() gives for some bytes: no white space, no other alphabet,
// padded, and no bits set in what the padding leaves over.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace airlock::http
