#include "http/json_reader.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <cmath>
#include <set>

#include "base/check.h"
#include "http/text_encoding.h"
#include "language/nearest_name.h"

namespace airlock::http {
namespace {

using boost::json::error_code;
using boost::json::string_view;

// Up to here every whole number is a double of its own.
constexpr double kExactDoubleMax = 9'007'199'254'740'991.0;  // 2^53 - 1

// Makes the value as Boost's own parser does, which takes the last of two equal keys in silence.
class StrictHandler {
 public:
  // NOLINTBEGIN(readability-identifier-naming): Boost asks for these names.
  static constexpr std::size_t max_object_size = boost::json::object::max_size();
  static constexpr std::size_t max_array_size = boost::json::array::max_size();
  static constexpr std::size_t max_key_size = boost::json::string::max_size();
  static constexpr std::size_t max_string_size = boost::json::string::max_size();
  // NOLINTEND(readability-identifier-naming)

  StrictHandler() { stack_.reset(); }

  boost::json::value release() { return stack_.release(); }
  const std::string& problem() const { return problem_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    keys_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t count, error_code& error) {
    keys_.pop_back();
    stack_.push_object(count);
    return count_value(error);
  }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t count, error_code& error) {
    stack_.push_array(count);
    return count_value(error);
  }
  bool on_key_part(string_view part, std::size_t, error_code&) {
    key_.append(part);
    stack_.push_chars(part);
    return true;
  }
  bool on_key(string_view part, std::size_t, error_code& error) {
    key_.append(part);
    stack_.push_key(part);
    if (!keys_.back().insert(key_).second) return fail("the key " + shown(key_) + " twice", error);
    key_.clear();
    return true;
  }
  bool on_string_part(string_view part, std::size_t, error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(string_view part, std::size_t, error_code& error) {
    stack_.push_string(part);
    return count_value(error);
  }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(std::int64_t number, string_view, error_code& error) {
    stack_.push_int64(number);
    return count_value(error);
  }
  bool on_uint64(std::uint64_t number, string_view, error_code& error) {
    stack_.push_uint64(number);
    return count_value(error);
  }
  bool on_double(double number, string_view, error_code& error) {
    stack_.push_double(number);
    return count_value(error);
  }
  bool on_bool(bool value, error_code& error) {
    stack_.push_bool(value);
    return count_value(error);
  }
  bool on_null(error_code& error) {
    stack_.push_null();
    return count_value(error);
  }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

 private:
  bool count_value(error_code& error) {
    if (++values_ <= kJsonValuesMax) return true;
    return fail("more than " + std::to_string(kJsonValuesMax) + " values", error);
  }
  bool fail(std::string problem, error_code& error) {
    problem_ = std::move(problem);
    error = boost::json::error::syntax;  // any: `problem_` says what it is
    return false;
  }

  boost::json::value_stack stack_;
  std::vector<std::set<std::string>> keys_;  // of every object that is still open
  std::string key_;
  std::size_t values_ = 0;
  std::string problem_;
};

std::string_view kind_name(const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null: return "null";
    case boost::json::kind::bool_: return "a boolean";
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
    case boost::json::kind::double_: return "a number";
    case boost::json::kind::string: return "a string";
    case boost::json::kind::array: return "an array";
    case boost::json::kind::object: return "an object";
  }
  return "unknown";
}

std::unexpected<ApiError> wrong_kind(std::string_view path, const boost::json::value& value,
                                     std::string_view wanted) {
  return refuse_field(
      path, "is " + std::string(kind_name(value)) + "; it must be " + std::string(wanted));
}

// As a person wrote it, more or less.
std::string number_text(const boost::json::value& value) {
  if (const auto* number = value.if_int64()) return std::to_string(*number);
  if (const auto* number = value.if_uint64()) return std::to_string(*number);
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value.get_double());
  return text;
}

// Nothing if it is no whole number, or one that no int64 holds.
std::optional<std::int64_t> whole_number(const boost::json::value& value) {
  if (const auto* number = value.if_int64()) return *number;
  const double* number = value.if_double();
  if (number == nullptr || !(std::fabs(*number) <= kExactDoubleMax)) return std::nullopt;
  if (std::trunc(*number) != *number) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

std::string_view view(const boost::json::string& text) { return {text.data(), text.size()}; }

}  // namespace

std::string shown(std::string_view text) {
  if (text.size() <= kShownBytesMax) return '"' + printable_utf8(text) + '"';
  return '"' + printable_utf8(without_partial_character(text.substr(0, kShownBytesMax))) + "...\"";
}

