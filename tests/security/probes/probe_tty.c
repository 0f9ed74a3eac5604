// Attacks through terminals: typing into the host's terminal, reaching it, hiding in its output.
#include "probe.h"

#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

#ifndef TIOCLINUX
#define TIOCLINUX 0x541C
#endif

// Types a line into every terminal at hand. The runner looks whether it arrives in the terminal
// that airlock itself was started from; a terminal of the sandbox's own may take it.
static void type_into(int argc, char** argv) {
  (void)argc, (void)argv;
  int worked = 0;
  int fds[] = {0, 1, 2, open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)};
  for (size_t i = 0; i < sizeof fds / sizeof *fds; ++i) {
    const char* text = "typed-by-the-guest\n";
    for (const char* c = text; *c != '\0'; ++c) worked += ioctl(fds[i], TIOCSTI, c) == 0;
  }
  if (worked > 0) escaped("TIOCSTI took %d characters", worked);
  contained("TIOCSTI: %s", errno_name(errno));
}

static void linux_console(int argc, char** argv) {
  (void)argc, (void)argv;
  // 64-bit compare tricks: the kernel looks at the low half of the request only.
  char byte = 'x';
  long result = syscall(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, &byte);
  if (result == 0) escaped("TIOCSTI with high bits set");
  char code = 2;  // TIOCL_SETSEL pastes into the console
  if (ioctl(0, TIOCLINUX, &code) == 0) escaped("TIOCLINUX");
  contained("ioctl: %s", errno_name(errno));
}

// The device numbers of our standard streams; the runner knows those of the host.
static void same_terminal(int argc, char** argv) {
  const char* name = need(argc, argv, 0, "terminal of the host, as inode:device");
  for (int fd = 0; fd < 3; ++fd) {
    struct stat info;
    char here[64];
    if (fstat(fd, &info) != 0 || !S_ISCHR(info.st_mode)) continue;
    snprintf(here, sizeof here, "%lu:%lu", (unsigned long)info.st_ino, (unsigned long)info.st_dev);
    if (strcmp(here, name) == 0) escaped("fd %d is the terminal of the host", fd);
  }
  contained("no stream is the terminal of the host");
}

static void terminals(int argc, char** argv) {
  (void)argc, (void)argv;
  DIR* dir = opendir("/dev/pts");
  if (dir == NULL) contained("opendir /dev/pts: %s", errno_name(errno));
  int own = 0, seen = 0;
  struct stat mine;
  for (int fd = 0; fd < 3; ++fd) own |= isatty(fd) && fstat(fd, &mine) == 0;
  for (struct dirent* e; (e = readdir(dir)) != NULL;) {
    seen += e->d_name[0] >= '0' && e->d_name[0] <= '9';
  }
  if (seen > own) escaped("%d terminals in /dev/pts", seen);
  contained("no terminal of others");
}

const struct probe kProbes[] = {
    {"type-into", type_into},
    {"console", linux_console},
    {"same-terminal", same_terminal},
    {"terminals", terminals},
    {NULL, NULL},
};
