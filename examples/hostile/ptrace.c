// Asks the kernel to let it look into another process.
#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(void) {
  if (ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) != 0) {
    perror("ptrace");
    return 1;
  }
  puts("attached");
  return 0;
}
