/* The explorer itself: what it counts, what it reports, and that skipping known states hides
 * nothing. */
#include <stdio.h>
#include <string.h>

#include "model.h"
#include "weft_test.h"

static const struct model_bounds SC = {.memory = MODEL_SC, .preemptions = MODEL_ALL};
static const struct model_bounds TSO = {.memory = MODEL_TSO, .preemptions = MODEL_ALL};
static const struct model_bounds WEAK = {.memory = MODEL_WEAK, .preemptions = MODEL_ALL};

static struct {
  weft__atomic_u32 x, y, turns;
  struct model_plain data;
  uint32_t saw_x[2], saw_y[2];
} S;

/* --- the search --- */

static void counts_up(void) {
  weft__add_u32(&S.x, 1);
  weft__add_u32(&S.x, 1);
  weft__add_u32(&S.x, 1);
  weft__add_u32(&S.x, 1);
}
static void counts_to_eight(void) {
  MODEL_CHECK(weft__load_relaxed_u32(&S.x) == 8);
}
static const struct model counters = {.name = "two counters",
                                      MODEL_STATE(S),
                                      .threads = {{"a", counts_up}, {"b", counts_up}},
                                      .check = counts_to_eight};

/* Two threads of four operations: 8! / (4! 4!) orders. With a state per (done by a, done by b), 25
 * of them; with at most one preemption: a^i b^4 a^(4-i) for i in 0 .. 4 and the same from b, where
 * i = 0 and i = 4 are a's and b's two sequential orders. */
static void every_order_is_tried_once(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_SC, .preemptions = MODEL_ALL, .every_schedule = true};
  CHECK_UINT(model_search(&counters, &b).schedules, 70);
  b.preemptions = 0;
  CHECK_UINT(model_search(&counters, &b).schedules, 2);
  b.preemptions = 1;
  CHECK_UINT(model_search(&counters, &b).schedules, 8);
  b.preemptions = MODEL_ALL;
  b.every_schedule = false;
  struct model_result r = model_search(&counters, &b);
  CHECK(r.complete && r.exhaustive);
}

static void the_search_says_when_it_is_not_complete(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_SC, .preemptions = MODEL_ALL, .max_states = 10};
  struct model_result r = model_search(&counters, &b);
  CHECK(!r.failed && !r.complete && !r.exhaustive);
  b = (struct model_bounds){.memory = MODEL_SC, .preemptions = 1};
  r = model_search(&counters, &b);
  CHECK(r.complete && !r.exhaustive);
}

/* Loses an update when another thread comes between: one preemption. */
static void adds_in_two_steps(void) {
  uint32_t x = weft__load_relaxed_u32(&S.x);
  weft__store_relaxed_u32(&S.x, x + 4);
}
static const struct model lost_update = {
    .name = "lost update",
    MODEL_STATE(S),
    .threads = {{"a", adds_in_two_steps}, {"b", adds_in_two_steps}},
    .check = counts_to_eight};

static void a_failure_comes_with_its_shortest_schedule(void **state) {
  (void)state;
  struct model_result r = model_search(&lost_update, &SC);
  CHECK(r.failed && r.replayed);
  CHECK_INT(r.preemptions, 1);
  CHECK(strstr(r.why, "== 8") != NULL);
  CHECK(strstr(r.trace, "> b          load state+0 -> 0 (relaxed)") != NULL);
  CHECK(strstr(r.trace, "test_explorer.c:") != NULL);
  struct model_bounds none = {.memory = MODEL_SC, .preemptions = 0};
  model_holds(&lost_update, &none);
}

static void chooses(void) {
  unsigned a = model_choose(3);
  unsigned b = model_choose(2);
  weft__store_relaxed_u32(&S.x, 1);
  MODEL_CHECK(!(a == 2 && b == 1));
}
static const struct model choosing = {
    .name = "choices", MODEL_STATE(S), .threads = {{"a", chooses}}};

static void choices_of_the_model_are_tried_too(void **state) {
  (void)state;
  model_breaks(&choosing, &SC, "a == 2 && b == 1");
}

/* --- waiting --- */

static void sleeper(void) {
  if (weft__load_acquire_u32(&S.x) == 0) model_futex_wait(&S.x, 0);
}
static void waker(void) {
  weft__store_release_u32(&S.x, 1);
  model_futex_wake(&S.x, 1);
}
static const struct model park = {
    .name = "futex", MODEL_STATE(S), .threads = {{"sleeper", sleeper}, {"waker", waker}}};

