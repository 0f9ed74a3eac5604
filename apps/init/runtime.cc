// The little of a C library that airlock-init needs, over raw system calls.
//
// Why not glibc: its start-up alone costs more than everything init does (it asks the processor
// dozens of questions, each of which leaves the virtual machine), and every sandbox pays for it.
// Only x86-64.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern "C" {

static int current_errno;
// The names are glibc's and libstdc++'s own, here and below.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
int* __errno_location() noexcept { return &current_errno; }
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

static long raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                long f = 0) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  // Why safe: the x86-64 system call convention; rcx and r11 are what the kernel overwrites.
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static long checked(long result) {
  if (result < 0 && result > -4096) {
    current_errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

// Pointers travel in registers like numbers.
#define WORD(pointer) reinterpret_cast<long>(pointer)

long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long words[6];
  for (long& word : words) word = va_arg(list, long);
  va_end(list);
  return checked(raw(number, words[0], words[1], words[2], words[3], words[4], words[5]));
}

void _exit(int status) {
  for (;;) raw(SYS_exit_group, status);
}
[[noreturn]] void abort() noexcept;
void abort() noexcept { _exit(134); }

ssize_t read(int fd, void* data, size_t size) {
  return checked(raw(SYS_read, fd, WORD(data), static_cast<long>(size)));
}
ssize_t write(int fd, const void* data, size_t size) {
  return checked(raw(SYS_write, fd, WORD(data), static_cast<long>(size)));
}
int close(int fd) { return static_cast<int>(checked(raw(SYS_close, fd))); }
int fstat(int fd, struct stat* status) noexcept {
  return static_cast<int>(checked(raw(SYS_fstat, fd, WORD(status))));
}
int fstatfs(int fd, struct statfs* status) noexcept {
  return static_cast<int>(checked(raw(SYS_fstatfs, fd, WORD(status))));
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
  return checked(raw(SYS_recvmsg, fd, WORD(message), flags));
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  return checked(raw(SYS_sendmsg, fd, WORD(message), flags));
}
int poll(pollfd* set, nfds_t count, int timeout) {
  return static_cast<int>(checked(raw(SYS_poll, WORD(set), static_cast<long>(count), timeout)));
}
pid_t fork() noexcept { return static_cast<pid_t>(checked(raw(SYS_fork))); }
int socketpair(int domain, int type, int protocol, int* pair) noexcept {
  return static_cast<int>(checked(raw(SYS_socketpair, domain, type, protocol, WORD(pair))));
}
int kill(pid_t pid, int number) noexcept {
  return static_cast<int>(checked(raw(SYS_kill, pid, number)));
}
pid_t wait4(pid_t pid, int* status, int options, rusage* usage) {
  return static_cast<pid_t>(checked(raw(SYS_wait4, pid, WORD(status), options, WORD(usage))));
}
pid_t setsid() noexcept { return static_cast<pid_t>(checked(raw(SYS_setsid))); }
int chdir(const char* path) noexcept {
  return static_cast<int>(checked(raw(SYS_chdir, WORD(path))));
}
int dup2(int from, int to) noexcept { return static_cast<int>(checked(raw(SYS_dup2, from, to))); }
int mkdirat(int directory, const char* path, mode_t mode) noexcept {
  return static_cast<int>(checked(raw(SYS_mkdirat, directory, WORD(path), mode)));
}
int fchown(int fd, uid_t uid, gid_t gid) noexcept {
  return static_cast<int>(checked(raw(SYS_fchown, fd, uid, gid)));
}
int fchownat(int directory, const char* path, uid_t uid, gid_t gid, int flags) noexcept {
  return static_cast<int>(checked(raw(SYS_fchownat, directory, WORD(path), uid, gid, flags)));
}
ssize_t sendfile(int out, int in, off_t* offset, size_t count) noexcept {
  return checked(raw(SYS_sendfile, out, in, WORD(offset), static_cast<long>(count)));
}
int execve(const char* path, char* const argv[], char* const environment[]) noexcept {
  return static_cast<int>(checked(raw(SYS_execve, WORD(path), WORD(argv), WORD(environment))));
}
int unshare(int flags) noexcept { return static_cast<int>(checked(raw(SYS_unshare, flags))); }
mode_t umask(mode_t mask) noexcept { return static_cast<mode_t>(raw(SYS_umask, mask)); }
int clock_gettime(clockid_t clock, timespec* now) noexcept {
  return static_cast<int>(checked(raw(SYS_clock_gettime, clock, WORD(now))));
}

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const long mode = va_arg(list, unsigned);
  va_end(list);
  return static_cast<int>(checked(raw(SYS_openat, AT_FDCWD, WORD(path), flags, mode)));
}
int openat(int directory, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const long mode = va_arg(list, unsigned);
  va_end(list);
  return static_cast<int>(checked(raw(SYS_openat, directory, WORD(path), flags, mode)));
}
int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list list;
  va_start(list, request);
  const long argument = va_arg(list, long);
  va_end(list);
  return static_cast<int>(checked(raw(SYS_ioctl, fd, static_cast<long>(request), argument)));
}
int fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);
  va_end(list);
  return static_cast<int>(checked(raw(SYS_fcntl, fd, command, argument)));
}
int prctl(int option, ...) noexcept {
  va_list list;
  va_start(list, option);
  long words[4];
  for (long& word : words) word = va_arg(list, long);
  va_end(list);
  return static_cast<int>(checked(raw(SYS_prctl, option, words[0], words[1], words[2], words[3])));
}

