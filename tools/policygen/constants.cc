#include "constants.h"

#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#define AIRLOCK_NAMED(constant) \
  NamedConstant { #constant, static_cast<std::uint32_t>(constant) }

namespace airlock::policygen {
namespace {

// clone() takes the exit signal in its low byte, where unshare() has CLONE_NEWTIME.
constexpr std::uint32_t kCloneNewAny = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                       CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

constexpr std::array kArgumentConstants = {
    NamedConstant{"CLONE_NEW_ANY", kCloneNewAny},
    AIRLOCK_NAMED(CLONE_NEWTIME),
    AIRLOCK_NAMED(S_IFMT),
    AIRLOCK_NAMED(S_IFCHR),
    AIRLOCK_NAMED(S_IFBLK),
    AIRLOCK_NAMED(TIOCSTI),
    AIRLOCK_NAMED(TIOCLINUX),
    AIRLOCK_NAMED(TIOCCONS),
    AIRLOCK_NAMED(TIOCSETD),
    AIRLOCK_NAMED(FS_IOC_FSSETXATTR),
    AIRLOCK_NAMED(AF_UNIX),
    AIRLOCK_NAMED(AF_INET),
    AIRLOCK_NAMED(AF_INET6),
    AIRLOCK_NAMED(AF_NETLINK),
    AIRLOCK_NAMED(AF_PACKET),
    AIRLOCK_NAMED(AF_VSOCK),
    AIRLOCK_NAMED(AF_ALG),
    AIRLOCK_NAMED(AF_KEY),
    NamedConstant{"SOCK_TYPE_MASK", 0xf},  // include/linux/net.h: the rest are flags
    AIRLOCK_NAMED(SOCK_STREAM),
    AIRLOCK_NAMED(SOCK_DGRAM),
    AIRLOCK_NAMED(SOCK_SEQPACKET),
    AIRLOCK_NAMED(IPPROTO_TCP),
    AIRLOCK_NAMED(IPPROTO_UDP),
    AIRLOCK_NAMED(IPPROTO_UDPLITE),
    AIRLOCK_NAMED(IPPROTO_SCTP),
    AIRLOCK_NAMED(IPPROTO_DCCP),
    NamedConstant{"IPPROTO_MPTCP", 262},  // include/uapi/linux/in.h
    AIRLOCK_NAMED(NETLINK_ROUTE),
    AIRLOCK_NAMED(NETLINK_AUDIT),
    AIRLOCK_NAMED(NETLINK_KOBJECT_UEVENT),
    AIRLOCK_NAMED(SOL_SOCKET),
    AIRLOCK_NAMED(SO_ATTACH_FILTER),
    AIRLOCK_NAMED(SO_ATTACH_BPF),
    AIRLOCK_NAMED(SO_ATTACH_REUSEPORT_CBPF),
    AIRLOCK_NAMED(SO_ATTACH_REUSEPORT_EBPF),
    AIRLOCK_NAMED(TCP_ULP),
    AIRLOCK_NAMED(SECCOMP_SET_MODE_FILTER),
    AIRLOCK_NAMED(SECCOMP_FILTER_FLAG_NEW_LISTENER),
    AIRLOCK_NAMED(PER_LINUX),
    AIRLOCK_NAMED(PER_LINUX32),
    AIRLOCK_NAMED(UNAME26),
    AIRLOCK_NAMED(ADDR_NO_RANDOMIZE),
    NamedConstant{"PER_QUERY", 0xffffffff},  // personality(2): only asks
    AIRLOCK_NAMED(RLIMIT_CORE),
    AIRLOCK_NAMED(PR_SET_MM),
    AIRLOCK_NAMED(PR_SET_NAME),
    AIRLOCK_NAMED(PR_GET_NAME),
    AIRLOCK_NAMED(PR_SET_PDEATHSIG),
    AIRLOCK_NAMED(PR_GET_PDEATHSIG),
    AIRLOCK_NAMED(PR_SET_DUMPABLE),
    AIRLOCK_NAMED(PR_GET_DUMPABLE),
    AIRLOCK_NAMED(PR_SET_NO_NEW_PRIVS),
    AIRLOCK_NAMED(PR_GET_NO_NEW_PRIVS),
    AIRLOCK_NAMED(PR_SET_SECCOMP),
    AIRLOCK_NAMED(PR_GET_SECCOMP),
    AIRLOCK_NAMED(PR_SET_CHILD_SUBREAPER),
    AIRLOCK_NAMED(PR_GET_CHILD_SUBREAPER),
    AIRLOCK_NAMED(PR_SET_TIMERSLACK),
    AIRLOCK_NAMED(PR_GET_TIMERSLACK),
    AIRLOCK_NAMED(PR_SET_THP_DISABLE),
    AIRLOCK_NAMED(PR_GET_THP_DISABLE),
    AIRLOCK_NAMED(PR_SET_VMA),
    NamedConstant{"PR_GET_AUXV", 0x41555856},  // Linux 6.4, include/uapi/linux/prctl.h
    AIRLOCK_NAMED(PR_CAPBSET_READ),
    AIRLOCK_NAMED(PR_CAPBSET_DROP),
    AIRLOCK_NAMED(PR_CAP_AMBIENT),
    AIRLOCK_NAMED(PR_GET_SECUREBITS),
    AIRLOCK_NAMED(PR_SET_SECUREBITS),
    AIRLOCK_NAMED(PR_GET_KEEPCAPS),
    AIRLOCK_NAMED(PR_SET_KEEPCAPS),
    AIRLOCK_NAMED(PR_GET_TSC),
    AIRLOCK_NAMED(PR_SET_TSC),
    AIRLOCK_NAMED(PR_GET_SPECULATION_CTRL),
    AIRLOCK_NAMED(PR_SET_SPECULATION_CTRL),
    AIRLOCK_NAMED(PR_MCE_KILL),
    AIRLOCK_NAMED(PR_MCE_KILL_GET),
    AIRLOCK_NAMED(PR_SET_FP_MODE),
    AIRLOCK_NAMED(PR_GET_FP_MODE),
    NamedConstant{"PR_SET_MDWE", 65},  // Linux 6.3
    NamedConstant{"PR_GET_MDWE", 66},
    AIRLOCK_NAMED(PR_GET_TID_ADDRESS),
    AIRLOCK_NAMED(PR_SET_TAGGED_ADDR_CTRL),
    AIRLOCK_NAMED(PR_GET_TAGGED_ADDR_CTRL),
    NamedConstant{"PR_TIMER_CREATE_RESTORE_IDS", 77},  // Linux 6.15
    NamedConstant{"PR_FUTEX_HASH", 78},                // Linux 6.16
    AIRLOCK_NAMED(PR_SET_PTRACER),
};

constexpr std::array kErrnoConstants = {
    AIRLOCK_NAMED(EPERM),           AIRLOCK_NAMED(EACCES),     AIRLOCK_NAMED(EBUSY),
    AIRLOCK_NAMED(EINVAL),          AIRLOCK_NAMED(ENOSYS),     AIRLOCK_NAMED(EAFNOSUPPORT),
    AIRLOCK_NAMED(EPROTONOSUPPORT), AIRLOCK_NAMED(EOPNOTSUPP), AIRLOCK_NAMED(ENOPROTOOPT),
};

}  // namespace

std::span<const NamedConstant> argument_constants() { return kArgumentConstants; }
std::span<const NamedConstant> errno_constants() { return kErrnoConstants; }

std::optional<std::uint32_t> find_constant(std::span<const NamedConstant> constants,
                                           std::string_view name) {
  for (const NamedConstant& constant : constants) {
    if (constant.name == name) return constant.value;
  }
  return std::nullopt;
}

}  // namespace airlock::policygen
