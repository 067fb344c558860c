/* The deque of core/deque.h at a tiny capacity: its owner against one and two thieves. */
#include "items.h"

#ifndef WEFT__DEQUE_CAP
#define WEFT__DEQUE_CAP 2
#endif
#include "core/deque.h"

#include "weft_test.h"

static struct {
  struct weft__deque d;
  struct items items;
} S;

static void setup(void) {
  model_name(&S.d.bottom, "bottom");
  model_name(&S.d.top, "top");
  model_name(&S.d.slots[0], "slot[0]");
  model_name(&S.d.slots[1], "slot[1]");
  model_guard(S.d.slots, sizeof S.d.slots);
  /* Element numbers that wrap around the capacity, and past zero, from the start. */
  uint64_t first = UINT64_MAX - 1;
  weft__store_relaxed_u64(&S.d.bottom, first);
  weft__store_relaxed_u64(&S.d.top, first);
  S.d.top_seen = first;
}

/* Nothing is lost: what is left comes out in age order. */
static void check(void) {
  void *x;
  while ((x = weft__deque_pop_oldest(&S.d))) items_take_oldest(&S.items, x);
  MODEL_CHECK(items_all_taken(&S.items, 0, S.items.made));
  MODEL_CHECK(weft__deque_looks_empty(&S.d));
}

/* --- the owner's operations, and what must be true of each --- */

static bool push(void) {
  void *x = items_make(&S.items);
  if (weft__deque_push(&S.d, x)) return true;
  items_unmake(&S.items);
  return false;
}

static void pop(void) {
  void *x = weft__deque_pop(&S.d);
  if (x)
    items_take_newest(&S.items, x);
  else
    MODEL_CHECK(items_all_taken(&S.items, 0, S.items.made));
}

/* Awaits item i: it comes out if it is the newest, otherwise nothing does. */
static void pop_if(unsigned i) {
  void *want = &S.items.item[i];
  void *x = weft__deque_pop_if(&S.d, want);
  MODEL_CHECK(x == NULL || x == want);
  if (x) items_take_newest(&S.items, x);
  /* Only a thief or a newer item can have been in the way. */
  if (!x && i + 1 == S.items.made) MODEL_CHECK(S.items.item[i].taken);
}

static void pop_oldest(void) {
  void *x = weft__deque_pop_oldest(&S.d);
  if (x)
    items_take_oldest(&S.items, x);
  else
    MODEL_CHECK(items_all_taken(&S.items, 0, S.items.made));
}

static void take_half(void) {
  void *out[WEFT__DEQUE_CAP];
  unsigned n = weft__deque_take_half(&S.d, out, WEFT__DEQUE_CAP);
  MODEL_CHECK(n <= (WEFT__DEQUE_CAP + 1) / 2);
  for (unsigned i = 0; i < n; i++) items_take_oldest(&S.items, out[i]);
  if (n == 0) MODEL_CHECK(items_all_taken(&S.items, 0, S.items.made));
}

static void push_or_overflow(void) {
  while (!push()) take_half();
}

static void steal_once(void) {
  bool lost;
  void *x = weft__deque_steal(&S.d, &lost);
  MODEL_CHECK(!x || !lost);
  if (x) items_take_oldest(&S.items, x);
}

static void steal_twice(void) {
  steal_once();
  steal_once();
}

/* --- models --- */

#define MODEL(name_, owner, ...)                                                                   \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup, .check = check, .threads = {                    \
      {"owner", owner},                                                                            \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }
#define ONE_THIEF                                                                                  \
  { "thief", steal_twice }
#define TWO_THIEVES                                                                                \
  {"thief", steal_once}, {                                                                         \
    "robber", steal_once                                                                           \
  }

static void spawns_and_joins(void) {
  push();
  push();
  pop();
  push();
  pop();
  pop();
}
static const struct model spawn_join = MODEL("deque: spawn, join", spawns_and_joins, ONE_THIEF);
static const struct model spawn_join_3 = MODEL("deque: two thieves", spawns_and_joins, TWO_THIEVES);

/* Awaits the newest, then one that is not the newest, then one that may be long gone. */
static void awaits(void) {
  push();
  push();
  pop_if(0);
  pop_if(1);
  pop_if(0);
  pop_if(0);
  push();
  pop_if(S.items.made - 1);
}
static const struct model await = MODEL("deque: pop_if", awaits, ONE_THIEF);
static const struct model await_3 = MODEL("deque: pop_if, two thieves", awaits, TWO_THIEVES);

static void overflows(void) {
  for (int i = 0; i < WEFT__DEQUE_CAP + 2; i++) push_or_overflow();
  pop();
}
static const struct model overflow = MODEL("deque: overflow", overflows, ONE_THIEF);
static const struct model overflow_3 =
    MODEL("deque: overflow, two thieves", overflows, TWO_THIEVES);

