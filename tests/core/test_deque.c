/* The deque of core/deque.h: its rules on one thread, and that nothing is lost or taken twice when
 * an owner and three thieves hammer it, with membarrier and with full fences. The explorer
 * (tests/model) tries every order at a tiny size; this one tries real threads at the real size. */
#include "core/deque.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/annotate.h"
#include "weft_test.h"

#if WEFT__TSAN
#define ITEMS 100000
#else
#define ITEMS 1000000
#endif
#define THIEVES 3

/* What the owner writes into an item before it pushes it, plainly: TSan sees a lost order. */
struct item {
  uint64_t number;
  weft__atomic_u32 taken;
};

static struct weft__deque deque;
static struct item items[ITEMS];
static weft__atomic_u64 stolen;
static weft__atomic_u32 done;

static void *number(uintptr_t n) {
  return (void *)n;
}

static void reset(void) {
  memset(&deque, 0, sizeof deque);
}

/* --- one thread --- */

static void pops_the_newest_and_steals_the_oldest(void **state) {
  (void)state;
  bool lost = true;
  reset();
  CHECK_PTR(weft__deque_pop(&deque), NULL);
  CHECK_PTR(weft__deque_steal(&deque, &lost), NULL);
  CHECK(!lost);
  for (uintptr_t n = 1; n <= 4; n++) CHECK(weft__deque_push(&deque, number(n)));
  CHECK_UINT(weft__deque_len(&deque), 4);
  CHECK_PTR(weft__deque_pop(&deque), number(4));
  CHECK_PTR(weft__deque_steal(&deque, &lost), number(1));
  CHECK_PTR(weft__deque_pop_oldest(&deque), number(2));
  CHECK_PTR(weft__deque_pop(&deque), number(3));
  CHECK_PTR(weft__deque_pop(&deque), NULL);
  CHECK_PTR(weft__deque_pop_oldest(&deque), NULL);
  CHECK(weft__deque_looks_empty(&deque));
}

static void pop_if_takes_only_the_newest(void **state) {
  (void)state;
  reset();
  CHECK_PTR(weft__deque_pop_if(&deque, number(1)), NULL);
  weft__deque_push(&deque, number(1));
  weft__deque_push(&deque, number(2));
  CHECK_PTR(weft__deque_pop_if(&deque, number(1)), NULL);
  CHECK_UINT(weft__deque_len(&deque), 2);
  CHECK_PTR(weft__deque_pop_if(&deque, number(2)), number(2));
  CHECK_PTR(weft__deque_pop_if(&deque, number(1)), number(1));
  /* The slot still holds 1. */
  CHECK_PTR(weft__deque_pop_if(&deque, number(1)), NULL);
  CHECK(weft__deque_looks_empty(&deque));
  CHECK(weft__deque_push(&deque, number(3)));
  CHECK_PTR(weft__deque_pop(&deque), number(3));
}

static void a_full_deque_gives_up_its_oldest_half(void **state) {
  static void *out[WEFT__DEQUE_CAP];
  (void)state;
  reset();
  /* Several times round, so that the numbers wrap around the slots. */
  uintptr_t n = 0;
  uintptr_t oldest = 1;
  for (int round = 0; round < 5; round++) {
    while (weft__deque_push(&deque, number(n + 1))) n++;
    CHECK_UINT(weft__deque_len(&deque), WEFT__DEQUE_CAP);
    CHECK_UINT(weft__deque_take_half(&deque, out, 7), 7);
    unsigned rest = (WEFT__DEQUE_CAP - 7 + 1) / 2;
    CHECK_UINT(weft__deque_take_half(&deque, out + 7, WEFT__DEQUE_CAP), rest);
    for (unsigned i = 0; i < 7 + rest; i++) CHECK_PTR(out[i], number(oldest++));
  }
  while (oldest <= n) CHECK_PTR(weft__deque_pop_oldest(&deque), number(oldest++));
  CHECK_UINT(weft__deque_take_half(&deque, out, WEFT__DEQUE_CAP), 0);
}

