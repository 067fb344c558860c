/* All locks and their kin at once: tasks do what is drawn, under deadlines that are drawn, and cancel
 * each other. Whatever the order: what excludes excludes, and in the end nothing is missing and
 * nothing is left over. */
#include <weft.h>

#include "counts.h"
#include "parked.h"
#include "task_test.h"

enum { COOKS = 6, PERMITS = 2, PARTIES = 3 };

struct soup {
  weft_lock lock;
  int inside; /* guarded by it */
  weft_rwlock rwlock;
  atomic_int readers, writers;
  weft_sem sem;
  atomic_int permits_out;
  weft_cond cond;
  long put, taken; /* guarded by its lock */
  weft_event event;
  weft_barrier barrier;
  weft_wait_group group;
  weft_once once;
  int once_done; /* plain: once orders it */
  weft_task cooks[COOKS];
  struct latch all_there; /* the handles */
};

struct cook {
  struct soup *soup;
  uint32_t state; /* of its own generator, where no simulation draws */
};

static uint32_t draw(struct cook *c, uint32_t n) {
  if (weft_simulated()) return weft_sim_random(n);
  c->state = c->state * 1664525u + 1013904223u;
  return (c->state >> 8) % n;
}

/* Something that may suspend, in the middle; what it answers is heard at the next wait. */
static void stir(struct cook *c) {
  weft_sim_point();
  if (draw(c, 3) == 0) weft_yield();
}

static int use_lock(struct cook *c) {
  struct soup *s = c->soup;
  int r = draw(c, 4) == 0 ? weft_lock_try(&s->lock) : weft_lock_acquire(&s->lock);
  if (r < 0) return r;
  CHECK_INT(s->inside++, 0);
  stir(c);
  CHECK_INT(--s->inside, 0);
  return weft_lock_release(&s->lock);
}

static int use_rwlock(struct cook *c) {
  struct soup *s = c->soup;
  bool write = draw(c, 3) == 0;
  int r = write ? weft_rwlock_acquire_write(&s->rwlock) : weft_rwlock_acquire_read(&s->rwlock);
  if (r < 0) return r;
  atomic_int *mine = write ? &s->writers : &s->readers;
  int others = atomic_fetch_add(mine, 1);
  CHECK(write ? others == 0 && atomic_load(&s->readers) == 0 : atomic_load(&s->writers) == 0);
  stir(c);
  atomic_fetch_sub(mine, 1);
  return write ? weft_rwlock_release_write(&s->rwlock) : weft_rwlock_release_read(&s->rwlock);
}

static int use_semaphore(struct cook *c) {
  struct soup *s = c->soup;
  int r = draw(c, 4) == 0 ? weft_sem_try(&s->sem) : weft_sem_acquire(&s->sem);
  if (r < 0) return r;
  CHECK(atomic_fetch_add(&s->permits_out, 1) < PERMITS);
  stir(c);
  atomic_fetch_sub(&s->permits_out, 1);
  return weft_sem_release(&s->sem);
}

static int has_some(void *arg) {
  struct soup *s = arg;
  return s->put > s->taken;
}

static int use_condition(struct cook *c) {
  struct soup *s = c->soup;
  bool put = draw(c, 2) == 0;
  int r = weft_cond_acquire(&s->cond);
  if (r < 0) return r;
  if (!put) r = weft_cond_wait_for(&s->cond, has_some, s);
  CHECK(weft_cond_locked(&s->cond));
  if (put) {
    s->put++;
    CHECK_INT(draw(c, 4) == 0 ? weft_cond_notify_all(&s->cond) : weft_cond_notify(&s->cond, 1), 0);
  } else if (r == 1) {
    s->taken++;
  }
  CHECK_INT(weft_cond_release(&s->cond), 0);
  return r < 0 ? r : 0;
}

static int use_event(struct cook *c) {
  struct soup *s = c->soup;
  switch (draw(c, 4)) {
  case 0:
    return weft_event_set(&s->event);
  case 1:
    return weft_event_clear(&s->event);
  case 2:
    return weft_awaitable_await(weft_event_awaitable(&s->event));
  default:
    return weft_event_wait(&s->event);
  }
}

static int use_barrier(struct cook *c) {
  struct soup *s = c->soup;
  if (draw(c, 16) == 0) return weft_barrier_reset(&s->barrier);
  int r = weft_barrier_wait(&s->barrier);
  CHECK(r < PARTIES);
  return r > 0 ? 0 : r;
}

static int use_group(struct cook *c) {
  struct soup *s = c->soup;
  if (draw(c, 3) == 0) return weft_wait_group_wait(&s->group);
  CHECK_INT(weft_wait_group_add(&s->group, 1), 0);
  stir(c);
  return weft_wait_group_done(&s->group);
}

static int sometimes(void *arg) {
  struct cook *c = arg;
  stir(c);
  if (draw(c, 4) != 0) return OWN_ERROR;
  CHECK_INT(c->soup->once_done++, 0);
  return 0;
}

static int use_once(struct cook *c) {
  int r = weft_once_run(&c->soup->once, sometimes, c);
  if (r == 0) CHECK_INT(c->soup->once_done, 1);
  return r == OWN_ERROR ? 0 : r;
}

static int (*const uses[])(struct cook *) = {use_lock,  use_rwlock,  use_semaphore, use_condition,
                                             use_event, use_barrier, use_group,     use_once};

static int cook(void *arg) {
  struct cook *c = arg;
  struct soup *s = c->soup;
  int n = counts_simulated() ? 40 : COUNT_TASKS / 10;
  for (int i = 0; i < n; i++) {
    weft_timeout limit;
    CHECK_INT(weft_timeout_begin(&limit, weft_us(1 + (weft_ns)draw(c, 60))), 0);
    int r = uses[draw(c, sizeof uses / sizeof uses[0])](c);
    r = weft_timeout_end(&limit, r);
    weft_cancel_catch();
    if (!CHECK(r == 0 || r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT || r == WEFT_EAGAIN ||
               r == WEFT_EBROKEN))
      break;
    if (draw(c, 8) == 0 && latch_hits(&s->all_there)) weft_cancel(s->cooks[draw(c, COOKS)]);
    weft_cancel_catch();
  }
  return 0;
}

TASK_TEST(nothing_is_lost_whatever_comes_together) {
  struct soup s = {.sem = WEFT_BOUNDED_SEM_INIT(PERMITS), .barrier = WEFT_BARRIER_INIT(PARTIES)};
  struct cook c[COOKS];
  for (int i = 0; i < COOKS; i++) {
    c[i] = (struct cook){.soup = &s, .state = (uint32_t)i};
    s.cooks[i] = weft_spawn(cook, &c[i], NULL);
  }
  latch_hit(&s.all_there);
  for (int i = 0; i < COOKS; i++) CHECK_INT(weft_task_wait(s.cooks[i], NULL), 0);
  for (int i = 0; i < COOKS; i++) {
    int code = weft_await(s.cooks[i]);
    CHECK(code == 0 || code == WEFT_ECANCELED); /* cancelled as it ended */
  }
  CHECK_INT(weft_lock_try(&s.lock), 0);
  CHECK_INT(weft_rwlock_try_write(&s.rwlock), 0);
  CHECK_INT(weft_sem_value(&s.sem), PERMITS);
  CHECK(!weft_cond_locked(&s.cond));
  CHECK(s.taken <= s.put);
  CHECK_INT(weft_barrier_waiting(&s.barrier), 0);
  CHECK_INT(weft_wait_group_count(&s.group), 0);
  CHECK_INT(s.once_done, weft_once_done(&s.once));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_lost_whatever_comes_together),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
