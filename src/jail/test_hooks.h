// Test hooks: switch one wall off, or die at a named point, to show that a test notices.
//
// Only in airlock-jail-testhooks, which is built beside the real launcher and never installed; in
// airlock-jail every call is a constant that the compiler removes.
#pragma once

#include <cstdint>

#ifdef AIRLOCK_TEST_HOOKS
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#endif

namespace airlock::jail {

#ifdef AIRLOCK_TEST_HOOKS
// $AIRLOCK_JAIL_TEST_DISABLE is a comma-separated list of mechanisms.
inline bool switched_off(std::string_view mechanism) {
  const char* list = std::getenv("AIRLOCK_JAIL_TEST_DISABLE");
  std::string_view rest = list != nullptr ? list : "";
  while (!rest.empty()) {
    const std::size_t end = rest.find(',');
    if (rest.substr(0, end) == mechanism) return true;
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return false;
}

// `point` is "crash:name"; $AIRLOCK_JAIL_TEST_CRASH is the name, or a folder: who finds a file of
// that name there removes it and dies, so that it happens once.
inline void crash_point(const char* point) {
  const char* wanted = std::getenv("AIRLOCK_JAIL_TEST_CRASH");
  if (wanted == nullptr) return;
  const std::string name(point + 6);
  if (name == wanted || unlink((wanted + ("/" + name)).c_str()) == 0) kill(getpid(), SIGKILL);
}
// $AIRLOCK_JAIL_TEST_ORPHAN_MS instead of an hour.
inline std::uint64_t orphan_max_ns(std::uint64_t usual) {
  const char* wanted = std::getenv("AIRLOCK_JAIL_TEST_ORPHAN_MS");
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) * 1'000'000 : usual;
}
#else
constexpr std::uint64_t orphan_max_ns(std::uint64_t usual) { return usual; }
constexpr bool switched_off(const char*) { return false; }
constexpr void crash_point(const char*) {}
#endif

}  // namespace airlock::jail
