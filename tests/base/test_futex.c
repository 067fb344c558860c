/* Sleeping on a word with deadlines on the clock. */
#include "weft_test.h"

#include <pthread.h>
#include <weft/errors.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/sys.h"

static void a_word_that_differs_is_not_slept_on(void **state) {
  (void)state;
  weft__atomic_u32 word = {0};
  weft__store_relaxed_u32(&word, 5);
  CHECK_INT(weft__futex_wait(&word, 4, WEFT__FUTEX_FOREVER), WEFT_EAGAIN);
}

static void a_deadline_ends_the_sleep_and_not_before(void **state) {
  (void)state;
  weft__atomic_u32 word = {0};
  weft__clock_init();
  for (int i = 0; i < 5; i++) {
    uint64_t deadline = weft__now() + 3 * WEFT__NS_PER_MS;
    CHECK_INT(weft__futex_wait(&word, 0, deadline), WEFT_ETIMEDOUT);
    CHECK(weft__now() + WEFT__NS_PER_MS >= deadline);
  }
}

static void a_deadline_in_the_past_ends_it_at_once(void **state) {
  (void)state;
  weft__atomic_u32 word = {0};
  CHECK_INT(weft__futex_wait(&word, 0, weft__now() - 1), WEFT_ETIMEDOUT);
  CHECK_INT(weft__futex_wait(&word, 0, 1), WEFT_ETIMEDOUT);
}

static void nobody_is_woken_where_nobody_sleeps(void **state) {
  (void)state;
  weft__atomic_u32 word = {0};
  CHECK_INT(weft__futex_wake(&word, 1), 0);
  CHECK_INT(weft__futex_wake(&word, UINT32_MAX), 0);
}

/* Two threads pass a turn to and fro: a lost wake-up would hang, which the test's limit ends. */
enum { TURNS = 5000 };
static weft__atomic_u32 turn;

static void take_turns(uint32_t mine) {
  for (uint32_t i = mine; i < TURNS; i += 2) {
    uint32_t seen;
    while ((seen = weft__load_acquire_u32(&turn)) != i) {
      int r = weft__futex_wait(&turn, seen, WEFT__FUTEX_FOREVER);
      CHECK(r == 0 || r == WEFT_EAGAIN || r == WEFT_EINTR);
    }
    weft__store_release_u32(&turn, i + 1);
    CHECK(weft__futex_wake(&turn, 1) >= 0);
  }
}

static void *takes_odd_turns(void *arg) {
  (void)arg;
  take_turns(1);
  return NULL;
}

static void no_wake_up_is_lost_between_two_threads(void **state) {
  (void)state;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, takes_odd_turns, NULL), 0);
  take_turns(0);
  pthread_join(thread, NULL);
  CHECK_UINT(weft__load_relaxed_u32(&turn), TURNS);
}

/* The kernel's side of the seam carries the word, the value and the absolute time. */
static struct timespec given;
static const void *given_word;

static int remembers(const void *word, uint32_t expected, const struct timespec *abs) {
  given_word = word;
  given = abs ? *abs : (struct timespec){.tv_sec = -1};
  return (int)expected;
}

static void the_deadline_reaches_the_kernel_as_absolute_time(void **state) {
  (void)state;
  weft__atomic_u32 word = {0};
  struct weft__sys_table table = weft__sys_real;
  table.futex_wait = remembers;
  weft__sys_install(&table);
  CHECK_INT(weft__futex_wait(&word, 7, 12 * WEFT__NS_PER_SEC + 345), 7);
  CHECK_PTR(given_word, &word);
  CHECK_INT(given.tv_sec, 12);
  CHECK_INT(given.tv_nsec, 345);
  CHECK_INT(weft__futex_wait(&word, 7, WEFT__FUTEX_FOREVER), 7);
  CHECK_INT(given.tv_sec, -1);
  weft__sys_install(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_word_that_differs_is_not_slept_on),
    cmocka_unit_test(a_deadline_ends_the_sleep_and_not_before),
    cmocka_unit_test(a_deadline_in_the_past_ends_it_at_once),
    cmocka_unit_test(nobody_is_woken_where_nobody_sleeps),
    cmocka_unit_test(no_wake_up_is_lost_between_two_threads),
    cmocka_unit_test(the_deadline_reaches_the_kernel_as_absolute_time),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
