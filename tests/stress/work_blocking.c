/* Jobs for the blocking pool that are over at once, compute, or really block, with callers that are
 * cancelled before, while and after the job runs. A job runs once or, withdrawn, never. */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/choice.h"
#include "stress.h"

struct call {
  struct weft__rng rng;
  struct stress_mark mark; /* of the task */
  struct stress_mark job;  /* of its present job */
  weft_task task;
};

struct calls {
  struct call *calls;
  int n;
};

static void block_for(long ns) {
  static uint32_t word; /* nobody wakes it */
  struct timespec t = {.tv_nsec = ns};
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
}

static int job(void *arg) {
  struct call *c = arg;
  stress_begin(&c->job);
  EXPECT_INT(weft_yield(), WEFT_ENOTASK);
  switch (stress_draw(&c->rng, 6)) {
  case 0:
    block_for(1000 * (long)stress_draw(&c->rng, 2000));
    break;
  case 1:
    stress_burn((weft_ns)stress_draw(&c->rng, 300) * 1000);
    break;
  default:
    break;
  }
  return stress_end(&c->job, 7);
}

static int call_jobs(void *arg) {
  struct call *c = arg;
  int r = 0;
  stress_begin(&c->mark);
  for (uint32_t i = stress_draw(&c->rng, 5); i > 0 && r == 0; i--) {
    c->job = (struct stress_mark){0};
    r = weft_to_thread(job, c);
    if (r == 7) {
      stress_ran(&c->job);
      r = stress_one_in(&c->rng, 2) ? weft_yield() : 0;
    } else if (EXPECT_INT(r, WEFT_ECANCELED)) {
      EXPECT_INT(c->job.begun, 0);
    }
  }
  if (r < 0) stress_count(STRESS_CUT, 1);
  return stress_end(&c->mark, r);
}

static int blocking_main(void *arg) {
  struct calls *c = arg;
  for (int i = 0; i < c->n; i++) c->calls[i].task = weft_spawn(call_jobs, &c->calls[i], NULL);
  for (int i = 0; i < c->n; i++) {
    weft_task t = c->calls[i].task;
    bool cut = i % 3 == 1 && weft_cancel(t) == 1;
    stress_count(STRESS_CANCELS, cut);
    EXPECT_INT(weft_await(t), cut ? WEFT_ECANCELED : 0);
    stress_whole(&c->calls[i].mark);
  }
  return 0;
}

static void blocking_round(struct stress_round *r) {
  struct calls c = {.n = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(400))};
  c.calls = stress_alloc((size_t)c.n, sizeof *c.calls);
  for (int i = 0; i < c.n; i++) stress_rng(&c.calls[i].rng, r, (uint64_t)i);
  if (stress_one_in(r->rng, 2)) r->opts.blocking_threads = 1 + stress_draw(r->rng, 8);
  EXPECT_INT(stress_run(r, blocking_main, &c), 0);
  free(c.calls);
}

const struct stress_workload stress_blocking = {
    .name = "blocking",
    .about = "jobs for threads that are short, compute or block, with cancelled callers",
    .round = blocking_round,
    .flags = STRESS_EXACT_TOO,
};
