// Strict reading of JSON that a client sent.
//
// parse_json takes one JSON text of RFC 8259 and nothing after it. Refused are malformed UTF-8,
// lone surrogates, a key twice in one object, and more than kJsonDepthMax or kJsonValuesMax.
// JsonObject and JsonArray then give typed members; every error names the JSON path of what was
// wrong ("limits.memory_bytes", "files[2].path") and what would be right. A member that is null
// counts as left out. Both borrow from the boost::json::value, which must outlive them.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/api_error.h"

namespace airlock::http {

inline constexpr std::size_t kJsonDepthMax = 32;
// Values of one text: a byte of JSON can become 24 in memory, strings aside.
inline constexpr std::size_t kJsonValuesMax = 262'144;
inline constexpr std::size_t kShownBytesMax = 64;  // of a client's own text in an error

ApiResult<boost::json::value> parse_json(std::string_view text);

// A client's text as part of an error: quoted, escaped, cut after kShownBytesMax.
std::string shown(std::string_view text);

// Both ends are in it.
struct IntegerRange {
  std::int64_t lowest = 0;
  std::int64_t highest = 0;

  bool operator==(const IntegerRange&) const = default;
};
inline constexpr IntegerRange kAnyInteger{std::numeric_limits<std::int64_t>::min(),
                                          std::numeric_limits<std::int64_t>::max()};

class JsonArray;

class JsonObject {
 public:
  // An error unless `value` is an object. The path of the root is "".
  static ApiResult<JsonObject> from(const boost::json::value& value, std::string path);

  // Refuses every key but these and names the nearest. Members asked for later must be among them.
  ApiStatus only(std::initializer_list<std::string_view> keys);

  bool has(std::string_view key) const;  // there and not null
  std::string path_of(std::string_view key) const;

  ApiResult<std::optional<std::string_view>> text(std::string_view key) const;
  ApiResult<std::optional<bool>> boolean(std::string_view key) const;
  // 1e3 and 5.0 are whole numbers, 2.5 is not, nor is a fractional form of 2^53 or more.
  ApiResult<std::optional<std::int64_t>> integer(std::string_view key, IntegerRange range) const;
  ApiResult<std::optional<double>> number(std::string_view key) const;  // finite
  ApiResult<std::optional<JsonObject>> object(std::string_view key) const;
  ApiResult<std::optional<JsonArray>> array(std::string_view key) const;
  // All members, each of which must be a string.
  ApiResult<std::vector<std::pair<std::string_view, std::string_view>>> texts() const;

 private:
  JsonObject(const boost::json::object& object, std::string path)
      : object_(&object), path_(std::move(path)) {}
  const boost::json::value* find(std::string_view key) const;

  const boost::json::object* object_;
  std::string path_;
  std::vector<std::string> known_;  // empty: not strict
};

class JsonArray {
 public:
  JsonArray(const boost::json::array& array, std::string path)
      : array_(&array), path_(std::move(path)) {}

  std::size_t size() const;
  const std::string& path() const { return path_; }
  std::string path_of(std::size_t index) const;

  // `index` is below size().
  ApiResult<std::string_view> text(std::size_t index) const;
  ApiResult<JsonObject> object(std::size_t index) const;

 private:
  const boost::json::array* array_;
  std::string path_;
};

}  // namespace airlock::http
