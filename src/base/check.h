// CHECK: our own bugs end the process, always, with the operands printed.
//
// Never for what a user, a guest or a peer can cause: that is a Result or an Outcome. Restart and
// recovery after such an abort are tested behaviour, so a CHECK is safe to write.
#pragma once

#include <sstream>
#include <string>

namespace airlock::base {

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& operands);

template <typename A, typename B>
std::string describe_operands(const A& left, const B& right) {
  std::ostringstream text;
  text << left << " vs " << right;
  return text.str();
}

}  // namespace airlock::base

#define AIRLOCK_CHECK(condition)                                                    \
  do {                                                                              \
    if (!(condition)) [[unlikely]]                                                  \
      ::airlock::base::check_failed(__FILE__, __LINE__, #condition, std::string()); \
  } while (false)
#define AIRLOCK_CHECK_OP(op, left, right)                                               \
  do {                                                                                  \
    if (const auto& check_left = (left); true)                                          \
      if (const auto& check_right = (right); !(check_left op check_right)) [[unlikely]] \
        ::airlock::base::check_failed(                                                  \
            __FILE__, __LINE__, #left " " #op " " #right,                               \
            ::airlock::base::describe_operands(check_left, check_right));               \
  } while (false)
#define AIRLOCK_CHECK_EQ(left, right) AIRLOCK_CHECK_OP(==, left, right)
#define AIRLOCK_CHECK_NE(left, right) AIRLOCK_CHECK_OP(!=, left, right)
#define AIRLOCK_CHECK_LE(left, right) AIRLOCK_CHECK_OP(<=, left, right)
#define AIRLOCK_CHECK_LT(left, right) AIRLOCK_CHECK_OP(<, left, right)
