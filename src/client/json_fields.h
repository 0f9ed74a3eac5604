// What is read from the JSON of a service, none of which is trusted to be there or of its type.
//
// Pure functions: what is missing or of another type is empty, zero or false. Texts are as they
// came: whoever shows them escapes them. References live as long as `parent`.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace airlock::client {

std::string text_of(const boost::json::object& parent, std::string_view key);
const boost::json::object& object_of(const boost::json::object& parent, std::string_view key);
const boost::json::array& array_of(const boost::json::object& parent, std::string_view key);
bool is_true(const boost::json::object& parent, std::string_view key);
std::optional<double> number_of(const boost::json::object& parent, std::string_view key);
// Of whole numbers only, 0 for negative ones.
std::uint64_t count_of(const boost::json::object& parent, std::string_view key);

}  // namespace airlock::client
