#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace airlock::base {

void check_failed(const char* file, int line, const char* condition, const std::string& operands) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s%s%s%s\n", file, line, condition,
               operands.empty() ? "" : " (", operands.c_str(), operands.empty() ? "" : ")");
  std::abort();
}

}  // namespace airlock::base
