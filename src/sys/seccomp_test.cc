#include "sys/seccomp.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sys/seccomp_profiles.h"

namespace airlock::sys {
namespace {

constexpr int kPassed = 0;
constexpr int kInstallFailed = 97;
constexpr int kWaitMillisecondsMax = 10'000;

const SeccompProfile& default_profile() { return *find_seccomp_profile("default"); }

int wait_status(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

// The wait status of a child that runs `body` under the plain variant; _exit(body()).
int run_plain(const SeccompProfile& profile, const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    const int result = install_seccomp(profile.plain, SeccompListener::kNone);
    _exit(result == 0 ? body() : kInstallFailed);
  }
  return wait_status(child);
}

// The errno of a raw call in a child under the plain variant; 0 when it succeeded.
int errno_of(const SeccompProfile& profile, long number, long a = 0, long b = 0, long c = 0,
             long d = 0, long e = 0) {
  const int status =
      run_plain(profile, [=] { return syscall(number, a, b, c, d, e) >= 0 ? kPassed : errno; });
  EXPECT_TRUE(WIFEXITED(status)) << "number " << number << ", wait status " << status;
  return WEXITSTATUS(status);
}

int errno_of(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  return errno_of(default_profile(), number, a, b, c, d, e);
}

bool send_fd(int channel, int fd) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  return sendmsg(channel, &message, 0) == 1;
}

base::UniqueFd receive_fd(int channel) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == nullptr) {
    return {};
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
  return base::UniqueFd(fd);
}

// A child under the report variant, and this process as its keeper.
class SupervisedChild {
 public:
  explicit SupervisedChild(const std::function<int()>& body) {
    int channel[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
    base::UniqueFd here(channel[0]);
    base::UniqueFd there(channel[1]);
    pid_ = fork();
    if (pid_ == 0) {
      const int fd = install_seccomp(default_profile().report, SeccompListener::kWanted);
      if (fd < 0 || !send_fd(there.get(), fd)) _exit(kInstallFailed);
      close(fd);
      _exit(body());
    }
    there.reset();
    listener_ = receive_fd(here.get());
  }
  ~SupervisedChild() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    wait_status(pid_);
  }
  SupervisedChild(const SupervisedChild&) = delete;
  SupervisedChild& operator=(const SupervisedChild&) = delete;

  int listener() const { return listener_.get(); }
  void close_listener() { listener_.reset(); }
  void kill_child() { kill(pid_, SIGKILL); }
  int wait() { return wait_status(std::exchange(pid_, -1)); }

  // Waits for one report; false when none comes.
  bool receive(SeccompNotification* notification) {
    pollfd waiting{listener(), POLLIN, 0};
    if (poll(&waiting, 1, kWaitMillisecondsMax) != 1 || (waiting.revents & POLLIN) == 0) {
      return false;
    }
    return receive_notification(listener(), notification) == 0;
  }

 private:
  pid_t pid_ = -1;
  base::UniqueFd listener_;
};

TEST(SeccompTest, ACallThatIsToldWaitsAndThenGoesOn) {
  SupervisedChild child([] { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : 1; });
  SeccompNotification call;
  ASSERT_TRUE(child.receive(&call));
  const DenialEntry* const entry = find_denial(default_profile(), call);
  ASSERT_NE(entry, nullptr);
  EXPECT_TRUE(entry->told);
  EXPECT_EQ(continue_notification(child.listener(), call.id), 0);
  EXPECT_EQ(child.wait(), 0);
}

TEST(SeccompTest, WhatIsDeniedIsNeverTakenForATold) {
  constexpr std::int32_t kSocket = SYS_socket;
  for (const std::uint64_t family : {AF_INET, AF_INET6, AF_PACKET, AF_NETLINK, AF_ALG}) {
    for (const std::uint64_t type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_PACKET}) {
      for (const int protocol : {0, +IPPROTO_TCP, +IPPROTO_UDP, +IPPROTO_ICMP, 255}) {
        SeccompNotification call{.arch = AUDIT_ARCH_X86_64, .syscall = kSocket};
        call.arguments = {family, type, static_cast<std::uint64_t>(protocol)};
        const DenialEntry* const entry = find_denial(default_profile(), call);
        const bool plain = (family == AF_INET || family == AF_INET6) &&
                           (type == SOCK_STREAM || type == SOCK_DGRAM) &&
                           (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP);
        ASSERT_NE(entry, nullptr);
        EXPECT_EQ(entry->told, plain) << family << " " << type << " " << protocol;
      }
    }
  }
}

TEST(SeccompTest, ThisKernelHasWhatTheProfilesNeed) { EXPECT_TRUE(has_user_notification()); }

