#include "sys/seccomp_profiles.h"

#include <algorithm>

namespace airlock::sys {
namespace {

bool test_holds(const ArgumentTest& test, const SeccompNotification& notification) {
  const auto low_half = static_cast<std::uint32_t>(notification.arguments[test.argument]);
  return std::ranges::find(test.values, low_half & test.mask) != test.values.end();
}

}  // namespace

const SeccompProfile* find_seccomp_profile(std::string_view name) {
  for (const SeccompProfile& profile : seccomp_profiles()) {
    if (profile.name == name) return &profile;
  }
  return nullptr;
}

const DenialEntry* find_denial(const SeccompProfile& profile,
                               const SeccompNotification& notification) {
  const std::int32_t number = is_foreign_call(notification) ? kForeignCall : notification.syscall;
  for (const DenialEntry& entry : profile.denials) {
    const auto holds = [&](const ArgumentTest& test) { return test_holds(test, notification); };
    if (entry.syscall == number && std::ranges::all_of(entry.tests, holds)) return &entry;
  }
  return nullptr;
}

}  // namespace airlock::sys
