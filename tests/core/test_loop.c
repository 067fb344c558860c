/* Sleeping in a loop until a deadline, in its poll set and, once libuv is used, in libuv; also one that has
 * passed by the time libuv looks at its clock:
 * then it runs the alarm before it polls, not after. Method: a descriptor that never becomes
 * ready keeps the loop alive; a sleep that does not end is the test's time limit. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "core/loop.h"
#include "weft_test.h"

struct watched {
  struct weft__loop loop;
  uv_poll_t poll;
  int fds[2];
};

static void never(uv_poll_t *poll, int status, int events) {
  (void)poll, (void)status, (void)events;
}

static void watch(struct watched *w, bool in_uv) {
  assert_int_equal(weft__loop_init(&w->loop), 0);
  weft__store_relaxed_u32(&w->loop.used, in_uv);
  assert_int_equal(pipe(w->fds), 0);
  assert_int_equal(uv_poll_init(&w->loop.uv, &w->poll, w->fds[0]), 0);
  assert_int_equal(uv_poll_start(&w->poll, UV_READABLE, never), 0);
}

static void unwatch(struct watched *w) {
  weft__loop_fini(&w->loop); /* closes the handle */
  close(w->fds[0]);
  close(w->fds[1]);
}

static void a_deadline_that_has_passed_ends_the_sleep_at_once(void **state) {
  struct watched w;
  (void)state;
  for (int in_uv = 0; in_uv < 2; in_uv++) {
    watch(&w, in_uv);
    for (int i = 0; i < 10; i++) weft__loop_sleep(&w.loop, weft__now());
    weft__loop_sleep(&w.loop, 1);
    unwatch(&w);
  }
}

/* libuv counts in milliseconds, so the end may be one early; who sleeps looks at the clock again. */
static void a_sleep_lasts_until_its_deadline(void **state) {
  struct watched w;
  (void)state;
  for (int in_uv = 0; in_uv < 2; in_uv++) {
    watch(&w, in_uv);
    uint64_t deadline = weft__now() + 20 * WEFT__NS_PER_MS;
    weft__loop_sleep(&w.loop, deadline);
    CHECK(weft__now() + (in_uv ? 2 * WEFT__NS_PER_MS : 0) >= deadline);
    unwatch(&w);
  }
}

static void a_ring_ends_the_sleep_and_is_over_then(void **state) {
  struct watched w;
  (void)state;
  for (int in_uv = 0; in_uv < 2; in_uv++) {
    watch(&w, in_uv);
    weft__loop_ring(&w.loop);
    weft__loop_sleep(&w.loop, UINT64_MAX);
    CHECK(!weft__loop_has_event(&w.loop));
    unwatch(&w);
  }
}

/* ---- the loops of two threads ---- */

static void *init_and_fini(void *arg) {
  struct weft__loop loop;
  (void)arg;
  CHECK_INT(weft__loop_init(&loop), 0);
  weft__loop_fini(&loop);
  return NULL;
}

/* Relaxed: the second thread gets the descriptors that the first had, which orders nothing. */
static atomic_bool first_is_over;

static void *first(void *arg) {
  init_and_fini(arg);
  atomic_store_explicit(&first_is_over, true, memory_order_relaxed);
  return NULL;
}

static void *second(void *arg) {
  while (!atomic_load_explicit(&first_is_over, memory_order_relaxed)) sched_yield();
  return init_and_fini(arg);
}

static void a_loop_may_have_the_descriptors_that_a_loop_of_another_thread_had(void **state) {
  pthread_t thread[2];
  (void)state;
  assert_int_equal(pthread_create(&thread[0], NULL, first, NULL), 0);
  assert_int_equal(pthread_create(&thread[1], NULL, second, NULL), 0);
  for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_deadline_that_has_passed_ends_the_sleep_at_once),
    cmocka_unit_test(a_sleep_lasts_until_its_deadline),
    cmocka_unit_test(a_ring_ends_the_sleep_and_is_over_then),
    cmocka_unit_test(a_loop_may_have_the_descriptors_that_a_loop_of_another_thread_had),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
