#include "http/json_text.h"

#include <boost/json/serializer.hpp>
#include <charconv>

#include "http/text_encoding.h"

namespace airlock::http {
namespace {

// Shortest digits that read back as the same number, without an exponent.
void append_number(std::string* text, double number) {
  char digits[400];  // the smallest double has some 330 places
  const auto end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed);
  text->append(digits, end.ptr);
}

// Piece by piece: a string may have megabytes, and a copy of it costs more than its quotes.
void append_serialized(std::string* text, boost::json::serializer& serializer) {
  char piece[16 * 1024];
  while (!serializer.done()) *text += serializer.read(piece, sizeof piece);
}

void append_string(std::string* text, std::string_view string) {
  boost::json::serializer serializer;
  serializer.reset(string);
  append_serialized(text, serializer);
}

void append(std::string* text, const boost::json::value& value) {
  if (const auto* object = value.if_object()) {
    *text += '{';
    for (const auto& [key, member] : *object) {
      if (text->back() != '{') *text += ',';
      append_string(text, key);
      *text += ':';
      append(text, member);
    }
    *text += '}';
  } else if (const auto* array = value.if_array()) {
    *text += '[';
    for (const auto& element : *array) {
      if (text->back() != '[') *text += ',';
      append(text, element);
    }
    *text += ']';
  } else if (const double* number = value.if_double()) {
    append_number(text, *number);
  } else if (const auto* string = value.if_string()) {
    append_string(text, *string);
  } else {
    boost::json::serializer serializer;
    serializer.reset(&value);
    append_serialized(text, serializer);
  }
}

// About how long the text will be, so that it need not be moved again and again.
std::size_t estimate_size(const boost::json::value& value) {
  constexpr std::size_t kForSmallParts = 32;
  std::size_t size = kForSmallParts;
  if (const auto* object = value.if_object()) {
    for (const auto& [key, member] : *object) size += key.size() + estimate_size(member);
  } else if (const auto* array = value.if_array()) {
    for (const auto& element : *array) size += estimate_size(element);
  } else if (const auto* string = value.if_string()) {
    size += string->size() + string->size() / 16;
  }
  return size;
}

}  // namespace

std::string json_text(const boost::json::value& value) {
  std::string text;
  text.reserve(estimate_size(value));
  append(&text, value);
  return text;
}

boost::json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return boost::json::value(printable_utf8(text));
}

}  // namespace airlock::http
