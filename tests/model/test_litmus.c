/* The memory models of the explorer: the litmus tests whose answers are known. */
#include "model.h"
#include "weft_test.h"

static const struct model_bounds SC = {.memory = MODEL_SC, .preemptions = MODEL_ALL};
static const struct model_bounds TSO = {.memory = MODEL_TSO, .preemptions = MODEL_ALL};
static const struct model_bounds WEAK = {.memory = MODEL_WEAK, .preemptions = MODEL_ALL};

static struct model_bounds weakened(struct model_bounds b, unsigned weaken) {
  b.weaken = weaken;
  return b;
}

static struct {
  weft__atomic_u32 x, y, turns;
  struct model_plain data;
  uint32_t saw_x[2], saw_y[2];
} S;

/* --- store buffering: both threads store, then look at the other's cell --- */

static void both_saw_nothing(void) {
  MODEL_CHECK(S.saw_y[0] != 0 || S.saw_x[1] != 0);
}

static void sb_relaxed_0(void) {
  weft__store_relaxed_u32(&S.x, 1);
  S.saw_y[0] = weft__load_relaxed_u32(&S.y);
}
static void sb_relaxed_1(void) {
  weft__store_relaxed_u32(&S.y, 1);
  S.saw_x[1] = weft__load_relaxed_u32(&S.x);
}
static const struct model sb_relaxed = {.name = "store buffering, relaxed",
                                        MODEL_STATE(S),
                                        .threads = {{"zero", sb_relaxed_0}, {"one", sb_relaxed_1}},
                                        .check = both_saw_nothing};

static void sb_seq_0(void) {
  weft__store_seq_u32(&S.x, 1);
  S.saw_y[0] = weft__load_seq_u32(&S.y);
}
static void sb_seq_1(void) {
  weft__store_seq_u32(&S.y, 1);
  S.saw_x[1] = weft__load_seq_u32(&S.x);
}
static const struct model sb_seq = {.name = "store buffering, seq_cst",
                                    MODEL_STATE(S),
                                    .threads = {{"zero", sb_seq_0}, {"one", sb_seq_1}},
                                    .check = both_saw_nothing};

static void sb_xchg_0(void) {
  weft__xchg_u32(&S.x, 1);
  S.saw_y[0] = weft__load_relaxed_u32(&S.y);
}
static void sb_xchg_1(void) {
  weft__xchg_u32(&S.y, 1);
  S.saw_x[1] = weft__load_relaxed_u32(&S.x);
}
static const struct model sb_xchg = {.name = "store buffering, acq_rel exchange",
                                     MODEL_STATE(S),
                                     .threads = {{"zero", sb_xchg_0}, {"one", sb_xchg_1}},
                                     .check = both_saw_nothing};

static void sb_full_0(void) {
  weft__store_relaxed_u32(&S.x, 1);
  weft__fence_full();
  S.saw_y[0] = weft__load_relaxed_u32(&S.y);
}
static void sb_full_1(void) {
  weft__store_relaxed_u32(&S.y, 1);
  weft__fence_full();
  S.saw_x[1] = weft__load_relaxed_u32(&S.x);
}
static const struct model sb_full = {.name = "store buffering, full fences",
                                     MODEL_STATE(S),
                                     .threads = {{"zero", sb_full_0}, {"one", sb_full_1}},
                                     .check = both_saw_nothing};

static void sb_light_0(void) {
  weft__store_relaxed_u32(&S.x, 1);
  weft__fence_light();
  S.saw_y[0] = weft__load_relaxed_u32(&S.y);
}
static void sb_light_1(void) {
  weft__store_relaxed_u32(&S.y, 1);
  weft__fence_light();
  S.saw_x[1] = weft__load_relaxed_u32(&S.x);
}
static void sb_heavy_1(void) {
  weft__store_relaxed_u32(&S.y, 1);
  weft__fence_heavy();
  S.saw_x[1] = weft__load_relaxed_u32(&S.x);
}
static const struct model sb_light_light = {.name = "store buffering, two light fences",
                                            MODEL_STATE(S),
                                            .threads = {{"zero", sb_light_0}, {"one", sb_light_1}},
                                            .check = both_saw_nothing};
