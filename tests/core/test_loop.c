/* Sleeping in a loop until a deadline, also one that has passed by the time libuv looks at its clock:
 * then it runs the alarm before it polls, not after. Method: a descriptor that never becomes
 * ready keeps the loop alive; a sleep that does not end is the test's time limit. */
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

static void watch(struct watched *w) {
  assert_int_equal(weft__loop_init(&w->loop), 0);
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
  watch(&w);
  for (int i = 0; i < 10; i++) weft__loop_sleep(&w.loop, weft__now());
  weft__loop_sleep(&w.loop, 1);
  unwatch(&w);
}

/* libuv counts in milliseconds, so the end may be one early; who sleeps looks at the clock again. */
static void a_sleep_lasts_until_its_deadline(void **state) {
  struct watched w;
  (void)state;
  watch(&w);
  uint64_t deadline = weft__now() + 20 * WEFT__NS_PER_MS;
  weft__loop_sleep(&w.loop, deadline);
  CHECK(weft__now() >= deadline - 2 * WEFT__NS_PER_MS);
  unwatch(&w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_deadline_that_has_passed_ends_the_sleep_at_once),
    cmocka_unit_test(a_sleep_lasts_until_its_deadline),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
