/* Locks, events, conditions, semaphores, barriers: whose turn it is. */
#include "scene.h"

/* A task's share in the object that the scenario is about. */
struct part {
  const char *name;
  void *object;
  int seconds, times;
};

static weft_task join(weft_fn fn, struct part part) {
  return weft_spawn(fn, &part, &(weft_spawn_opts){.arg_size = sizeof part});
}

static void await_all(weft_task *t, int n) {
  for (int i = 0; i < n; i++) weft_await(t[i]);
}

static void tell_all(weft_task *t, int n) {
  for (int i = 0; i < n; i++) trace("%s", word(weft_await(t[i])));
}

/* ---- locks ---- */

static int hold_anything(struct part *p, weft_fn acquire, weft_fn release) {
  for (int i = 0; i < p->times; i++) {
    trace("%s wants it", p->name);
    int r = acquire(p->object);
    if (r == 0) {
      trace("%s has it", p->name);
      r = nap(p->seconds);
      release(p->object);
    }
    if (r < 0) {
      trace("%s %s", p->name, word(r));
      return r;
    }
    trace("%s gave it back", p->name);
  }
  return 0;
}

static int acquire_lock(void *lock) {
  return weft_lock_acquire(lock);
}

static int release_lock(void *lock) {
  return weft_lock_release(lock);
}

static int hold(void *part) {
  return hold_anything(part, acquire_lock, release_lock);
}

SCENARIO(a_lock_is_first_come_first_served) {
  weft_lock l = WEFT_LOCK_INIT;
  weft_task t[] = {
      join(hold, (struct part){"a", &l, 1, 1}), join(hold, (struct part){"b", &l, 1, 1}),
      join(hold, (struct part){"c", &l, 1, 1}), join(hold, (struct part){"d", &l, 1, 1})};
  await_all(t, 4);
  trace("locked %d", weft_lock_locked(&l));
}

SCENARIO(nobody_overtakes_at_a_lock) {
  weft_lock l = WEFT_LOCK_INIT;
  weft_task t[] = {join(hold, (struct part){"a", &l, 0, 2}),
                   join(hold, (struct part){"b", &l, 0, 2}),
                   join(hold, (struct part){"c", &l, 0, 2})};
  await_all(t, 3);
}

SCENARIO(a_free_lock_takes_no_turn) {
  weft_lock l = WEFT_LOCK_INIT;
  weft_task other = start(tick, "other");
  for (int i = 0; i < 3; i++) {
    weft_lock_acquire(&l);
    trace("locked %d", weft_lock_locked(&l));
    weft_lock_release(&l);
    trace("locked %d", weft_lock_locked(&l));
  }
  weft_await(other);
}

SCENARIO(a_cancelled_waiter_leaves_the_queue_of_a_lock) {
  weft_lock l = WEFT_LOCK_INIT;
  weft_task t[] = {
      join(hold, (struct part){"a", &l, 2, 1}), join(hold, (struct part){"b", &l, 2, 1}),
      join(hold, (struct part){"c", &l, 2, 1}), join(hold, (struct part){"d", &l, 2, 1})};
  nap(1);
  weft_cancel(t[1]);
  weft_cancel(t[3]);
  tell_all(t, 4);
}

SCENARIO(a_lock_goes_on_when_its_holder_is_cancelled) {
  weft_lock l = WEFT_LOCK_INIT;
  weft_task t[] = {join(hold, (struct part){"a", &l, 9, 1}),
                   join(hold, (struct part){"b", &l, 9, 1}),
                   join(hold, (struct part){"c", &l, 9, 1})};
  for (int i = 0; i < 3; i++) {
    nap(1);
    weft_cancel(t[i]);
    trace("%s", word(weft_await(t[i])));
  }
  trace("locked %d", weft_lock_locked(&l));
}

static int release_it(void *lock) {
  weft_lock_release(lock);
  trace("released by another task");
  return 0;
}

