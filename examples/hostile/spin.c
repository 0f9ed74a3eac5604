// Burns CPU time in as many processes as there are.
#include <unistd.h>

int main(void) {
  fork();
  for (volatile unsigned long i = 0;; ++i) {
  }
}
