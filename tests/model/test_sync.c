/* Locks, events and semaphores, for which aio/sync.c and their files are compiled as they are, on top
 * of park.c and what belongs to it: hand-overs against cancels, and against those who come at the same
 * time.
 *
 * A wake-up that is lost is a deadlock; what a holder reads is ordered by the lock alone; and an object
 * must not be touched any more when its last user has gone on. */
#include <weft/sync.h>

#define WAITERS_MORE                                                                               \
  weft_lock mutex;                                                                                 \
  weft_event event;                                                                                \
  weft_sem sem;
#include "aio/lock.h"
#include "base/futex.h"
#include "core/table.h"
#include "waiters.h"

/* --- what the code stands on beside that --- */

int weft__futex_wait(weft__atomic_u32 *word, uint32_t expected, uint64_t deadline) {
  (void)deadline;
  model_futex_wait(word, expected);
  return 0;
}
int weft__futex_wake(weft__atomic_u32 *word, unsigned n) {
  return (int)model_futex_wake(word, n);
}
void weft__make_ready_by(struct weft__worker *w, struct weft__task *t) {
  (void)w;
  weft__make_ready(t);
}
void weft__make_ready_outside(struct weft__task *t) {
  weft__make_ready(t);
}
bool weft__table_alone(void) {
  return false;
}

enum { HELD_BY = 2 }; /* by this task, which never waits */

static uint64_t word_of(void *object) {
  return weft__load_relaxed_u64(&((struct weft__sync *)object)->word);
}

static void setup_sync(void) {
  setup();
  for (unsigned i = 0; i < THREADS; i++) S.w[i].budget = 1000;
  model_name(&S.mutex, "mutex");
  model_name(&S.event, "event");
  model_name(&S.sem, "sem");
}
static void setup_held(void) {
  setup_sync();
  weft__store_relaxed_u64(&weft__lock_of(&S.mutex)->sync.word, weft__holder(&S.task[HELD_BY], KEY));
}

static void cancels_1(void) {
  weft__cancel_task(&S.task[1], KEY);
}

/* --- locks --- */

/* Only the lock orders what is done inside. */
static void locks(unsigned i) {
  S.result[i] = weft_lock_acquire(&S.mutex);
  if (S.result[i] != 0) return;
  MODEL_CHECK(weft__lock_held_by(weft__lock_of(&S.mutex), &S.task[i]));
  model_write(&S.gift, model_read(&S.gift) + 1);
  int r = weft_lock_release(&S.mutex);
  MODEL_CHECK(r == 0);
}
static void locks_0(void) {
  locks(0);
}
static void locks_1(void) {
  locks(1);
}
static void unlocks(void) {
  model_write(&S.gift, 1);
  int r = weft_lock_release(&S.mutex);
  MODEL_CHECK(r == 0);
}
/* Any thread may, and takes the lock only if it overtakes nobody. */
static void tries(void) {
  S.result[3] = weft_lock_try(&S.mutex);
  if (S.result[3] == 0) {
    model_write(&S.gift, model_read(&S.gift) + 1);
    int r = weft_lock_release(&S.mutex);
    MODEL_CHECK(r == 0);
  }
}

static void locked_by_all(void) {
  MODEL_CHECK(S.result[0] == 0 && S.result[1] == 0);
  MODEL_CHECK(S.gift.v == 2 && word_of(&S.mutex) == 0);
}
/* Who was cancelled has taken nothing; who was not has its cancel still to come. */
static void locked_or_cancelled(void) {
  MODEL_CHECK((S.result[0] == 0) == cancel_pending(0));
  MODEL_CHECK((S.result[0] == WEFT_ECANCELED) == S.task[0].sticky);
  MODEL_CHECK(S.gift.v == 1 + (S.result[0] == 0) && word_of(&S.mutex) == 0);
}
static void the_other_has_it_too(void) {
  MODEL_CHECK(S.result[1] == 0);
  MODEL_CHECK((S.result[0] == 0) == cancel_pending(0));
  MODEL_CHECK(S.gift.v == 2 + (S.result[0] == 0) && word_of(&S.mutex) == 0);
}
static void handed_over(void) {
  MODEL_CHECK(S.result[0] == 0);
  MODEL_CHECK(S.gift.v == 2 + (S.result[3] == 0) && word_of(&S.mutex) == 0);
}

#define SYNC_MODEL(name_, setup_, check_, ...)                                                     \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup_, .enter = enter, .check = check_, .threads = {  \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

static const struct model lock_of_two =
    SYNC_MODEL("sync: two lock", setup_sync, locked_by_all, {"a", locks_0}, {"b", locks_1});
static const struct model lock_cancel =
    SYNC_MODEL("sync: a held lock, cancel", setup_held, locked_or_cancelled, {"waiter", locks_0},
               {"canceller", cancels_0}, {"holder", unlocks});
static const struct model lock_two_cancel = SYNC_MODEL(
    "sync: a held lock, two waiters, cancel", setup_held, the_other_has_it_too, {"waiter", locks_0},
    {"other", locks_1}, {"holder", unlocks}, {"canceller", cancels_0});
/* The two that do not wait are threads 2 and 3. */
static void nothing(void) {}
static const struct model lock_try =
    SYNC_MODEL("sync: a held lock, try", setup_held, handed_over, {"waiter", locks_0},
               {"nobody", nothing}, {"holder", unlocks}, {"passer-by", tries});

/* --- events --- */