ApiResult<boost::json::value> parse_json(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = kJsonDepthMax;
  boost::json::basic_parser<StrictHandler> parser(options);
  error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && used < text.size()) error = boost::json::error::extra_data;
  if (!error) return parser.handler().release();
  ApiError refusal{.status = 400,
                   .code = std::string(kInvalidJsonCode),
                   .message = {},
                   .hint = "send one JSON object in UTF-8",
                   .field = {}};
  const std::string& problem = parser.handler().problem();
  if (!problem.empty()) {
    refusal.message = "the body has " + problem;
    refusal.hint.clear();
  } else if (error == boost::json::error::too_deep) {
    refusal.message = "the body is nested deeper than " + std::to_string(kJsonDepthMax);
  } else {
    refusal.message = "the body is not JSON: " + error.message() + " near byte " +
                      std::to_string(std::min(used, text.size()));
  }
  return std::unexpected(std::move(refusal));
}

ApiResult<JsonObject> JsonObject::from(const boost::json::value& value, std::string path) {
  const auto* object = value.if_object();
  if (object == nullptr) return wrong_kind(path, value, "an object");
  return JsonObject(*object, std::move(path));
}

ApiStatus JsonObject::only(std::initializer_list<std::string_view> keys) {
  known_.assign(keys.begin(), keys.end());
  for (const auto& member : *object_) {
    const std::string key(member.key());
    if (std::ranges::find(known_, key) != known_.end()) continue;
    std::string known;
    for (const std::string& name : known_) known += (known.empty() ? "" : ", ") + name;
    ApiError error{.status = 400,
                   .code = std::string(kInvalidArgumentCode),
                   .message = "unknown key " + shown(key) + (path_.empty() ? "" : " in " + path_) +
                              language::did_you_mean(key, known_),
                   .hint = "known keys: " + known,
                   .field = path_of(key)};
    return std::unexpected(std::move(error));
  }
  return {};
}

const boost::json::value* JsonObject::find(std::string_view key) const {
  // A key that is read but not listed would be refused whenever a client sends it.
  AIRLOCK_CHECK(known_.empty() || std::ranges::find(known_, key) != known_.end());
  const boost::json::value* value = object_->if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool JsonObject::has(std::string_view key) const { return find(key) != nullptr; }

std::string JsonObject::path_of(std::string_view key) const {
  std::string name = printable_utf8(without_partial_character(key.substr(0, kShownBytesMax)));
  return path_.empty() ? name : path_ + "." + name;
}

ApiResult<std::optional<std::string_view>> JsonObject::text(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto* text = value->if_string();
  if (text == nullptr) return wrong_kind(path_of(key), *value, "a string");
  return view(*text);
}

ApiResult<std::optional<bool>> JsonObject::boolean(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const bool* boolean = value->if_bool();
  if (boolean == nullptr) return wrong_kind(path_of(key), *value, "true or false");
  return *boolean;
}

ApiResult<std::optional<std::int64_t>> JsonObject::integer(std::string_view key,
                                                           IntegerRange range) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  std::string wanted = "a whole number";
  if (range != kAnyInteger) {
    wanted += " between " + std::to_string(range.lowest) + " and " + std::to_string(range.highest);
  }
  if (!value->is_number()) return wrong_kind(path_of(key), *value, wanted);
  const std::optional<std::int64_t> number = whole_number(*value);
  if (!number || *number < range.lowest || *number > range.highest) {
    return refuse_field(path_of(key), "is " + number_text(*value) + "; it must be " + wanted);
  }
  return *number;
}

ApiResult<std::optional<double>> JsonObject::number(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) return wrong_kind(path_of(key), *value, "a number");
  const auto number = value->to_number<double>();
  if (!std::isfinite(number)) return refuse_field(path_of(key), "is too large a number");
  return number;
}

ApiResult<std::optional<JsonObject>> JsonObject::object(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  AIRLOCK_ASSIGN(JsonObject object, from(*value, path_of(key)));
  return object;
}

ApiResult<std::optional<JsonArray>> JsonObject::array(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto* array = value->if_array();
  if (array == nullptr) return wrong_kind(path_of(key), *value, "an array");
  return JsonArray(*array, path_of(key));
}

ApiResult<std::vector<std::pair<std::string_view, std::string_view>>> JsonObject::texts() const {
  std::vector<std::pair<std::string_view, std::string_view>> members;
  members.reserve(object_->size());
  for (const auto& member : *object_) {
    const auto* text = member.value().if_string();
    if (text == nullptr) return wrong_kind(path_of(member.key()), member.value(), "a string");
    members.emplace_back(member.key(), view(*text));
  }
  return members;
}

std::size_t JsonArray::size() const { return array_->size(); }

std::string JsonArray::path_of(std::size_t index) const {
  return path_ + "[" + std::to_string(index) + "]";
}

ApiResult<std::string_view> JsonArray::text(std::size_t index) const {
  const boost::json::value& value = (*array_)[index];
  const auto* text = value.if_string();
  if (text == nullptr) return wrong_kind(path_of(index), value, "a string");
  return view(*text);
}

ApiResult<JsonObject> JsonArray::object(std::size_t index) const {
  return JsonObject::from((*array_)[index], path_of(index));
}

}  // namespace airlock::http