/* Wakes before it has said why: the sleeper finds nothing changed and sleeps on. */
static void hasty_waker(void) {
  model_futex_wake(&S.x, 1);
  weft__store_release_u32(&S.x, 1);
}
static const struct model lost_wakeup = {.name = "planted lost wake-up",
                                         MODEL_STATE(S),
                                         .threads = {{"sleeper", sleeper}, {"waker", hasty_waker}}};

static void a_lost_wakeup_is_a_deadlock(void **state) {
  (void)state;
  const struct model_bounds *memories[] = {&SC, &TSO, &WEAK};
  for (size_t i = 0; i < 3; i++) {
    model_holds(&park, memories[i]);
    model_breaks(&lost_wakeup, memories[i], "deadlock: sleeper sleeps, waker has ended");
  }
}

static void spins(void) {
  while (weft__load_relaxed_u32(&S.x) == 0) weft__cpu_relax();
}
static void sets(void) {
  weft__store_relaxed_u32(&S.x, 1);
}
static void sets_another(void) {
  weft__store_relaxed_u32(&S.y, 1);
}
static const struct model spinning = {
    .name = "spinning", MODEL_STATE(S), .threads = {{"a", spins}, {"b", sets}}};
static const struct model spinning_for_ever = {
    .name = "spinning for ever", MODEL_STATE(S), .threads = {{"a", spins}, {"b", sets_another}}};

static void spinning_ends_or_is_a_deadlock(void **state) {
  (void)state;
  const struct model_bounds *memories[] = {&SC, &TSO, &WEAK};
  for (size_t i = 0; i < 3; i++) {
    model_holds(&spinning, memories[i]);
    model_breaks(&spinning_for_ever, memories[i], "deadlock: a spins, b has ended");
  }
}

static bool is_set(void) {
  return weft__load_relaxed_u32(&S.x) == 1;
}
static void waits(void) {
  model_wait_until(is_set);
  MODEL_CHECK(weft__load_relaxed_u32(&S.x) == 1);
}
static const struct model waiting = {
    .name = "waiting", MODEL_STATE(S), .threads = {{"a", waits}, {"b", sets}}};

static void waiting_ends_when_its_condition_holds(void **state) {
  (void)state;
  const struct model_bounds *memories[] = {&SC, &TSO, &WEAK};
  for (size_t i = 0; i < 3; i++) model_holds(&waiting, memories[i]);
}

/* --- skipping known states, against not skipping them --- */

/* Programs of two threads and two cells, drawn at random; an outcome is what all loads returned. */
#define OPS 4
enum op { LOAD, LOAD_ACQUIRE, LOAD_SEQ, STORE, STORE_RELEASE, STORE_SEQ, ADD, CAS, LIGHT, HEAVY };
#define KINDS 10

static struct {
  enum op op[2][OPS];
  unsigned cell[2][OPS];
} program; /* constant during a search */

static struct {
  weft__atomic_u32 cell[2];
  uint8_t log[2][OPS];
} P;

static bool outcomes[1 << 16]; /* a result of the search, not a part of the model's state */
static unsigned outcome_count;

static void execute(unsigned t) {
  for (unsigned i = 0; i < OPS; i++) {
    weft__atomic_u32 *a = &P.cell[program.cell[t][i]];
    uint32_t value = 1 + t * OPS + i;
    uint32_t seen = 0;
    switch (program.op[t][i]) {
    case LOAD:
      seen = weft__load_relaxed_u32(a);
      break;
    case LOAD_ACQUIRE:
      seen = weft__load_acquire_u32(a);
      break;
    case LOAD_SEQ:
      seen = weft__load_seq_u32(a);
      break;
    case STORE:
      weft__store_relaxed_u32(a, value);
      break;
    case STORE_RELEASE:
      weft__store_release_u32(a, value);
      break;
    case STORE_SEQ:
      weft__store_seq_u32(a, value);
      break;
    case ADD:
      seen = weft__add_u32(a, 1);
      break;
    case CAS:
      weft__cas_u32(a, &seen, value);
      break;
    case LIGHT:
      weft__fence_light();
      break;
    case HEAVY:
      weft__fence_heavy();
      break;
    }
    P.log[t][i] = (uint8_t)seen;
  }
}
static void execute_0(void) {
  execute(0);
}
static void execute_1(void) {
  execute(1);
}

static void note_outcome(void) {
  uint32_t h = 2166136261;
  for (unsigned i = 0; i < 2 * OPS; i++) h = (h ^ P.log[i / OPS][i % OPS]) * 16777619;
  h = (h ^ weft__load_relaxed_u32(&P.cell[0])) * 16777619;
  h = (h ^ weft__load_relaxed_u32(&P.cell[1])) * 16777619;
  h = (h ^ h >> 16) & 0xffff;
  outcome_count += !outcomes[h];
  outcomes[h] = true;
}

