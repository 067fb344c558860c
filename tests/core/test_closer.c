/* What is still open when a runtime ends is closed by tasks, after every other task has ended. */
#include <stdatomic.h>
#include <weft.h>

#include "core/worker.h"
#include "log_capture.h"
#include "task_test.h"

struct open {
  struct weft__closer closer;
  struct open *next; /* registered by this one's close, or NULL */
  weft_runtime rt;
  struct latch *user; /* hit by the last task that uses the object */
  atomic_int closed;
  int slept; /* what a sleep in the closing task answered */
  int spawned;
  int code;
};

static int close_it(struct weft__closer *c) {
  struct open *o = weft__container_of(c, struct open, closer);
  struct weft__closers *cs = &weft__current_task()->rt->closers;
  if (o->user) CHECK_INT(latch_hits(o->user), 1);
  CHECK(!weft__closer_remove(cs, c));
  o->slept = weft_sleep(weft_ms(5));
  o->spawned = weft_await(weft_spawn(return_seven, NULL, NULL));
  if (o->next) {
    weft__closer_add(cs, &o->next->closer);
    weft_sleep(weft_ms(1));
    CHECK_INT(atomic_load(&o->next->closed), 0); /* a round follows the one before */
  }
  atomic_fetch_add(&o->closed, 1);
  return o->code;
}

static struct weft__closers *mine(void) {
  return &weft__current_task()->rt->closers;
}

static int use_until_the_end(void *arg) {
  hit_and_park(arg);
  weft_shield_begin();
  weft_sleep(weft_ms(3));
  weft_shield_end();
  return 0;
}

struct use {
  struct latch parked, ended;
};

static int user_main(void *arg) {
  struct use *u = arg;
  use_until_the_end(&u->parked);
  latch_hit(&u->ended);
  return 0;
}

struct scene {
  struct open o[3];
  struct use use;
};

static int leave_open(void *arg) {
  struct scene *s = arg;
  for (int i = 0; i < 2; i++) {
    s->o[i].closer = (struct weft__closer){.run = close_it, .name = "an object"};
    s->o[i].user = &s->use.ended;
    weft__closer_add(mine(), &s->o[i].closer);
  }
  s->o[0].next = &s->o[2];
  s->o[2].closer = (struct weft__closer){.run = close_it};
  weft_detach(weft_spawn(user_main, &s->use, NULL));
  return latch_wait(&s->use.parked, 1);
}

static void what_is_open_is_closed_by_tasks_after_all_others(void **state) {
  static struct scene s;
  (void)state;
  s = (struct scene){0};
  CHECK_INT(weft_run(leave_open, &s, NULL), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(atomic_load(&s.o[i].closed), 1);
    CHECK_INT(s.o[i].slept, 0); /* not cancelled */
    CHECK_INT(s.o[i].spawned, 7);
  }
}

TASK_TEST(a_closer_that_was_removed_does_not_run) {
  static struct open o;
  o = (struct open){.closer = {.run = close_it}};
  CHECK(!weft__closer_remove(mine(), &o.closer));
  weft__closer_add(mine(), &o.closer);
  CHECK(weft__closer_remove(mine(), &o.closer));
  CHECK(!weft__closer_remove(mine(), &o.closer));
}

static int leave_a_failing_one(void *arg) {
  struct open *o = arg;
  *o = (struct open){.closer = {.run = close_it, .name = "the failing one"}, .code = OWN_ERROR};
  weft__closer_add(mine(), &o->closer);
  return 3;
}

static void a_close_that_fails_is_reported(void **state) {
  struct log_capture log = LOG_CAPTURE_INIT;
  static struct open o;
  (void)state;
  CHECK_INT(
      weft_run(leave_a_failing_one, &o, &(weft_run_opts){.log = log_capture_line, .log_arg = &log}),
      3);
  CHECK_INT(atomic_load(&o.closed), 1);
  CHECK_INT(log_capture_count(&log, "the failing one"), 1);
}

static int sleep_until_cancelled(void *arg) {
  int r;
  (void)arg;
  while ((r = weft_sleep(weft_ms(1))) == 0) {}
  return r;
}

static int spawn_and_leave(struct weft__closer *c) {
  struct open *o = weft__container_of(c, struct open, closer);
  weft_detach(weft_spawn(sleep_until_cancelled, NULL, NULL));
  atomic_fetch_add(&o->closed, 1);
  return 0;
}

static int leave_a_spawner(void *arg) {
  struct open *o = arg;
  *o = (struct open){.closer = {.run = spawn_and_leave}};
  weft__closer_add(mine(), &o->closer);
  return 0;
}

/* When no closer runs any more, who is left is cancelled. */
static void tasks_that_a_close_leaves_behind_are_cancelled(void **state) {
  static struct open o;
  (void)state;
  CHECK_INT(weft_run(leave_a_spawner, &o, NULL), 0);
  CHECK_INT(atomic_load(&o.closed), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_open_is_closed_by_tasks_after_all_others),
    cmocka_unit_test(a_closer_that_was_removed_does_not_run),
    cmocka_unit_test(a_close_that_fails_is_reported),
    cmocka_unit_test(tasks_that_a_close_leaves_behind_are_cancelled),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
