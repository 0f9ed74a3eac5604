// What every probe shares: its one-line verdict, and the table from names to functions.
//
// A probe tries one attack and ends with exactly one line on stdout:
// The same binary runs outside the sandbox as the control, where ESCAPED is the expected line, so a
// probe never harms the machine when it succeeds. Probes are plain C without any library of ours:
// they must not share a mistake with the code they attack.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct probe {
  const char* name;
  void (*run)(int argc, char** argv);  // argv[0] is the first argument after the name
};

// Each binary defines its own table, ended by a null name.
extern const struct probe kProbes[];

_Noreturn void escaped(const char* format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void contained(const char* format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void inconclusive(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Ends the probe: a negative `result` is CONTAINED with errno, anything else ESCAPED.
_Noreturn void verdict(long result, const char* what);

// As `verdict`, for calls that are made with a deliberately invalid argument: `permitted` is the
// errno that only a caller who passed the permission check can see.
_Noreturn void verdict_or(long result, int permitted, const char* what);

// The argument at `index`, or the end of the probe as INCONCLUSIVE when it is missing.
const char* need(int argc, char** argv, int index, const char* what);
long need_number(int argc, char** argv, int index, const char* what);

// Runs `body` in a child and returns its wait status.
int in_child(void (*body)(void* context), void* context);

// True when `path` can be opened with `flags` and, for reading, gives at least one byte.
bool can_open(const char* path, int flags);

// Name of an errno, "EPERM".
const char* errno_name(int number);