SCENARIO(a_lock_has_no_owner) {
  weft_lock l = WEFT_LOCK_INIT;
  if (weft_lock_release(&l) == WEFT_ESTATE) trace("it is not held");
  weft_lock_acquire(&l);
  weft_task waiting = join(hold, (struct part){"a", &l, 1, 1});
  weft_task other = weft_spawn(release_it, &l, NULL);
  weft_await(waiting);
  weft_await(other);
}

/* ---- events ---- */

static int wait_for_event(void *arg) {
  struct part *p = arg;
  trace("%s waits", p->name);
  int r = weft_event_wait(p->object);
  trace("%s %s", p->name, r == 0 ? "True" : word(r));
  return 0;
}

SCENARIO(an_event_wakes_those_who_wait) {
  weft_event e = WEFT_EVENT_INIT;
  weft_task t[] = {join(wait_for_event, (struct part){"a", &e, 0, 0}),
                   join(wait_for_event, (struct part){"b", &e, 0, 0}),
                   join(wait_for_event, (struct part){"c", &e, 0, 0})};
  nap(1);
  weft_event_set(&e);
  trace("set %d", weft_event_is_set(&e));
  weft_task other = start(tick, "other");
  weft_event_wait(&e);
  trace("main does not wait");
  await_all(t, 3);
  weft_await(other);
}

SCENARIO(set_and_cleared_at_once_an_event_wakes_all_the_same) {
  weft_event e = WEFT_EVENT_INIT;
  weft_task t[3] = {join(wait_for_event, (struct part){"a", &e, 0, 0}),
                    join(wait_for_event, (struct part){"b", &e, 0, 0})};
  weft_yield();
  weft_event_set(&e);
  weft_event_clear(&e);
  t[2] = join(wait_for_event, (struct part){"late", &e, 0, 0});
  nap(1);
  trace("set %d", weft_event_is_set(&e));
  weft_cancel(t[2]);
  await_all(t, 3);
}

/* ---- conditions ---- */

static int wait_in_condition(void *arg) {
  struct part *p = arg;
  weft_cond *c = p->object;
  weft_cond_acquire(c);
  trace("%s waits", p->name);
  int r = weft_cond_wait(c);
  trace("%s %s, locked %d", p->name, r == 0 ? "was notified" : word(r), weft_cond_locked(c));
  if (r == 0) {
    nap(1);
    trace("%s leaves", p->name);
  }
  weft_cond_release(c);
  return r;
}

static weft_task wait_at(weft_cond *c, const char *name) {
  return join(wait_in_condition, (struct part){name, c, 0, 0});
}

SCENARIO(a_condition_wakes_as_many_as_it_is_told) {
  weft_cond c = WEFT_COND_INIT(NULL);
  weft_task t[] = {wait_at(&c, "a"), wait_at(&c, "b"), wait_at(&c, "c"), wait_at(&c, "d")};
  const unsigned n[] = {1, 2, 5};
  nap(1);
  for (int i = 0; i < 3; i++) {
    weft_cond_acquire(&c);
    trace("notify %u", n[i]);
    weft_cond_notify(&c, n[i]);
    weft_cond_release(&c);
    nap(5);
  }
  await_all(t, 4);
}

SCENARIO(the_notified_wait_until_the_lock_is_free) {
  weft_cond c = WEFT_COND_INIT(NULL);
  weft_task t[] = {wait_at(&c, "a"), wait_at(&c, "b")};
  nap(1);
  weft_cond_acquire(&c);
  weft_cond_notify_all(&c);
  trace("notified all");
  nap(2);
  trace("main leaves");
  weft_cond_release(&c);
  await_all(t, 2);
}

SCENARIO(a_cancelled_wait_has_the_lock_again) {
  weft_cond c = WEFT_COND_INIT(NULL);
  weft_task t = wait_at(&c, "a");
  nap(1);
  weft_cond_acquire(&c);
  weft_cancel(t);
  nap(1);
  trace("main leaves");
  weft_cond_release(&c);
  trace("%s", word(weft_await(t)));
  t = wait_at(&c, "b");
  nap(1);
  weft_cond_acquire(&c);
  weft_cond_notify(&c, 1);
  weft_cond_release(&c);
  trace("%s", word(weft_await(t)));
}

