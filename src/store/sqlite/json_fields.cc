#include "store/sqlite/json_fields.h"

#include <boost/json/parse.hpp>

namespace airlock::store::sqlite {

base::Result<boost::json::value> parse_stored(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = kStoredDepthMax;
  boost::json::error_code code;
  boost::json::value value =
      boost::json::parse(boost::json::string_view(text.data(), text.size()), code, {}, options);
  if (code) return base::fail(base::ErrorCode::kIo, "is no JSON: " + code.message());
  return value;
}

JsonFields::JsonFields(const boost::json::value& value, std::string_view what)
    : object_(value.if_object()), what_(what) {
  if (object_ == nullptr) wrong_ = what_ + " is no object";
}

const boost::json::value* JsonFields::find(std::string_view key) const {
  if (object_ == nullptr) return nullptr;
  const boost::json::value* const value = object_->if_contains({key.data(), key.size()});
  return value == nullptr || value->is_null() ? nullptr : value;
}

void JsonFields::refuse(std::string_view key, std::string_view why) {
  if (!wrong_) wrong_ = what_ + "." + std::string(key) + ": " + std::string(why);
}

base::Status JsonFields::status() const {
  if (wrong_) return base::fail(base::ErrorCode::kIo, *wrong_);
  return {};
}

const boost::json::array* JsonFields::find_array(std::string_view key) {
  const boost::json::value* const value = find(key);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) refuse(key, "no array");
  return value->if_array();
}

void JsonFields::read(std::string_view key, std::string& place) {
  const boost::json::value* const value = find(key);
  if (value == nullptr) return;
  if (const boost::json::string* const text = value->if_string()) {
    place.assign(text->data(), text->size());
  } else {
    refuse(key, "no text");
  }
}

void JsonFields::read(std::string_view key, bool& place) {
  const boost::json::value* const value = find(key);
  if (value == nullptr) return;
  if (const bool* const boolean = value->if_bool()) {
    place = *boolean;
  } else {
    refuse(key, "neither true nor false");
  }
}

template <typename Integer>
void JsonFields::read_integer(std::string_view key, Integer& place) {
  const boost::json::value* const value = find(key);
  if (value == nullptr) return;
  boost::json::error_code code;
  if (!value->is_int64() && !value->is_uint64()) {
    refuse(key, "no whole number");
    return;
  }
  const Integer number = value->to_number<Integer>(code);
  if (code) {
    refuse(key, "out of range");
  } else {
    place = number;
  }
}

void JsonFields::read(std::string_view key, std::uint64_t& place) { read_integer(key, place); }
void JsonFields::read(std::string_view key, std::int64_t& place) { read_integer(key, place); }
void JsonFields::read(std::string_view key, std::uint32_t& place) { read_integer(key, place); }
void JsonFields::read(std::string_view key, std::uint16_t& place) { read_integer(key, place); }
void JsonFields::read(std::string_view key, int& place) { read_integer(key, place); }

void JsonFields::read(std::string_view key, base::ByteCount& place) {
  std::uint64_t bytes = place.count();
  read_integer(key, bytes);
  place = base::ByteCount(bytes);
}

void JsonFields::read(std::string_view key, model::WallTime& place) {
  std::int64_t since = place.time_since_epoch().count();
  read_integer(key, since);
  place = model::WallTime(std::chrono::microseconds(since));
}

void JsonFields::read(std::string_view key, std::chrono::milliseconds& place) {
  std::int64_t count = place.count();
  read_integer(key, count);
  place = std::chrono::milliseconds(count);
}

void JsonFields::read(std::string_view key, std::chrono::microseconds& place) {
  std::int64_t count = place.count();
  read_integer(key, count);
  place = std::chrono::microseconds(count);
}

}  // namespace airlock::store::sqlite
