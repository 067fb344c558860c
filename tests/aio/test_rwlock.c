/* Readers-writer locks: who may be in together, and in which order. */
#include <weft.h>

#include "counts.h"
#include "parked.h"
#include "task_test.h"

struct scene {
  weft_rwlock lock;
  atomic_int readers, writers, most_readers;
  struct latch entered, leave;
};

struct guest {
  struct scene *scene;
  int place; /* how many had come in before */
};

static void come_in(struct guest *g, bool writes) {
  struct scene *s = g->scene;
  int readers = atomic_fetch_add(&s->readers, !writes) + !writes;
  int writers = atomic_fetch_add(&s->writers, writes) + writes;
  CHECK(writes ? readers == 0 && writers == 1 : writers == 0);
  if (readers > atomic_load(&s->most_readers)) atomic_store(&s->most_readers, readers);
  g->place = atomic_fetch_add(&s->entered.hits, 1);
}

static void go_out(struct guest *g, bool writes) {
  atomic_fetch_sub(writes ? &g->scene->writers : &g->scene->readers, 1);
  CHECK_INT(writes ? weft_rwlock_release_write(&g->scene->lock)
                   : weft_rwlock_release_read(&g->scene->lock),
            0);
}

/* In, and out again when the scene says so. */
static int visit(struct guest *g, bool writes) {
  int r = writes ? weft_rwlock_acquire_write(&g->scene->lock)
                 : weft_rwlock_acquire_read(&g->scene->lock);
  if (r < 0) return r;
  come_in(g, writes);
  latch_wait(&g->scene->leave, 1);
  go_out(g, writes);
  return 0;
}

static int reads(void *guest) {
  return visit(guest, false);
}
static int writes(void *guest) {
  return visit(guest, true);
}

TASK_TEST(readers_are_in_together) {
  struct scene s = {0};
  struct guest g[3] = {{&s, 0}, {&s, 0}, {&s, 0}};
  weft_task t[3];
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(reads, &g[i], NULL);
  CHECK_INT(latch_wait(&s.entered, 3), 0);
  CHECK_INT(weft_rwlock_try_write(&s.lock), WEFT_EAGAIN);
  CHECK_INT(weft_rwlock_try_read(&s.lock), 0);
  CHECK_INT(weft_rwlock_release_read(&s.lock), 0);
  latch_hit(&s.leave);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK_INT(atomic_load(&s.most_readers), 3);
  CHECK_INT(weft_rwlock_try_write(&s.lock), 0);
  CHECK_INT(weft_rwlock_release_write(&s.lock), 0);
}

TASK_TEST(a_writer_is_in_alone) {
  struct scene s = {0};
  struct guest g[2] = {{&s, 0}, {&s, 0}};
  CHECK_INT(weft_rwlock_acquire_write(&s.lock), 0);
  weft_task t[2] = {spawn_parked(reads, &g[0]), spawn_parked(writes, &g[1])};
  CHECK_INT(weft_rwlock_try_read(&s.lock), WEFT_EAGAIN);
  CHECK_INT(weft_rwlock_try_write(&s.lock), WEFT_EAGAIN);
  CHECK_INT(latch_hits(&s.entered), 0);
  latch_hit(&s.leave);
  CHECK_INT(weft_rwlock_release_write(&s.lock), 0);
  CHECK_INT(weft_await(t[0]), 0);
  CHECK_INT(weft_await(t[1]), 0);
  CHECK_INT(g[0].place, 0);
  CHECK_INT(g[1].place, 1);
}

