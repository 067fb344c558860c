/* The heap of deadlines, without workers: the test is the clock, and the tasks are bare words. */
#include <stdlib.h>
#include <string.h>
#include <weft/errors.h>

#include "base/choice.h"
#include "base/memory.h"
#include "core/timers.h"
#include "core/worker.h"
#include "weft_test.h"

enum { MANY = 600 }; /* several doublings, five levels */

/* A task that has parked: what fires its timer owns it. */
struct sleeper {
  struct weft__task task;
  weft__ticket ticket;
  uint64_t deadline;
  int number;
  bool armed;
};

static struct weft__timers heap;
static struct sleeper *sleepers;

static void park(struct sleeper *s) {
  CHECK(weft__claim_arm(&s->task.word, false, &s->ticket));
  CHECK(weft__claim_commit(&s->task.word));
}

static void begin(void) {
  weft__timers_init(&heap);
  sleepers = calloc(MANY, sizeof *sleepers);
  for (int i = 0; i < MANY && CHECK(sleepers); i++) {
    struct sleeper *s = &sleepers[i];
    uint64_t word = weft__word_fresh(0);
    s->number = i;
    weft__store_relaxed_u64(&s->task.word, word);
    CHECK(weft__claim_start(&s->task.word, weft__word_key(word), false));
    park(s);
  }
}

static void end(void) {
  weft__timers_fini(&heap);
  free(sleepers);
}

static struct weft__worker *add(struct sleeper *s, uint64_t deadline) {
  struct weft__worker *wake;
  s->deadline = deadline;
  s->armed = true;
  CHECK_INT(weft__timers_add(&heap, &s->task, s->ticket, deadline, &wake), 0);
  return wake;
}

static struct sleeper *sleeper_of(struct weft__task *t) {
  return weft__container_of(t, struct sleeper, task);
}

/* Checks the numbers of a chain against a list that ends with -1. */
static void expect_chain(struct weft__task *t, const int *numbers) {
  for (; *numbers >= 0; numbers++) {
    if (!CHECK(t != NULL)) return;
    CHECK_INT(sleeper_of(t)->number, *numbers);
    CHECK_UINT(weft__word_reason(weft__load_relaxed_u64(&t->word)), WEFT__BY_TIMEOUT);
    t = t->link[WEFT__LINK_READY];
  }
  CHECK_PTR(t, NULL);
}
#define EXPECT_CHAIN(chain, ...) expect_chain((chain), (const int[]){__VA_ARGS__, -1})
#define EXPECT_NONE(chain) CHECK_PTR((chain), NULL)

static void an_empty_heap_has_no_deadline(void **state) {
  (void)state;
  begin();
  CHECK_UINT(weft__timers_next(&heap), WEFT__NEVER);
  EXPECT_NONE(weft__timers_fire(&heap, WEFT__NEVER - 1));
  CHECK_UINT(weft__timers_sleep(&heap, NULL, 1000), 1000);
  end();
}

static void fires_at_the_deadline_and_not_before(void **state) {
  (void)state;
  begin();
  add(&sleepers[0], 1000);
  CHECK_UINT(weft__timers_next(&heap), 1000);
  EXPECT_NONE(weft__timers_fire(&heap, 999));
  EXPECT_CHAIN(weft__timers_fire(&heap, 1000), 0);
  CHECK_UINT(weft__timers_next(&heap), WEFT__NEVER);
  EXPECT_NONE(weft__timers_fire(&heap, 2000));
  end();
}

static void equal_deadlines_fire_in_the_order_of_their_insertion(void **state) {
  (void)state;
  begin();
  for (int i = 0; i < 40; i++) add(&sleepers[i], 500);
  add(&sleepers[40], 499);
  struct weft__task *t = weft__timers_fire(&heap, 500);
  if (CHECK(t != NULL)) CHECK_INT(sleeper_of(t)->number, 40);
  for (int i = 0; i < 40 && t; i++) {
    t = t->link[WEFT__LINK_READY];
    if (CHECK(t != NULL)) CHECK_INT(sleeper_of(t)->number, i);
  }
  end();
}

/* The oldest among the sleepers that are armed, as the heap should see it. */
static struct sleeper *oldest(const int *order) {
  struct sleeper *best = NULL;
  for (int i = 0; i < MANY; i++) {
    struct sleeper *s = &sleepers[i];
    if (!s->armed) continue;
    if (!best || s->deadline < best->deadline ||
        (s->deadline == best->deadline && order[i] < order[best->number]))
      best = s;
  }
  return best;
}

/* Every operation in random order, against a search through all. */
static void is_always_ordered_whatever_is_added_removed_and_fired(void **state) {
  enum { STEPS = 6000, DEADLINES = 300 };
  static int order[MANY];
  struct weft__rng rng;
  (void)state;
  begin();
  weft__rng_init(&rng, 11, 0);
  for (int step = 0; step < STEPS && !weft_test_failed(); step++) {
    struct sleeper *s = &sleepers[weft__choose(&rng, MANY)];
    if (!s->armed) {
      order[s->number] = step;
      add(s, 1 + weft__choose(&rng, DEADLINES));
    } else if (weft__choose(&rng, 2) && step < STEPS / 2) {
      weft__timers_remove(&s->task);
      s->armed = false;
    } else if (weft__choose(&rng, 8) == 0) {
      struct sleeper *first = oldest(order);
      for (struct weft__task *t = weft__timers_fire(&heap, first->deadline); t;
           t = t->link[WEFT__LINK_READY]) {
        struct sleeper *want = oldest(order);
        if (!CHECK_INT(sleeper_of(t)->number, want->number)) break;
        want->armed = false;
        weft__timers_remove(t); /* as the task does after its wait */
        park(want);
      }
      struct sleeper *next = oldest(order);
      CHECK(!next || next->deadline > first->deadline);
    }
    struct sleeper *root = oldest(order);
    CHECK_UINT(weft__timers_next(&heap), root ? root->deadline : WEFT__NEVER);
  }
  end();
}

