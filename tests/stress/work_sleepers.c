/* Thousands of tasks that sleep for short times on all workers, while others are cancelled out of
 * their sleep: timers are armed, fire, are moved and withdrawn all at once. Nobody wakes early. */
#include "base/choice.h"
#include "stress.h"

struct sleeper {
  struct stress_mark mark;
  struct weft__rng rng;
  weft_task task;
};

struct dormitory {
  struct sleeper *sleepers;
  int n;
};

static int sleep_some(void *arg) {
  struct sleeper *s = arg;
  int r = 0;
  stress_begin(&s->mark);
  for (uint32_t i = 1 + stress_draw(&s->rng, 5); i > 0 && r == 0; i--) {
    weft_ns duration =
        (weft_ns)stress_draw(&s->rng, 10) * weft_us(500) + (weft_ns)stress_draw(&s->rng, 1000);
    weft_ns begin = weft_now();
    r = weft_sleep(duration);
    if (r == 0) EXPECT(weft_now() - begin >= duration);
  }
  if (r < 0) stress_count(STRESS_CUT, 1);
  return stress_end(&s->mark, r);
}

static int sleepers_main(void *arg) {
  struct dormitory *d = arg;
  int cancelled = 0;
  for (int i = 0; i < d->n; i++)
    d->sleepers[i].task =
        weft_spawn(sleep_some, &d->sleepers[i], &(weft_spawn_opts){.pinned = i % 7 == 0});
  EXPECT_INT(weft_sleep(weft_us(700)), 0);
  for (int i = 0; i < d->n; i++) {
    struct sleeper *s = &d->sleepers[i];
    bool cut = i % 5 == 0 && weft_cancel(s->task) == 1;
    cancelled += cut;
    EXPECT_INT(weft_await(s->task), cut ? WEFT_ECANCELED : 0);
    stress_whole(&s->mark);
    if (!cut) stress_ran(&s->mark);
  }
  stress_count(STRESS_CANCELS, (uint64_t)cancelled);
  return 0;
}

static void sleepers_round(struct stress_round *r) {
  struct dormitory d = {.n = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(4000))};
  d.sleepers = stress_alloc((size_t)d.n, sizeof *d.sleepers);
  for (int i = 0; i < d.n; i++) stress_rng(&d.sleepers[i].rng, r, (uint64_t)i);
  EXPECT_INT(stress_run(r, sleepers_main, &d), 0);
  free(d.sleepers);
}

const struct stress_workload stress_sleepers = {
    .name = "sleepers",
    .about = "thousands of short sleeps, some cut by cancels; none ends early",
    .round = sleepers_round,
    .flags = STRESS_EXACT_TOO,
};
