#include "client/json_fields.h"

namespace airlock::client {

using boost::json::array;
using boost::json::object;

std::string text_of(const object& parent, std::string_view key) {
  const auto* const found = parent.if_contains(key);
  const auto* const text = found == nullptr ? nullptr : found->if_string();
  return text == nullptr ? std::string() : std::string(*text);
}

const object& object_of(const object& parent, std::string_view key) {
  static const object kNone;
  const auto* const found = parent.if_contains(key);
  const object* const child = found == nullptr ? nullptr : found->if_object();
  return child == nullptr ? kNone : *child;
}

const array& array_of(const object& parent, std::string_view key) {
  static const array kNone;
  const auto* const found = parent.if_contains(key);
  const array* const child = found == nullptr ? nullptr : found->if_array();
  return child == nullptr ? kNone : *child;
}

bool is_true(const object& parent, std::string_view key) {
  const auto* const found = parent.if_contains(key);
  return found != nullptr && found->is_bool() && found->get_bool();
}

std::optional<double> number_of(const object& parent, std::string_view key) {
  const auto* const found = parent.if_contains(key);
  if (found == nullptr) return std::nullopt;
  if (found->is_double()) return found->get_double();
  if (found->is_int64()) return static_cast<double>(found->get_int64());
  if (found->is_uint64()) return static_cast<double>(found->get_uint64());
  return std::nullopt;
}

std::uint64_t count_of(const object& parent, std::string_view key) {
  const auto* const found = parent.if_contains(key);
  if (found == nullptr) return 0;
  if (found->is_uint64()) return found->get_uint64();
  if (!found->is_int64() || found->get_int64() < 0) return 0;
  return static_cast<std::uint64_t>(found->get_int64());
}

}  // namespace airlock::client