/* --- an owner and thieves --- */

static void take(void *x) {
  struct item *it = x;
  CHECK_UINT(it->number, (uint64_t)(it - items) + 1);
  CHECK_UINT(weft__add_u32(&it->taken, 1), 0);
}

static void *thief(void *unused) {
  (void)unused;
  uint64_t mine = 0;
  bool lost;
  uint64_t last = 0;
  for (;;) {
    bool over = weft__load_acquire_u32(&done) != 0;
    struct item *it = weft__deque_steal(&deque, &lost);
    if (it) {
      CHECK(it->number > last); /* the oldest each time */
      last = it->number;
      take(it);
      mine++;
    } else if (over && !lost) {
      break;
    }
  }
  weft__add_u64(&stolen, mine);
  return NULL;
}

/* All that the owner can do, mixed; keeps the deque short most of the time, where the races are,
 * and lets it fill now and then. */
static uint64_t owner(unsigned seed) {
  static void *out[WEFT__DEQUE_CAP];
  uint64_t random = seed;
  uint64_t mine = 0;
  uint64_t made = 0;
  while (made < ITEMS) {
    random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
    uint64_t pushes = (random >> 33) % 1024 == 0 ? 2 * WEFT__DEQUE_CAP : 1 + (random >> 50) % 3;
    struct item *newest = NULL;
    for (uint64_t i = 0; i < pushes && made < ITEMS; i++) {
      newest = &items[made++];
      newest->number = made;
      while (!weft__deque_push(&deque, newest)) {
        unsigned n = weft__deque_take_half(&deque, out, WEFT__DEQUE_CAP);
        for (unsigned k = 0; k < n; k++) take(out[k]);
        mine += n;
      }
    }
    void *x = weft__deque_pop_if(&deque, newest);
    for (uint64_t pops = (random >> 40) % 3; pops > 0; pops--) {
      if (x) take(x);
      mine += x != NULL;
      x = pops == 2 ? weft__deque_pop_oldest(&deque) : weft__deque_pop(&deque);
    }
    if (x) take(x);
    mine += x != NULL;
  }
  return mine;
}

static void hammer(unsigned seed) {
  pthread_t threads[THIEVES];
  reset();
  memset(items, 0, sizeof items);
  weft__store_relaxed_u64(&stolen, 0);
  weft__store_relaxed_u32(&done, 0);
  for (int i = 0; i < THIEVES; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, thief, NULL), 0);
  uint64_t mine = owner(seed);
  weft__store_release_u32(&done, 1);
  for (int i = 0; i < THIEVES; i++) pthread_join(threads[i], NULL);
  uint64_t theirs = weft__load_relaxed_u64(&stolen);
  print_message("%ju of %d stolen\n", (uintmax_t)theirs, ITEMS);
  CHECK_UINT(mine + theirs, ITEMS);
  for (uint64_t i = 0; i < ITEMS && !weft_test_failed(); i++)
    CHECK_UINT(weft__load_relaxed_u32(&items[i].taken), 1);
}

static void nothing_is_lost_among_three_thieves(void **state) {
  (void)state;
  weft__fence_init();
  for (unsigned seed = 1; seed <= 3; seed++) hammer(seed);
}

static void nothing_is_lost_where_membarrier_is_refused(void **state) {
  (void)state;
  weft__fence_use_full();
  for (unsigned seed = 1; seed <= 3; seed++) hammer(seed);
  weft__fence_init();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pops_the_newest_and_steals_the_oldest),
    cmocka_unit_test(pop_if_takes_only_the_newest),
    cmocka_unit_test(a_full_deque_gives_up_its_oldest_half),
    cmocka_unit_test(nothing_is_lost_among_three_thieves),
    cmocka_unit_test(nothing_is_lost_where_membarrier_is_refused),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
