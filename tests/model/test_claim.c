/* The claim word of core/claim.h: who begins a task, who ends its wait, what becomes of a cancel.
 *
 * One model thread is the task together with the workers that run it; the others are what races
 * over it. The task's stack and what a winner hands over are plain memory, so an ordering that the
 * word does not give is a data race. */
#include "core/claim.h"

#include "model.h"
#include "weft_test.h"

#define KEY 7
enum { EVENT, TIMER, CANCELLER, WINNERS };

static struct {
  weft__atomic_u64 word;
  weft__atomic_u64 published[2]; /* the tickets of the waits, where sources find them */
  weft__atomic_u32 ready;        /* made ready: the queue from which the task is resumed */
  struct model_plain stack;      /* the task's: whoever runs it reads and writes it */
  struct model_plain gift[2];    /* what the event of each wait hands over */
  struct model_plain why;        /* what the canceller wrote before its request */
  unsigned waits;                /* begun */
  unsigned wins[2];              /* how often each wait was won */
  unsigned delivered;            /* cancels that the task was told of */
  unsigned starts, takes, too_late;
  bool withdrawn;
} S;

static void setup(void) {
  model_name(&S.word, "word");
  model_name(&S.published[0], "ticket[0]");
  model_name(&S.published[1], "ticket[1]");
  model_name(&S.ready, "ready");
  weft__store_relaxed_u64(&S.word, (uint64_t)KEY << WEFT__KEY_SHIFT | WEFT__RUNNING);
}

/* --- the task --- */

static bool is_ready(void) {
  return weft__load_relaxed_u32(&S.ready) != 0;
}

/* The task is told of a cancel. */
static void cancelled(void) {
  S.delivered++;
  MODEL_CHECK(model_read(&S.why) == 5);
}

/* A wait for the i-th event; what ended it, or -1 when a cancel was already there. */
static int wait_for(unsigned i, bool masked) {
  weft__ticket ticket;
  model_write(&S.stack, S.waits++);
  if (!weft__claim_arm(&S.word, masked, &ticket)) {
    cancelled();
    return -1;
  }
  weft__store_release_u64(&S.published[i], ticket);
  model_write(&S.stack, S.waits); /* the stack is still in use */
  if (weft__claim_commit(&S.word)) {
    model_wait_until(is_ready);
    weft__xchg_u32(&S.ready, 0); /* acquires, as taking the task from a queue does */
  }
  MODEL_CHECK(S.wins[i] == 1);
  model_write(&S.stack, S.waits);
  uint64_t word = weft__load_relaxed_u64(&S.word);
  MODEL_CHECK(weft__word_phase(word) == WEFT__RUNNING);
  switch (weft__word_reason(word)) {
  case WEFT__BY_EVENT:
    MODEL_CHECK(model_read(&S.gift[i]) == 100 + i);
    break;
  case WEFT__BY_CANCEL:
    cancelled();
    break;
  case WEFT__BY_TIMEOUT:
    break;
  case WEFT__NOT_BEGUN:
    model_fail("the reason of no wait");
  }
  return (int)weft__word_reason(word);
}

static void waits_once(void) {
  wait_for(0, false);
}
static void waits_twice(void) {
  wait_for(0, false);
  wait_for(1, false);
}

/* --- what races --- */

/* What every winner does. That of a parked task owns it: runs it on another worker, here. */
static void won(enum weft__outcome outcome, unsigned i) {
  if (outcome != WEFT__WON && outcome != WEFT__WON_PARKED) return;
  MODEL_CHECK(++S.wins[i] == 1);
  if (outcome == WEFT__WON) return;
  MODEL_CHECK(model_read(&S.stack) == S.waits);
  model_write(&S.stack, S.waits);
  weft__store_release_u32(&S.ready, 1);
}

static bool is_published_0(void) {
  return weft__load_relaxed_u64(&S.published[0]) != 0;
}
static bool is_published_1(void) {
  return weft__load_relaxed_u64(&S.published[1]) != 0;
}

static void fire(unsigned i, enum weft__reason reason) {
  weft__ticket ticket = weft__load_acquire_u64(&S.published[i]);
  if (ticket == 0) return; /* not waiting yet */
  if (reason == WEFT__BY_EVENT) model_write(&S.gift[i], 100 + i);
  won(weft__claim_win(&S.word, ticket, reason), i);
}

/* Comes once there is a wait: without it the task would rightly sleep for ever. */
static void event_0(void) {
  model_wait_until(is_published_0);
  fire(0, WEFT__BY_EVENT);
}
static void event_1(void) {
  model_wait_until(is_published_1);
  fire(1, WEFT__BY_EVENT);
}
static void events(void) {
  event_0();
  event_1();
}
/* Comes when it likes, maybe during the next wait, which it must not end. */
static void timer_0(void) {
  fire(0, WEFT__BY_TIMEOUT);
}

