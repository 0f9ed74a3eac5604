// Crash points: named places of the run service where a test can have it die.
//
// Only in airlock-daemon-testhooks, which is built beside the real program and never installed; in
// every other program a call is nothing. $AIRLOCK_TEST_CRASH is a folder: who comes to a point that
// a file there is named after removes the file and dies. So it happens once, and what is started
// anew lives. A file "NAME.stop" has it stop instead, for somebody else to be killed meanwhile.
#pragma once

#ifdef AIRLOCK_TEST_HOOKS
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <string>
#endif

namespace airlock::base {

#ifdef AIRLOCK_TEST_HOOKS
inline void crash_point(const char* name) {
  const char* const folder = std::getenv("AIRLOCK_TEST_CRASH");
  if (folder == nullptr) return;
  const std::string file = std::string(folder) + "/" + name;
  if (::unlink(file.c_str()) == 0) ::kill(::getpid(), SIGKILL);
  if (::unlink((file + ".stop").c_str()) == 0) ::kill(::getpid(), SIGSTOP);
}
#else
constexpr void crash_point(const char*) {}
#endif

}  // namespace airlock::base
