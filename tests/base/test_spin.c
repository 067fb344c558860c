/* The spinlock, and counters that one thread writes. */
#include "weft_test.h"

#include <pthread.h>

#include "base/counters.h"
#include "base/spin.h"

static struct weft__spin lock;
static uint64_t guarded; /* plain: a race here is a race of the lock */

enum { THREADS = 8, ROUNDS = 20000 };

static void *adds(void *arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    weft__spin_lock(&lock);
    guarded++;
    weft__spin_unlock(&lock);
  }
  return NULL;
}

static void it_excludes_more_threads_than_cpus(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, adds, NULL), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK_UINT(guarded, (uint64_t)THREADS * ROUNDS);
}

static void *tries(void *held) {
  *(bool *)held = weft__spin_trylock(&lock);
  return NULL;
}

static bool another_thread_gets_it(void) {
  pthread_t thread;
  bool held = false;
  assert_int_equal(pthread_create(&thread, NULL, tries, &held), 0);
  pthread_join(thread, NULL);
  return held;
}

static void trylock_fails_while_it_is_held(void **state) {
  (void)state;
  weft__spin_lock(&lock);
  CHECK(!another_thread_gets_it());
  weft__spin_unlock(&lock);
  CHECK(another_thread_gets_it());
  CHECK(!another_thread_gets_it()); /* the first one kept it */
  weft__spin_unlock(&lock);
}

static struct weft__counter counter;

static void *counts(void *arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) weft__counter_add(&counter, 3);
  return NULL;
}

static void a_counter_can_be_read_while_its_owner_counts(void **state) {
  (void)state;
  pthread_t thread;
  uint64_t last = 0;
  assert_int_equal(pthread_create(&thread, NULL, counts, NULL), 0);
  while (last < 3 * ROUNDS) {
    uint64_t n = weft__counter_read(&counter);
    if (!CHECK(n >= last && n % 3 == 0)) break;
    last = n;
  }
  pthread_join(thread, NULL);
  CHECK_UINT(weft__counter_read(&counter), 3 * ROUNDS);
  weft__counter_set(&counter, 1);
  CHECK_UINT(weft__counter_read(&counter), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_excludes_more_threads_than_cpus),
    cmocka_unit_test(trylock_fails_while_it_is_held),
    cmocka_unit_test(a_counter_can_be_read_while_its_owner_counts),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
