// Attacks through the network: reaching the host, reaching beyond it, sockets of other families.
//
// Each connection is to a listener that the runner holds open on the host, which answers "airlock";
// only an answer is an escape, since the sandbox has a loopback of its own.
#include "probe.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { kAnswerMs = 400 };

static socklen_t address_of(const char* host, long port, struct sockaddr_storage* out) {
  memset(out, 0, sizeof *out);
  struct sockaddr_in* four = (struct sockaddr_in*)out;
  struct sockaddr_in6* six = (struct sockaddr_in6*)out;
  if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)port);
    return sizeof *four;
  }
  if (inet_pton(AF_INET6, host, &six->sin6_addr) != 1) inconclusive("not an address: %s", host);
  six->sin6_family = AF_INET6;
  six->sin6_port = htons((uint16_t)port);
  return sizeof *six;
}

static bool answers(int fd) {
  struct pollfd wait = {fd, POLLIN, 0};
  char bytes[64];
  if (poll(&wait, 1, kAnswerMs) != 1) {
    errno = ETIMEDOUT;
    return false;
  }
  return recv(fd, bytes, sizeof bytes, 0) > 0;
}

static _Noreturn void talk(int fd, const struct sockaddr* to, socklen_t size, const char* what) {
  if (fd < 0) contained("socket: %s", errno_name(errno));
  struct timeval patience = {0, kAnswerMs * 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd, to, size) != 0) contained("connect: %s", errno_name(errno));
  if (send(fd, "hello", 5, MSG_NOSIGNAL) < 0) contained("send: %s", errno_name(errno));
  if (answers(fd)) escaped("%s answered", what);
  contained("no answer: %s", errno_name(errno));
}

static void tcp(int argc, char** argv) {
  struct sockaddr_storage to;
  socklen_t size =
      address_of(need(argc, argv, 0, "address"), need_number(argc, argv, 1, "port"), &to);
  talk(socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr*)&to, size, argv[0]);
}

static void udp(int argc, char** argv) {
  struct sockaddr_storage to;
  socklen_t size =
      address_of(need(argc, argv, 0, "address"), need_number(argc, argv, 1, "port"), &to);
  talk(socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), (struct sockaddr*)&to, size, argv[0]);
}

// A DNS question for `tunnel.example`, the classic way out.
static void dns(int argc, char** argv) {
  struct sockaddr_storage to;
  socklen_t size =
      address_of(need(argc, argv, 0, "server"), need_number(argc, argv, 1, "port"), &to);
  static const char question[] =
      "\x13\x37\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06tunnel\x07"
      "example\x00\x00\x01\x00\x01";
  int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) contained("socket: %s", errno_name(errno));
  if (sendto(fd, question, sizeof question - 1, 0, (struct sockaddr*)&to, size) < 0) {
    contained("sendto: %s", errno_name(errno));
  }
  if (answers(fd)) escaped("the name server answered");
  contained("no answer: %s", errno_name(errno));
}

static void icmp(int argc, char** argv) {
  struct sockaddr_storage to;
  socklen_t size = address_of(need(argc, argv, 0, "address"), 0, &to);
  int kind = argc > 1 && strcmp(argv[1], "raw") == 0 ? SOCK_RAW : SOCK_DGRAM;
  int fd = socket(AF_INET, kind | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd < 0) contained("socket: %s", errno_name(errno));
  struct icmphdr echo = {.type = ICMP_ECHO};
  echo.un.echo.id = htons(7);
  echo.checksum = (uint16_t)~(htons(ICMP_ECHO << 8) + htons(7));
  if (sendto(fd, &echo, sizeof echo, 0, (struct sockaddr*)&to, size) < 0) {
    contained("sendto: %s", errno_name(errno));
  }
  if (answers(fd)) escaped("the host answered a ping");
  contained("no answer: %s", errno_name(errno));
}

static void local(int argc, char** argv) {
  const char* kind = need(argc, argv, 0, "stream or dgram");
  const char* name = need(argc, argv, 1, "@abstract or /path");
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  memcpy(to.sun_path, name, length);
  if (name[0] == '@') to.sun_path[0] = '\0';
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  if (strcmp(kind, "stream") == 0) {
    talk(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr*)&to, size, name);
  }
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) contained("socket: %s", errno_name(errno));
  // A datagram that is taken has arrived: local sockets lose nothing.
  verdict(sendto(fd, "hello", 5, 0, (struct sockaddr*)&to, size), "sendto");
}

static void family(int argc, char** argv) {
  long number = need_number(argc, argv, 0, "family");
  long kind = need_number(argc, argv, 1, "kind");
  long protocol = need_number(argc, argv, 2, "protocol");
  verdict(socket((int)number, (int)kind | SOCK_CLOEXEC, (int)protocol), "socket");
}

// Every family beyond local and internet, in every kind.
static void any_family(int argc, char** argv) {
  (void)argc, (void)argv;
  const int kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
  for (int number = 0; number < 64; ++number) {
    if (number == AF_UNIX || number == AF_INET || number == AF_INET6) continue;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; ++k) {
      int fd = socket(number, kinds[k] | SOCK_CLOEXEC, 0);
      if (fd >= 0) escaped("socket of family %d kind %d", number, kinds[k]);
    }
  }
  contained("no other family: %s", errno_name(errno));
}

static void vsock(int argc, char** argv) {
  (void)argc, (void)argv;
  int fd = socket(40 /* AF_VSOCK */, SOCK_STREAM | SOCK_CLOEXEC, 0);
  verdict(fd, "socket AF_VSOCK");
}

static void interfaces(int argc, char** argv) {
  (void)argc, (void)argv;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) contained("socket: %s", errno_name(errno));
  for (int index = 1; index < 4096; ++index) {
    struct ifreq request = {.ifr_ifindex = index};
    if (ioctl(fd, SIOCGIFNAME, &request) != 0) continue;
    if (strcmp(request.ifr_name, "lo") == 0) continue;
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP)) {
      escaped("interface %s is up", request.ifr_name);
    }
  }
  contained("only lo is up");
}

static void add_address(int argc, char** argv) {
  (void)argc, (void)argv;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {0};
  strcpy(request.ifr_name, "lo");
  struct sockaddr_in* address = (struct sockaddr_in*)&request.ifr_addr;
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(0x0a090807);
  verdict(ioctl(fd, SIOCSIFADDR, &request), "SIOCSIFADDR");
}

static void local_names(int argc, char** argv) {
  const char* name = need(argc, argv, 0, "name of a socket");
  FILE* file = fopen("/proc/net/unix", "re");
  if (file == NULL) contained("/proc/net/unix: %s", errno_name(errno));
  char line[512];
  while (fgets(line, sizeof line, file) != NULL) {
    if (strstr(line, name) != NULL) escaped("/proc/net/unix tells %s", name);
  }
  contained("not listed");
}

static void bind_host(int argc, char** argv) {
  struct sockaddr_storage to;
  socklen_t size = address_of(need(argc, argv, 0, "address"), 0, &to);
  int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  verdict(bind(fd, (struct sockaddr*)&to, size), "bind to an address of the host");
}

const struct probe kProbes[] = {
    {"tcp", tcp},
    {"udp", udp},
    {"dns", dns},
    {"icmp", icmp},
    {"local", local},
    {"family", family},
    {"any-family", any_family},
    {"vsock", vsock},
    {"interfaces", interfaces},
    {"add-address", add_address},
    {"local-names", local_names},
    {"bind-host", bind_host},
    {NULL, NULL},
};