static void cancels(void) {
  model_write(&S.why, 5);
  enum weft__outcome outcome = weft__claim_cancel(&S.word, KEY);
  MODEL_CHECK(outcome != WEFT__STALE);
  won(outcome, S.waits - 1);
}

static bool cancel_pending(void) {
  return (weft__load_relaxed_u64(&S.word) & WEFT__CANCEL) != 0;
}
static void no_cancel(void) {
  MODEL_CHECK(S.delivered == 0 && !cancel_pending());
}
/* The request is told to the task once, or still there. */
static void one_cancel(void) {
  MODEL_CHECK(S.delivered + cancel_pending() == 1);
  MODEL_CHECK(weft__word_count(weft__load_relaxed_u64(&S.word)) == 1);
}

#define MODEL(name_, ...)                                                                          \
  { .name = name_, MODEL_STATE(S), .setup = setup, __VA_ARGS__ }
#define THREADS(...) .threads = {__VA_ARGS__}

static const struct model event_timer = MODEL(
    "claim: event, timeout", THREADS({"task", waits_once}, {"event", event_0}, {"timer", timer_0}),
    .check = no_cancel);
static const struct model late_timer = MODEL(
    "claim: a timeout of the wait before",
    THREADS({"task", waits_twice}, {"events", events}, {"timer", timer_0}), .check = no_cancel);

static bool is_published_or_withdrawn(void) {
  return is_published_0() || S.withdrawn;
}

/* A cancel that was there before the first wait, or ended it, frees its event to come in vain. */
static bool is_published_or_cancelled(void) {
  return is_published_0() || S.delivered != 0;
}
static void event_or_none(void) {
  model_wait_until(is_published_or_cancelled);
  fire(0, WEFT__BY_EVENT);
}
static const struct model event_cancel =
    MODEL("claim: event, cancel",
          THREADS({"task", waits_once}, {"event", event_or_none}, {"canceller", cancels}),
          .check = one_cancel);
static const struct model event_timer_cancel =
    MODEL("claim: event, timeout, cancel",
          THREADS({"task", waits_once}, {"event", event_or_none}, {"timer", timer_0},
                  {"canceller", cancels}),
          .check = one_cancel);

/* A masked wait is not ended by a cancel; the wait after it is. */
static void waits_masked(void) {
  MODEL_CHECK(wait_for(0, true) == WEFT__BY_EVENT);
}
static void cancels_in_vain(void) {
  MODEL_CHECK(weft__claim_cancel(&S.word, KEY) == WEFT__LOST);
}
static void still_pending(void) {
  MODEL_CHECK(S.delivered == 0 && cancel_pending());
}
static const struct model masked =
    MODEL("claim: masked wait",
          THREADS({"task", waits_masked}, {"event", event_0}, {"canceller", cancels_in_vain}),
          .check = still_pending);

static void takes_cancel_back(void) {
  cancels();
  int left = weft__claim_uncancel(&S.word, KEY);
  MODEL_CHECK(left == 0);
}
static void none_pending(void) {
  MODEL_CHECK(!cancel_pending() && S.delivered <= 1);
}
static const struct model uncancel =
    MODEL("claim: cancel, uncancel",
          THREADS({"task", waits_once}, {"event", event_or_none}, {"canceller", takes_cancel_back}),
          .check = none_pending);

/* A cancel point outside a wait. */
static void checks(void) {
  model_write(&S.stack, 1);
  if (weft__claim_deliver(&S.word)) cancelled();
}
static void cancels_a_running_one(void) {
  model_write(&S.why, 5);
  MODEL_CHECK(weft__claim_cancel(&S.word, KEY) == WEFT__LOST);
}
static const struct model checkpoint =
    MODEL("claim: cancel, a cancel point",
          THREADS({"task", checks}, {"canceller", cancels_a_running_one}), .check = one_cancel);

/* --- beginning, consuming, ending --- */

static void setup_unstarted(void) {
  setup();
  weft__store_relaxed_u64(&S.word, (uint64_t)KEY << WEFT__KEY_SHIFT | WEFT__UNSTARTED);
}
/* Whoever begins the task runs it. */
static void started(void) {
  MODEL_CHECK(++S.starts == 1);
  MODEL_CHECK(model_read(&S.stack) == 0);
}
static void worker_starts(void) {
  if (weft__claim_start(&S.word, KEY, false)) started();
}
static void awaiter_starts(void) {
  if (weft__claim_start(&S.word, KEY, true)) {
    started();
    S.takes++;
  } else if (weft__claim_take(&S.word, KEY)) {
    S.takes++;
  }
}
static void begun_and_taken_once(void) {
  MODEL_CHECK(S.starts == 1 && S.takes == 1);
  MODEL_CHECK(weft__load_relaxed_u64(&S.word) & WEFT__TAKEN);
}
static const struct model start = {
    .name = "claim: start, take",
    MODEL_STATE(S),
    .setup = setup_unstarted,
    .threads = {{"worker", worker_starts}, {"awaiter", awaiter_starts}, {"other", awaiter_starts}},
    .check = begun_and_taken_once};

