// Version: the numbers of a version string, in order.
//
// "23.6" equals "23.6.0"; what follows the numbers ("-rc1", "p20") is not looked at.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace airlock::language {

class Version {
 public:
  // The first number with a point in it, or else the first number: "Python 3 version v3.1.2-rc1"
  // gives 3.1.2. Nothing if there is none.
  static std::optional<Version> find_in(std::string_view text);

  // "20.1.2"
  std::string to_string() const;

  std::strong_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == 0; }

 private:
  std::vector<std::uint32_t> numbers_;
};

}  // namespace airlock::language
