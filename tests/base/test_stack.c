/* Stacks: geometry, guards, reuse and give-back. When the kernel refuses: test_stack_refusal.c. */
#include "base/stack.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weft/errors.h>

#include "base/stack_slab.h"
#include "child.h"
#include "counts.h"
#include "one_pool.h"
#include "weft_test.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* ---- geometry ---- */

static void every_size_is_met_and_aligned(void **state) {
  (void)state;
  open_pool();
  for (size_t want = WEFT__STACK_MIN; want <= WEFT__STACK_MAX; want = want * 3 / 2) {
    struct weft__stack *s = get(want);
    if (s == NULL) break;
    CHECK(weft__stack_nominal(s) >= want * WEFT__STACK_SCALE);
    CHECK(weft__stack_nominal(s) < want * WEFT__STACK_SCALE * 2);
    CHECK(weft__stack_nominal(s) - s->size < KIB);
    CHECK_UINT((uintptr_t)s->lo % (size_t)sysconf(_SC_PAGESIZE), 0);
    CHECK_UINT((uintptr_t)top_of(s) % 64, 0);
    /* Both ends can be written. */
    *(volatile char *)s->lo = 1;
    *(volatile char *)(top_of(s) - 1) = 1;
    put(s);
  }
  close_pool();
}

static void sizes_out_of_range_are_refused(void **state) {
  (void)state;
  struct weft__stack *s;
  CHECK_INT(weft__stack_pool_init(&pool, WEFT__STACK_MIN - 1), WEFT_EINVAL);
  CHECK_INT(weft__stack_pool_init(&pool, WEFT__STACK_MAX + 1), WEFT_EINVAL);
  open_pool();
  CHECK_INT(weft__stack_get(&cache, WEFT__STACK_MIN - 1, &s), WEFT_EINVAL);
  CHECK_INT(weft__stack_get(&cache, WEFT__STACK_MAX + 1, &s), WEFT_EINVAL);
  CHECK_INT(weft__stack_get(&cache, SIZE_MAX, &s), WEFT_EINVAL);
  CHECK_UINT(stats().mapped, 0);
  close_pool();
}

static void a_pool_has_its_own_default_size(void **state) {
  (void)state;
  assert_int_equal(weft__stack_pool_init(&pool, 200 * KIB), 0);
  weft__stack_cache_init(&cache, &pool);
  struct weft__stack *a = get(0), *b = get(200 * KIB), *c = get(64 * KIB);
  CHECK_UINT(weft__stack_nominal(a), 256 * KIB * WEFT__STACK_SCALE);
  CHECK_UINT(weft__stack_nominal(b), 256 * KIB * WEFT__STACK_SCALE);
  CHECK_UINT(weft__stack_nominal(c), 64 * KIB * WEFT__STACK_SCALE);
  put(a);
  put(b);
  put(c);
  close_pool();
}

static void stacks_do_not_overlap(void **state) {
  (void)state;
  enum { N = 300 };
  static struct weft__stack *all[N];
  static const size_t sizes[] = {0, 16 * KIB, 128 * KIB, 512 * KIB, 2 * MIB};
  open_pool();
  for (int i = 0; i < N; i++) {
    all[i] = get(sizes[i % 5]);
    memset(all[i]->lo, i & 0xff, 64);
    memset(top_of(all[i]) - 64, i & 0xff, 64);
  }
  for (int i = 0; i < N; i++) {
    const unsigned char *lo = all[i]->lo, *top = (unsigned char *)top_of(all[i]);
    for (int k = 0; k < 64; k++) {
      CHECK_INT(lo[k], i & 0xff);
      CHECK_INT(top[-1 - k], i & 0xff);
    }
    put(all[i]);
  }
  close_pool();
}

static void tops_have_sixteen_colours(void **state) {
  (void)state;
  enum { N = 32 };
  struct weft__stack *all[N];
  int seen[16] = {0};
  open_pool();
  for (int i = 0; i < N; i++) {
    all[i] = get(0);
    seen[(uintptr_t)top_of(all[i]) / 64 % 16]++;
  }
  for (int i = 0; i < 16; i++) CHECK_INT(seen[i], N / 16);
  for (int i = 0; i < N; i++) put(all[i]);
  close_pool();
}

