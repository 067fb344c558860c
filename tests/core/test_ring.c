/* The ring of core/ring.h: its rules on one thread, and that nothing is lost, taken twice or taken
 * out of order when an owner and three thieves hammer it. The explorer (tests/model) tries every
 * order at a tiny size; this one tries real threads at the real size. */
#include "core/ring.h"

#include <pthread.h>
#include <string.h>

#include "base/annotate.h"
#include "weft_test.h"

#if WEFT__TSAN
#define ITEMS 200000
#else
#define ITEMS 2000000
#endif
#define THIEVES 3

/* What the owner writes into an item before it pushes it, plainly: TSan sees a lost order. */
struct item {
  uint64_t number;
  weft__atomic_u32 taken;
};

static struct weft__ring ring;
static struct item items[ITEMS];
static weft__atomic_u64 stolen;
static weft__atomic_u32 done;

static void *number(uintptr_t n) {
  return (void *)n;
}

/* --- one thread --- */

static void gives_back_in_order(void **state) {
  (void)state;
  memset(&ring, 0, sizeof ring);
  CHECK_PTR(weft__ring_pop(&ring), NULL);
  uintptr_t in = 0;
  uintptr_t out = 0;
  for (int round = 0; round < 5; round++) {
    while (weft__ring_push(&ring, number(in + 1))) in++;
    CHECK_UINT(weft__ring_len(&ring), WEFT__RING_CAP);
    for (int i = 0; i < 100; i++) CHECK_PTR(weft__ring_pop(&ring), number(++out));
    CHECK_UINT(weft__ring_len(&ring), WEFT__RING_CAP - 100);
  }
  while (out < in) CHECK_PTR(weft__ring_pop(&ring), number(++out));
  CHECK_PTR(weft__ring_pop(&ring), NULL);
  CHECK_UINT(weft__ring_len(&ring), 0);
}

static void steals_the_older_half(void **state) {
  static void *out[WEFT__RING_CAP];
  (void)state;
  memset(&ring, 0, sizeof ring);
  CHECK_UINT(weft__ring_steal(&ring, out, WEFT__RING_CAP), 0);
  for (uintptr_t n = 1; n <= 9; n++) weft__ring_push(&ring, number(n));
  CHECK_UINT(weft__ring_steal(&ring, out, WEFT__RING_CAP), 5);
  for (uintptr_t i = 0; i < 5; i++) CHECK_PTR(out[i], number(i + 1));
  CHECK_UINT(weft__ring_steal(&ring, out, 1), 1);
  CHECK_PTR(out[0], number(6));
  CHECK_PTR(weft__ring_pop(&ring), number(7));
  CHECK_UINT(weft__ring_steal(&ring, out, WEFT__RING_CAP), 1);
  CHECK_UINT(weft__ring_steal(&ring, out, WEFT__RING_CAP), 1);
  CHECK_UINT(weft__ring_steal(&ring, out, WEFT__RING_CAP), 0);
}

/* --- an owner and thieves --- */

/* Takes an item that must be younger than all its taker has had before. */
static void take(void *x, uint64_t *last) {
  struct item *it = x;
  CHECK_UINT(it->number, (uint64_t)(it - items) + 1);
  CHECK(it->number > *last);
  *last = it->number;
  CHECK_UINT(weft__add_u32(&it->taken, 1), 0);
}

static void *thief(void *unused) {
  (void)unused;
  void *out[WEFT__RING_CAP];
  uint64_t mine = 0;
  uint64_t last = 0;
  for (;;) {
    bool over = weft__load_acquire_u32(&done) != 0;
    unsigned n = weft__ring_steal(&ring, out, mine % 2 ? WEFT__RING_CAP : 3);
    for (unsigned i = 0; i < n; i++) take(out[i], &last);
    mine += n;
    if (n == 0 && over) break;
  }
  weft__add_u64(&stolen, mine);
  return NULL;
}

static uint64_t owner(void) {
  uint64_t random = 1;
  uint64_t mine = 0;
  uint64_t last = 0;
  uint64_t made = 0;
  while (made < ITEMS) {
    random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
    uint64_t pushes = (random >> 33) % 64 == 0 ? 2 * WEFT__RING_CAP : 1 + (random >> 50) % 3;
    for (uint64_t i = 0; i < pushes && made < ITEMS; i++) {
      items[made].number = made + 1;
      if (!weft__ring_push(&ring, &items[made])) break;
      made++;
    }
    for (uint64_t pops = (random >> 40) % 4; pops > 0; pops--) {
      void *x = weft__ring_pop(&ring);
      if (!x) break;
      take(x, &last);
      mine++;
    }
  }
  return mine;
}

static void nothing_is_lost_among_three_thieves(void **state) {
  pthread_t threads[THIEVES];
  (void)state;
  memset(&ring, 0, sizeof ring);
  for (int i = 0; i < THIEVES; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, thief, NULL), 0);
  uint64_t mine = owner();
  weft__store_release_u32(&done, 1);
  for (int i = 0; i < THIEVES; i++) pthread_join(threads[i], NULL);
  uint64_t theirs = weft__load_relaxed_u64(&stolen);
  print_message("%ju of %d stolen\n", (uintmax_t)theirs, ITEMS);
  CHECK_UINT(mine + theirs, ITEMS);
  for (uint64_t i = 0; i < ITEMS && !weft_test_failed(); i++)
    CHECK_UINT(weft__load_relaxed_u32(&items[i].taken), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gives_back_in_order),
    cmocka_unit_test(steals_the_older_half),
    cmocka_unit_test(nothing_is_lost_among_three_thieves),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