/* Cancelled before its first run: whoever begins it finds the request, or it comes later. */
static void worker_starts_or_ends_it(void) {
  if (weft__claim_start(&S.word, KEY, false) && (weft__load_relaxed_u64(&S.word) & WEFT__CANCEL)) {
    weft__claim_deliver(&S.word);
    cancelled();
  }
}
static const struct model cancelled_early = {
    .name = "claim: start, cancel",
    MODEL_STATE(S),
    .setup = setup_unstarted,
    .threads = {{"worker", worker_starts_or_ends_it}, {"canceller", cancels_a_running_one}},
    .check = one_cancel};

/* The task ends and its memory becomes another task while somebody cancels the old one. */
static void ends_and_begins_anew(void) {
  uint64_t word = weft__load_relaxed_u64(&S.word);
  while (!weft__claim_finish(&S.word, &word)) {}
  if (word & WEFT__CANCEL) S.delivered++;
  word = weft__load_relaxed_u64(&S.word);
  weft__store_release_u64(&S.word, (word >> WEFT__KEY_SHIFT << WEFT__KEY_SHIFT) | WEFT__FREE);
  weft__store_release_u64(&S.word, weft__word_fresh(weft__load_relaxed_u64(&S.word)));
}
static void cancels_the_old(void) {
  if (weft__claim_cancel(&S.word, KEY) == WEFT__STALE) S.too_late++;
}
static void the_new_one_is_untouched(void) {
  MODEL_CHECK(weft__load_relaxed_u64(&S.word) ==
              ((uint64_t)(KEY + 1) << WEFT__KEY_SHIFT | WEFT__UNSTARTED));
  MODEL_CHECK((S.delivered == 1) == (S.too_late < 2)); /* nothing in between */
}
static const struct model reuse = {
    .name = "claim: cancel of a task that ends",
    MODEL_STATE(S),
    .setup = setup,
    .threads = {{"task", ends_and_begins_anew}, {"a", cancels_the_old}, {"b", cancels_the_old}},
    .check = the_new_one_is_untouched};

/* It ends while somebody cancels it: the end answers the request, or the request comes too late. */
static void ends(void) {
  uint64_t word = weft__load_relaxed_u64(&S.word);
  while (!weft__claim_finish(&S.word, &word)) {}
  if (word & WEFT__CANCEL) cancelled();
}
static void cancels_once(void) {
  model_write(&S.why, 5);
  if (weft__claim_cancel(&S.word, KEY) == WEFT__STALE) S.too_late++;
}
static void told_or_too_late(void) {
  MODEL_CHECK(S.delivered + S.too_late == 1);
}
static const struct model end =
    MODEL("claim: end, cancel", THREADS({"task", ends}, {"canceller", cancels_once}),
          .check = told_or_too_late);

/* A callback that is to begin at a time: made, due, withdrawn and cancelled by different threads. It
 * begins unless somebody kept it from that. */
static void is_scheduled(void) {
  weft__ticket ticket;
  model_write(&S.stack, S.waits++);
  if (!weft__claim_schedule(&S.word, &ticket)) {
    weft__claim_deliver(&S.word); /* it is begun, and ends, as any other */
    cancelled();
    S.withdrawn = true;
    return;
  }
  weft__store_release_u64(&S.published[0], ticket);
  model_write(&S.stack, S.waits);
  if (weft__claim_commit(&S.word)) {
    model_wait_until(is_ready);
    weft__xchg_u32(&S.ready, 0);
  }
  model_write(&S.stack, S.waits);
  if (weft__claim_begin(&S.word))
    S.starts++;
  else if (!S.withdrawn)
    cancelled();
}
static void comes_due(void) {
  model_wait_until(is_published_or_withdrawn);
  fire(0, WEFT__BY_TIMEOUT);
}
static void withdraws(void) {
  model_wait_until(is_published_0);
  enum weft__outcome outcome = weft__claim_withdraw(&S.word, KEY);
  MODEL_CHECK(outcome != WEFT__STALE);
  S.withdrawn = outcome != WEFT__LOST;
  if (outcome == WEFT__WON_PARKED) won(outcome, 0);
}
static void begun_unless_withdrawn(void) {
  MODEL_CHECK(S.starts + S.withdrawn == 1);
}
static const struct model callback = {
    .name = "claim: a callback, its time, its withdrawal",
    MODEL_STATE(S),
    .setup = setup_unstarted,
    .threads = {{"worker", is_scheduled}, {"timer", comes_due}, {"withdrawer", withdraws}},
    .check = begun_unless_withdrawn};

