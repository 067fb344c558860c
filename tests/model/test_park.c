/* Waiting and being woken, for which park.c, task.c, waitq.c, cancel.c, await.c and timers.c are
 * compiled as they are: ends of tasks, turns, deadlines and cancels against a task that waits.
 *
 * What should have woken a task and did not is a deadlock; what a task reads after its wait is
 * ordered by the wait alone. */
#include "waiters.h"

/* --- the end of a task --- */

static void ends_with(int code) {
  model_write(&S.gift, 7);
  weft__task_finish(&S.w[1], &S.task[1], code);
  weft__task_unref(&S.rt.tasks, &S.w[1].cache, &S.task[1], 1);
}
static void ends(void) {
  ends_with(CODE);
}
static void ends_badly(void) {
  ends_with(WEFT_EINVAL);
}
static void waits_for_its_end(void) {
  S.result[0] = weft__wait_done(&S.task[0], &S.task[1], KEY, false);
  if (S.result[0] != 0) return;
  MODEL_CHECK(S.task[0].wait.code == CODE);
  MODEL_CHECK(model_read(&S.gift) == 7);
}
static void awaits(void) {
  S.result[0] = weft_await(handle(1));
}
static void lets_go(void) {
  weft__let_go(&S.task[1]);
}

/* No record stays behind: its memory is the waiter's. */
static void unlinked(void) {
  bool watched = weft__load_relaxed_u32(&S.task[1].watched) & WEFT__WATCHED;
  MODEL_CHECK(!watched || weft__list_empty(&S.task[1].watchers));
}
static void came_once(void) {
  unlinked();
  MODEL_CHECK(S.result[0] == 0);
}
static void came_or_cancelled(void) {
  unlinked();
  MODEL_CHECK((S.result[0] == 0) == cancel_pending(0));
  MODEL_CHECK((S.result[0] == WEFT_ECANCELED) == S.task[0].sticky);
}
/* The awaited task was cancelled too, unless it had ended; then the cancel is still to be
 * answered. */
static void awaited_once(void) {
  unlinked();
  if (S.result[0] == CODE)
    MODEL_CHECK(cancel_pending(0) && !S.task[0].sticky);
  else
    MODEL_CHECK(S.result[0] == WEFT_ECANCELED && S.task[0].sticky && !cancel_pending(0));
  MODEL_CHECK(weft__word_phase(weft__load_relaxed_u64(&S.task[1].word)) == WEFT__FREE);
}
static void reported_once(void) {
  MODEL_CHECK(S.reports == 1);
  MODEL_CHECK(weft__word_phase(weft__load_relaxed_u64(&S.task[1].word)) == WEFT__FREE);
}

static const struct model wait_end =
    MODEL("park: end of a task", came_once, {"waiter", waits_for_its_end}, {"task", ends});
static const struct model wait_end_cancel =
    MODEL("park: end of a task, cancel", came_or_cancelled, {"waiter", waits_for_its_end},
          {"task", ends}, {"canceller", cancels_0});
static const struct model await = MODEL("park: await, cancel", awaited_once, {"awaiter", awaits},
                                        {"task", ends}, {"canceller", cancels_0});
static const struct model detach =
    MODEL("park: detach", reported_once, {"owner", lets_go}, {"task", ends_badly});

/* --- turns --- */

/* A semaphore as the floor above makes it: a turn that nobody waits for is kept. */
static int acquire(void) {
  weft__spin_lock(&S.lock);
  if (S.turns == 0) return weft__waitq_wait(&S.queue, &S.lock, NULL, NULL);
  S.turns--;
  weft__spin_unlock(&S.lock);
  return 0;
}
static void release(void) {
  weft__spin_lock(&S.lock);
  model_write(&S.gift, 7);
  if (!weft__waitq_wake_one(&S.queue)) S.turns++;
  weft__spin_unlock(&S.lock);
}
static void acquires(unsigned i) {
  S.result[i] = acquire();
  if (S.result[i] == 0) MODEL_CHECK(model_read(&S.gift) == 7);
}
static void acquires_0(void) {
  acquires(0);
}
static void acquires_1(void) {
  acquires(1);
}
static void cancels_both(void) {
  cancels_0();
  weft__cancel_task(&S.task[1], KEY);
}
static void no_turn_is_lost(void) {
  MODEL_CHECK((S.result[0] == 0) + (S.result[1] == 0) + S.turns == 1);
  MODEL_CHECK(weft__list_empty(&S.queue.waiters));
}