static const struct model sb_light_heavy = {.name = "store buffering, light and heavy fence",
                                            MODEL_STATE(S),
                                            .threads = {{"zero", sb_light_0}, {"one", sb_heavy_1}},
                                            .check = both_saw_nothing};

static void store_buffering_needs_sequential_consistency(void **state) {
  (void)state;
  model_holds(&sb_relaxed, &SC);
  model_breaks(&sb_relaxed, &TSO, "saw_y");
  model_breaks(&sb_relaxed, &WEAK, "saw_y");
  model_holds(&sb_seq, &TSO);
  model_holds(&sb_seq, &WEAK);
  model_holds(&sb_full, &TSO);
  model_holds(&sb_full, &WEAK);
  struct model_bounds no_full = weakened(TSO, MODEL_NO_FULL);
  model_breaks(&sb_full, &no_full, "saw_y");
}

/* On x86 a locked instruction is a fence whatever was asked for; in C11 it is not. */
static void an_acq_rel_exchange_is_a_fence_on_x86_only(void **state) {
  (void)state;
  model_holds(&sb_xchg, &TSO);
  model_breaks(&sb_xchg, &WEAK, "saw_y");
}

static void the_asymmetric_fence_needs_both_halves(void **state) {
  (void)state;
  const struct model_bounds *memories[] = {&TSO, &WEAK};
  for (size_t i = 0; i < 2; i++) {
    model_holds(&sb_light_heavy, memories[i]);
    model_breaks(&sb_light_light, memories[i], "saw_y");
    struct model_bounds b = weakened(*memories[i], MODEL_NO_LIGHT);
    model_breaks(&sb_light_heavy, &b, "saw_y");
    b = weakened(*memories[i], MODEL_NO_HEAVY);
    model_breaks(&sb_light_heavy, &b, "saw_y");
  }
}

/* --- message passing --- */

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

static void message_passing_needs_release_and_acquire(void **state) {
  (void)state;
  struct model_bounds no_release = weakened(WEAK, MODEL_RELEASE_RELAXED);
  struct model_bounds no_acquire = weakened(WEAK, MODEL_ACQUIRE_RELAXED);
  struct model_bounds neither = weakened(TSO, MODEL_RELEASE_RELAXED | MODEL_ACQUIRE_RELAXED);
  model_holds(&mp, &TSO);
  model_holds(&mp, &WEAK);
  model_breaks(&mp, &no_release, "data race");
  model_breaks(&mp, &no_acquire, "data race");
  model_holds(&mp, &neither); /* x86 orders these by itself */
}

/* A relaxed store and a read-modify-write by others continue a release sequence; a store by others
 * does not. */
static void sequence_writer(void) {
  model_write(&S.data, 7);
  weft__store_release_u32(&S.x, 1);
  weft__store_relaxed_u32(&S.x, 2);
}
static void sequence_adder(void) {
  weft__add_relaxed_u32(&S.x, 10);
}
static void sequence_intruder(void) {
  if (weft__load_relaxed_u32(&S.x) == 2) weft__store_relaxed_u32(&S.x, 12);
}
static void sequence_reader(void) {
  if (weft__load_acquire_u32(&S.x) == 12) MODEL_CHECK(model_read(&S.data) == 7);
}
static const struct model sequence = {.name = "release sequence",
                                      MODEL_STATE(S),
                                      .threads = {{"writer", sequence_writer},
                                                  {"adder", sequence_adder},
                                                  {"reader", sequence_reader}}};
static const struct model broken_sequence = {.name = "broken release sequence",
                                             MODEL_STATE(S),
                                             .threads = {{"writer", sequence_writer},
                                                         {"intruder", sequence_intruder},
                                                         {"reader", sequence_reader}}};

static void a_release_sequence_ends_with_a_foreign_store(void **state) {
  (void)state;
  model_holds(&sequence, &WEAK);
  model_breaks(&broken_sequence, &WEAK, "data race");
}

/* --- coherence, and independent reads of independent writes --- */

static void coherence_writer(void) {
  weft__store_relaxed_u32(&S.x, 1);
  weft__store_relaxed_u32(&S.x, 2);
}
static void coherence_reader(void) {
  uint32_t first = weft__load_relaxed_u32(&S.x);
  MODEL_CHECK(weft__load_relaxed_u32(&S.x) >= first);
}
static const struct model coherence = {
    .name = "coherence",
    MODEL_STATE(S),
    .threads = {{"writer", coherence_writer}, {"a", coherence_reader}, {"b", coherence_reader}}};