static void an_address_finds_its_stack(void **state) {
  (void)state;
  bool in_guard;
  open_pool();
  struct weft__stack *small = get(0), *big = get(4 * MIB);
  CHECK_PTR(weft__stack_find(small->lo, &in_guard), small);
  CHECK(!in_guard);
  CHECK_PTR(weft__stack_find(top_of(small) - 1, &in_guard), small);
  CHECK(!in_guard);
  CHECK_PTR(weft__stack_find((char *)small->lo - 1, &in_guard), small);
  CHECK(in_guard);
  CHECK_PTR(weft__stack_find((char *)small->lo - pool.guard, &in_guard), small);
  CHECK(in_guard);
  CHECK_PTR(weft__stack_find((char *)big->lo - 1, &in_guard), big);
  CHECK(in_guard);
  CHECK_PTR(weft__stack_find((char *)big->lo + 4 * MIB - 2 * KIB, &in_guard), big);
  CHECK(!in_guard);
  CHECK_PTR(weft__stack_find(&in_guard, &in_guard), NULL);
  CHECK_PTR(weft__stack_find(NULL, &in_guard), NULL);
  char *was = small->lo;
  put(small);
  put(big);
  close_pool();
  CHECK_PTR(weft__stack_find(was, &in_guard), NULL);
}

static void two_pools_live_side_by_side(void **state) {
  (void)state;
  static struct weft__stack_pool other;
  static struct weft__stack_cache others;
  bool in_guard;
  open_pool();
  assert_int_equal(weft__stack_pool_init(&other, 0), 0);
  weft__stack_cache_init(&others, &other);
  struct weft__stack *a = get(0), *b = NULL;
  CHECK_INT(weft__stack_get(&others, 0, &b), 0);
  CHECK_PTR(weft__stack_find(a->lo, &in_guard), a);
  CHECK_PTR(weft__stack_find(b->lo, &in_guard), b);
  put(a);
  close_pool();
  CHECK_PTR(weft__stack_find(b->lo, &in_guard), b);
  weft__stack_put(&others, b);
  weft__stack_cache_fini(&others);
  weft__stack_pool_fini(&other);
}

/* ---- guards ---- */

struct access {
  size_t size;
  size_t below; /* bytes below lo */
  bool by_mprotect;
};

static int touches_below(void *arg) {
  const struct access *a = arg;
  weft__stack_use_mprotect(a->by_mprotect);
  open_pool();
  struct weft__stack *s = get(a->size);
  if (a->by_mprotect && !stats().by_mprotect) return 0;
  *(volatile char *)s->lo = 1;
  *((volatile char *)s->lo - a->below) = 1;
  return 0;
}

static void a_guard_kills_whoever_touches_it(void **state) {
  (void)state;
  static const size_t sizes[] = {16 * KIB, 64 * KIB, 512 * KIB, 1 * MIB, 64 * MIB};
  for (int by_mprotect = 0; by_mprotect < 2; by_mprotect++) {
    for (int i = 0; i < 5; i++) {
      struct access first = {sizes[i], 1, by_mprotect}, last = {sizes[i], 32 * KIB, by_mprotect};
      struct child_end end = child_run(touches_below, &first);
      if (!CHECK(child_died(&end))) CHECK_FAIL("size %zu", sizes[i]);
      end = child_run(touches_below, &last);
      CHECK(child_died(&end));
    }
  }
}

static int has_a_guard_after_reuse(void *arg) {
  (void)arg;
  open_pool();
  struct weft__stack *s = get(0);
  put(s);
  weft__stack_cache_flush(&cache);
  weft__stack_pool_trim(&pool);
  weft__stack_pool_trim(&pool);
  if (stats().cold != 1 || get(0) != s) return 0;
  *((volatile char *)s->lo - 1) = 1;
  return 0;
}

static void a_guard_outlives_the_contents(void **state) {
  (void)state;
  struct child_end end = child_run(has_a_guard_after_reuse, NULL);
  CHECK(child_died(&end));
}

/* ---- reuse ---- */