struct level {
  weft_cond cond;
  int now;
};

struct wanted {
  const char *name;
  struct level *level;
  int wanted;
};

static int high_enough(void *arg) {
  struct wanted *w = arg;
  return w->level->now >= w->wanted;
}

static int wait_for_level(void *arg) {
  struct wanted *w = arg;
  weft_cond_acquire(&w->level->cond);
  weft_cond_wait_for(&w->level->cond, high_enough, w);
  trace("%s sees %d", w->name, w->level->now);
  return weft_cond_release(&w->level->cond);
}

SCENARIO(a_condition_waits_for_a_predicate) {
  struct level l = {WEFT_COND_INIT(NULL), 0};
  struct wanted w[] = {{"a", &l, 3}, {"b", &l, 1}, {"c", &l, 2}};
  weft_task t[3];
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(wait_for_level, &w[i], NULL);
  for (int i = 0; i < 3; i++) {
    nap(1);
    weft_cond_acquire(&l.cond);
    trace("level %d", ++l.now);
    weft_cond_notify_all(&l.cond);
    weft_cond_release(&l.cond);
  }
  await_all(t, 3);
}

SCENARIO(a_condition_needs_its_lock) {
  weft_cond c = WEFT_COND_INIT(NULL);
  if (weft_cond_notify(&c, 1) == WEFT_ESTATE) trace("notify without the lock");
  if (weft_cond_wait(&c) == WEFT_ESTATE) trace("wait without the lock");
}

/* ---- semaphores ---- */

static int acquire_sem(void *sem) {
  return weft_sem_acquire(sem);
}

static int release_sem(void *sem) {
  return weft_sem_release(sem);
}

static int hold_permit(void *part) {
  return hold_anything(part, acquire_sem, release_sem);
}

SCENARIO(a_semaphore_lets_so_many_in) {
  weft_sem s = WEFT_SEM_INIT(2);
  const struct part parts[] = {
      {"a", &s, 3, 1}, {"b", &s, 1, 1}, {"c", &s, 4, 1}, {"d", &s, 1, 1}, {"e", &s, 2, 1}};
  weft_task t[5];
  for (int i = 0; i < 5; i++) t[i] = join(hold_permit, parts[i]);
  await_all(t, 5);
  trace("locked %d", weft_sem_locked(&s));
}

static int acquire(void *arg) {
  struct part *p = arg;
  trace("%s wants a permit", p->name);
  int r = weft_sem_acquire(p->object);
  trace("%s %s", p->name, r == 0 ? "has one" : word(r));
  return r;
}

SCENARIO(a_semaphore_is_locked_while_somebody_waits) {
  weft_sem s = WEFT_SEM_INIT(1);
  trace("locked %d", weft_sem_locked(&s));
  weft_sem_acquire(&s);
  trace("locked %d", weft_sem_locked(&s));
  weft_task t[] = {join(acquire, (struct part){"a", &s, 0, 0}),
                   join(acquire, (struct part){"b", &s, 0, 0}),
                   join(acquire, (struct part){"c", &s, 0, 0})};
  nap(1);
  weft_sem_release(&s);
  trace("locked %d", weft_sem_locked(&s));
  if (!weft_sem_locked(&s)) acquire(&(struct part){"main", &s, 0, 0});
  nap(1);
  weft_cancel(t[1]);
  nap(1);
  weft_sem_release(&s);
  nap(1);
  weft_sem_release(&s);
  trace("locked %d", weft_sem_locked(&s));
  tell_all(t, 3);
}