static const struct model turn =
    MODEL("park: turn, cancel", no_turn_is_lost, {"waiter", acquires_0}, {"canceller", cancels_0},
          {"giver", release});
static const struct model turn_of_two =
    MODEL("park: one turn for two, cancels", no_turn_is_lost, {"waiter", acquires_0},
          {"other", acquires_1}, {"giver", release}, {"canceller", cancels_both});

/* --- deadlines --- */

static void sleeps(void) {
  weft__ticket ticket;
  int r = weft__wait_open(&S.task[0], false, &ticket);
  if (r == 0) r = weft__wait_park(&S.task[0], ticket, DEADLINE);
  S.result[0] = r;
}
static bool armed_or_over(void) {
  return weft__timers_next(&S.w[0].own_timers) != WEFT__NEVER || S.result[0] != NOT_YET;
}
static void fires(void) {
  model_wait_until(armed_or_over);
  weft__make_ready_chain(weft__timers_fire(&S.w[0].own_timers, DEADLINE));
}
static void timed_out(void) {
  MODEL_CHECK(S.result[0] == WEFT_ETIMEDOUT);
  MODEL_CHECK(S.w[0].own_timers.count == 0);
}
static void timed_out_or_cancelled(void) {
  MODEL_CHECK((S.result[0] == WEFT_ETIMEDOUT) == cancel_pending(0));
  MODEL_CHECK((S.result[0] == WEFT_ECANCELED) == S.task[0].sticky);
  MODEL_CHECK(S.w[0].own_timers.count == 0);
}

static const struct model deadline =
    MODEL("park: deadline", timed_out, {"sleeper", sleeps}, {"clock", fires});
static const struct model deadline_cancel =
    MODEL("park: deadline, cancel", timed_out_or_cancelled, {"sleeper", sleeps}, {"clock", fires},
          {"canceller", cancels_0});

/* --- a task that runs on its awaiter's stack --- */

/* Waits for a turn that never comes: only the cancel of its awaiter, passed on, can end it. */
static int child(void *arg) {
  (void)arg;
  S.result[1] = acquire();
  return S.result[1];
}
static void awaits_inline(void) {
  struct weft__task *t = &S.task[1];
  weft__task_set_fn(t, child, NULL);
  weft__store_relaxed_u64(&t->word, weft__word_fresh(0));
  weft__deque_push(&S.w[0].deque, t);
  S.result[0] = weft_await(handle(1));
}
static void both_cancelled(void) {
  MODEL_CHECK(S.result[0] == WEFT_ECANCELED && S.result[1] == WEFT_ECANCELED);
  MODEL_CHECK(S.task[0].sticky && !cancel_pending(0));
}

static const struct model inline_cancel =
    MODEL("park: cancel of a task that runs another inline", both_cancelled,
          {"awaiter", awaits_inline}, {"canceller", cancels_0});

/* Its memory is another task's as soon as it has ended; a cancel that was on its way to it must not
 * reach that one. */
static int returns_at_once(void *arg) {
  (void)arg;
  return 0;
}
static void awaits_inline_and_spawns(void) {
  struct weft__task *t = &S.task[1];
  weft__task_set_fn(t, returns_at_once, NULL);
  weft__store_relaxed_u64(&t->word, weft__word_fresh(0));
  weft__deque_push(&S.w[0].deque, t);
  S.result[0] = weft_await(handle(1));
  MODEL_CHECK(weft__task_new(&S.rt.tasks, &S.w[0].cache) == t);
}
static void another_is_not_cancelled(void) {
  uint64_t word = weft__load_relaxed_u64(&S.task[1].word);
  MODEL_CHECK(weft__word_key(word) == KEY + 1 && weft__word_count(word) == 0);
}

