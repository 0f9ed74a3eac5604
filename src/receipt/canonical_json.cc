#include "receipt/canonical_json.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <vector>

#include "base/utf8.h"

namespace airlock::receipt {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

void append_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (const auto byte = static_cast<unsigned char>(c); byte < 0x20) {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 0xf];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void append(std::string& out, const boost::json::value& value);

void append_object(std::string& out, const boost::json::object& object) {
  std::vector<const boost::json::key_value_pair*> members;
  for (const auto& member : object) members.push_back(&member);
  std::ranges::sort(members, {}, [](const auto* member) {
    return std::string_view(member->key().data(), member->key().size());
  });
  char separator = '{';
  for (const auto* member : members) {
    out += separator;
    separator = ',';
    append_text(out, member->key());
    out += ':';
    append(out, member->value());
  }
  out += members.empty() ? "{}" : "}";
}

void append_array(std::string& out, const boost::json::array& array) {
  char separator = '[';
  for (const boost::json::value& item : array) {
    out += separator;
    separator = ',';
    append(out, item);
  }
  out += array.empty() ? "[]" : "]";
}

void append(std::string& out, const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null: out += "null"; return;
    case boost::json::kind::bool_: out += value.get_bool() ? "true" : "false"; return;
    case boost::json::kind::int64: out += std::to_string(value.get_int64()); return;
    case boost::json::kind::uint64: out += std::to_string(value.get_uint64()); return;
    case boost::json::kind::double_: out += "null"; return;  // no text has this value
    case boost::json::kind::string: append_text(out, value.get_string()); return;
    case boost::json::kind::array: append_array(out, value.get_array()); return;
    case boost::json::kind::object: append_object(out, value.get_object()); return;
  }
}

}  // namespace

std::string canonical_json(const boost::json::value& value) {
  std::string out;
  append(out, value);
  return out;
}

base::Result<boost::json::value> parse_canonical_json(std::string_view text,
                                                      std::string_view what) {
  boost::json::error_code error;
  // Boost's own bound of the depth, 32, holds; its numbers and duplicates are judged below.
  boost::json::value value = boost::json::parse(text, error);
  if (error) {
    return base::fail(base::ErrorCode::kProtocol,
                      std::string(what) + " is not JSON: " + error.message());
  }
  if (canonical_json(value) != text) {
    return base::fail(base::ErrorCode::kProtocol,
                      std::string(what) + " is not in its canonical form",
                      "take the bytes as they were handed out: nothing reformatted, nothing added");
  }
  return value;
}

std::string json_safe(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const std::size_t length = base::utf8_character_length(bytes);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(bytes.front());
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xf];
    } else {
      out += bytes.substr(0, length);
    }
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace airlock::receipt