static void the_last_put_is_the_first_got(void **state) {
  (void)state;
  enum { N = 200 }; /* more than a cache holds */
  static struct weft__stack *all[N];
  open_pool();
  for (int i = 0; i < N; i++) all[i] = get(0);
  for (int i = 0; i < N; i++) put(all[i]);
  size_t made = stats().made;
  for (int i = N - 1; i >= 0; i--) CHECK_PTR(get(0), all[i]);
  CHECK_UINT(stats().made, made);
  for (int i = 0; i < N; i++) put(all[i]);
  close_pool();
}

static void classes_are_kept_apart(void **state) {
  (void)state;
  open_pool();
  struct weft__stack *small = get(16 * KIB), *large = get(256 * KIB);
  put(small);
  put(large);
  CHECK_PTR(get(200 * KIB), large);
  CHECK_PTR(get(16 * KIB), small);
  put(small);
  put(large);
  close_pool();
}

static void stacks_that_move_between_workers_come_back(void **state) {
  (void)state;
  static struct weft__stack_cache consumer;
  open_pool();
  weft__stack_cache_init(&consumer, &pool);
  for (int i = 0; i < 20000; i++) weft__stack_put(&consumer, get(0));
  /* What lies in two caches at most: four magazines. */
  CHECK(stats().made <= 256);
  weft__stack_cache_fini(&consumer);
  close_pool();
}

static int puts_twice(void *arg) {
  (void)arg;
  open_pool();
  struct weft__stack *s = get(0);
  put(s);
  put(s);
  return 0;
}

static int finishes_too_early(void *arg) {
  (void)arg;
  open_pool();
  (void)get(0);
  close_pool();
  return 0;
}

static void wrong_use_aborts(void **state) {
  (void)state;
  struct child_end end = child_run(puts_twice, NULL);
  CHECK(child_died(&end));
  CHECK(strstr(end.output, "taken") != NULL);
  end = child_run(finishes_too_early, NULL);
  CHECK(child_died(&end));
  CHECK(strstr(end.output, "n_made") != NULL);
}

enum { THREADS = 4, HELD = 50 };

/* Takes and gives back in a random order, with a mark on every stack that it holds. */
static void *churns(void *arg) {
  uint32_t seed = (uint32_t)(uintptr_t)arg;
  struct weft__stack *held[HELD] = {0};
  struct weft__stack_cache own;
  weft__stack_cache_init(&own, &pool);
  for (int i = 0; i < COUNTS_PICK(300000, 30000, 20000); i++) {
    seed = seed * 1664525 + 1013904223;
    struct weft__stack **slot = &held[(seed >> 16) % HELD];
    if (*slot == NULL) {
      size_t size = (seed >> 8) % 16 == 0 ? 16 * KIB : 0;
      if (!CHECK_INT(weft__stack_get(&own, size, slot), 0)) break;
      *(uint32_t **)(void *)(top_of(*slot) - 64) = &seed;
    } else {
      CHECK_PTR(*(uint32_t **)(void *)(top_of(*slot) - 64), &seed);
      weft__stack_put(&own, *slot);
      *slot = NULL;
    }
  }
  for (int i = 0; i < HELD; i++)
    if (held[i] != NULL) weft__stack_put(&own, held[i]);
  weft__stack_cache_fini(&own);
  return NULL;
}

static void threads_never_share_a_stack(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  open_pool();
  for (uintptr_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, churns, (void *)(i * 77 + 5)), 0);
  for (int i = 0; i < 50; i++) weft__stack_pool_trim(&pool);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  close_pool();
}

/* ---- giving back ---- */

static bool resident(const struct weft__stack *s) {
  unsigned char page = 0;
  char *at = (char *)((uintptr_t)(top_of(s) - 1) & ~(uintptr_t)(pool.page - 1));
  CHECK_INT(mincore(at, pool.page, &page), 0);
  return (page & 1) != 0;
}

static size_t resident_bytes(void) {
  size_t total = 0, in_memory = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(f != NULL && fscanf(f, "%zu %zu", &total, &in_memory) == 2);
  if (f != NULL) fclose(f);
  return in_memory * (size_t)sysconf(_SC_PAGESIZE);
}

