// JsonFields: typed members of a JSON object that this program wrote itself.
//
// Strict about types, easy about members: one that is missing keeps what the value has, one that is
// unknown is passed over, so that a record of an older version can be read. The first thing that
// is wrong is kept and told by `status`; what is read after it has no meaning. Borrows the object.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/job.h"

namespace airlock::store::sqlite {

// No value of ours is deeper than five.
inline constexpr std::size_t kStoredDepthMax = 8;
base::Result<boost::json::value> parse_stored(std::string_view text);

class JsonFields {
 public:
  // An object is needed; `what` names it in errors.
  JsonFields(const boost::json::value& value, std::string_view what);

  void read(std::string_view key, std::string& place);
  void read(std::string_view key, bool& place);
  void read(std::string_view key, std::uint64_t& place);
  void read(std::string_view key, std::int64_t& place);
  void read(std::string_view key, std::uint32_t& place);
  void read(std::string_view key, std::uint16_t& place);
  void read(std::string_view key, int& place);
  void read(std::string_view key, base::ByteCount& place);
  void read(std::string_view key, model::WallTime& place);
  void read(std::string_view key, std::chrono::milliseconds& place);
  void read(std::string_view key, std::chrono::microseconds& place);
  template <typename Value>
  void read(std::string_view key, std::optional<Value>& place) {
    if (find(key) == nullptr) return;
    Value value{};
    read(key, value);
    place = std::move(value);
  }
  // Every element through `read_one(value, element)`, which gives a Status.
  template <typename Element, typename ReadOne>
  void read(std::string_view key, std::vector<Element>& place, ReadOne read_one) {
    const boost::json::array* const array = find_array(key);
    if (array == nullptr) return;
    place.clear();
    place.reserve(array->size());
    for (const boost::json::value& value : *array) {
      if (base::Status status = read_one(value, place.emplace_back()); !status) {
        refuse(key, status.error().message);
        return;
      }
    }
  }
  // Through `find_name(text)`, which gives an optional.
  template <typename Value, typename FindName>
  void read_name(std::string_view key, Value& place, FindName find_name) {
    if (find(key) == nullptr) return;
    std::string name;
    read(key, name);
    if (const auto found = find_name(std::string_view(name))) {
      place = *found;
    } else {
      refuse(key, "unknown name");
    }
  }
  // The member, unless it is missing or null.
  const boost::json::value* find(std::string_view key) const;
  void refuse(std::string_view key, std::string_view why);
  base::Status status() const;

 private:
  const boost::json::array* find_array(std::string_view key);
  template <typename Integer>
  void read_integer(std::string_view key, Integer& place);

  const boost::json::object* object_ = nullptr;
  std::string what_;
  std::optional<std::string> wrong_;
};

}  // namespace airlock::store::sqlite
