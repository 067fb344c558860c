/* Locks of every kind, whose waiters are cancelled and run out of time while their turn comes. Nobody is
 * inside with another, nothing stays taken, and everybody gets a turn or a cancel. */
#include <string.h>

#include "base/choice.h"
#include "stress.h"

enum { PERMITS = 3 };

/* What the tasks share. The plain fields are guarded by the lock that is named: the race detector
 * watches that they are. */
struct room {
  weft_lock lock;
  weft_rwlock rwlock;
  weft_sem sem;
  weft_cond cond; /* over lock */
  weft_event event;
  long by_lock;       /* lock */
  long by_writers;    /* rwlock */
  int tokens;         /* lock: what cond tells of */
  atomic_int permits; /* inside of sem; relaxed */
  struct guest *guests;
  int n;
};

struct guest {
  struct weft__rng rng;
  struct room *room;
  struct stress_mark mark;
  weft_task task;
  long by_lock, by_writers; /* what it has added */
  int put, took;
};

static int linger(struct guest *g) {
  return stress_one_in(&g->rng, 4) ? weft_yield() : 0;
}

static int with_lock(struct guest *g) {
  struct room *m = g->room;
  int r = weft_lock_acquire(&m->lock);
  if (r < 0) return r;
  long before = m->by_lock;
  r = linger(g);
  m->by_lock = before + 1; /* nobody else was here */
  g->by_lock++;
  EXPECT_INT(weft_lock_release(&m->lock), 0);
  return r;
}

static int with_rwlock(struct guest *g) {
  struct room *m = g->room;
  bool write = stress_one_in(&g->rng, 3);
  int r = write ? weft_rwlock_acquire_write(&m->rwlock) : weft_rwlock_acquire_read(&m->rwlock);
  if (r < 0) return r;
  long before = m->by_writers;
  r = linger(g);
  EXPECT_INT(m->by_writers, before);
  if (write) {
    m->by_writers++;
    g->by_writers++;
  }
  EXPECT_INT(write ? weft_rwlock_release_write(&m->rwlock) : weft_rwlock_release_read(&m->rwlock),
             0);
  return r;
}

static int with_sem(struct guest *g) {
  struct room *m = g->room;
  int r = weft_sem_acquire(&m->sem);
  if (r < 0) return r;
  EXPECT(atomic_fetch_add_explicit(&m->permits, 1, memory_order_relaxed) < PERMITS);
  r = linger(g);
  atomic_fetch_sub_explicit(&m->permits, 1, memory_order_relaxed);
  EXPECT_INT(weft_sem_release(&m->sem), 0);
  return r;
}

/* Half of them put a token, the others wait for one: for a while only, since it may be that none
 * comes any more. */
static int with_cond(struct guest *g) {
  struct room *m = g->room;
  int r = weft_cond_acquire(&m->cond);
  if (r < 0) return r;
  if (stress_one_in(&g->rng, 2)) {
    m->tokens++;
    g->put++;
    EXPECT_INT(weft_cond_notify(&m->cond, 1), 0);
  } else {
    weft_timeout s;
    EXPECT_INT(weft_timeout_begin(&s, weft_us(stress_draw(&g->rng, 300))), 0);
    while (m->tokens == 0 && (r = weft_cond_wait(&m->cond)) == 0) {}
    if (r == 0) {
      m->tokens--;
      g->took++;
    }
    r = weft_timeout_end(&s, r);
    if (r == WEFT_ETIMEDOUT) r = 0;
  }
  EXPECT_INT(weft_cond_release(&m->cond), 0);
  return r;
}

static int with_event(struct guest *g) {
  struct room *m = g->room;
  switch (stress_draw(&g->rng, 4)) {
  case 0:
    return weft_event_set(&m->event);
  case 1:
    return weft_event_clear(&m->event);
  default:
    break;
  }
  weft_timeout s;
  EXPECT_INT(weft_timeout_begin(&s, weft_us(stress_draw(&g->rng, 200))), 0);
  int r = weft_timeout_end(&s, weft_event_wait(&m->event));
  return r == WEFT_ETIMEDOUT ? 0 : r;
}

static int visit(void *arg) {
  static int (*const how[])(struct guest *) = {with_lock, with_rwlock, with_sem, with_cond,
                                               with_event};
  struct guest *g = arg;
  stress_begin(&g->mark);
  int r = 0;
  for (int i = 0; i < 12 && r == 0; i++) {
    r = how[stress_draw(&g->rng, 5)](g);
    if (r < 0) EXPECT_INT(r, WEFT_ECANCELED);
  }
  if (r < 0) stress_count(STRESS_CUT, 1);
  return stress_end(&g->mark, r);
}

static void check_room(struct room *m) {
  long by_lock = 0, by_writers = 0;
  int tokens = 0;
  for (int i = 0; i < m->n; i++) {
    by_lock += m->guests[i].by_lock;
    by_writers += m->guests[i].by_writers;
    tokens += m->guests[i].put - m->guests[i].took;
  }
  EXPECT_INT(m->by_lock, by_lock);
  EXPECT_INT(m->by_writers, by_writers);
  EXPECT_INT(m->tokens, tokens);
  EXPECT(!weft_lock_locked(&m->lock));
  EXPECT_INT(weft_rwlock_try_write(&m->rwlock), 0);
  EXPECT_INT(weft_sem_value(&m->sem), PERMITS);
}

static int locks_main(void *arg) {
  struct room *m = arg;
  for (int i = 0; i < m->n; i++) m->guests[i].task = weft_spawn(visit, &m->guests[i], NULL);
  for (int i = 0; i < m->n; i += 5) {
    if (i % 20 == 0) EXPECT_INT(weft_yield(), 0);
    stress_count(STRESS_CANCELS, weft_cancel(m->guests[i].task) == 1);
  }
  for (int i = 0; i < m->n; i++) {
    int r = weft_await(m->guests[i].task);
    EXPECT(r == 0 || r == WEFT_ECANCELED);
    stress_whole(&m->guests[i].mark);
  }
  check_room(m);
  return 0;
}

static void locks_round(struct stress_round *r) {
  struct room m = {.n = 2 + (int)stress_draw(r->rng, (uint32_t)stress_many(200))};
  EXPECT_INT(weft_sem_init(&m.sem, PERMITS, true), 0);
  m.cond = (weft_cond)WEFT_COND_INIT(&m.lock);
  m.guests = stress_alloc((size_t)m.n, sizeof *m.guests);
  for (int i = 0; i < m.n; i++) {
    m.guests[i].room = &m;
    stress_rng(&m.guests[i].rng, r, (uint64_t)i);
  }
  EXPECT_INT(stress_run(r, locks_main, &m), 0);
  free(m.guests);
}

const struct stress_workload stress_locks = {
    .name = "locks",
    .about = "locks, semaphores, conditions and events whose waiters are cancelled",
    .round = locks_round,
    .flags = STRESS_EXACT_TOO,
};