SCENARIO(a_bounded_semaphore_takes_no_more_back) {
  weft_sem s = WEFT_BOUNDED_SEM_INIT(2);
  weft_sem_acquire(&s);
  weft_sem_release(&s);
  if (weft_sem_release(&s) == WEFT_EOVERFLOW) trace("released too often");
  weft_task t[] = {join(hold_permit, (struct part){"a", &s, 1, 1}),
                   join(hold_permit, (struct part){"b", &s, 3, 1}),
                   join(hold_permit, (struct part){"c", &s, 1, 1})};
  await_all(t, 3);
}

/* ---- barriers ---- */

static int meet(void *arg) {
  struct part *p = arg;
  for (int i = 0; i < p->times; i++) {
    int r = nap(p->seconds);
    if (r < 0) return r;
    trace("%s arrives", p->name);
    r = weft_barrier_wait(p->object);
    if (r == WEFT_EBROKEN) {
      trace("%s finds it broken", p->name);
      return 0;
    }
    if (r < 0) return r;
    trace("%s has place %d", p->name, r);
  }
  return 0;
}

SCENARIO(a_barrier_gives_places_and_serves_again) {
  weft_barrier b = WEFT_BARRIER_INIT(3);
  weft_task t[] = {join(meet, (struct part){"a", &b, 3, 3}),
                   join(meet, (struct part){"b", &b, 1, 3}),
                   join(meet, (struct part){"c", &b, 2, 3})};
  await_all(t, 3);
  trace("waiting %d", weft_barrier_waiting(&b));
}

SCENARIO(a_cancelled_party_is_not_counted) {
  weft_barrier b = WEFT_BARRIER_INIT(2);
  weft_task t[] = {join(meet, (struct part){"a", &b, 1, 1}),
                   join(meet, (struct part){"b", &b, 3, 1}),
                   join(meet, (struct part){"c", &b, 4, 1})};
  nap(2);
  trace("waiting %d", weft_barrier_waiting(&b));
  weft_cancel(t[0]);
  tell_all(t, 3);
}

SCENARIO(a_broken_barrier_turns_all_away_until_it_is_reset) {
  weft_barrier b = WEFT_BARRIER_INIT(3);
  weft_task t[6] = {join(meet, (struct part){"a", &b, 1, 1}),
                    join(meet, (struct part){"b", &b, 1, 1}),
                    join(meet, (struct part){"c", &b, 3, 1})};
  const char *names[] = {"d", "e", "f"};
  nap(2);
  weft_barrier_abort(&b);
  nap(2);
  trace("broken %d", weft_barrier_broken(&b));
  weft_barrier_reset(&b);
  trace("broken %d", weft_barrier_broken(&b));
  for (int i = 0; i < 3; i++) t[3 + i] = join(meet, (struct part){names[i], &b, 1, 1});
  await_all(t, 6);
}

const struct scenario scenarios_sync[] = {
    ENTRY(a_lock_is_first_come_first_served),
    ENTRY(nobody_overtakes_at_a_lock),
    ENTRY(a_free_lock_takes_no_turn),
    ENTRY(a_cancelled_waiter_leaves_the_queue_of_a_lock),
    ENTRY(a_lock_goes_on_when_its_holder_is_cancelled),
    ENTRY(a_lock_has_no_owner),
    ENTRY(an_event_wakes_those_who_wait),
    ENTRY(set_and_cleared_at_once_an_event_wakes_all_the_same),
    ENTRY(a_condition_wakes_as_many_as_it_is_told),
    ENTRY(the_notified_wait_until_the_lock_is_free),
    ENTRY(a_cancelled_wait_has_the_lock_again),
    ENTRY(a_condition_waits_for_a_predicate),
    ENTRY(a_condition_needs_its_lock),
    ENTRY(a_semaphore_lets_so_many_in),
    ENTRY(a_semaphore_is_locked_while_somebody_waits),
    ENTRY(a_bounded_semaphore_takes_no_more_back),
    ENTRY(a_barrier_gives_places_and_serves_again),
    ENTRY(a_cancelled_party_is_not_counted),
    ENTRY(a_broken_barrier_turns_all_away_until_it_is_reset),
    {NULL, NULL},
};
