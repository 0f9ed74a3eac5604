// Attacks on whoever collects the outputs: each places something in DIRECTORY (and an honest
// good.txt beside it) and says PLACED; the runner judges what arrives outside.
#include "probe.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static const char* g_directory;

static void enter(int argc, char** argv) {
  g_directory = need(argc, argv, 0, "directory");
  if (chdir(g_directory) != 0) inconclusive("chdir: %s", errno_name(errno));
}

static void put(const char* name, const char* text) {
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) inconclusive("put: %s", errno_name(errno));
  close(fd);
}

static _Noreturn void placed(int result, const char* what) {
  int saved = errno;
  put("good.txt", "good\n");
  if (result < 0)
    dprintf(1, "PLACED nothing: %s: %s\n", what, errno_name(saved));
  else
    dprintf(1, "PLACED %s\n", what);
  _exit(0);
}

static void link_to(int argc, char** argv) {
  enter(argc, argv);
  placed(symlink(need(argc, argv, 1, "target"), "evil"), "a symbolic link");
}

static void link_loop(int argc, char** argv) {
  enter(argc, argv);
  mkdir("sub", 0755);
  placed(symlink("..", "sub/evil"), "a symbolic link to its parent");
}

static void hard_link(int argc, char** argv) {
  enter(argc, argv);
  placed(link(need(argc, argv, 1, "target"), "evil"), "a hard link");
}

static void fifo(int argc, char** argv) {
  enter(argc, argv);
  placed(mkfifo("evil", 0666), "a fifo");
}

static void socket_file(int argc, char** argv) {
  enter(argc, argv);
  struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "evil"};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  placed(bind(fd, (struct sockaddr*)&name, sizeof name), "a socket");
}

static void device(int argc, char** argv) {
  enter(argc, argv);
  placed(mknod("evil", S_IFCHR | 0666, makedev(1, 5)), "a device");
}

static void names(int argc, char** argv) {
  enter(argc, argv);
  const char* kind = need(argc, argv, 1, "kind");
  if (strcmp(kind, "newline") == 0) put("evil\nname: forged", "evil");
  if (strcmp(kind, "control") == 0) put("evil\033]0;title\007\033[2J\r", "evil");
  if (strcmp(kind, "utf8") == 0) put("evil\xff\xfe\xc0\xaf", "evil");
  if (strcmp(kind, "dots") == 0) {
    mkdir("...", 0755);
    put(".../..evil", "evil");
    put("..\\..\\evil", "evil");
    put("-rf", "evil");
  }
  if (strcmp(kind, "long") == 0) {
    char name[256];
    memset(name, 'e', 255);
    name[255] = '\0';
    put(name, "evil");
    for (int i = 0; i < 16 && mkdir(name, 0755) == 0; ++i) {}
    char other[256];
    memset(other, 'f', 255);
    other[255] = '\0';
    for (int i = 0; i < 16; ++i) {
      if (mkdir(other, 0755) != 0 || chdir(other) != 0) break;
      put("evil", "evil");
    }
    if (chdir(g_directory) != 0) inconclusive("chdir back");
  }
  placed(0, kind);
}

static void deep(int argc, char** argv) {
  enter(argc, argv);
  long levels = need_number(argc, argv, 1, "levels");
  int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (long i = 0; i < levels; ++i) {
    if (mkdir("d", 0755) != 0 || chdir("d") != 0) break;
  }
  put("evil", "evil");
  if (fchdir(home) != 0) inconclusive("fchdir");
  placed(0, "a deep directory");
}

static void sparse(int argc, char** argv) {
  enter(argc, argv);
  int fd = open("evil", O_WRONLY | O_CREAT, 0644);
  placed(ftruncate(fd, (off_t)need_number(argc, argv, 1, "bytes")), "a sparse file");
}

static void many(int argc, char** argv) {
  enter(argc, argv);
  long count = need_number(argc, argv, 1, "files");
  for (long i = 0; i < count; ++i) {
    char name[32];
    snprintf(name, sizeof name, "evil%ld", i);
    int fd = open(name, O_WRONLY | O_CREAT, 0644);
    if (fd < 0) break;
    close(fd);
  }
  placed(0, "many files");
}

static void modes(int argc, char** argv) {
  enter(argc, argv);
  put("evil", "evil");
  placed(chmod("evil", (mode_t)strtol(need(argc, argv, 1, "octal"), NULL, 8)),
         "a file of that mode");
}

static void unreadable(int argc, char** argv) {
  enter(argc, argv);
  mkdir("closed", 0755);
  put("closed/evil", "evil");
  chmod("closed/evil", 0);
  placed(chmod("closed", 0), "a directory of mode 0");
}

// A process that outlives us and swaps a file for a symbolic link as fast as it can.
static void swap(int argc, char** argv) {
  enter(argc, argv);
  const char* target = need(argc, argv, 1, "target");
  put("race", "honest\n");
  if (fork() == 0) {
    if (fork() != 0) _exit(0);
    setsid();
    for (int s = 1; s < 32; ++s) signal(s, SIG_IGN);
    if (argc > 2) execl("/proc/self/exe", argv[2], "swapper", g_directory, target, (char*)NULL);
    _exit(1);
  }
  usleep(50 * 1000);
  placed(0, "a swapping process");
}

static void swapper(int argc, char** argv) {
  enter(argc, argv);
  for (long i = 0; i < 20000000; ++i) {
    unlink("race.next");
    if (symlink(need(argc, argv, 1, "target"), "race.next") == 0) rename("race.next", "race");
    put("race.file", "honest\n");
    rename("race.file", "race");
  }
  _exit(0);
}

// Replaces the directory itself, so that a collector that goes by path walks elsewhere.
static void replace(int argc, char** argv) {
  enter(argc, argv);
  put("good.txt", "good\n");
  if (chdir("/") != 0) inconclusive("chdir");
  char aside[4096];
  snprintf(aside, sizeof aside, "%s.aside", g_directory);
  int result = rename(g_directory, aside);
  if (result == 0) result = symlink(need(argc, argv, 1, "target"), g_directory);
  dprintf(1, result == 0 ? "PLACED a link instead of the directory\n" : "PLACED nothing: %s\n",
          errno_name(errno));
  _exit(0);
}

const struct probe kProbes[] = {
    {"link-to", link_to}, {"link-loop", link_loop}, {"hard-link", hard_link},
    {"fifo", fifo},       {"socket", socket_file},  {"device", device},
    {"names", names},     {"deep", deep},           {"sparse", sparse},
    {"many", many},       {"modes", modes},         {"unreadable", unreadable},
    {"swap", swap},       {"swapper", swapper},     {"replace", replace},
    {NULL, NULL},
};
