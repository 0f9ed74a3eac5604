// The kernel's constants that policy files may name, and the errno values a rule may answer with.
//
// Values are those of the architecture this is compiled for. Only what a policy uses is listed: a
// name that is missing here is an error with its place, never a silent zero.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace airlock::policygen {

struct NamedConstant {
  std::string_view name;
  std::uint32_t value;
};

std::span<const NamedConstant> argument_constants();
std::span<const NamedConstant> errno_constants();

std::optional<std::uint32_t> find_constant(std::span<const NamedConstant> constants,
                                           std::string_view name);

}  // namespace airlock::policygen
