#include <inttypes.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct team {
  char name[16];
  int count;
  long total;
  long best_score;
  char best[32];
};

static int by_total(const void* left, const void* right) {
  const struct team* a = left;
  const struct team* b = right;
  return (a->total < b->total) - (a->total > b->total);
}

static void* squares(void* part) {
  uint64_t sum = 0;
  for (uint64_t i = (uint64_t)(uintptr_t)part; i <= 10000; i += 4) sum += i * i;
  return (void*)(uintptr_t)sum;
}

static uint64_t fnv1a(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) exit(3);
  uint64_t hash = 0xcbf29ce484222325u;
  for (int c; (c = getc(file)) != EOF;) hash = (hash ^ (unsigned char)c) * 0x100000001b3u;
  fclose(file);
  return hash;
}

int main(int argc, char** argv) {
  struct team teams[8];
  size_t team_count = 0;
  char names[256] = "";
  char line[128];
  regex_t wanted;
  if (regcomp(&wanted, "^[A-M]", REG_NOSUB) != 0) return 3;
  FILE* data = fopen("data.csv", "r");
  FILE* out = fopen("/output/result.txt", "w");
  if (!data || !out || !fgets(line, sizeof line, data)) return 3;
  while (fgets(line, sizeof line, data)) {
    const char* name = strtok(line, ",");
    const char* team = strtok(NULL, ",");
    const long score = strtol(strtok(NULL, ","), NULL, 10);
    size_t i = 0;
    while (i < team_count && strcmp(teams[i].name, team) != 0) ++i;
    if (i == team_count) {
      teams[team_count++] = (struct team){.best_score = -1};
      snprintf(teams[i].name, sizeof teams[i].name, "%s", team);
    }
    teams[i].count += 1;
    teams[i].total += score;
    if (score > teams[i].best_score) {
      teams[i].best_score = score;
      snprintf(teams[i].best, sizeof teams[i].best, "%s", name);
    }
    if (regexec(&wanted, name, 0, NULL, 0) == 0) {
      if (names[0]) strcat(names, ",");
      strcat(names, name);
    }
  }
  qsort(teams, team_count, sizeof teams[0], by_total);
  for (size_t i = 0; i < team_count; ++i) {
    fprintf(out, "%s %d %ld %s\n", teams[i].name, teams[i].count, teams[i].total, teams[i].best);
  }
  pthread_t threads[4];
  uint64_t sum = 0;
  for (uintptr_t i = 0; i < 4; ++i) {
    if (pthread_create(&threads[i], NULL, squares, (void*)i) != 0) return 3;
  }
  for (int i = 0; i < 4; ++i) {
    void* part;
    pthread_join(threads[i], &part);
    sum += (uint64_t)(uintptr_t)part;
  }
  fprintf(out, "fnv1a %016" PRIx64 "\nsquares %" PRIu64 "\nnames %s\nargs ", fnv1a("data.csv"), sum,
          names);
  for (int i = 1; i < argc; ++i) fprintf(out, "%s%s", i > 1 ? "|" : "", argv[i]);
  fprintf(out, "\n");
  if (fclose(out) != 0) return 3;
  char word[32] = "";
  if (scanf("%31s", word) != 1) return 3;
  printf("done %s\n", word);
  return 0;
}