static const struct model inline_reuse =
    MODEL("park: cancel of a task whose inline child is replaced", another_is_not_cancelled,
          {"awaiter", awaits_inline_and_spawns}, {"canceller", cancels_0});

/* --- references --- */

/* The last one to drop his may use the memory, whatever the other did to it. */
static void drops(unsigned i) {
  struct weft__task_cache *c = &S.w[i].cache;
  MODEL_CHECK(model_read(&S.gift) == 0);
  weft__task_unref(&S.rt.tasks, c, &S.task[2], 1);
  if (c->head) model_write(&S.gift, 1);
}
static void drops_0(void) {
  drops(0);
}
static void drops_1(void) {
  drops(1);
}
static void freed_once(void) {
  MODEL_CHECK(S.w[0].cache.count + S.w[1].cache.count == 1);
}
static const struct model references =
    MODEL("park: the last reference", freed_once, {"a", drops_0}, {"b", drops_1});

/* --- tests --- */

static const struct model *const small[] = {
    &wait_end, &wait_end_cancel, &await,           &detach,
    &turn,     &deadline,        &deadline_cancel, &inline_cancel,
    &inline_reuse, &references};

/* Every schedule of the models with up to three threads. */
static void hold(enum model_memory memory) {
  for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
    model_holds(small[i], &(struct model_bounds){.memory = memory, .preemptions = MODEL_ALL});
}

static void no_wakeup_is_lost_sequentially_consistent(void **state) {
  (void)state;
  hold(MODEL_SC);
}
static void no_wakeup_is_lost_with_store_buffers(void **state) {
  (void)state;
  hold(MODEL_TSO);
}
static void no_wakeup_is_lost_in_weak_memory(void **state) {
  (void)state;
  hold(MODEL_WEAK);
}

static void a_turn_goes_to_one_of_two_or_is_kept(void **state) {
  (void)state;
  model_holds(&turn_of_two, &(struct model_bounds){.memory = MODEL_SC, .preemptions = MODEL_ALL});
  model_holds(&turn_of_two, &(struct model_bounds){.memory = MODEL_TSO, .preemptions = 2});
  model_holds(&turn_of_two, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = 1});
}

/* --- planted bugs --- */

static void a_missing_fence_loses_the_cancel_of_an_inline_task(void **state) {
  (void)state;
  for (int memory = MODEL_TSO; memory <= MODEL_WEAK; memory++) {
    struct model_bounds b = {.memory = (enum model_memory)memory, .preemptions = 3};
    b.weaken = MODEL_NO_LIGHT;
    model_breaks(&inline_cancel, &b, "deadlock: awaiter waits");
    b.weaken = MODEL_NO_HEAVY;
    model_breaks(&inline_cancel, &b, "deadlock: awaiter waits");
  }
}

/* The end of a task and who waits for it: both sides store, then look. */
static void weaker_than_sequential_loses_the_end_of_a_task(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_WEAK, .preemptions = 3, .weaken = MODEL_SEQ_ACQ_REL};
  model_breaks(&wait_end, &b, "deadlock: waiter waits, task has ended");
  b.memory = MODEL_TSO;
  model_breaks(&wait_end, &b, "deadlock: waiter waits, task has ended");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_wakeup_is_lost_sequentially_consistent),
    cmocka_unit_test(no_wakeup_is_lost_with_store_buffers),
    cmocka_unit_test(no_wakeup_is_lost_in_weak_memory),
    cmocka_unit_test(a_turn_goes_to_one_of_two_or_is_kept),
    cmocka_unit_test(a_missing_fence_loses_the_cancel_of_an_inline_task),
    cmocka_unit_test(weaker_than_sequential_loses_the_end_of_a_task),
};

static const struct model_suite suites[] = {
    {small, sizeof small / sizeof small[0], {.memory = MODEL_WEAK, .preemptions = 2}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, sizeof tests / sizeof tests[0], suites,
                    sizeof suites / sizeof suites[0]);
}
