#include "config/setting.h"

#include <algorithm>

namespace airlock::config {

std::string flag_of(const Setting& setting) {
  std::string flag = "--" + std::string(setting.name);
  std::ranges::replace(flag, '_', '-');
  std::ranges::replace(flag, '.', '-');
  return flag;
}

std::string variable_of(const Setting& setting) {
  std::string variable = "AIRLOCK_" + std::string(setting.name);
  std::ranges::transform(variable, variable.begin(), [](char c) {
    if (c == '.') return '_';
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return variable;
}

}  // namespace airlock::config
