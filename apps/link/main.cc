// airlock-link: pid 1 of a container. Starts airlock-init and joins it to the keeper on the host,
// whose packets come over our stdin and stdout (link/tunnel.h).
//
//   airlock-link INIT UID
//
// Begins as root, of which it has nothing but to become UID, the guest's own: what a runtime gives
// it as stdin and stdout belongs to whom it began as, and gVisor opens it through /proc/1/fd for
// its owner. For the rest neither the kernel's protection of pid 1 nor our own, not to be dumpable,
// lets the guest touch it; init's filter does what is left. Ends when the link does, and the
// container with it.
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "jail/sandbox_layout.h"
#include "link/tunnel.h"

namespace airlock::link {
namespace {

constexpr int kOutOfTheWay = 20;  // of the numbers that init knows

[[noreturn]] void be_init(const char* program, const base::UniqueFd& channel) {
  const base::UniqueFd kept(fcntl(channel.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {0, 1, 2}) dup2(null, stream);
  dup2(kept.get(), jail::kInitChannelFd);
  setsid();
  char name[] = "airlock-init";
  char mode[] = "container";
  char* const argv[] = {name, mode, nullptr};
  char* const environment[] = {nullptr};
  execve(program, argv, environment);
  _exit(127);
}

// What no program can have any more, whatever it is.
bool empty_bounding_set() {
  for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability) != 0) return false;
  }
  return true;
}

// For good, group list and bounding set included; 0 is nobody to become.
bool become(const char* number) {
  uid_t id = 0;
  const auto read = std::from_chars(number, number + std::strlen(number), id);
  return *read.ptr == '\0' && id != 0 && empty_bounding_set() && setgroups(0, nullptr) == 0 &&
         setresgid(id, id, id) == 0 && setresuid(id, id, id) == 0 && setuid(0) != 0;
}

int run(const char* program, const char* uid) {
  if (!become(uid)) {
    std::perror("airlock-link: could not become the guest's user");
    return 1;
  }
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, SIG_DFL);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return 1;
  base::UniqueFd ours(pair[0]);
  base::UniqueFd theirs(pair[1]);
  // What init starts must not find the link.
  base::UniqueFd in(fcntl(0, F_DUPFD_CLOEXEC, kOutOfTheWay));
  base::UniqueFd out(fcntl(1, F_DUPFD_CLOEXEC, kOutOfTheWay));
  const pid_t init = fork();
  if (init < 0) return 1;
  if (init == 0) be_init(program, theirs);
  theirs.reset();
  signal(SIGCHLD, SIG_IGN);  // what loses its parent becomes our child, and is nobody's to wait for
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {0, 1, 2}) dup2(null, stream);
  Tunnel tunnel(
      {.side = Side::kGuest, .in = std::move(in), .out = std::move(out), .root = std::move(ours)});
  const TunnelEnd end = tunnel.run();
  kill(init, SIGKILL);
  return end == TunnelEnd::kProtocol ? 3 : 0;
}

}  // namespace
}  // namespace airlock::link

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("airlock-link: is started by airlock, in a container\n", stderr);
    return 2;
  }
  return airlock::link::run(argv[1], argv[2]);
}