TEST(SeccompTest, OrdinaryCallsAreAllowed) {
  EXPECT_EQ(errno_of(SYS_getpid), 0);
  EXPECT_EQ(errno_of(SYS_memfd_create, reinterpret_cast<long>("x")), 0);
  EXPECT_EQ(errno_of(SYS_personality, 0xffffffff), 0);
  EXPECT_EQ(errno_of(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>("x")), 0);
  EXPECT_EQ(errno_of(SYS_sync), 0);
  const int status = run_plain(default_profile(), [] {
    const pid_t child = fork();
    if (child == 0) _exit(7);
    int child_status = 0;
    return waitpid(child, &child_status, 0) == child && WEXITSTATUS(child_status) == 7 ? kPassed
                                                                                       : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(SeccompTest, ProbedCallsFailQuietly) {
  EXPECT_EQ(errno_of(SYS_clone3), ENOSYS);
  EXPECT_EQ(errno_of(SYS_io_uring_setup, 1), ENOSYS);
  EXPECT_EQ(errno_of(SYS_name_to_handle_at), EOPNOTSUPP);
  EXPECT_EQ(errno_of(SYS_personality, READ_IMPLIES_EXEC), EPERM);
  EXPECT_EQ(errno_of(SYS_prctl, 0x12345678), EINVAL);
  EXPECT_EQ(errno_of(SYS_socket, AF_NETLINK, SOCK_RAW, 0), EAFNOSUPPORT);
  EXPECT_EQ(errno_of(5000), ENOSYS);
  EXPECT_EQ(errno_of(-1), ENOSYS);
}

TEST(SeccompTest, DangerousCallsAreRefused) {
  for (const long number : {SYS_ptrace,
                            SYS_bpf,
                            SYS_perf_event_open,
                            SYS_keyctl,
                            SYS_userfaultfd,
                            SYS_kexec_load,
                            SYS_init_module,
                            SYS_mount,
                            SYS_umount2,
                            SYS_pivot_root,
                            SYS_chroot,
                            SYS_setns,
                            SYS_reboot,
                            SYS_swapon,
                            SYS_sethostname,
                            SYS_iopl,
                            SYS_open_by_handle_at,
                            SYS_syslog,
                            SYS_acct,
                            SYS_fsopen,
                            SYS_open_tree,
                            SYS_move_mount,
                            SYS_process_vm_readv,
                            SYS_pidfd_getfd,
                            SYS_clock_settime}) {
    EXPECT_EQ(errno_of(number), EPERM) << number;
  }
}

TEST(SeccompTest, NewNamespacesAreRefusedAndThreadsAreNot) {
  EXPECT_EQ(errno_of(SYS_unshare, CLONE_NEWUSER), EPERM);
  EXPECT_EQ(errno_of(SYS_unshare, 0x80), EPERM);  // CLONE_NEWTIME
  EXPECT_EQ(errno_of(SYS_unshare, CLONE_FILES), 0);
  for (const long flag : {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
                          CLONE_NEWUTS, CLONE_NEWCGROUP}) {
    EXPECT_EQ(errno_of(SYS_clone, flag | SIGCHLD), EPERM) << flag;
    // The kernel looks at the low half only, and so must the filter.
    EXPECT_EQ(errno_of(SYS_clone, flag | SIGCHLD | (1L << 40)), EPERM) << flag;
  }
}

TEST(SeccompTest, OnlyLocalSocketsExist) {
  EXPECT_EQ(errno_of(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), 0);
  EXPECT_EQ(errno_of(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), 0);
  EXPECT_EQ(errno_of(SYS_socket, AF_INET, SOCK_RAW, 1), EPERM);
  EXPECT_EQ(errno_of(SYS_socket, AF_INET, SOCK_DGRAM, 1), EPERM);  // ICMP
  for (const long family : {AF_PACKET, AF_VSOCK, AF_ALG, AF_KEY, AF_BLUETOOTH, AF_TIPC, AF_XDP}) {
    EXPECT_EQ(errno_of(SYS_socket, family, SOCK_STREAM, 0), EPERM) << family;
    EXPECT_EQ(errno_of(SYS_socket, family | (1L << 32), SOCK_STREAM, 0), EPERM) << family;
  }
  EXPECT_EQ(errno_of(SYS_socketpair, AF_INET, SOCK_STREAM, 0), EOPNOTSUPP);
}

TEST(SeccompTest, GpuProfileAddsRouteNetlinkOnly) {
  const SeccompProfile& gpu = *find_seccomp_profile("gpu");
  EXPECT_EQ(errno_of(gpu, SYS_socket, AF_NETLINK, SOCK_RAW, 0), 0);
  EXPECT_EQ(errno_of(gpu, SYS_socket, AF_NETLINK, SOCK_RAW, 12), EAFNOSUPPORT);  // NETFILTER
  EXPECT_EQ(errno_of(gpu, SYS_socket, AF_PACKET, SOCK_RAW, 0), EPERM);
  EXPECT_EQ(errno_of(gpu, SYS_ptrace), EPERM);
}

TEST(SeccompTest, TerminalsCannotBeTypedInto) {
  EXPECT_EQ(errno_of(SYS_ioctl, 0, TIOCSTI), EPERM);
  EXPECT_EQ(errno_of(SYS_ioctl, 0, TIOCSTI | (1L << 32)), EPERM);
  EXPECT_EQ(errno_of(SYS_ioctl, 0, 0x541c), EPERM);       // TIOCLINUX
  EXPECT_EQ(errno_of(SYS_ioctl, -1, TIOCGWINSZ), EBADF);  // reached the kernel
}

TEST(SeccompTest, DeviceNodesAreRefusedAndPipesAreNot) {
  EXPECT_EQ(errno_of(SYS_mknodat, -1, reinterpret_cast<long>("x"), S_IFCHR | 0600), EPERM);
  EXPECT_EQ(errno_of(SYS_mknodat, -1, reinterpret_cast<long>("x"), S_IFBLK | 0600), EPERM);
  EXPECT_EQ(errno_of(SYS_mknodat, -1, reinterpret_cast<long>("x"), S_IFIFO | 0600), EBADF);
}

TEST(SeccompTest, PrivilegesCannotComeBack) {
  const int status = run_plain(
      default_profile(), [] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? kPassed : 1; });
  EXPECT_EQ(status, 0);
}

#if defined(__x86_64__)
long getpid_by_int80() {
  long result = 20;  // getpid in the 32-bit table
  asm volatile("int $0x80" : "+a"(result) : : "memory");
  return result;
}

TEST(SeccompTest, ForeignCallsKill) {
  const int compat = run_plain(default_profile(), [] { return getpid_by_int80() > 0 ? 1 : 2; });
  EXPECT_TRUE(WIFSIGNALED(compat) && WTERMSIG(compat) == SIGSYS) << compat;
  const int x32 =
      run_plain(default_profile(), [] { return syscall(0x40000000 | SYS_getpid) > 0 ? 1 : 2; });
  EXPECT_TRUE(WIFSIGNALED(x32) && WTERMSIG(x32) == SIGSYS) << x32;
}

TEST(SeccompTest, ForeignCallsAreReportedBeforeTheyRun) {
  SupervisedChild child([] { return getpid_by_int80() > 0 ? 1 : 2; });
  SeccompNotification notification;
  ASSERT_TRUE(child.receive(&notification));
  EXPECT_TRUE(is_foreign_call(notification));
  const DenialEntry* denial = find_denial(default_profile(), notification);
  ASSERT_NE(denial, nullptr);
  EXPECT_NE(std::string(denial->rule).find("foreign-architecture"), std::string::npos);
  child.kill_child();
  EXPECT_EQ(WTERMSIG(child.wait()), SIGKILL);
}
#endif

TEST(SeccompTest, ReportedCallIsExplainedAndAnswered) {
  SupervisedChild child(
      [] { return unshare(CLONE_NEWUSER) == -1 && errno == EPERM ? kPassed : 1; });
  SeccompNotification notification;
  ASSERT_TRUE(child.receive(&notification));
  EXPECT_EQ(notification.syscall, SYS_unshare);
  EXPECT_EQ(notification.arguments[0], std::uint64_t{CLONE_NEWUSER});
  EXPECT_FALSE(is_foreign_call(notification));
  const DenialEntry* denial = find_denial(default_profile(), notification);
  ASSERT_NE(denial, nullptr);
  EXPECT_STREQ(denial->what, "unshare");
  EXPECT_EQ(std::string(denial->rule).rfind("seccomp default/new-namespaces: ", 0), 0u);
  EXPECT_EQ(answer_notification(child.listener(), notification.id, EPERM), 0);
  EXPECT_EQ(child.wait(), 0);
}

TEST(SeccompTest, ExplanationFollowsTheArguments) {
  SupervisedChild child([] {
    socket(AF_PACKET, SOCK_RAW, 0);
    socket(AF_INET, SOCK_RAW, 1);
    socket(AF_BLUETOOTH, SOCK_STREAM, 0);
    return kPassed;
  });
  for (const char* what : {"socket(AF_PACKET)", "socket(AF_INET, SOCK_RAW) or another protocol",
                           "socket of another family, or a raw socket"}) {
    SeccompNotification notification;
    ASSERT_TRUE(child.receive(&notification));
    const DenialEntry* denial = find_denial(default_profile(), notification);
    ASSERT_NE(denial, nullptr);
    EXPECT_STREQ(denial->what, what);
    EXPECT_EQ(answer_notification(child.listener(), notification.id, EPERM), 0);
  }
  EXPECT_EQ(child.wait(), 0);
}

// As CUDA's library does where there is no GPU: a program that copes with that broke no rule.
TEST(SeccompTest, ACharacterDeviceIsRefusedQuietlyAndADiskIsNot) {
  SupervisedChild child([] {
    if (mknodat(AT_FDCWD, "node", S_IFCHR | 0600, 0) == 0 || errno != EPERM) return 1;
#if defined(SYS_mknod)
    if (syscall(SYS_mknod, "node", S_IFCHR | 0600, 0) == 0 || errno != EPERM) return 2;
#endif
    return mknodat(AT_FDCWD, "node", S_IFBLK | 0600, 0) != 0 && errno == EPERM ? kPassed : 3;
  });
  SeccompNotification notification;
  ASSERT_TRUE(child.receive(&notification));
  EXPECT_EQ(notification.arguments[2] & S_IFMT, S_IFBLK);
  EXPECT_EQ(answer_notification(child.listener(), notification.id, EPERM), 0);
  EXPECT_EQ(child.wait(), 0);
}

TEST(SeccompTest, DeadCallerIsNoticed) {
  SupervisedChild child([] { return static_cast<int>(syscall(SYS_bpf, 0, 0, 0)); });
  SeccompNotification notification;
  ASSERT_TRUE(child.receive(&notification));
  child.kill_child();
  child.wait();
  EXPECT_EQ(answer_notification(child.listener(), notification.id, EPERM), -ENOENT);
}

TEST(SeccompTest, GuestWithoutKeeperIsStillRefused) {
  SupervisedChild child([] {
    usleep(100'000);
    return syscall(SYS_mount, 0, 0, 0, 0, 0) == -1 && errno == ENOSYS ? kPassed : 1;
  });
  child.close_listener();
  EXPECT_EQ(child.wait(), 0);
}

TEST(SeccompTest, GuestCannotAnswerForItself) {
  const int status = run_plain(default_profile(), [] {
    sock_filter allow = BPF_STMT(BPF_RET | BPF_K, 0x7fff0000);  // SECCOMP_RET_ALLOW
    const int result = install_seccomp({{&allow, 1}}, SeccompListener::kWanted);
    if (result != -EBUSY) return 1;
    if (install_seccomp({{&allow, 1}}, SeccompListener::kNone) != 0) return 2;
    return unshare(CLONE_NEWUSER) == -1 && errno == EPERM ? kPassed : 3;
  });
  EXPECT_EQ(status, 0);
}

// Interpreters and compilers of this machine start and work; what is not installed is not run.
TEST(SeccompTest, InstalledToolsRunUnreported) {
  struct Tool {
    const char* path;
    std::vector<const char*> arguments;
  };
  const Tool tools[] = {
      {"/bin/bash", {"-c", "x=$(ls / | sort | head -1); [ -n \"$x\" ]"}},
      {"/usr/bin/python3",
       {"-c",
        "import threading, subprocess, socket; t = threading.Thread("
        "target=print); t.start(); t.join(); "
        "subprocess.check_call(['true']); socket.socket()"}},
      {"/usr/bin/perl", {"-e", "exit(fork() ? (wait() < 0) : 0)"}},
      {"/usr/bin/node", {"-e", "require('child_process').execSync('true')"}},
      {"/usr/bin/ruby", {"-e", "Thread.new { 1 }.join; exit(system('true') ? 0 : 1)"}},
      {"/usr/bin/php", {"-r", "exit(strlen(shell_exec('echo x')) == 2 ? 0 : 1);"}},
      {"/usr/bin/java", {"-version"}},
      {"/usr/bin/cc", {"-x", "c", "/dev/null", "-S", "-o", "-"}},
      {"/usr/bin/go", {"version"}},
  };
  int ran = 0;
  for (const Tool& tool : tools) {
    if (access(tool.path, X_OK) != 0) continue;
    ++ran;
    SupervisedChild child([&] {
      std::vector<char*> argv{const_cast<char*>(tool.path)};
      for (const char* argument : tool.arguments) argv.push_back(const_cast<char*>(argument));
      argv.push_back(nullptr);
      if (freopen("/dev/null", "w", stdout) == nullptr) return 1;
      execv(tool.path, argv.data());
      return 1;
    });
    // Until the last process is gone.
    for (SeccompNotification call; child.receive(&call);) {
      const DenialEntry* const entry = find_denial(default_profile(), call);
      const bool told = entry != nullptr && entry->told;
      EXPECT_TRUE(told) << tool.path << " made a call that is reported: " << call.syscall;
      if (!told) child.kill_child();
      continue_notification(child.listener(), call.id);
    }
    EXPECT_EQ(child.wait(), 0) << tool.path;
  }
  EXPECT_GE(ran, 2);
}

}  // namespace
}  // namespace airlock::sys
