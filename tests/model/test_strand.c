/* Strands, for which strand.c is compiled as it is: of the tasks that several threads make ready one at a
 * time runs, each as often as it was made ready, and the last one that lets go of the strand frees it.
 *
 * A thread that gets the turn for a task runs it here and then, where the scheduler would put it into a
 * queue, and goes on with those whose turn comes after it. What the tasks share is plain memory. */
#include "core/strand.h"

#include "base/memory.h"
#include "model.h"
#include "weft_test.h"

enum { TASKS = 3 };

static struct {
  struct weft_strand s;
  struct weft__task task[TASKS];
  struct model_plain shared;         /* what the tasks of the strand work on */
  struct model_plain gift[TASKS];    /* what who makes a task ready wrote for it */
  unsigned runs[TASKS], left[TASKS]; /* slices so far, and to come */
  unsigned order[TASKS + 1], slices;
  bool freed;
} S;

void weft__free(void *p) {
  MODEL_CHECK(p == &S.s && !S.freed);
  S.freed = true;
  model_write(&S.shared, 99); /* after everything that was done to it */
}

static void setup(void) {
  for (unsigned i = 0; i < TASKS; i++) {
    S.left[i] = 1;
    weft__store_relaxed_u64(&S.task[i].word, weft__word_fresh(0));
    weft__strand_join(&S.s, &S.task[i]);
    MODEL_CHECK(weft__load_relaxed_u64(&S.task[i].word) & WEFT__APART);
  }
  model_name(&S.s.lock.locked, "lock");
  model_name(&S.s.refs, "refs");
}
static void setup_yielding(void) {
  setup();
  S.left[0] = 2;
}

/* One slice: true when the task has ended. */
static bool run(unsigned i) {
  MODEL_CHECK(model_read(&S.gift[i]) == i + 1);
  model_write(&S.shared, model_read(&S.shared) + 1);
  S.order[S.slices++] = i;
  S.runs[i]++;
  return --S.left[i] == 0;
}

static void makes_ready(unsigned i) {
  model_write(&S.gift[i], i + 1);
  if (!weft__strand_enter(&S.s, &S.task[i])) return;
  struct weft__task *t = &S.task[i];
  while (t) {
    bool over = run((unsigned)(t - S.task));
    struct weft__task *next = weft__strand_next(&S.s, over ? NULL : t);
    if (over) weft__strand_unref(&S.s);
    t = next;
  }
}
static void first(void) {
  makes_ready(0);
}
static void second(void) {
  makes_ready(1);
}
static void third(void) {
  makes_ready(2);
}
static void two(void) {
  makes_ready(1);
  makes_ready(2);
}

static void all_ran(void) {
  MODEL_CHECK(!S.s.busy && !S.s.head && S.freed);
  for (unsigned i = 0; i < TASKS; i++) MODEL_CHECK(S.runs[i] >= 1 && S.left[i] == 0);
}
/* Of two that the same thread made ready the first runs first. */
static void all_ran_in_order(void) {
  unsigned at[TASKS] = {0};
  all_ran();
  MODEL_CHECK(S.slices == TASKS + 1 && S.runs[0] == 2);
  for (unsigned k = 0; k < S.slices; k++) at[S.order[k]] = k;
  MODEL_CHECK(at[1] < at[2]);
}

#define MODEL(name_, setup_, check_, ...)                                                          \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup_, .check = check_, .threads = { __VA_ARGS__ }    \
  }
static const struct model three_threads =
    MODEL("strand: three become ready", setup, all_ran, {"a", first}, {"b", second}, {"c", third});
static const struct model a_yield = MODEL("strand: one yields, two become ready", setup_yielding,
                                          all_ran_in_order, {"a", first}, {"b", two});
static const struct model *const all[] = {&three_threads, &a_yield};
#define COUNT (sizeof all / sizeof all[0])

static void hold(enum model_memory memory) {
  for (size_t i = 0; i < COUNT; i++)
    model_holds(all[i], &(struct model_bounds){.memory = memory, .preemptions = MODEL_ALL});
}

static void one_at_a_time_sequentially_consistent(void **state) {
  (void)state;
  hold(MODEL_SC);
}
static void one_at_a_time_with_store_buffers(void **state) {
  (void)state;
  hold(MODEL_TSO);
}
static void one_at_a_time_in_weak_memory(void **state) {
  (void)state;
  hold(MODEL_WEAK);
}

/* --- planted bugs --- */

static void a_lock_that_orders_nothing_is_found(void **state) {
  (void)state;
  struct model_bounds b = {
      .memory = MODEL_WEAK, .preemptions = MODEL_ALL, .weaken = MODEL_ACQUIRE_RELAXED};
  model_breaks(&three_threads, &b, "data race");
}

/* Leaves without passing the turn on. */
static void keeps_the_turn(void) {
  model_write(&S.gift[0], 1);
  if (!weft__strand_enter(&S.s, &S.task[0])) return;
  run(0);
}
static void first_two_ran(void) {
  MODEL_CHECK(S.runs[0] == 1 && S.runs[1] == 1);
}
static const struct model careless = MODEL("strand: planted turn that is not passed on", setup,
                                           first_two_ran, {"a", keeps_the_turn}, {"b", second});

static void a_turn_that_is_not_passed_on_is_found(void **state) {
  (void)state;
  model_breaks(&careless, &(struct model_bounds){.memory = MODEL_SC, .preemptions = MODEL_ALL},
               "S.runs[1] == 1");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_at_a_time_sequentially_consistent),
    cmocka_unit_test(one_at_a_time_with_store_buffers),
    cmocka_unit_test(one_at_a_time_in_weak_memory),
    cmocka_unit_test(a_lock_that_orders_nothing_is_found),
    cmocka_unit_test(a_turn_that_is_not_passed_on_is_found),
};

static const struct model_suite suites[] = {{all, COUNT, {.memory = MODEL_WEAK, .preemptions = 2}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, sizeof tests / sizeof tests[0], suites,
                    sizeof suites / sizeof suites[0]);
}