static void one_cell_never_goes_back(void **state) {
  (void)state;
  model_holds(&coherence, &TSO);
  model_holds(&coherence, &WEAK);
}

static void iriw_x(void) {
  weft__store_seq_u32(&S.x, 1);
}
static void iriw_y(void) {
  weft__store_seq_u32(&S.y, 1);
}
static void iriw_0(void) {
  S.saw_x[0] = weft__load_seq_u32(&S.x);
  S.saw_y[0] = weft__load_seq_u32(&S.y);
}
static void iriw_1(void) {
  S.saw_y[1] = weft__load_seq_u32(&S.y);
  S.saw_x[1] = weft__load_seq_u32(&S.x);
}
static void iriw_check(void) {
  bool x_first = S.saw_x[0] == 1 && S.saw_y[0] == 0;
  bool y_first = S.saw_y[1] == 1 && S.saw_x[1] == 0;
  MODEL_CHECK(!(x_first && y_first));
}
static const struct model iriw = {
    .name = "independent reads of independent writes",
    MODEL_STATE(S),
    .threads = {{"x", iriw_x}, {"y", iriw_y}, {"zero", iriw_0}, {"one", iriw_1}},
    .check = iriw_check};

static void two_readers_agree_on_the_order_only_when_seq_cst(void **state) {
  (void)state;
  model_holds(&iriw, &WEAK);
  struct model_bounds acq_rel = weakened(WEAK, MODEL_SEQ_ACQ_REL);
  model_breaks(&iriw, &acq_rel, "x_first");
  acq_rel = weakened(TSO, MODEL_SEQ_ACQ_REL);
  model_holds(&iriw, &acq_rel); /* one memory for all */
}

/* --- handing back: a reader is done with something, which is then written again --- */

static void back_reader(void) {
  MODEL_CHECK(model_read(&S.data) == 0);
  weft__store_release_u32(&S.x, 1);
}
static void back_writer(void) {
  if (weft__load_acquire_u32(&S.x) == 1) model_write(&S.data, 7);
}
static const struct model back = {.name = "handing back",
                                  MODEL_STATE(S),
                                  .threads = {{"reader", back_reader}, {"writer", back_writer}}};

/* The same with an atomic: the load may come after the store that it was to come before. */
static void guard_y(void) {
  model_guard(&S.y, sizeof S.y);
}
static void late_reader(void) {
  uint32_t y = weft__load_relaxed_u32(&S.y);
  weft__store_release_u32(&S.x, 1);
  model_rely(y);
}
static void late_writer(void) {
  if (weft__load_acquire_u32(&S.x) == 1) weft__store_relaxed_u32(&S.y, 7);
}
static const struct model late = {.name = "handing back, an atomic",
                                  MODEL_STATE(S),
                                  .setup = guard_y,
                                  .threads = {{"reader", late_reader}, {"writer", late_writer}}};

static void a_read_that_may_come_after_a_later_write_is_found(void **state) {
  (void)state;
  static const struct model *const both[] = {&back, &late};
  static const char *const why[] = {"data race: a store to", "late load: a store to"};
  for (size_t i = 0; i < 2; i++) {
    model_holds(both[i], &WEAK);
    struct model_bounds b = weakened(WEAK, MODEL_RELEASE_RELAXED);
    model_breaks(both[i], &b, why[i]);
    b = weakened(WEAK, MODEL_ACQUIRE_RELAXED);
    model_breaks(both[i], &b, why[i]);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(store_buffering_needs_sequential_consistency),
    cmocka_unit_test(an_acq_rel_exchange_is_a_fence_on_x86_only),
    cmocka_unit_test(the_asymmetric_fence_needs_both_halves),
    cmocka_unit_test(message_passing_needs_release_and_acquire),
    cmocka_unit_test(a_release_sequence_ends_with_a_foreign_store),
    cmocka_unit_test(one_cell_never_goes_back),
    cmocka_unit_test(two_readers_agree_on_the_order_only_when_seq_cst),
    cmocka_unit_test(a_read_that_may_come_after_a_later_write_is_found),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
