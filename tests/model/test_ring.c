/* The ring of core/ring.h at a tiny capacity: its owner against one and two thieves. */
#include "items.h"

#ifndef WEFT__RING_CAP
#define WEFT__RING_CAP 2
#endif
#include "core/ring.h"

#include "weft_test.h"

static struct {
  struct weft__ring r;
  struct items items;
} S;

static void setup(void) {
  model_name(&S.r.tail, "tail");
  model_name(&S.r.head, "head");
  model_name(&S.r.slots[0], "slot[0]");
  model_name(&S.r.slots[1], "slot[1]");
  model_guard(S.r.slots, sizeof S.r.slots);
  /* Element numbers that wrap around the capacity, and past zero, from the start. */
  uint64_t first = UINT64_MAX - 1;
  weft__store_relaxed_u64(&S.r.tail, first);
  weft__store_relaxed_u64(&S.r.head, first);
  S.r.head_seen = first;
}

/* Nothing is lost: what is left comes out in age order. */
static void check(void) {
  void *x;
  while ((x = weft__ring_pop(&S.r))) items_take_oldest(&S.items, x);
  MODEL_CHECK(items_all_taken(&S.items, 0, S.items.made));
  MODEL_CHECK(weft__ring_len(&S.r) == 0);
}

static bool push(void) {
  void *x = items_make(&S.items);
  if (weft__ring_push(&S.r, x)) return true;
  items_unmake(&S.items);
  return false;
}

static void pop(void) {
  void *x = weft__ring_pop(&S.r);
  if (x)
    items_take_oldest(&S.items, x);
  else
    MODEL_CHECK(items_all_taken(&S.items, 0, S.items.made));
}

static void steal(unsigned max) {
  void *out[WEFT__RING_CAP];
  unsigned n = weft__ring_steal(&S.r, out, max);
  MODEL_CHECK(n <= max && n <= WEFT__RING_CAP / 2);
  for (unsigned i = 0; i < n; i++) items_take_oldest(&S.items, out[i]);
}

/* The owner's way out of a full ring. */
static void push_or_overflow(void) {
  while (!push()) steal(WEFT__RING_CAP);
}

static void looks(void) {
  MODEL_CHECK(weft__ring_len(&S.r) <= WEFT__RING_CAP);
}

static void steals_once(void) {
  steal(WEFT__RING_CAP);
}
static void steals_one_then_half(void) {
  steal(1);
  steal(WEFT__RING_CAP);
}

#define MODEL(name_, owner, ...)                                                                   \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup, .check = check, .threads = {                    \
      {"owner", owner},                                                                            \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }
#define ONE_THIEF                                                                                  \
  { "thief", steals_one_then_half }
#define TWO_THIEVES                                                                                \
  {"thief", steals_once}, {                                                                        \
    "robber", steals_once                                                                          \
  }

static void in_and_out(void) {
  push();
  push();
  pop();
  push();
  pop();
  pop();
}
static const struct model fifo = MODEL("ring: push, pop", in_and_out, ONE_THIEF);
static const struct model fifo_3 = MODEL("ring: two thieves", in_and_out, TWO_THIEVES);

static void overflows(void) {
  for (int i = 0; i < WEFT__RING_CAP + 2; i++) push_or_overflow();
  pop();
}
static const struct model overflow = MODEL("ring: overflow", overflows, ONE_THIEF);
static const struct model overflow_3 = MODEL("ring: overflow, two thieves", overflows, TWO_THIEVES);

static void does_anything(void) {
  push();
  for (int i = 0; i < 4; i++) {
    switch (model_choose(3)) {
    case 0:
      push_or_overflow();
      break;
    case 1:
      pop();
      break;
    case 2:
      looks();
      break;
    }
  }
}
static const struct model any = MODEL("ring: any owner", does_anything, ONE_THIEF);

static void looks_on(void) {
  looks();
  looks();
}
static const struct model looked_at =
    MODEL("ring: an onlooker", in_and_out, {"thief", steals_once}, {"onlooker", looks_on});

static const struct model *const with_one_thief[] = {&fifo, &overflow, &any};
static const struct model *const with_two_thieves[] = {&fifo_3, &overflow_3, &looked_at};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void hold(const struct model *const *models, size_t n, enum model_memory memory) {
  for (size_t i = 0; i < n; i++)
    model_holds(models[i], &(struct model_bounds){.memory = memory, .preemptions = MODEL_ALL});
}

static void one_thief_sequentially_consistent(void **state) {
  (void)state;
  hold(with_one_thief, COUNT(with_one_thief), MODEL_SC);
}

static void one_thief_with_store_buffers(void **state) {
  (void)state;
  hold(with_one_thief, COUNT(with_one_thief), MODEL_TSO);
}

static void one_thief_in_weak_memory(void **state) {
  (void)state;
  hold(with_one_thief, COUNT(with_one_thief), MODEL_WEAK);
}

static void two_thieves_sequentially_consistent(void **state) {
  (void)state;
  hold(with_two_thieves, COUNT(with_two_thieves), MODEL_SC);
}

static void two_thieves_with_store_buffers(void **state) {
  (void)state;
  hold(with_two_thieves, COUNT(with_two_thieves), MODEL_TSO);
}

static void two_thieves_in_weak_memory(void **state) {
  (void)state;
  hold(with_two_thieves, COUNT(with_two_thieves), MODEL_WEAK);
}

/* --- planted bugs --- */

static void a_relaxed_publish_is_found(void **state) {
  (void)state;
  struct model_bounds b = {
      .memory = MODEL_WEAK, .preemptions = MODEL_ALL, .weaken = MODEL_RELEASE_RELAXED};
  model_breaks(&fifo, &b, ""); /* an empty slot, or an item before its payload */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_thief_sequentially_consistent),
    cmocka_unit_test(one_thief_with_store_buffers),
    cmocka_unit_test(one_thief_in_weak_memory),
    cmocka_unit_test(two_thieves_sequentially_consistent),
    cmocka_unit_test(two_thieves_with_store_buffers),
    cmocka_unit_test(two_thieves_in_weak_memory),
    cmocka_unit_test(a_relaxed_publish_is_found),
};

static const struct model *const for_orders[] = {&fifo, &overflow, &fifo_3, &overflow_3,
                                                 &looked_at};
static const struct model_suite suites[] = {
    {for_orders, COUNT(for_orders), {.memory = MODEL_WEAK, .preemptions = 1}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, COUNT(tests), suites, COUNT(suites));
}