static void turns(void) {
  push();
  push();
  pop_oldest();
  push();
  pop();
  pop_oldest();
}
static const struct model oldest = MODEL("deque: pop_oldest", turns, ONE_THIEF);
static const struct model oldest_3 = MODEL("deque: pop_oldest, two thieves", turns, TWO_THIEVES);

static void does_anything(int operations) {
  push();
  for (int i = 0; i < operations; i++) {
    switch (model_choose(5)) {
    case 0:
      push_or_overflow();
      break;
    case 1:
      pop();
      break;
    case 2:
      pop_if(S.items.made - 1);
      break;
    case 3:
      pop_oldest();
      break;
    case 4:
      take_half();
      break;
    }
  }
}
static void does_three_things(void) {
  does_anything(3);
}
static void does_four_things(void) {
  does_anything(4);
}
static const struct model any_3 = MODEL("deque: any owner", does_three_things, ONE_THIEF);
static const struct model any_4 = MODEL("deque: any owner", does_four_things, ONE_THIEF);

/* At a larger capacity only halves of more than one are different: the first of each list. */
static const struct model *const with_one_thief[] = {&overflow, &any_3, &spawn_join, &await,
                                                     &oldest};
static const struct model *const with_two_thieves[] = {&overflow_3, &spawn_join_3, &await_3,
                                                       &oldest_3};
#define SOME(n) (WEFT__DEQUE_CAP == 2 ? (n) : 1)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void hold(const struct model *const *models, size_t n, enum model_memory memory) {
  for (size_t i = 0; i < n; i++)
    model_holds(models[i], &(struct model_bounds){.memory = memory, .preemptions = MODEL_ALL});
}

static void one_thief_sequentially_consistent(void **state) {
  (void)state;
  hold(with_one_thief, SOME(COUNT(with_one_thief)), MODEL_SC);
  model_holds(&any_4, &(struct model_bounds){.memory = MODEL_SC, .preemptions = MODEL_ALL});
}

static void one_thief_with_store_buffers(void **state) {
  (void)state;
  hold(with_one_thief, SOME(COUNT(with_one_thief)), MODEL_TSO);
}

static void one_thief_in_weak_memory(void **state) {
  (void)state;
  hold(with_one_thief, SOME(COUNT(with_one_thief)), MODEL_WEAK);
}

static void two_thieves_sequentially_consistent(void **state) {
  (void)state;
  hold(with_two_thieves, SOME(COUNT(with_two_thieves)), MODEL_SC);
}

static void two_thieves_with_store_buffers(void **state) {
  (void)state;
  hold(with_two_thieves, SOME(COUNT(with_two_thieves)), MODEL_TSO);
}

static void two_thieves_in_weak_memory(void **state) {
  (void)state;
  hold(with_two_thieves, SOME(COUNT(with_two_thieves)), MODEL_WEAK);
}

/* --- planted bugs --- */

static void a_missing_light_fence_is_found(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_TSO, .preemptions = MODEL_ALL, .weaken = MODEL_NO_LIGHT};
  model_breaks(&spawn_join, &b, "taken");
  b.memory = MODEL_WEAK;
  model_breaks(&spawn_join, &b, "taken");
}

static void a_missing_heavy_fence_is_found(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_TSO, .preemptions = MODEL_ALL, .weaken = MODEL_NO_HEAVY};
  model_breaks(&spawn_join, &b, "taken");
  b.memory = MODEL_WEAK;
  model_breaks(&spawn_join, &b, "taken");
}

static void a_relaxed_publish_is_found(void **state) {
  (void)state;
  struct model_bounds b = {
      .memory = MODEL_WEAK, .preemptions = MODEL_ALL, .weaken = MODEL_RELEASE_RELAXED};
  model_breaks(&spawn_join, &b, "data race");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_thief_sequentially_consistent),
    cmocka_unit_test(one_thief_with_store_buffers),
    cmocka_unit_test(one_thief_in_weak_memory),
    cmocka_unit_test(two_thieves_sequentially_consistent),
    cmocka_unit_test(two_thieves_with_store_buffers),
    cmocka_unit_test(two_thieves_in_weak_memory),
    cmocka_unit_test(a_missing_light_fence_is_found),
    cmocka_unit_test(a_missing_heavy_fence_is_found),
    cmocka_unit_test(a_relaxed_publish_is_found),
};

static const struct model *const for_orders[] = {&spawn_join,   &await,   &overflow,   &oldest,
                                                 &spawn_join_3, &await_3, &overflow_3, &oldest_3};
static const struct model_suite suites[] = {
    {for_orders, COUNT(for_orders), {.memory = MODEL_WEAK, .preemptions = 1}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, COUNT(tests), suites, COUNT(suites));
}
