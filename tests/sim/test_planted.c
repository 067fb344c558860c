/* An ordering bug is found by some seed, and that seed shows it each time. The program is linked with
 * one file of the runtime spoilt (CMakeLists.txt); what that does to a run is that a task is lost. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "child.h"
#include "task_test.h"

enum { SEEDS = 20000, REPLAYS = 10 };

struct meeting {
  weft_task early;
};

static int nap(void *arg) {
  (void)arg;
  return weft_sleep(weft_us(1 + weft_sim_random(20)));
}

/* Several wait for one. */
static int wait_for_early(void *arg) {
  struct meeting *m = arg;
  int r = weft_yield();
  return r < 0 ? r : weft_task_wait(m->early, NULL);
}

static int meetings(void *arg) {
  (void)arg;
  for (int round = 0; round < 4; round++) {
    struct meeting m = {.early = weft_spawn(nap, NULL, NULL)};
    weft_group g = WEFT_GROUP_INIT;
    for (int i = 0; i < 5; i++) weft_group_spawn(&g, i % 2 ? nap : wait_for_early, &m, NULL);
    int r = weft_group_join(&g);
    if (r == 0) r = weft_await(m.early);
    if (r < 0) return r;
  }
  return 0;
}

static int run_many(void *arg) {
  (void)arg;
  unsetenv("WEFT_WORKERS");
  return weft_simulate(meetings, NULL, &(weft_sim_opts){.seeds = SEEDS}, NULL) < 0;
}

static int run_one(void *arg) {
  unsetenv("WEFT_WORKERS");
  return weft_run(meetings, NULL, &(weft_run_opts){.seed = *(uint64_t *)arg}) < 0;
}

/* The line that names the seed, which is written to *ret; NULL when there is none. */
static const char *finding(const struct child_end *end, uint64_t *ret) {
  const char *line = strstr(end->output, "simulation with seed ");
  return line && sscanf(line, "simulation with seed %" SCNu64, ret) == 1 ? line : NULL;
}

static size_t length_of_line(const char *line) {
  return strcspn(line, "\n");
}

static void a_seed_finds_the_planted_bug_and_shows_it_each_time(void **state) {
  (void)state;
  uint64_t seed = 0, again = 0;
  struct child_end found = child_run(run_many, NULL);
  const char *line = finding(&found, &seed);
  if (!CHECK(child_died(&found)) || !CHECK(line != NULL)) return;
  for (int i = 0; i < REPLAYS; i++) {
    struct child_end replay = child_run(run_one, &seed);
    const char *same = finding(&replay, &again);
    if (!CHECK(child_died(&replay)) || !CHECK(same != NULL)) return;
    CHECK_UINT(length_of_line(same), length_of_line(line));
    CHECK(strncmp(same, line, length_of_line(line)) == 0);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_seed_finds_the_planted_bug_and_shows_it_each_time),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