// Compiled with -fno-builtin, so that no loop here becomes a call of itself.
void* memcpy(void* __restrict to, const void* __restrict from, size_t size) noexcept {
  void* const result = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
  return result;
}
void* memset(void* to, int value, size_t size) noexcept {
  void* const result = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
  return result;
}
void* memmove(void* to, const void* from, size_t size) noexcept {
  auto* out = static_cast<char*>(to);
  const auto* in = static_cast<const char*>(from);
  if (out <= in) return memcpy(to, from, size);
  while (size > 0) {
    --size;
    out[size] = in[size];
  }
  return to;
}
int memcmp(const void* left, const void* right, size_t size) noexcept {
  const auto* a = static_cast<const unsigned char*>(left);
  const auto* b = static_cast<const unsigned char*>(right);
  for (size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}
int bcmp(const void* left, const void* right, size_t size) noexcept {
  return memcmp(left, right, size);
}
size_t strlen(const char* text) noexcept {
  size_t size = 0;
  while (text[size] != '\0') ++size;
  return size;
}
#undef memchr
void* memchr(void* data, int value, size_t size) noexcept __asm__("memchr");
void* memchr(void* data, int value, size_t size) noexcept {
  auto* bytes = static_cast<unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] == static_cast<unsigned char>(value)) return bytes + i;
  }
  return nullptr;
}

// What CMSG_NXTHDR stands for: the next header, if there is one inside the buffer.
cmsghdr* __cmsg_nxthdr(msghdr* message, cmsghdr* entry) noexcept {
  if (entry->cmsg_len < sizeof(cmsghdr)) return nullptr;
  auto* const next = reinterpret_cast<char*>(entry) + CMSG_ALIGN(entry->cmsg_len);
  auto* const end = static_cast<char*>(message->msg_control) + message->msg_controllen;
  if (next + sizeof(cmsghdr) > end) return nullptr;
  return reinterpret_cast<cmsghdr*>(next);
}

int airlock_init_main(const long* stack);

// The kernel starts us here with the stack aligned to 16 bytes, and the arguments on it.
[[noreturn]] void airlock_init_start(const long* stack) { _exit(airlock_init_main(stack)); }
__asm__(
    ".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n"
    " call airlock_init_start\n hlt\n");

}  // extern "C"

namespace std {
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
// Reached when an index of ours is out of range.
[[noreturn]] void __glibcxx_assert_fail(const char*, int, const char*, const char*) noexcept {
  abort();
}
[[noreturn]] void __throw_out_of_range_fmt(const char*, ...) { abort(); }
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
}  // namespace std