/* The only waiter may free the event when it has gone on: nobody has it locked any more. */
static void waits_for_event(void) {
  S.result[0] = weft_event_wait(&S.event);
  MODEL_CHECK(!(word_of(&S.event) & WEFT__SYNC_LOCKED));
  if (S.result[0] == 0) MODEL_CHECK(model_read(&S.gift) == 7);
}
static void sets_event(void) {
  model_write(&S.gift, 7);
  int r = weft_event_set(&S.event);
  MODEL_CHECK(r == 0);
}
static void event_came(void) {
  MODEL_CHECK(S.result[0] == 0);
  MODEL_CHECK(!(word_of(&S.event) & WEFT__SYNC_FLAGS));
}
static void event_came_or_cancelled(void) {
  MODEL_CHECK((S.result[0] == 0) == cancel_pending(0));
  MODEL_CHECK(!(word_of(&S.event) & WEFT__SYNC_FLAGS));
}

static const struct model event_set = SYNC_MODEL(
    "sync: event", setup_sync, event_came, {"waiter", waits_for_event}, {"setter", sets_event});

/* Who waits at the set is woken, although it is cleared at once. */
static bool is_queued(void) {
  return (word_of(&S.event) & WEFT__SYNC_QUEUED) != 0;
}
static void sets_and_clears_event(void) {
  model_wait_until(is_queued);
  sets_event();
  int r = weft_event_clear(&S.event);
  MODEL_CHECK(r == 0);
}
static void waits_for_a_moment(void) {
  S.result[0] = weft_event_wait(&S.event);
}
static const struct model event_clear =
    SYNC_MODEL("sync: event set and cleared", setup_sync, event_came,
               {"waiter", waits_for_a_moment}, {"setter", sets_and_clears_event});

static void waits_or_not(void) {
  S.result[0] = weft_event_wait(&S.event);
  if (S.result[0] == 0) MODEL_CHECK(model_read(&S.gift) == 7);
}
static const struct model event_cancel =
    SYNC_MODEL("sync: event, cancel", setup_sync, event_came_or_cancelled, {"waiter", waits_or_not},
               {"setter", sets_event}, {"canceller", cancels_0});

/* A waiter that is a thread: the second one, who is no worker. */
static void enter_thread(unsigned t) {
  enter(t);
  if (t == 1) weft__tls_worker = NULL;
}
static const struct model event_thread = {
    .name = "sync: event, thread",
    MODEL_STATE(S),
    .setup = setup_sync,
    .enter = enter_thread,
    .check = event_came,
    .threads = {{"setter", sets_event}, {"thread", waits_for_event}}};

/* --- semaphores --- */

static void takes(unsigned i) {
  S.result[i] = weft_sem_acquire(&S.sem);
  if (S.result[i] == 0) MODEL_CHECK(model_read(&S.gift) == 7);
}
static void takes_0(void) {
  takes(0);
}
static void takes_1(void) {
  takes(1);
}
static void gives(void) {
  model_write(&S.gift, 7);
  int r = weft_sem_release(&S.sem);
  MODEL_CHECK(r == 0);
}
static void permit_is_kept(void) {
  MODEL_CHECK((S.result[0] == 0) == cancel_pending(0));
  MODEL_CHECK(weft_sem_value(&S.sem) == (S.result[0] != 0));
  MODEL_CHECK(!(word_of(&S.sem) & WEFT__SYNC_FLAGS));
}
static void one_permit_for_two(void) {
  MODEL_CHECK((S.result[0] == 0) + (S.result[1] == 0) + weft_sem_value(&S.sem) == 1);
  MODEL_CHECK(!(word_of(&S.sem) & WEFT__SYNC_FLAGS));
}
static void cancels_both(void) {
  cancels_0();
  cancels_1();
}

static const struct model sem_cancel =
    SYNC_MODEL("sync: permit, cancel", setup_sync, permit_is_kept, {"waiter", takes_0},
               {"canceller", cancels_0}, {"giver", gives});
static const struct model sem_of_two = SYNC_MODEL(
    "sync: one permit for two, cancels", setup_sync, one_permit_for_two, {"waiter", takes_0},
    {"other", takes_1}, {"giver", gives}, {"canceller", cancels_both});

/* --- tests --- */

static const struct model *const small[] = {&event_thread, &lock_of_two, &lock_cancel,
                                            &lock_try,     &event_set,   &event_clear,
                                            &event_cancel, &sem_cancel};

/* Every schedule of the models with up to three threads. */
static void hold(enum model_memory memory) {
  for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
    model_holds(small[i], &(struct model_bounds){.memory = memory, .preemptions = MODEL_ALL});
}

static void nothing_is_lost_sequentially_consistent(void **state) {
  (void)state;
  hold(MODEL_SC);
}
static void nothing_is_lost_with_store_buffers(void **state) {
  (void)state;
  hold(MODEL_TSO);
}
static void nothing_is_lost_in_weak_memory(void **state) {
  (void)state;
  hold(MODEL_WEAK);
}
static void a_turn_goes_to_the_other_waiter(void **state) {
  (void)state;
  model_holds(&lock_two_cancel, &(struct model_bounds){.memory = MODEL_SC, .preemptions = 2});
  model_holds(&sem_of_two, &(struct model_bounds){.memory = MODEL_SC, .preemptions = 2});
  model_holds(&lock_two_cancel, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = 1});
  model_holds(&sem_of_two, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = 0});
}

/* --- planted bugs --- */

static void a_lock_that_orders_nothing_is_found(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_WEAK, .preemptions = 2};
  b.weaken = MODEL_RELEASE_RELAXED;
  model_breaks(&lock_of_two, &b, "race");
  b.weaken = MODEL_ACQUIRE_RELAXED;
  model_breaks(&lock_of_two, &b, "race");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_lost_sequentially_consistent),
    cmocka_unit_test(nothing_is_lost_with_store_buffers),
    cmocka_unit_test(nothing_is_lost_in_weak_memory),
    cmocka_unit_test(a_turn_goes_to_the_other_waiter),
    cmocka_unit_test(a_lock_that_orders_nothing_is_found),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
