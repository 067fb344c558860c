/* When a job that comes has to wake a thread, make one, or ask for ticks: `attention`, for states of
 * the pool that the test makes up, and what a submit does about it. */
#include "base/mutex.h"
#include "base/sys.h"
#include "blocking_test.h"

enum { HOT = 2, MAX = 4, LONG_JOB = 1000000 };

/* The pool with threads at work and ticks on the way, so that nothing is asked of a submit. */
static void pool_at_work(struct weft__blocking *p, unsigned threads) {
  pool_init(p, HOT, MAX);
  p->threads = p->awake = threads;
  p->ticking = true;
  p->each = LONG_JOB;
}

static uint32_t attention(struct weft__blocking *p) {
  weft__blocking_publish(p);
  return weft__load_relaxed_u32(&p->attention);
}

static void an_empty_pool_is_deserted(void **state) {
  struct weft__blocking p;
  (void)state;
  pool_init(&p, HOT, MAX);
  CHECK_UINT(weft__load_relaxed_u32(&p.attention), WEFT__BLOCKING_SUMMON | WEFT__BLOCKING_DESERTED);
  CHECK_UINT(attention(&p), WEFT__BLOCKING_SUMMON | WEFT__BLOCKING_DESERTED);
  pool_close(&p);
}

static void a_thread_is_wanted_while_fewer_than_hot_are_at_work(void **state) {
  struct weft__blocking p;
  (void)state;
  pool_at_work(&p, 1);
  CHECK_UINT(attention(&p), WEFT__BLOCKING_SUMMON);
  p.threads = p.awake = 2;
  CHECK_UINT(attention(&p), 0);
  p.threads = p.awake = 3;
  CHECK_UINT(attention(&p), 0);
  p.blocked = 2; /* those make room */
  CHECK_UINT(attention(&p), WEFT__BLOCKING_SUMMON);
}

static void a_thread_that_is_on_its_way_is_enough(void **state) {
  struct weft__blocking p;
  (void)state;
  pool_at_work(&p, 1);
  p.searching = 1;
  CHECK_UINT(attention(&p), 0);
  p.ticking = false;
  CHECK_UINT(attention(&p), 0); /* it will ask for ticks */
}

static void no_thread_is_wanted_beyond_the_maximum(void **state) {
  struct weft__blocking p;
  struct weft__list sleeping;
  (void)state;
  pool_at_work(&p, MAX);
  p.blocked = MAX;
  CHECK_UINT(attention(&p), 0);
  p.awake = p.blocked = MAX - 1; /* one is idle */
  weft__list_init(&sleeping);
  weft__list_push_back(&p.idle, &sleeping);
  CHECK_UINT(attention(&p), WEFT__BLOCKING_SUMMON);
}

static void jobs_that_are_short_are_worth_a_thread_only_in_number(void **state) {
  struct weft__blocking p;
  (void)state;
  pool_at_work(&p, 1);
  p.each = 0;
  CHECK_UINT(attention(&p), 0);
  p.each = 100;
  CHECK_UINT(attention(&p), 0);
  p.queued = 100000;
  CHECK_UINT(attention(&p), WEFT__BLOCKING_SUMMON);
  p.queued = 0;
  p.awake = 0; /* it sleeps: the only one */
  CHECK_UINT(attention(&p), WEFT__BLOCKING_SUMMON);
}

static void ticks_are_asked_for_once(void **state) {
  struct weft__blocking p;
  (void)state;
  pool_at_work(&p, HOT);
  p.ticking = false;
  CHECK_UINT(attention(&p), WEFT__BLOCKING_SUMMON);
  p.want_ticks = NULL; /* nobody to ask */
  CHECK_UINT(attention(&p), 0);
}

static void a_tick_is_asked_for_by_jobs_that_wait_only(void **state) {
  struct weft__blocking p;
  struct weft__blocking_errand e;
  (void)state;
  pool_at_work(&p, HOT);
  p.ticking = false;
  CHECK_INT(weft__blocking_provide(&p, &e), 0);
  CHECK(!e.ticks && !p.ticking);
  p.batched = 1; /* somebody holds jobs that he has not begun */
  CHECK_INT(weft__blocking_provide(&p, &e), 0);
  CHECK(e.ticks && p.ticking);
  CHECK_PTR(e.wake, NULL);
  weft__blocking_run_errand(&p, &e);
  CHECK_INT(atomic_load(&ticks_wanted), 1);
  CHECK_INT(weft__blocking_provide(&p, &e), 0);
  CHECK(!e.ticks);
  p.ticking = false;
  p.batched = 0;
  p.queued = 1;
  CHECK_INT(weft__blocking_provide(&p, &e), 0);
  CHECK(e.ticks && p.ticking);
  CHECK_UINT(weft__load_relaxed_u32(&p.attention), 0);
}

/* Nothing to do under the lock, hence nothing to wait for. */
static void a_submit_takes_no_lock_while_the_threads_are_at_work(void **state) {
  struct weft__blocking p;
  struct latch begun = {0}, over = {0};
  atomic_bool gate = false;
  struct probe holder = {.begun = &begun, .over = &over, .gate = &gate};
  struct probe waiting = {.over = &over}, more = {.over = &over};
  (void)state;
  pool_init(&p, 1, 1);
  submit(&p, &holder, blocking_body);
  latch_wait_thread(&begun, 1);
  submit(&p, &waiting, body); /* asks for ticks */
  weft__mutex_lock(&p.lock);
  submit(&p, &more, body);
  weft__mutex_unlock(&p.lock);
  open_gate(&gate);
  latch_wait_thread(&over, 3);
  pool_close(&p);
}

static void a_pool_that_all_threads_have_left_is_deserted_again(void **state) {
  struct weft__blocking p;
  struct latch over = {0};
  struct probe first = {.over = &over}, second = {.over = &over};
  (void)state;
  pool_init(&p, 1, 1);
  p.idle_ns = 1;
  submit(&p, &first, body);
  latch_wait_thread(&over, 1);
  while (stats_of(&p).threads > 0) sched_yield();
  second.job = (struct weft__job){.fn = body, .arg = &second, .done = probe_done};
  weft__sys_fail(WEFT__SYS_thread_create, 1, WEFT_EAGAIN, true);
  CHECK_INT(weft__blocking_submit(&p, &second.job), WEFT_EAGAIN);
  weft__sys_clear();
  CHECK_INT(weft__blocking_submit(&p, &second.job), 0);
  latch_wait_thread(&over, 2);
  CHECK_UINT(stats_of(&p).peak, 1);
  pool_close(&p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_empty_pool_is_deserted),
    cmocka_unit_test(a_thread_is_wanted_while_fewer_than_hot_are_at_work),
    cmocka_unit_test(a_thread_that_is_on_its_way_is_enough),
    cmocka_unit_test(no_thread_is_wanted_beyond_the_maximum),
    cmocka_unit_test(jobs_that_are_short_are_worth_a_thread_only_in_number),
    cmocka_unit_test(ticks_are_asked_for_once),
    cmocka_unit_test(a_tick_is_asked_for_by_jobs_that_wait_only),
    cmocka_unit_test(a_submit_takes_no_lock_while_the_threads_are_at_work),
    cmocka_unit_test(a_pool_that_all_threads_have_left_is_deserted_again),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
