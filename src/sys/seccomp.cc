#include "sys/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace airlock::sys {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kNativeArch = AUDIT_ARCH_X86_64;
constexpr std::int32_t kForeignNumbersFrom = 0x40000000;  // __X32_SYSCALL_BIT
#elif defined(__aarch64__)
constexpr std::uint32_t kNativeArch = AUDIT_ARCH_AARCH64;
constexpr std::int32_t kForeignNumbersFrom = 0x7fffffff;
#endif

// The kernel writes as many bytes as its own struct has; a later one may have grown.
constexpr std::size_t kNotificationBytesMax = 512;

// Linux 5.19, include/uapi/linux/seccomp.h: once the keeper has seen a call, only a fatal signal
// interrupts it, so that a program with a timer signal is not reported again and again.
constexpr unsigned long kWaitKillable = 1UL << 5;

int seccomp_call(unsigned operation, unsigned long flags, void* argument) {
  // Why safe: the kernel reads or writes only the struct that belongs to the operation, which the
  // callers below pass.
  return static_cast<int>(syscall(SYS_seccomp, operation, flags, argument));
}

bool action_available(std::uint32_t action) {
  return seccomp_call(SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

bool sizes_fit() {
  seccomp_notif_sizes sizes{};
  return seccomp_call(SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 &&
         sizes.seccomp_notif <= kNotificationBytesMax &&
         sizes.seccomp_notif_resp <= kNotificationBytesMax;
}

// SECCOMP_USER_NOTIF_FLAG_CONTINUE is younger (Linux 5.5) than the listener, and cannot be asked
// for by itself; this call came a version after it.
bool can_continue() { return syscall(SYS_pidfd_getfd, -1, -1, 0) == 0 || errno != ENOSYS; }

int send_response(int listener, const seccomp_notif_resp& response) {
  alignas(seccomp_notif_resp) std::array<std::byte, kNotificationBytesMax> buffer{};
  std::memcpy(buffer.data(), &response, sizeof(response));
  // Why safe: has_user_notification() says no where the kernel's struct is larger than the buffer;
  // what it reads beyond ours is zero.
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, buffer.data()) == 0 ? 0 : -errno;
}

}  // namespace

int install_seccomp(const SeccompProgram& program, SeccompListener listener) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(program.instructions.size());
  // Why safe: the kernel copies the program and never writes to it; the field is not const only for
  // historical reasons.
  filter.filter = const_cast<sock_filter*>(program.instructions.data());
  if (listener == SeccompListener::kNone) {
    return seccomp_call(SECCOMP_SET_MODE_FILTER, 0, &filter) == 0 ? 0 : -errno;
  }
  int fd = seccomp_call(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | kWaitKillable,
                        &filter);
  if (fd < 0 && errno == EINVAL) {
    fd = seccomp_call(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  }
  return fd >= 0 ? fd : -errno;
}

int receive_notification(int listener, SeccompNotification* notification) {
  // The kernel insists that the struct is zero, all of it.
  alignas(seccomp_notif) std::array<std::byte, kNotificationBytesMax> buffer{};
  // Why safe: has_user_notification() says no where the kernel's struct is larger than the buffer.
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, buffer.data()) != 0) return -errno;
  seccomp_notif received{};
  std::memcpy(&received, buffer.data(), sizeof(received));
  notification->id = received.id;
  notification->arch = received.data.arch;
  notification->syscall = received.data.nr;
  for (std::size_t i = 0; i < notification->arguments.size(); ++i) {
    notification->arguments[i] = received.data.args[i];
  }
  return 0;
}

int answer_notification(int listener, std::uint64_t id, int error_number) {
  seccomp_notif_resp response{};
  response.id = id;
  response.error = -error_number;
  return send_response(listener, response);
}

int continue_notification(int listener, std::uint64_t id) {
  seccomp_notif_resp response{};
  response.id = id;
  response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  return send_response(listener, response);
}

bool is_foreign_call(const SeccompNotification& notification) {
  return notification.arch != kNativeArch || notification.syscall >= kForeignNumbersFrom;
}

bool has_user_notification() {
  return action_available(SECCOMP_RET_USER_NOTIF) && sizes_fit() && can_continue();
}

}  // namespace airlock::sys
