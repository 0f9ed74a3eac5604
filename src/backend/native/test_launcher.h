// Which launcher the tests of the native backend's protocol are run with.
//
// airlock-jail of the build, or what $AIRLOCK_TEST_LAUNCHER names: the suite tests/backends runs
// the same tests on each other backend so.
#pragma once

#include <cstdlib>
#include <string>

namespace airlock::backend::native {

inline std::string test_launcher() {
  const char* const named = std::getenv("AIRLOCK_TEST_LAUNCHER");
  return named != nullptr ? named : std::string(AIRLOCK_TEST_BIN_DIR) + "/airlock-jail";
}

// For what another backend does in another way.
inline bool is_native() { return std::getenv("AIRLOCK_TEST_LAUNCHER") == nullptr; }

}  // namespace airlock::backend::native
