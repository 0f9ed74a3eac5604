#include "probe.h"

#include <stdarg.h>

static _Noreturn void finish(const char* word, int code, const char* format, va_list arguments) {
  char text[512];
  vsnprintf(text, sizeof text, format, arguments);
  for (char* c = text; *c != '\0'; ++c) {
    if ((unsigned char)*c < 0x20) *c = ' ';
  }
  dprintf(STDOUT_FILENO, "%s %s\n", word, text);
  _exit(code);
}

void escaped(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  finish("ESCAPED", 42, format, arguments);
}

void contained(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  finish("CONTAINED", 0, format, arguments);
}

void inconclusive(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  finish("INCONCLUSIVE", 3, format, arguments);
}

const char* errno_name(int number) {
  const char* name = strerrorname_np(number);
  return name != NULL ? name : "unknown errno";
}

void verdict(long result, const char* what) {
  if (result < 0) contained("%s: %s", what, errno_name(errno));
  escaped("%s succeeded", what);
}

void verdict_or(long result, int permitted, const char* what) {
  if (result < 0 && errno == permitted) {
    escaped("%s: permitted (%s for the invalid argument)", what, errno_name(errno));
  }
  verdict(result, what);
}

const char* need(int argc, char** argv, int index, const char* what) {
  if (index >= argc) inconclusive("argument missing: %s", what);
  return argv[index];
}

long need_number(int argc, char** argv, int index, const char* what) {
  return strtol(need(argc, argv, index, what), NULL, 10);
}

int in_child(void (*body)(void* context), void* context) {
  pid_t child = fork();
  if (child < 0) inconclusive("fork: %s", errno_name(errno));
  if (child == 0) {
    body(context);
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return status;
}

bool can_open(const char* path, int flags) {
  int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return false;
  char byte = 0;
  bool good = (flags & O_ACCMODE) != O_RDONLY || read(fd, &byte, 1) == 1;
  int saved = errno;
  close(fd);
  errno = saved;
  return good;
}

int main(int argc, char** argv) {
  if (argc < 2) {
    for (const struct probe* p = kProbes; p->name != NULL; ++p) puts(p->name);
    return 2;
  }
  for (const struct probe* p = kProbes; p->name != NULL; ++p) {
    if (strcmp(p->name, argv[1]) == 0) {
      p->run(argc - 2, argv + 2);
      inconclusive("the probe ended without a verdict");
    }
  }
  inconclusive("no probe named %s", argv[1]);
}
