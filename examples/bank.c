/* Finds a race by simulation.
 *
 * Three clerks move money between accounts. Each looks at the balance of one account, asks a slow
 * authority, and only then writes: whoever wrote meanwhile is overwritten, and money appears or is lost.
 * With real threads that is rare; a simulation tries schedules until one shows it, and then shows it
 * each time.
 *
 *   bank                 finds a seed, and replays it
 *   WEFT_SEED=n bank     tries that seed alone
 *   bank --once          runs the scenario once, on real threads
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

enum { ACCOUNTS = 3, CLERKS = 3, TRANSFERS = 3, OPENING = 100 };

/* Each access is whole by itself; that it is the right one is what goes wrong. */
struct bank {
  atomic_int balance[ACCOUNTS];
};

struct clerk {
  struct bank *bank;
  int number;
};

/* Asks an authority that takes a while. */
static int ask(void) {
  return weft_sleep(weft_us(1));
}

static int transfer(struct bank *b, int from, int to, int amount) {
  int left = atomic_load(&b->balance[from]) - amount;
  int r = ask(); /* the mistake: `left` is old when this returns */
  if (r < 0) return r;
  atomic_store(&b->balance[from], left);
  atomic_fetch_add(&b->balance[to], amount);
  return 0;
}

static int clerk(void *arg) {
  const struct clerk *c = arg;
  int r = 0;
  for (int i = 0; i < TRANSFERS && r == 0; i++) {
    int from = (c->number + i) % ACCOUNTS;
    r = transfer(c->bank, from, (from + 1) % ACCOUNTS, 10);
    if (r == 0) r = weft_sleep(weft_ms(20)); /* the next customer */
  }
  return r;
}

/* One day: negative when money was made or lost. */
static int day(void *arg) {
  (void)arg;
  struct bank bank;
  struct clerk clerks[CLERKS];
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < ACCOUNTS; i++) atomic_init(&bank.balance[i], OPENING);
  for (int i = 0; i < CLERKS; i++) {
    clerks[i] = (struct clerk){&bank, i};
    weft_group_spawn(&g, clerk, &clerks[i], NULL);
    if (weft_sleep(weft_ms(3)) < 0) break; /* they do not come at the same moment */
  }
  int r = weft_group_join(&g);
  if (r < 0) return r;
  int sum = 0;
  for (int i = 0; i < ACCOUNTS; i++) sum += atomic_load(&bank.balance[i]);
  return sum == ACCOUNTS * OPENING ? 0 : WEFT_EUSER;
}

static int search(void) {
  weft_sim_report found;
  int r = weft_simulate(day, NULL, &(weft_sim_opts){.seeds = 100000}, &found);
  if (r == 0) {
    printf("no schedule of %" PRIu64 " shows a mistake\n", found.runs);
    return 1;
  }
  if (r != WEFT_EUSER) {
    fprintf(stderr, "bank: %s\n", weft_strerror(r));
    return 1;
  }
  int again = 0;
  for (int i = 0; i < 10; i++)
    again += weft_run(day, NULL, &(weft_run_opts){.seed = found.seed}) == WEFT_EUSER;
  printf("money was made or lost; the schedule that shows it did so again %d times of 10\n", again);
  fprintf(stderr, "seed %" PRIu64 ", after %" PRIu64 " runs\n", found.seed, found.runs);
  return again == 10 ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc == 1) return search();
  if (argc != 2 || strcmp(argv[1], "--once") != 0) {
    fprintf(stderr, "usage: bank [--once]\n");
    return 2;
  }
  int r = weft_run(day, NULL, NULL);
  if (r < 0 && r != WEFT_EUSER) {
    fprintf(stderr, "bank: %s\n", weft_strerror(r));
    return 1;
  }
  puts(r == 0 ? "the books balance" : "money was made or lost");
  return 0;
}
