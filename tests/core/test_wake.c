/* Wake-ups that find nothing: the worker goes back to sleep, and the next one wakes it all the same.
 * Method: a thread wakes the sleeping workers of a run for nothing, then submits a task. */
#include <pthread.h>
#include <sched.h>
#include <weft.h>

#include "base/clock.h"
#include "core/worker.h"
#include "task_test.h"

struct sleeping {
  struct weft__runtime *rt;
  weft_runtime name;
  weft_task main;
  struct latch ran;
};

static void until_all_sleep(struct weft__runtime *rt) {
  while (weft__load_seq_u32(&rt->parked) < rt->nworkers) sched_yield();
}

static void wake_for_nothing(struct weft__worker *w) {
  uint64_t parks = weft__counter_read(&w->counters.parks);
  weft__unpark(w);
  while (weft__counter_read(&w->counters.parks) == parks) sched_yield();
}

static void *wake_and_submit(void *arg) {
  struct sleeping *s = arg;
  uint64_t give_up = weft__now() + 10 * WEFT__NS_PER_SEC;
  until_all_sleep(s->rt);
  for (unsigned i = 0; i < s->rt->nworkers; i++) wake_for_nothing(&s->rt->workers[i]);
  until_all_sleep(s->rt);
  CHECK_INT(weft_submit(s->name, hit_and_return, &s->ran, NULL), 0);
  while (latch_hits(&s->ran) == 0 && weft__now() < give_up) sched_yield();
  CHECK_INT(latch_hits(&s->ran), 1);
  CHECK_INT(weft_cancel(s->main), 1);
  /* Also when wake-ups are lost. */
  for (unsigned i = 0; i < s->rt->nworkers; i++) weft__unpark(&s->rt->workers[i]);
  return NULL;
}

static int sleep_until_cancelled(void *arg) {
  struct sleeping *s = arg;
  pthread_t thread;
  s->rt = weft__self()->rt;
  s->name = weft_runtime_current();
  s->main = weft_current();
  if (!CHECK_INT(pthread_create(&thread, NULL, wake_and_submit, s), 0)) return 0;
  int r = weft_sleep(A_LONG_TIME);
  pthread_join(thread, NULL);
  return r;
}

static void wake(weft_run_opts opts) {
  struct sleeping s = {.ran = {0}};
  CHECK_INT(weft_run(sleep_until_cancelled, &s, &opts), WEFT_ECANCELED);
}

static void a_submit_wakes_an_exact_worker_that_was_woken_for_nothing(void **state) {
  (void)state;
  wake((weft_run_opts){.exact = true});
}

static void a_submit_wakes_the_only_worker_that_was_woken_for_nothing(void **state) {
  (void)state;
  wake((weft_run_opts){.workers = 1});
}

static void a_submit_wakes_one_of_four_that_were_woken_for_nothing(void **state) {
  (void)state;
  wake((weft_run_opts){.workers = 4});
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_submit_wakes_an_exact_worker_that_was_woken_for_nothing),
    cmocka_unit_test(a_submit_wakes_the_only_worker_that_was_woken_for_nothing),
    cmocka_unit_test(a_submit_wakes_one_of_four_that_were_woken_for_nothing),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
