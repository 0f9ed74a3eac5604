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
#include <span>
#include <string_view>

namespace airlock::sys {
namespace {

constexpr std::size_t kProcessesMax = 8'192;  // seen at once; the others in the next round
constexpr int kRoundsMax = 20'000;
constexpr long kRoundPauseNs = 500'000;
constexpr std::uint64_t kPageBytes = 4'096;

struct Process {
  int pid;
  int parent;
  bool below;
};

// Too large for the stack of airlock-init.
Process processes[kProcessesMax];
bool all_are_below;

int parse_number(const char* text) {
  int value = 0;
  if (*text < '0' || *text > '9') return -1;
  for (; *text >= '0' && *text <= '9'; ++text) value = value * 10 + (*text - '0');
  return value;
}

// Reads /proc/NAME/FILE into `text`, which it ends with a NUL; how much, or -1.
ssize_t read_entry(int directory, const char* name, std::string_view file, std::span<char> text) {
  char path[32];
  std::size_t size = 0;
  for (; name[size] != '\0' && size < 16; ++size) path[size] = name[size];
  for (const char byte : file) path[size++] = byte;
  path[size] = '\0';
  const int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t count = read(fd, text.data(), text.size() - 1);
  close(fd);
  if (count >= 0) text[static_cast<std::size_t>(count)] = '\0';
  return count;
}

// "pid (name) state parent ...": the name may hold anything, its closing bracket is the last one.
int read_parent(int directory, const char* name) {
  char text[512];
  const ssize_t count = read_entry(directory, name, "/stat", text);
  ssize_t at = count;
  while (at > 0 && text[at] != ')') --at;
  return at > 0 && at + 4 < count ? parse_number(text + at + 4) : -1;
}

// "size resident ..." in pages.
std::uint64_t read_resident_pages(int directory, int pid) {
  char name[16];
  std::size_t at = sizeof name;
  name[--at] = '\0';
  for (int rest = pid; rest > 0; rest /= 10) name[--at] = static_cast<char>('0' + rest % 10);
  char text[256];
  if (read_entry(directory, name + at, "/statm", text) <= 0) return 0;
  const char* second = text;
  while (*second != '\0' && *second != ' ') ++second;
  const int pages = *second == ' ' ? parse_number(second + 1) : 0;
  return pages > 0 ? static_cast<std::uint64_t>(pages) : 0;
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

// How many there are.
int mark_below(int root, int count) {
  int found = 0;
  for (int i = 0; all_are_below && i < count; ++i) {
    processes[i].below = processes[i].pid != 1 && processes[i].pid != root;
    if (processes[i].below) ++found;
  }
  if (all_are_below) return found;
  for (bool grown = true; grown;) {
    grown = false;
    for (int i = 0; i < count; ++i) {
      if (processes[i].below || !is_below(processes[i], root, count)) continue;
      processes[i].below = grown = true;
      ++found;
    }
  }
  return found;
}

}  // namespace

std::uint64_t resident_bytes_below(int root) {
  const int count = list_processes();
  if (count <= 0 || mark_below(root, count) == 0) return 0;
  const int directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::uint64_t pages = 0;
  for (int i = 0; i < count; ++i) {
    if (processes[i].below) pages += read_resident_pages(directory, processes[i].pid);
  }
  if (directory >= 0) close(directory);
  return pages * kPageBytes;
}

bool can_list_processes() {
  const int directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  const bool listed = read_parent(directory, "self") >= 0;
  close(directory);
  return listed;
}

void claim_all_processes() { all_are_below = true; }

int signal_descendants(int number) {
  const int count = list_processes();
  const int found = mark_below(static_cast<int>(syscall(SYS_getpid)), count);
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
