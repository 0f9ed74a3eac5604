#include "sys/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstddef>

namespace airlock::sys {
namespace {

constexpr std::size_t kProcessesMax = 8'192;  // seen at once; the others in the next round
constexpr int kRoundsMax = 20'000;
constexpr long kRoundPauseNs = 500'000;

struct Process {
  int pid;
  int parent;
  bool below;
};

// Too large for the stack of airlock-init.
Process processes[kProcessesMax];

int parse_number(const char* text) {
  int value = 0;
  if (*text < '0' || *text > '9') return -1;
  for (; *text >= '0' && *text <= '9'; ++text) value = value * 10 + (*text - '0');
  return value;
}

// "pid (name) state parent ...": the name may hold anything, its closing bracket is the last one.
int read_parent(int directory, const char* name) {
  char path[32];
  std::size_t size = 0;
  while (name[size] != '\0' && size < 16) {
    path[size] = name[size];
    ++size;
  }
  constexpr char kStat[] = "/stat";
  for (std::size_t i = 0; i < sizeof kStat; ++i) path[size + i] = kStat[i];
  const int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  char text[512];
  const ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  if (count <= 0) return -1;
  text[count] = '\0';
  ssize_t at = count;
  while (at > 0 && text[at] != ')') --at;
  return at > 0 && at + 4 < count ? parse_number(text + at + 4) : -1;
}

// Fills `processes` from /proc; how many, or -1.
int list_processes() {
  const int directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -1;
  std::size_t count = 0;
  alignas(8) char entries[4096];
  for (long size = 0; (size = syscall(SYS_getdents64, static_cast<long>(directory), entries,
                                      sizeof entries)) > 0;) {
    for (long at = 0; at < size && count < kProcessesMax;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(entries + at);
      at += entry->d_reclen;
      const int pid = parse_number(entry->d_name);
      if (pid > 0) processes[count++] = {pid, read_parent(directory, entry->d_name), false};
    }
  }
  close(directory);
  return static_cast<int>(count);
}

bool is_below(const Process& process, int own, int count) {
  if (process.parent == own) return true;
  for (int i = 0; i < count; ++i) {
    if (processes[i].pid == process.parent) return processes[i].below;
  }
  return false;
}

}  // namespace

bool can_list_processes() {
  const int directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  const bool listed = read_parent(directory, "self") >= 0;
  close(directory);
  return listed;
}

int signal_descendants(int number) {
  const int count = list_processes();
  const auto own = static_cast<int>(syscall(SYS_getpid));
  int found = 0;
  for (bool grown = true; grown;) {
    grown = false;
    for (int i = 0; i < count; ++i) {
      if (processes[i].below || !is_below(processes[i], own, count)) continue;
      processes[i].below = grown = true;
      ++found;
    }
  }
  const rlimit none = {0, 0};
  for (int i = 0; i < count; ++i) {
    if (!processes[i].below) continue;
    // What is about to be killed starts nothing any more, if the kernel lets us say so.
    if (number == SIGKILL) {
      syscall(SYS_prlimit64, static_cast<long>(processes[i].pid), static_cast<long>(RLIMIT_NPROC),
              &none, nullptr);
    }
    kill(processes[i].pid, number);
  }
  return count < 0 ? -1 : found;
}

bool end_descendants() {
  for (int round = 0; round < kRoundsMax; ++round) {
    while (wait4(-1, nullptr, WNOHANG, nullptr) > 0) {}
    const int found = signal_descendants(SIGKILL);
    if (found <= 0) return found == 0;
    const struct {
      long seconds;
      long nanoseconds;
    } pause = {0, kRoundPauseNs};
    syscall(SYS_nanosleep, &pause, nullptr);
  }
  return false;
}

}  // namespace airlock::sys
