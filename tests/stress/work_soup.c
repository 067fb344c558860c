/* Everything at once: tasks that draw what they do next from all there is: start, await, gather and
 * join others, sleep, wait under deadlines, call threads, cancel, catch, shield, compute, look at
 * each other. Whatever they do, each runs once and nothing is left. */
#include <fcntl.h>
#include <unistd.h>

#include "base/choice.h"
#include "core/fdwait.h"
#include "stress.h"

enum { SOME = 6 };

struct bit {
  struct soup *soup;
  struct weft__rng rng;
  struct stress_mark mark, job;
  weft_task handle;  /* of itself; written before there */
  atomic_bool there; /* release after handle, acquire before it is used */
  int returned;
};

struct soup {
  struct bit *bits;
  int capacity;
  atomic_int used;
  int pipe[2]; /* never readable */
};

static int simmer(void *arg);

/* n new ones, or NULL when the pot is empty. */
static struct bit *take(struct bit *from, int n) {
  struct soup *s = from->soup;
  if (atomic_load_explicit(&s->used, memory_order_relaxed) + n > s->capacity) return NULL;
  int at = atomic_fetch_add_explicit(&s->used, n, memory_order_relaxed);
  if (at + n > s->capacity) return NULL;
  for (int i = at; i < at + n; i++) {
    s->bits[i].soup = s;
    s->bits[i].rng.state = weft__rng_next(&from->rng);
  }
  return &s->bits[at];
}

/* Any other that has begun, at least once; it may be over. {0} if it has not. */
static weft_task any(struct bit *b) {
  int used = atomic_load_explicit(&b->soup->used, memory_order_relaxed);
  uint32_t n = (uint32_t)(used < b->soup->capacity ? used : b->soup->capacity);
  struct bit *other = &b->soup->bits[stress_draw(&b->rng, n)];
  bool there = atomic_load_explicit(&other->there, memory_order_acquire);
  return there && other != b ? other->handle : (weft_task){0};
}

static int job(void *arg) {
  struct bit *b = arg;
  stress_begin(&b->job);
  if (stress_one_in(&b->rng, 3)) stress_burn(weft_us(200));
  return stress_end(&b->job, 1);
}

static int call_thread(struct bit *b) {
  b->job = (struct stress_mark){0};
  int r = weft_to_thread(job, b);
  stress_whole(&b->job);
  EXPECT_INT(r, b->job.begun ? 1 : WEFT_ECANCELED);
  return r;
}

static int await_one(struct bit *b) {
  struct bit *child = take(b, 1);
  if (!child) return 0;
  weft_task t = weft_spawn(simmer, child, &(weft_spawn_opts){.pinned = stress_one_in(&b->rng, 6)});
  if (stress_one_in(&b->rng, 4)) weft_cancel(t);
  if (stress_one_in(&b->rng, 4)) weft_yield();
  int r = stress_one_in(&b->rng, 3)
              ? weft_wait_for_task(t, (weft_ns)stress_draw(&b->rng, 1000) * 1000)
              : weft_await(t);
  stress_whole(&child->mark);
  return r == WEFT_ECANCELED && stress_one_in(&b->rng, 2) ? weft_yield() : 0;
}

static int gather_some(struct bit *b) {
  weft_task t[SOME];
  int codes[SOME];
  struct bit *child = take(b, SOME);
  if (!child) return 0;
  for (int i = 0; i < SOME; i++) t[i] = weft_spawn(simmer, &child[i], NULL);
  bool all = stress_one_in(&b->rng, 2);
  int r = weft_gather(t, SOME, all ? codes : NULL);
  for (int i = 0; all && i < SOME; i++) {
    stress_whole(&child[i].mark);
    if (r == 0) EXPECT(codes[i] == child[i].returned || codes[i] == WEFT_ECANCELED);
  }
  return r == WEFT_ECANCELED ? r : 0;
}

static int join_some(struct bit *b) {
  weft_group g;
  struct bit *child = take(b, SOME);
  if (!child) return 0;
  weft_group_init(&g, &(weft_group_opts){.limit = stress_draw(&b->rng, 3)});
  for (int i = 0; i < SOME; i++) weft_group_spawn(&g, simmer, &child[i], NULL);
  if (stress_one_in(&b->rng, 4)) weft_group_cancel(&g);
  int r = weft_group_join(&g);
  for (int i = 0; i < SOME; i++) stress_whole(&child[i].mark);
  return r == WEFT_ECANCELED ? r : 0;
}

static int leave_one(struct bit *b) {
  struct bit *child = take(b, 1);
  if (!child) return 0;
  if (stress_one_in(&b->rng, 2))
    EXPECT_INT(weft_detach(weft_spawn(simmer, child, NULL)), 0);
  else
    EXPECT_INT(weft_submit(weft_runtime_current(), simmer, child, NULL), 0);
  return 0;
}

