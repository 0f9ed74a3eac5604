/* The wall clock, turned by as many seconds as the file that AIRLOCK_TURNED_CLOCK names says; read
 * for each call, so that a test turns it while the program runs. The monotonic clocks are those of
 * the kernel. Not libfaketime, whose switch for that breaks every sleep (0.9.10); nor a time
 * namespace, which has no wall clock of its own. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

static long offset(void) {
  const char* const path = getenv("AIRLOCK_TURNED_CLOCK");
  if (path == NULL) return 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[32] = {0};
  const ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  return count > 0 ? strtol(text, NULL, 10) : 0;
}

API int clock_gettime(clockid_t clock, struct timespec* now) {
  const int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    now->tv_sec += offset();
  }
  return result;
}

API int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  struct timespec precise;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

API time_t time(time_t* now) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (now != NULL) *now = precise.tv_sec;
  return precise.tv_sec;
}
