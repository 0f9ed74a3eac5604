// A guest that writes: SIZE bytes of text to its standard output, or to the file PATH.
//
//   bench-emit SIZE [PATH]
//
// Without a C library, as noop.c: it travels in every request, and its start is not what is asked.
#include <fcntl.h>
#include <sys/syscall.h>

enum { kPiece = 64 * 1024 };
static volatile char piece[kPiece];

static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
}

__attribute__((noreturn, used)) static void begin(const long* stack) {
  const char* const* const argv = (const char* const*)(stack + 1);
  long left = 0;
  long fd = 1;
  for (const char* digit = argv[1]; digit != 0 && *digit != 0; ++digit) {
    left = left * 10 + (*digit - '0');
  }
  if (argv[1] != 0 && argv[2] != 0) {
    fd = call(SYS_open, (long)argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  }
  for (int i = 0; i < kPiece; ++i) piece[i] = 'x';
  while (left > 0) {
    const long written = call(SYS_write, fd, (long)piece, left < kPiece ? left : kPiece);
    if (written <= 0) break;
    left -= written;
  }
  for (;;) call(SYS_exit_group, left > 0, 0, 0);
}

// The kernel leaves argc and the words where the stack begins.
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call begin\n");