static const struct model random_program = {.name = "random program",
                                            MODEL_STATE(P),
                                            .threads = {{"zero", execute_0}, {"one", execute_1}},
                                            .check = note_outcome};

static uint64_t count_outcomes(enum model_memory memory, bool every_schedule, unsigned *count) {
  memset(outcomes, 0, sizeof outcomes);
  outcome_count = 0;
  struct model_result r =
      model_search(&random_program, &(struct model_bounds){.memory = memory,
                                                           .preemptions = MODEL_ALL,
                                                           .every_schedule = every_schedule});
  if (r.failed) CHECK_FAIL("%s\n%s", r.why, r.trace);
  CHECK(r.complete);
  *count = outcome_count;
  return r.schedules;
}

static void skipping_known_states_hides_no_outcome(void **state) {
  (void)state;
  uint32_t random = 12345;
  uint64_t skipping = 0;
  uint64_t whole = 0;
  unsigned more_in_tso = 0;
  unsigned more_in_weak = 0;
  for (int round = 0; round < 500 && !weft_test_failed(); round++) {
    for (unsigned i = 0; i < 2 * OPS; i++) {
      random = random * 1664525 + 1013904223;
      program.op[i / OPS][i % OPS] = (enum op)((random >> 16) % KINDS);
      program.cell[i / OPS][i % OPS] = random >> 28 & 1;
    }
    unsigned found[3];
    for (int memory = MODEL_SC; memory <= MODEL_WEAK; memory++) {
      unsigned all;
      whole += count_outcomes((enum model_memory)memory, true, &all);
      skipping += count_outcomes((enum model_memory)memory, false, &found[memory]);
      CHECK_UINT(found[memory], all);
    }
    CHECK(found[MODEL_SC] <= found[MODEL_TSO] && found[MODEL_TSO] <= found[MODEL_WEAK]);
    more_in_tso += found[MODEL_TSO] > found[MODEL_SC];
    more_in_weak += found[MODEL_WEAK] > found[MODEL_TSO];
  }
  printf("%ju runs instead of %ju; %u programs show more under tso, %u under weak\n",
         (uintmax_t)skipping, (uintmax_t)whole, more_in_tso, more_in_weak);
  CHECK(more_in_tso > 0 && more_in_weak > 0);
}

/* --- mutants --- */

static void mp_writer(void) {
  model_write(&S.data, 7);
  weft__store_release_u32(&S.x, 1);
}
static void mp_reader(void) {
  if (weft__load_acquire_u32(&S.x) == 1) MODEL_CHECK(model_read(&S.data) == 7);
}
static const struct model mp = {.name = "message passing",
                                MODEL_STATE(S),
                                .threads = {{"writer", mp_writer}, {"reader", mp_reader}}};

static void every_ordering_of_message_passing_is_needed(void **state) {
  (void)state;
  const struct model *const models[] = {&mp};
  unsigned mutants = 0;
  CHECK_UINT(model_mutants(&(struct model_suite){models, 1, WEAK}, 1, &mutants), 0);
  CHECK_UINT(mutants, 2);
}

/* More than it needs: what survives is weakened further, until something breaks. */
static void sp_writer(void) {
  model_write(&S.data, 7);
  weft__store_seq_u32(&S.x, 1);
}
static const struct model sp = {.name = "message passing, seq_cst",
                                MODEL_STATE(S),
                                .threads = {{"writer", sp_writer}, {"reader", mp_reader}}};

static void an_ordering_that_is_stronger_than_needed_survives(void **state) {
  (void)state;
  const struct model *const models[] = {&sp};
  unsigned mutants = 0;
  CHECK_UINT(model_mutants(&(struct model_suite){models, 1, WEAK}, 1, &mutants), 1);
  CHECK_UINT(mutants, 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_order_is_tried_once),
    cmocka_unit_test(the_search_says_when_it_is_not_complete),
    cmocka_unit_test(a_failure_comes_with_its_shortest_schedule),
    cmocka_unit_test(choices_of_the_model_are_tried_too),
    cmocka_unit_test(a_lost_wakeup_is_a_deadlock),
    cmocka_unit_test(spinning_ends_or_is_a_deadlock),
    cmocka_unit_test(waiting_ends_when_its_condition_holds),
    cmocka_unit_test(skipping_known_states_hides_no_outcome),
    cmocka_unit_test(every_ordering_of_message_passing_is_needed),
    cmocka_unit_test(an_ordering_that_is_stronger_than_needed_survives),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