TASK_TEST(a_writer_is_not_overtaken_by_readers) {
  struct scene s = {0};
  struct guest g[4] = {{&s, 0}, {&s, 0}, {&s, 0}, {&s, 0}};
  weft_task t[4];
  CHECK_INT(weft_rwlock_acquire_read(&s.lock), 0);
  t[0] = spawn_parked(writes, &g[0]);
  for (int i = 1; i < 4; i++) t[i] = spawn_parked(reads, &g[i]); /* behind the writer */
  CHECK_INT(weft_rwlock_try_read(&s.lock), WEFT_EAGAIN);
  latch_hit(&s.leave);
  CHECK_INT(weft_rwlock_release_read(&s.lock), 0);
  for (int i = 0; i < 4; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK_INT(g[0].place, 0);
}

/* Readers up to the next writer come in together, and no further ones. */
TASK_TEST(readers_come_in_in_batches_between_the_writers) {
  struct scene s = {0};
  struct guest g[4] = {{&s, 0}, {&s, 0}, {&s, 0}, {&s, 0}};
  CHECK_INT(weft_rwlock_acquire_write(&s.lock), 0);
  weft_task t[4] = {spawn_parked(reads, &g[0]), spawn_parked(reads, &g[1]),
                    spawn_parked(writes, &g[2]), spawn_parked(reads, &g[3])};
  CHECK_INT(weft_rwlock_release_write(&s.lock), 0);
  CHECK_INT(latch_wait(&s.entered, 2), 0);
  CHECK_INT(atomic_load(&s.most_readers), 2);
  CHECK(is_parked(t[2]) && is_parked(t[3]));
  latch_hit(&s.leave);
  for (int i = 0; i < 4; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK_INT(g[2].place, 2);
  CHECK_INT(g[3].place, 3);
}

TASK_TEST(readers_behind_a_writer_that_is_cancelled_come_in) {
  struct scene s = {0};
  struct guest g[3] = {{&s, 0}, {&s, 0}, {&s, 0}};
  CHECK_INT(weft_rwlock_acquire_read(&s.lock), 0);
  weft_task t[3] = {spawn_parked(writes, &g[0]), spawn_parked(reads, &g[1]),
                    spawn_parked(reads, &g[2])};
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(latch_wait(&s.entered, 2), 0);
  CHECK_INT(weft_await(t[0]), WEFT_ECANCELED);
  latch_hit(&s.leave);
  CHECK_INT(weft_await(t[1]), 0);
  CHECK_INT(weft_await(t[2]), 0);
  CHECK_INT(weft_rwlock_release_read(&s.lock), 0);
  CHECK_INT(weft_rwlock_try_write(&s.lock), 0);
}

TASK_TEST(a_writer_that_acquires_again_is_edeadlk) {
  struct scene s = {0};
  CHECK_INT(weft_rwlock_acquire_write(&s.lock), 0);
  CHECK_INT(weft_rwlock_acquire_write(&s.lock), WEFT_EDEADLK);
  CHECK_INT(weft_rwlock_acquire_read(&s.lock), WEFT_EDEADLK);
  CHECK_INT(weft_rwlock_release_write(&s.lock), 0);
  CHECK_INT(weft_rwlock_acquire_read(&s.lock), 0);
  CHECK_INT(weft_rwlock_release_read(&s.lock), 0);
}

static int write_and_end(void *lock) {
  return weft_rwlock_acquire_write(lock);
}
static int write_with_a_limit(void *lock) {
  weft_timeout s;
  int r = weft_timeout_begin(&s, weft_us(20));
  return r < 0 ? r : weft_timeout_end(&s, weft_rwlock_acquire_write(lock));
}

/* The memory of the writer is used again: by others, who do not hold the lock. */
EXACT_TEST(a_lock_of_a_writer_that_has_ended_is_held_by_no_later_task) {
  weft_rwlock lock = WEFT_RWLOCK_INIT;
  weft_task gone = weft_spawn(write_and_end, &lock, NULL);
  int again = 0;
  CHECK_INT(weft_await(gone), 0);
  for (int i = 0; i < count(100); i++) {
    weft_task t = weft_spawn(write_with_a_limit, &lock, NULL);
    again += t.slot_ == gone.slot_;
    CHECK_INT(weft_await(t), WEFT_ETIMEDOUT);
  }
  CHECK(again > 0);
  CHECK_INT(weft_rwlock_release_write(&lock), 0);
}

TASK_TEST(a_release_of_what_is_not_held_is_estate) {
  struct scene s = {0};
  CHECK_INT(weft_rwlock_release_read(&s.lock), WEFT_ESTATE);
  CHECK_INT(weft_rwlock_release_write(&s.lock), WEFT_ESTATE);
  CHECK_INT(weft_rwlock_acquire_read(&s.lock), 0);
  CHECK_INT(weft_rwlock_release_write(&s.lock), WEFT_ESTATE);
  CHECK_INT(weft_rwlock_release_read(&s.lock), 0);
  CHECK_INT(weft_rwlock_acquire_write(&s.lock), 0);
  CHECK_INT(weft_rwlock_release_read(&s.lock), WEFT_ESTATE);
  CHECK_INT(weft_rwlock_release_write(&s.lock), 0);
  CHECK_INT(weft_rwlock_release_write(&s.lock), WEFT_ESTATE);
}

static void outside_a_task_a_readers_writer_lock_is_enotask(void **state) {
  (void)state;
  weft_rwlock l = WEFT_RWLOCK_INIT;
  CHECK_INT(weft_rwlock_acquire_read(&l), WEFT_ENOTASK);
  CHECK_INT(weft_rwlock_acquire_write(&l), WEFT_ENOTASK);
  CHECK_INT(weft_rwlock_try_read(&l), WEFT_ENOTASK);
  CHECK_INT(weft_rwlock_try_write(&l), WEFT_ENOTASK);
}

TASK_TEST(a_deadline_ends_the_wait_for_a_readers_writer_lock) {
  struct scene s = {0};
  struct guest g = {&s, 0};
  latch_hit(&s.leave);
  CHECK_INT(weft_rwlock_acquire_read(&s.lock), 0);
  CHECK_INT(weft_wait_for(writes, &g, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_wait_for(reads, &g, A_LONG_TIME), 0);
  CHECK_INT(weft_rwlock_release_read(&s.lock), 0);
}

/* ---- many ---- */

enum { TASKS = 8 };

static int come_and_go(void *arg) {
  struct guest *g = arg;
  struct scene *s = g->scene;
  for (int i = 0; i < count(COUNT_TASKS / 20); i++) {
    bool write = (i + g->place) % 4 == 0;
    weft_timeout limit;
    weft_timeout_begin(&limit, weft_us(1 + (i * 11) % 50));
    int r = write ? weft_rwlock_acquire_write(&s->lock) : weft_rwlock_acquire_read(&s->lock);
    if (r == 0) {
      struct guest visitor = {s, 0};
      come_in(&visitor, write);
      weft_sim_point();
      if (i % 3 == 0) weft_yield(); /* whatever it answers */
      go_out(&visitor, write);
    }
    r = weft_timeout_end(&limit, r);
    weft_cancel_catch();
    if (!CHECK(r == 0 || r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT)) break;
  }
  return 0;
}

TASK_TEST(readers_and_writers_exclude_each_other_while_some_are_cancelled_and_time_out) {
  struct scene s = {0};
  struct guest g[TASKS];
  weft_task t[TASKS];
  for (int i = 0; i < TASKS; i++) {
    g[i] = (struct guest){&s, i};
    t[i] = weft_spawn(come_and_go, &g[i], NULL);
  }
  for (int i = 0; i < count(COUNT_TASKS / 20); i++) {
    weft_cancel(t[i % TASKS]);
    weft_yield();
  }
  for (int i = 0; i < TASKS; i++) {
    CHECK_INT(weft_task_wait(t[i], NULL), 0);
    weft_await(t[i]);
  }
  CHECK_INT(weft_rwlock_try_write(&s.lock), 0);
  CHECK_INT(weft_rwlock_release_write(&s.lock), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(readers_are_in_together),
    cmocka_unit_test(a_writer_is_in_alone),
    cmocka_unit_test(a_writer_is_not_overtaken_by_readers),
    cmocka_unit_test(readers_come_in_in_batches_between_the_writers),
    cmocka_unit_test(readers_behind_a_writer_that_is_cancelled_come_in),
    cmocka_unit_test(a_writer_that_acquires_again_is_edeadlk),
    cmocka_unit_test(a_lock_of_a_writer_that_has_ended_is_held_by_no_later_task),
    cmocka_unit_test(a_release_of_what_is_not_held_is_estate),
    cmocka_unit_test(outside_a_task_a_readers_writer_lock_is_enotask),
    cmocka_unit_test(a_deadline_ends_the_wait_for_a_readers_writer_lock),
    cmocka_unit_test(readers_and_writers_exclude_each_other_while_some_are_cancelled_and_time_out),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