static void cancels_a_callback(void) {
  model_write(&S.why, 5);
  won(weft__claim_cancel(&S.word, KEY), 0);
}
static void begun_or_cancelled(void) {
  MODEL_CHECK(S.starts == 1 || S.delivered == 1);
}
static const struct model cancelled_callback = {
    .name = "claim: a callback, its time, a cancel",
    MODEL_STATE(S),
    .setup = setup_unstarted,
    .threads = {{"worker", is_scheduled}, {"timer", comes_due}, {"canceller", cancels_a_callback}},
    .check = begun_or_cancelled};

static void withdraws_unscheduled(void) {
  model_write(&S.why, 5);
  S.withdrawn = weft__claim_withdraw(&S.word, KEY) == WEFT__WON;
}
static void told_if_withdrawn(void) {
  MODEL_CHECK(S.delivered == S.withdrawn);
}
static const struct model callback_soon = {
    .name = "claim: start, withdraw",
    MODEL_STATE(S),
    .setup = setup_unstarted,
    .threads = {{"worker", worker_starts_or_ends_it}, {"withdrawer", withdraws_unscheduled}},
    .check = told_if_withdrawn};

/* --- tests --- */

static const struct model *const all[] = {&event_timer,
                                          &late_timer,
                                          &event_cancel,
                                          &event_timer_cancel,
                                          &masked,
                                          &uncancel,
                                          &checkpoint,
                                          &start,
                                          &cancelled_early,
                                          &reuse,
                                          &end,
                                          &callback,
                                          &cancelled_callback,
                                          &callback_soon};
#define COUNT (sizeof all / sizeof all[0])

static void hold(enum model_memory memory) {
  for (size_t i = 0; i < COUNT; i++)
    model_holds(all[i], &(struct model_bounds){.memory = memory, .preemptions = MODEL_ALL});
}

static void every_race_has_one_winner_sequentially_consistent(void **state) {
  (void)state;
  hold(MODEL_SC);
}

static void every_race_has_one_winner_with_store_buffers(void **state) {
  (void)state;
  hold(MODEL_TSO);
}

static void every_race_has_one_winner_in_weak_memory(void **state) {
  (void)state;
  hold(MODEL_WEAK);
}

/* --- planted bugs --- */

static void an_ordering_that_the_word_does_not_give_is_found(void **state) {
  (void)state;
  struct model_bounds b = {
      .memory = MODEL_WEAK, .preemptions = MODEL_ALL, .weaken = MODEL_ACQUIRE_RELAXED};
  model_breaks(&event_timer, &b, "data race");
  b.weaken = MODEL_RELEASE_RELAXED;
  model_breaks(&event_timer, &b, "data race");
}

/* Parks with a plain store after a look: an event in between is overwritten. */
static void parks_carelessly(void) {
  weft__ticket ticket;
  weft__claim_arm(&S.word, false, &ticket);
  weft__store_release_u64(&S.published[0], ticket);
  uint64_t word = weft__load_acquire_u64(&S.word);
  if (weft__word_phase(word) != WEFT__ARMED) return;
  weft__store_release_u64(&S.word, weft__word_with_phase(word, WEFT__PARKED));
  model_wait_until(is_ready);
}
static const struct model careless =
    MODEL("claim: planted lost wake-up", THREADS({"task", parks_carelessly}, {"event", event_0}));

static void a_lost_wakeup_is_found(void **state) {
  (void)state;
  for (int memory = MODEL_SC; memory <= MODEL_WEAK; memory++)
    model_breaks(
        &careless,
        &(struct model_bounds){.memory = (enum model_memory)memory, .preemptions = MODEL_ALL},
        "deadlock: task waits, event has ended");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_race_has_one_winner_sequentially_consistent),
    cmocka_unit_test(every_race_has_one_winner_with_store_buffers),
    cmocka_unit_test(every_race_has_one_winner_in_weak_memory),
    cmocka_unit_test(an_ordering_that_the_word_does_not_give_is_found),
    cmocka_unit_test(a_lost_wakeup_is_found),
};

static const struct model_suite suites[] = {{all, COUNT, {.memory = MODEL_WEAK, .preemptions = 2}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, sizeof tests / sizeof tests[0], suites,
                    sizeof suites / sizeof suites[0]);
}
