/* Two threads, each stores to a word of its own and then loads the other's: what stands between the
 * two must keep at least one of the loads from missing the other's store. */
#include "base/atomics.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "counts.h"
#include "weft_test.h"

typedef uint32_t (*store_then_load)(weft__atomic_u32 *mine, weft__atomic_u32 *other);

enum { WORDS_APART = WEFT__CACHE_LINE / sizeof(weft__atomic_u32), SPINS_BEFORE_YIELD = 200 };

struct side {
  weft__atomic_u32 *mine, *other; /* one word a round */
  weft__atomic_u32 at;            /* the round it has reached, for the other to keep in step */
  struct side *peer;
  store_then_load move;
  uint32_t *seen; /* what it loaded in each round */
  int rounds;
};

static uint32_t by_seq(weft__atomic_u32 *mine, weft__atomic_u32 *other) {
  weft__store_seq_u32(mine, 1);
  return weft__load_seq_u32(other);
}

static uint32_t by_cas(weft__atomic_u32 *mine, weft__atomic_u32 *other) {
  uint32_t none = 0;
  weft__cas_seq_u32(mine, &none, 1);
  return weft__load_seq_u32(other);
}

static uint32_t by_full_fence(weft__atomic_u32 *mine, weft__atomic_u32 *other) {
  weft__store_relaxed_u32(mine, 1);
  weft__fence_full();
  return weft__load_relaxed_u32(other);
}

static uint32_t by_light_fence(weft__atomic_u32 *mine, weft__atomic_u32 *other) {
  weft__store_relaxed_u32(mine, 1);
  weft__fence_light();
  return weft__load_relaxed_u32(other);
}

static uint32_t by_heavy_fence(weft__atomic_u32 *mine, weft__atomic_u32 *other) {
  weft__store_relaxed_u32(mine, 1);
  weft__fence_heavy();
  return weft__load_relaxed_u32(other);
}

static void *play(void *arg) {
  struct side *s = arg;
  for (int i = 0; i < s->rounds; i++) {
    weft__store_release_u32(&s->at, (uint32_t)i + 1);
    for (int spins = 0; weft__load_acquire_u32(&s->peer->at) <= (uint32_t)i; spins++)
      if (spins > SPINS_BEFORE_YIELD) sched_yield();
    s->seen[i] = s->move(&s->mine[i * WORDS_APART], &s->other[i * WORDS_APART]);
  }
  return NULL;
}

/* Returns in how many rounds both threads missed the other's store. */
static int both_missed(store_then_load one, store_then_load two, int rounds) {
  size_t words = (size_t)rounds * WORDS_APART;
  weft__atomic_u32 *a = calloc(words, sizeof *a), *b = calloc(words, sizeof *b);
  struct side sides[2] = {
      {.mine = a, .other = b, .move = one, .rounds = rounds},
      {.mine = b, .other = a, .move = two, .rounds = rounds},
  };
  int missed = 0;
  for (int i = 0; i < 2; i++) {
    sides[i].peer = &sides[1 - i];
    sides[i].seen = calloc((size_t)rounds, sizeof *sides[i].seen);
  }
  pthread_t thread;
  if (CHECK(a && b && sides[0].seen && sides[1].seen) &&
      CHECK_INT(pthread_create(&thread, NULL, play, &sides[1]), 0)) {
    play(&sides[0]);
    pthread_join(thread, NULL);
    for (int i = 0; i < rounds; i++) missed += sides[0].seen[i] == 0 && sides[1].seen[i] == 0;
  }
  free(sides[0].seen);
  free(sides[1].seen);
  free(a);
  free(b);
  return missed;
}

static void seq_operations_are_in_one_order(void **state) {
  (void)state;
  CHECK_INT(both_missed(by_seq, by_seq, COUNT_RACES / 2), 0);
  CHECK_INT(both_missed(by_seq, by_cas, COUNT_RACES / 2), 0);
}

static void full_fences_keep_a_load_behind_a_store(void **state) {
  (void)state;
  CHECK_INT(both_missed(by_full_fence, by_full_fence, COUNT_RACES / 2), 0);
}

static void a_heavy_fence_stands_for_the_one_that_the_other_side_has_not(void **state) {
  (void)state;
  weft__fence_init();
  CHECK_INT(both_missed(by_light_fence, by_heavy_fence, COUNT_RACES / 10), 0);
}

static void without_membarrier_the_light_fence_is_a_full_one(void **state) {
  (void)state;
  weft__fence_use_full();
  CHECK_INT(both_missed(by_light_fence, by_heavy_fence, COUNT_RACES / 2), 0);
  CHECK_INT(both_missed(by_light_fence, by_light_fence, COUNT_RACES / 2), 0);
  weft__fence_init();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(seq_operations_are_in_one_order),
    cmocka_unit_test(full_fences_keep_a_load_behind_a_store),
    cmocka_unit_test(a_heavy_fence_stands_for_the_one_that_the_other_side_has_not),
    cmocka_unit_test(without_membarrier_the_light_fence_is_a_full_one),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
