/* A main task that returns while others are in every kind of wait, start more tasks, or have not
 * begun. What had begun is cancelled and ends; nothing is left when weft_run returns. */
#include <fcntl.h>
#include <unistd.h>

#include "base/choice.h"
#include "core/fdwait.h"
#include "stress.h"

struct leftover {
  struct leftovers *all;
  struct weft__rng rng;
  struct stress_mark mark;
  struct leftover *child; /* which it may start, or NULL */
};

struct leftovers {
  struct leftover *tasks;
  int n;
  int pipe[2];
};

static int job(void *arg) {
  struct leftover *l = arg;
  stress_burn((weft_ns)stress_draw(&l->rng, 200) * 1000);
  return 1;
}

static int stay(void *arg);

static int await_child(struct leftover *l) {
  weft_task t = weft_spawn(stay, l->child, NULL);
  int error = weft_task_error(t);
  l->child = NULL;
  if (error < 0) {
    EXPECT_INT(error, WEFT_ECLOSED);
    return WEFT_ECANCELED;
  }
  return weft_await(t);
}

static int join_child(struct leftover *l) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, stay, l->child, NULL);
  l->child = NULL;
  return weft_group_join(&g);
}

/* Ends by a cancel only, by whatever it waits for. */
static int stay(void *arg) {
  struct leftover *l = arg;
  int r = 0;
  stress_begin(&l->mark);
  while (r != WEFT_ECANCELED) {
    switch (stress_draw(&l->rng, 8)) {
    case 0:
      r = weft_sleep(STRESS_LONG);
      break;
    case 1:
      r = weft__fd_wait(l->all->pipe[0], WEFT__FD_READ);
      break;
    case 2:
      r = weft_to_thread(job, l);
      break;
    case 3:
      r = l->child ? await_child(l) : weft_yield();
      break;
    case 4:
      r = l->child ? join_child(l) : weft_yield();
      break;
    case 5:
      if (l->child) weft_detach(weft_spawn(stay, l->child, NULL));
      l->child = NULL;
      break;
    case 6:
      r = weft_sleep(weft_us(50));
      break;
    default:
      r = weft_yield();
    }
    /* Two tasks of a worker cannot wait for the same descriptor. */
    EXPECT(r == 0 || r == 1 || r == WEFT_ECANCELED || r == WEFT_EEXIST);
  }
  if (stress_one_in(&l->rng, 3)) {
    weft_shield_begin();
    EXPECT_INT(weft_sleep(weft_us(100)), 0); /* cleaning up takes its time */
    weft_shield_end();
  }
  stress_count(STRESS_CUT, 1);
  return stress_end(&l->mark, r);
}

struct leaving {
  struct leftovers *all;
  uint32_t yields;
};

static int leave(void *arg) {
  struct leaving *l = arg;
  int n = l->all->n / 2; /* the other half are their children */
  for (int i = 0; i < n; i++) {
    l->all->tasks[i].child = &l->all->tasks[n + i];
    weft_task t = weft_spawn(stay, &l->all->tasks[i], NULL);
    if (i % 2) weft_detach(t); /* else the handle is just dropped */
  }
  for (uint32_t i = 0; i < l->yields; i++) EXPECT_INT(weft_yield(), 0);
  return 5;
}

static void leftovers_round(struct stress_round *r) {
  struct leftovers all = {.n = 2 + (int)stress_draw(r->rng, (uint32_t)stress_many(600))};
  struct leaving l = {&all, stress_one_in(r->rng, 2) ? stress_draw(r->rng, 100) : 0};
  all.tasks = stress_alloc((size_t)all.n, sizeof *all.tasks);
  for (int i = 0; i < all.n; i++) {
    all.tasks[i].all = &all;
    stress_rng(&all.tasks[i].rng, r, (uint64_t)i);
  }
  if (!EXPECT_INT(pipe2(all.pipe, O_NONBLOCK | O_CLOEXEC), 0)) return;
  r->leaves = true;
  EXPECT_INT(stress_run(r, leave, &l), 5);
  for (int i = 0; i < all.n; i++) stress_whole(&all.tasks[i].mark);
  close(all.pipe[0]);
  close(all.pipe[1]);
  free(all.tasks);
}

const struct stress_workload stress_leftovers = {
    .name = "leftovers",
    .about = "a main task that returns while others wait, work and start more",
    .round = leftovers_round,
    .flags = STRESS_EXACT_TOO,
};