static void trim_gives_back_what_nobody_needed(void **state) {
  (void)state;
  enum { N = 1000, TOUCHED = 16 };
  static struct weft__stack *all[N];
  open_pool();
  for (int i = 0; i < N; i++) {
    all[i] = get(0);
    memset(top_of(all[i]) - TOUCHED * KIB, 1, TOUCHED * KIB);
  }
  for (int i = 0; i < N; i++) put(all[i]);
  weft__stack_cache_flush(&cache);
  size_t before = resident_bytes();
  /* In use until a moment ago. */
  CHECK_UINT(weft__stack_pool_trim(&pool), 0);
  CHECK_UINT(stats().warm, N);
  CHECK_UINT(weft__stack_pool_trim(&pool), N);
  CHECK_UINT(stats().warm, 0);
  CHECK_UINT(stats().cold, N);
  size_t after = resident_bytes();
  CHECK(after < before && before - after >= N * TOUCHED * KIB * 9 / 10);
  for (int i = 0; i < N; i++) CHECK(!resident(all[i]));
  /* Cold ones are used again before new ones are made. */
  for (int i = 0; i < N; i++) {
    all[i] = get(0);
    CHECK_INT(*(volatile char *)(top_of(all[i]) - 1), 0);
  }
  CHECK_UINT(stats().made, N);
  for (int i = 0; i < N; i++) put(all[i]);
  close_pool();
}

static void trim_leaves_what_is_needed(void **state) {
  (void)state;
  enum { N = 640 };
  static struct weft__stack *all[N];
  open_pool();
  for (int i = 0; i < N; i++) all[i] = get(0);
  for (int i = 0; i < N; i++) put(all[i]);
  weft__stack_cache_flush(&cache);
  weft__stack_pool_trim(&pool);
  /* Half of them are wanted again between two calls. */
  for (int i = 0; i < N / 2; i++) all[i] = get(0);
  for (int i = 0; i < N / 2; i++) put(all[i]);
  weft__stack_cache_flush(&cache);
  CHECK_UINT(weft__stack_pool_trim(&pool), N / 2);
  CHECK_UINT(stats().warm, N / 2);
  for (int i = 0; i < N / 2; i++) all[i] = get(0);
  CHECK_UINT(stats().warm, 0);
  CHECK_UINT(stats().cold, N / 2);
  for (int i = 0; i < N / 2; i++) put(all[i]);
  close_pool();
}

static void the_pool_keeps_a_bounded_number_warm(void **state) {
  (void)state;
  enum { N = 30 };
  struct weft__stack *all[N];
  open_pool();
  for (int i = 0; i < N; i++) {
    all[i] = get(64 * MIB);
    *(volatile char *)(top_of(all[i]) - 1) = 1;
  }
  for (int i = 0; i < N; i++) put(all[i]);
  weft__stack_cache_flush(&cache);
  /* 1 GiB. */
  size_t most = 16 / WEFT__STACK_SCALE;
  CHECK_UINT(stats().warm, most);
  CHECK_UINT(stats().cold, N - most);
  size_t in_memory = 0;
  for (int i = 0; i < N; i++) in_memory += resident(all[i]);
  CHECK_UINT(in_memory, most);
  close_pool();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_size_is_met_and_aligned),
    cmocka_unit_test(sizes_out_of_range_are_refused),
    cmocka_unit_test(a_pool_has_its_own_default_size),
    cmocka_unit_test(stacks_do_not_overlap),
    cmocka_unit_test(tops_have_sixteen_colours),
    cmocka_unit_test(an_address_finds_its_stack),
    cmocka_unit_test(two_pools_live_side_by_side),
    cmocka_unit_test(a_guard_kills_whoever_touches_it),
    cmocka_unit_test(a_guard_outlives_the_contents),
    cmocka_unit_test(the_last_put_is_the_first_got),
    cmocka_unit_test(classes_are_kept_apart),
    cmocka_unit_test(stacks_that_move_between_workers_come_back),
    cmocka_unit_test(wrong_use_aborts),
    cmocka_unit_test(threads_never_share_a_stack),
    cmocka_unit_test(trim_gives_back_what_nobody_needed),
    cmocka_unit_test(trim_leaves_what_is_needed),
    cmocka_unit_test(the_pool_keeps_a_bounded_number_warm),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
