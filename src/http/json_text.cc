#include "http/json_text.h"

#include <boost/json/serialize.hpp>
#include <charconv>

namespace airlock::http {
namespace {

// Shortest digits that read back as the same number, without an exponent.
void append_number(std::string* text, double number) {
  char digits[400];  // the smallest double has some 330 places
  const auto end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed);
  text->append(digits, end.ptr);
}

void append(std::string* text, const boost::json::value& value) {
  if (const auto* object = value.if_object()) {
    *text += '{';
    for (const auto& [key, member] : *object) {
      if (text->back() != '{') *text += ',';
      *text += boost::json::serialize(boost::json::string(key)) + ":";
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
  } else {
    *text += boost::json::serialize(value);
  }
}

}  // namespace

std::string json_text(const boost::json::value& value) {
  std::string text;
  append(&text, value);
  return text;
}

}  // namespace airlock::http