static void a_removed_timer_does_not_fire(void **state) {
  (void)state;
  begin();
  for (int i = 0; i < 5; i++) add(&sleepers[i], (uint64_t)(100 + i));
  weft__timers_remove(&sleepers[0].task); /* the root */
  CHECK_UINT(weft__timers_next(&heap), 101);
  weft__timers_remove(&sleepers[2].task);
  weft__timers_remove(&sleepers[2].task); /* again: it is not armed */
  weft__timers_remove(&sleepers[4].task); /* the last */
  EXPECT_CHAIN(weft__timers_fire(&heap, 200), 1, 3);
  weft__timers_remove(&sleepers[1].task); /* it has fired */
  add(&sleepers[5], 300);
  weft__timers_remove(&sleepers[3].task);
  CHECK_UINT(weft__timers_next(&heap), 300);
  end();
}

/* A task may wait again, elsewhere, while its old timer is on its way out. */
static void a_wait_that_has_ended_is_not_ended_again(void **state) {
  (void)state;
  begin();
  for (int i = 0; i < 3; i++) add(&sleepers[i], 100);
  CHECK_INT(weft__claim_win(&sleepers[1].task.word, sleepers[1].ticket, WEFT__BY_EVENT),
            WEFT__WON_PARKED);
  EXPECT_CHAIN(weft__timers_fire(&heap, 100), 0, 2);
  CHECK_UINT(weft__word_reason(weft__load_relaxed_u64(&sleepers[1].task.word)), WEFT__BY_EVENT);
  end();
}

/* Its own worker makes a task ready that has not left its stack yet. */
static void a_task_that_has_not_left_its_stack_is_not_the_firers(void **state) {
  (void)state;
  begin();
  struct sleeper *s = &sleepers[0];
  CHECK_INT(weft__claim_win(&s->task.word, s->ticket, WEFT__BY_EVENT), WEFT__WON_PARKED);
  CHECK(weft__claim_arm(&s->task.word, false, &s->ticket));
  add(s, 100);
  EXPECT_NONE(weft__timers_fire(&heap, 100));
  CHECK(!weft__claim_commit(&s->task.word));
  end();
}

static void names_the_guardian_that_would_sleep_past_a_new_deadline(void **state) {
  static struct weft__worker guardian;
  (void)state;
  begin();
  CHECK_PTR(add(&sleepers[0], 100), NULL); /* nobody sleeps */
  CHECK_UINT(weft__timers_sleep(&heap, &guardian, 1000), 100);
  CHECK_PTR(add(&sleepers[1], 100), NULL); /* awake by then */
  CHECK_PTR(add(&sleepers[2], 99), &guardian);
  weft__timers_awake(&heap);
  CHECK_PTR(add(&sleepers[3], 1), NULL);
  weft__timers_remove(&sleepers[3].task);
  CHECK_UINT(weft__timers_sleep(&heap, &guardian, 50), 50); /* it has an earlier reason to wake */
  CHECK_PTR(add(&sleepers[4], 50), NULL);
  CHECK_PTR(add(&sleepers[5], 49), &guardian);
  end();
}

static void without_memory_nothing_is_armed(void **state) {
  struct weft__worker *wake;
  int armed = 0;
  (void)state;
  begin();
  weft__memory_fail(WEFT__MEMORY_OWN, 2, true); /* the first block is there, the second is not */
  int r = 0;
  while (armed < MANY && r == 0) {
    struct sleeper *s = &sleepers[armed];
    r = weft__timers_add(&heap, &s->task, s->ticket, (uint64_t)(MANY - armed), &wake);
    if (r == 0) armed++;
  }
  weft__memory_fail_end();
  CHECK_INT(r, WEFT_ENOMEM);
  CHECK(armed > 0 && armed < MANY);
  CHECK_PTR(wake, NULL);
  weft__timers_remove(&sleepers[armed].task);
  CHECK_UINT(weft__timers_next(&heap), MANY - armed + 1);
  add(&sleepers[armed], 1); /* memory is back */
  int fired = 0;
  for (struct weft__task *t = weft__timers_fire(&heap, MANY); t; t = t->link[WEFT__LINK_READY]) {
    CHECK_INT(sleeper_of(t)->number, armed - fired);
    fired++;
  }
  CHECK_INT(fired, armed + 1);
  end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_empty_heap_has_no_deadline),
    cmocka_unit_test(fires_at_the_deadline_and_not_before),
    cmocka_unit_test(equal_deadlines_fire_in_the_order_of_their_insertion),
    cmocka_unit_test(is_always_ordered_whatever_is_added_removed_and_fired),
    cmocka_unit_test(a_removed_timer_does_not_fire),
    cmocka_unit_test(a_wait_that_has_ended_is_not_ended_again),
    cmocka_unit_test(a_task_that_has_not_left_its_stack_is_not_the_firers),
    cmocka_unit_test(names_the_guardian_that_would_sleep_past_a_new_deadline),
    cmocka_unit_test(without_memory_nothing_is_armed),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
