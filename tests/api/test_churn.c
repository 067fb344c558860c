/* Millions of tasks with random cancels: none is lost and none runs twice.
 *
 * A few producers spawn families of tasks. What each member does, and what its producer does with
 * it, is drawn from the producer's own generator. Each member has a cell that counts its runs; the
 * producer compares cell, code and the answers of its cancels when the family is over. A task that
 * was lost shows as a run that does not end. */
#include <stdatomic.h>
#include <stdlib.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

enum { PRODUCERS = 8, FAMILY = 64 };

enum what { RETURN, FAIL, YIELD, NAP, AWAIT, CANCEL_SELF, CATCH, WHATS };

struct member {
  enum what what;
  bool cancelled;  /* by the producer, and accepted */
  atomic_int runs; /* begun */
  atomic_int ends; /* returned */
};

struct producer {
  uint64_t rng;
  long families, cancelled, ran;
};

static uint32_t draw(struct producer *p, uint32_t n) {
  if (weft_simulated()) return weft_sim_random(n);
  p->rng ^= p->rng << 13;
  p->rng ^= p->rng >> 7;
  p->rng ^= p->rng << 17;
  return (uint32_t)((p->rng >> 32) % n);
}

static int act(struct member *m) {
  int r = 0;
  switch (m->what) {
  case RETURN:
    return 7;
  case FAIL:
    return OWN_ERROR;
  case YIELD:
    return weft_yield() < 0 ? WEFT_ECANCELED : 7;
  case NAP:
    return weft_sleep(weft_us(20)) < 0 ? WEFT_ECANCELED : 7;
  case AWAIT:
    return (r = weft_await(weft_spawn(return_seven, NULL, NULL)));
  case CANCEL_SELF:
    weft_cancel(weft_current());
    return 7;
  default:
    weft_yield();
    weft_cancel_catch();
    return weft_yield() < 0 ? WEFT_ECANCELED : 7;
  }
}

static int live(void *arg) {
  struct member *m = arg;
  atomic_fetch_add_explicit(&m->runs, 1, memory_order_relaxed);
  int r = act(m);
  atomic_fetch_add_explicit(&m->ends, 1, memory_order_release);
  return r;
}

/* What a member's code may be, given what was done to it. */
static bool code_fits(const struct member *m, int code, int runs) {
  if (runs == 0) return m->cancelled && code == WEFT_ECANCELED;
  if (m->what == FAIL) return code == OWN_ERROR; /* T4: a failure is not covered by a cancel */
  if (m->what == CANCEL_SELF) return code == WEFT_ECANCELED;
  if (m->what == CATCH && code == 7) return true;
  return code == (m->cancelled ? WEFT_ECANCELED : 7);
}

static void check_member(struct producer *p, struct member *m, int code) {
  int runs = atomic_load_explicit(&m->runs, memory_order_relaxed);
  int ends = atomic_load_explicit(&m->ends, memory_order_acquire);
  if (runs > 1 || ends != runs || !code_fits(m, code, runs))
    CHECK_FAIL("a task of kind %d ran %d times, ended %d times, was%s cancelled, code %d",
               (int)m->what, runs, ends, m->cancelled ? "" : " not", code);
  p->ran += runs;
}

static int raise_family(struct producer *p) {
  struct member m[FAMILY];
  weft_task t[FAMILY];
  const int size = count(FAMILY);
  for (int i = 0; i < size; i++) {
    /* Most do little, so that most of the time goes into tasks and not into what they do. */
    m[i] = (struct member){.what = draw(p, 4) ? (draw(p, 8) ? RETURN : FAIL) : draw(p, WHATS)};
    t[i] = weft_spawn(live, &m[i], NULL);
    if (draw(p, 16) == 0) {
      uint32_t k = draw(p, (uint32_t)i + 1);
      if (weft_cancel(t[k]) == 1) m[k].cancelled = true;
    }
  }
  for (int i = size - 1; i >= 0; i--) {
    if (draw(p, 8) == 0 && weft_cancel(t[i]) == 1) m[i].cancelled = true;
    p->cancelled += m[i].cancelled;
    int code = draw(p, 4) ? weft_await(t[i]) : weft_wait_for_task(t[i], WEFT_FOREVER);
    check_member(p, &m[i], code);
  }
  return weft_test_failed() ? OWN_ERROR : 0;
}

/* Moving at every suspension costs two wake-ups each time: a tenth of the tasks does as well there.
 * A simulation has one family from each producer. */
static long churn_spawns(void) {
  if (counts_simulated()) return PRODUCERS * FAMILY;
  return getenv("WEFT_MIGRATE") ? COUNT_CHURN_SPAWNS / 10 : COUNT_CHURN_SPAWNS;
}

static int produce(void *arg) {
  struct producer *p = arg;
  long families = churn_spawns() / FAMILY / PRODUCERS;
  int r = 0;
  for (p->families = 0; p->families < families && r == 0; p->families++) r = raise_family(p);
  return r;
}

TASK_TEST(nothing_is_lost_and_nothing_runs_twice_among_millions_of_tasks) {
  static struct producer p[PRODUCERS];
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < PRODUCERS; i++) {
    p[i] = (struct producer){.rng = 0x9e3779b97f4a7c15u * (unsigned)(i + 1)};
    weft_group_spawn(&g, produce, &p[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
  long cancelled = 0, ran = 0, families = 0;
  for (int i = 0; i < PRODUCERS; i++) {
    families += p[i].families;
    cancelled += p[i].cancelled;
    ran += p[i].ran;
  }
  if (!counts_simulated()) {
    print_message("%ld tasks, %ld ran, %ld cancelled\n", families * FAMILY, ran, cancelled);
    CHECK(cancelled > families * FAMILY / 20);
  }
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

/* ---- detached ones, counted at the end ---- */

static int count_run(void *arg) {
  atomic_fetch_add_explicit((atomic_long *)arg, 1, memory_order_relaxed);
  return 0;
}

static int spawn_detached(void *arg) {
  for (long i = 0; i < churn_spawns() / 10 / PRODUCERS; i++) {
    if (!CHECK_INT(weft_detach(weft_spawn(count_run, arg, NULL)), 0)) break;
    if (i % 512 == 0 && weft_yield() < 0) break;
  }
  return 0;
}

TASK_TEST(every_detached_task_runs_once) {
  atomic_long runs = 0;
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < PRODUCERS; i++) weft_group_spawn(&g, spawn_detached, &runs, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  long all = churn_spawns() / 10 / PRODUCERS * PRODUCERS;
  while (atomic_load(&runs) < all && weft_yield() == 0) {}
  CHECK_INT(wait_until_live(1), 0);
  CHECK_INT(atomic_load(&runs), all);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_lost_and_nothing_runs_twice_among_millions_of_tasks),
    cmocka_unit_test(every_detached_task_runs_once),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
