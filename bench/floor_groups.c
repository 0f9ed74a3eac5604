// The groups of the floor program: made, limited, joined and removed for each sandbox, on cgroup v1
// or v2.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "floor.h"

enum { kGroupsMax = 4 };

struct Group {
  char parent[64];
  char path[96];        // one per worker
  const char* file[2];  // limits
  const char* value[2];
  int unified;  // cgroup v2: the child is born inside
  int fd;       // v1: its `tasks`, v2: the group's directory
};

static struct Group groups[kGroupsMax];
static int group_count;
int floor_write(const char* path, const char* text, size_t size) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t written = write(fd, text, size);
  close(fd);
  return written == (ssize_t)size ? 0 : -1;
}

static void add_group(int unified, const char* mount_point, const char* parent_name,
                      const char* file, const char* value, const char* file2, const char* value2) {
  struct Group* group = &groups[group_count++];
  group->unified = unified;
  snprintf(group->parent, sizeof group->parent, "%s/%s", mount_point, parent_name);
  group->file[0] = file;
  group->value[0] = value;
  group->file[1] = file2;
  group->value[1] = value2;
  if (access(group->parent, W_OK) != 0) {
    fprintf(stderr, "floor: %s: %s\n", group->parent, strerror(errno));
    exit(1);
  }
}

// As airlock does without a cpu rate: memory, pids and cpuacct on v1, one group on v2.
void floor_find_groups(const char* parent_name) {
  if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
    add_group(1, "/sys/fs/cgroup", parent_name, "memory.max", "536870912", "pids.max", "128");
    return;
  }
  add_group(0, "/sys/fs/cgroup/memory", parent_name, "memory.limit_in_bytes", "536870912",
            "memory.memsw.limit_in_bytes", "536870912");
  add_group(0, "/sys/fs/cgroup/pids", parent_name, "pids.max", "128", NULL, NULL);
  add_group(0, "/sys/fs/cgroup/cpuacct", parent_name, NULL, NULL, NULL, NULL);
}

void floor_name_groups(int worker) {
  for (int i = 0; i < group_count; ++i) {
    snprintf(groups[i].path, sizeof groups[i].path, "%s/floor-%d-%d", groups[i].parent,
             (int)getpid(), worker);
  }
}

int floor_make_groups(void) {
  for (int i = 0; i < group_count; ++i) {
    struct Group* group = &groups[i];
    if (mkdir(group->path, 0755) != 0) return -1;
    char path[160];
    for (int k = 0; k < 2 && group->file[k] != NULL; ++k) {
      snprintf(path, sizeof path, "%s/%s", group->path, group->file[k]);
      const int set = floor_write(path, group->value[k], strlen(group->value[k]));
      if (set != 0 && k == 0) return -1;  // the second is absent on some kernels
    }
    snprintf(path, sizeof path, "%s/%s", group->path, group->unified ? "." : "tasks");
    group->fd = open(path, (group->unified ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC);
    if (group->fd < 0) return -1;
  }
  return 0;
}

int floor_join_groups(void) {
  for (int i = 0; i < group_count; ++i) {
    if (!groups[i].unified && write(groups[i].fd, "0", 1) != 1) return -1;
  }
  return 0;
}

int floor_remove_groups(void) {
  for (int i = 0; i < group_count; ++i) {
    close(groups[i].fd);
    if (rmdir(groups[i].path) != 0) return -1;
  }
  return 0;
}

int floor_unified_group(void) { return groups[0].unified ? groups[0].fd : -1; }