static int look(struct bit *b) {
  char line[256];
  weft_task t = any(b);
  if (weft_task_error(t) < 0) return 0;
  int r = weft_task_describe(t, line, sizeof line);
  EXPECT(r > 0 || r == WEFT_ESTALE);
  r = weft_task_done(t);
  EXPECT(r == 0 || r == 1 || r == WEFT_ESTALE);
  EXPECT(weft_tasks(NULL, 0) > 0);
  return 0;
}

static int cancel_any(struct bit *b) {
  weft_task t = any(b);
  if (weft_task_error(t) < 0) return 0;
  int r = weft_cancel(t);
  EXPECT(r == 0 || r == 1 || r == WEFT_ESTALE);
  stress_count(STRESS_CANCELS, r == 1);
  return 0;
}

/* Two may wait for each other: never without a deadline. */
static int wait_limited(struct bit *b) {
  weft_timeout limit;
  weft_timeout_begin(&limit, (weft_ns)stress_draw(&b->rng, 500) * 1000);
  int r, code;
  weft_task t = any(b);
  if (stress_one_in(&b->rng, 2) || weft_task_error(t) < 0)
    r = weft__fd_wait(b->soup->pipe[0], WEFT__FD_READ);
  else
    r = weft_task_wait(t, &code);
  r = weft_timeout_end(&limit, r);
  EXPECT(r == 0 || r == WEFT_ETIMEDOUT || r == WEFT_ECANCELED || r == WEFT_EEXIST ||
         r == WEFT_ESTALE || r == WEFT_ESELF);
  return r == WEFT_ECANCELED ? r : 0;
}

static int shielded(struct bit *b) {
  weft_shield_begin();
  EXPECT_INT(weft_yield(), 0);
  EXPECT_INT(weft_sleep((weft_ns)stress_draw(&b->rng, 100) * 1000), 0);
  weft_shield_end();
  return 0;
}

static int do_something(struct bit *b) {
  switch (stress_draw(&b->rng, 16)) {
  case 0:
    return weft_sleep((weft_ns)stress_draw(&b->rng, 500) * 1000);
  case 1:
    return await_one(b);
  case 2:
    return await_one(b);
  case 3:
    return gather_some(b);
  case 4:
    return join_some(b);
  case 5:
    return leave_one(b);
  case 6:
    return call_thread(b);
  case 7:
    return cancel_any(b);
  case 8:
    return cancel_any(b);
  case 9:
    return wait_limited(b);
  case 10:
    return wait_limited(b);
  case 11:
    return shielded(b);
  case 12:
    return look(b);
  case 13:
    if (stress_one_in(&b->rng, 8)) stress_burn((weft_ns)stress_draw(&b->rng, 4) * weft_ms(1));
    return 0;
  case 14:
    return stress_one_in(&b->rng, 4) ? STRESS_OWN_ERROR : 0;
  default:
    return weft_yield();
  }
}

static int simmer(void *arg) {
  struct bit *b = arg;
  int r = 0;
  stress_begin(&b->mark);
  b->handle = weft_current();
  atomic_store_explicit(&b->there, true, memory_order_release);
  for (uint32_t i = 1 + stress_draw(&b->rng, 12); i > 0; i--) {
    r = do_something(b);
    if (r == STRESS_OWN_ERROR) break;
    if (r != WEFT_ECANCELED) continue;
    stress_count(STRESS_CUT, 1);
    if (!stress_one_in(&b->rng, 3)) break;
    weft_cancel_catch();
    r = 0;
  }
  b->returned = r < 0 ? r : 1;
  return stress_end(&b->mark, b->returned);
}

static int soup_main(void *arg) {
  struct soup *s = arg;
  enum { FIRST = 20 };
  weft_task t[FIRST];
  struct bit *first = take(&s->bits[0], FIRST);
  for (int i = 0; i < FIRST; i++) t[i] = weft_spawn(simmer, &first[i], NULL);
  for (int i = 0; i < FIRST; i++) {
    int code = weft_await(t[i]);
    stress_whole(&first[i].mark);
    EXPECT(code == first[i].returned || code == WEFT_ECANCELED);
  }
  return 0;
}

static void soup_round(struct stress_round *r) {
  struct soup s = {.capacity = 50 + (int)stress_draw(r->rng, (uint32_t)stress_many(5000))};
  s.bits = stress_alloc((size_t)s.capacity, sizeof *s.bits);
  s.bits[0].soup = &s; /* the main task's, which is none of them */
  atomic_store(&s.used, 1);
  stress_rng(&s.bits[0].rng, r, 0);
  r->quiet = true; /* detached tasks that fail are named */
  if (!EXPECT_INT(pipe2(s.pipe, O_NONBLOCK | O_CLOEXEC), 0)) return;
  EXPECT_INT(stress_run(r, soup_main, &s), 0);
  for (int i = 0; i < s.capacity; i++) stress_whole(&s.bits[i].mark);
  close(s.pipe[0]);
  close(s.pipe[1]);
  free(s.bits);
}

const struct stress_workload stress_soup = {
    .name = "soup",
    .about = "tasks that draw what they do next from all there is",
    .round = soup_round,
    .flags = STRESS_EXACT_TOO,
};
