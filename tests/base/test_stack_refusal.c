/* Stacks at the limits: many of them, and a kernel or an allocator that refuses. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weft/errors.h>

#include "base/memory.h"
#include "base/stack.h"
#include "base/sys.h"
#include "counts.h"
#include "one_pool.h"
#include "weft_test.h"

#define MIB ((size_t)1 << 20)

/* Lines of /proc/self/maps. */
static int mappings(void) {
  FILE *f = fopen("/proc/self/maps", "r");
  int lines = 0;
  for (int c; f != NULL && (c = fgetc(f)) != EOF;) lines += c == '\n';
  if (f != NULL) fclose(f);
  return lines;
}

static void a_hundred_thousand_stacks_split_no_mapping(void **state) {
  (void)state;
  static struct weft__stack *all[COUNT_LIVE_TASKS];
  open_pool();
  struct weft__stack *first = get(0);
  bool by_mprotect = stats().by_mprotect;
  put(first);
  if (by_mprotect) {
    close_pool();
    weft_test_skip("this kernel cannot install guards (Linux 6.13 can)");
  }
  int before = mappings();
  for (int i = 0; i < COUNT_LIVE_TASKS; i++) {
    all[i] = get(0);
    if (all[i] == NULL) return;
    *(volatile int *)(void *)(top_of(all[i]) - 64) = i;
  }
  /* By mprotect it would be two for each. */
  CHECK(mappings() - before < COUNT_LIVE_TASKS / 10);
  for (int i = 0; i < COUNT_LIVE_TASKS; i++) {
    CHECK_INT(*(volatile int *)(void *)(top_of(all[i]) - 64), i);
    put(all[i]);
  }
  close_pool();
}

static void guards_by_mprotect_end_in_enomem_and_lose_nothing(void **state) {
  (void)state;
  enum { MOST = 40000 };
  struct weft__stack **all = calloc(MOST, sizeof(struct weft__stack *));
  assert_non_null(all);
  weft__stack_use_mprotect(true);
  open_pool();
  /* The default of vm.max_map_count, where the system has a higher one. */
  CHECK(pool.split_most > 0);
  if (pool.split_most > 31741) pool.split_most = 31741;
  int n = 0, r = 0;
  while (n < MOST && (r = weft__stack_get(&cache, 0, &all[n])) == 0) {
    *(volatile int *)(void *)(top_of(all[n]) - 64) = n;
    n++;
  }
  CHECK_INT(r, WEFT_ENOMEM);
  CHECK_UINT(n, pool.split_most);
  CHECK(stats().by_mprotect);
  /* The process is alive: it can map, and allocate, and the stacks that exist are whole. */
  void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  munmap(p, 4096);
  for (int i = 0; i < n; i++) CHECK_INT(*(volatile int *)(void *)(top_of(all[i]) - 64), i);
  /* One that is given back can be had again, and no more than that. */
  struct weft__stack *extra = NULL;
  put(all[n - 1]);
  CHECK_PTR(get(0), all[n - 1]);
  CHECK_INT(weft__stack_get(&cache, 0, &extra), WEFT_ENOMEM);
  CHECK_PTR(extra, NULL);
  CHECK_UINT(stats().made, (size_t)n);
  while (n > 0) put(all[--n]);
  close_pool();
  weft__stack_use_mprotect(false);
  free(all);
}

static void a_refused_mapping_is_enomem(void **state) {
  (void)state;
  struct weft__stack *s = NULL;
  static const size_t sizes[] = {0, 2 * MIB};
  open_pool();
  for (int i = 0; i < 2; i++) {
    weft__sys_fail(WEFT__SYS_mmap, 1, WEFT_ENOMEM, true);
    CHECK_INT(weft__stack_get(&cache, sizes[i], &s), WEFT_ENOMEM);
    CHECK_PTR(s, NULL);
    weft__sys_clear();
    CHECK_UINT(stats().made, 0);
  }
  for (int i = 0; i < 2; i++) {
    s = get(sizes[i]);
    put(s);
  }
  close_pool();
}

static void a_large_region_is_replaced_by_a_smaller_one(void **state) {
  (void)state;
  enum { N = 200 };
  static struct weft__stack *all[N];
  open_pool();
  for (int i = 0; i < N; i++) {
    weft__sys_fail(WEFT__SYS_mmap, 1, WEFT_ENOMEM, false);
    all[i] = NULL;
    int r = weft__stack_get(&cache, 0, &all[i]);
    uint64_t maps = weft__sys_calls(WEFT__SYS_mmap);
    weft__sys_clear();
    /* Only the first region is so small that there is nothing to try after it. */
    if (r == WEFT_ENOMEM && i == 0) {
      CHECK_UINT(maps, 1);
      all[i] = get(0);
    } else {
      CHECK_INT(r, 0);
    }
  }
  for (int i = 0; i < N; i++) put(all[i]);
  close_pool();
}

static void a_refused_guard_is_enomem_and_the_slot_is_kept(void **state) {
  (void)state;
  struct weft__stack *s = NULL;
  open_pool();
  struct weft__stack *first = get(0);
  size_t mapped = stats().mapped;
  for (int i = 0; i < 100; i++) {
    weft__sys_fail(WEFT__SYS_madvise, 1, WEFT_ENOMEM, true);
    weft__sys_fail(WEFT__SYS_mprotect, 1, WEFT_ENOMEM, true);
    CHECK_INT(weft__stack_get(&cache, 0, &s), WEFT_ENOMEM);
    weft__sys_clear();
  }
  CHECK_PTR(s, NULL);
  CHECK_UINT(stats().mapped, mapped);
  CHECK_UINT(stats().made, 1);
  s = get(0);
  CHECK_UINT(stats().made, 2);
  put(s);
  put(first);
  close_pool();
}

static void a_kernel_without_guards_gets_mprotect(void **state) {
  (void)state;
  open_pool();
  /* The first advice is about huge pages, the second the guard. */
  weft__sys_fail(WEFT__SYS_madvise, 2, WEFT_EINVAL, false);
  struct weft__stack *a = get(0);
  CHECK(weft__sys_calls(WEFT__SYS_mprotect) == 1);
  weft__sys_clear();
  CHECK(stats().by_mprotect);
  struct weft__stack *b = get(0);
  put(a);
  put(b);
  close_pool();
}

static int ignores_advice(void *addr, size_t len, int advice) {
  (void)addr;
  (void)len;
  (void)advice;
  return 0;
}

static void an_emulator_that_ignores_advice_gets_mprotect(void **state) {
  (void)state;
  struct weft__sys_table table = weft__sys_real;
  table.madvise = ignores_advice;
  open_pool();
  weft__sys_install(&table);
  struct weft__stack *s = get(0);
  weft__sys_install(NULL);
  CHECK(stats().by_mprotect);
  put(s);
  close_pool();
}

static void a_failed_allocation_is_enomem(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 2 * MIB};
  for (int i = 0; i < 2; i++) {
    struct weft__stack *s = NULL;
    open_pool();
    int failures = 0, r;
    do {
      weft__memory_fail(WEFT__MEMORY_OWN, (uint64_t)failures + 1, false);
      r = weft__stack_get(&cache, sizes[i], &s);
      weft__memory_fail_end();
      if (r != 0) failures++;
    } while (r == WEFT_ENOMEM && failures < 10);
    CHECK_INT(r, 0);
    CHECK_INT(failures, 2); /* the record of the slab, and of the region */
    put(s);
    close_pool();
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_hundred_thousand_stacks_split_no_mapping),
    cmocka_unit_test(guards_by_mprotect_end_in_enomem_and_lose_nothing),
    cmocka_unit_test(a_refused_mapping_is_enomem),
    cmocka_unit_test(a_large_region_is_replaced_by_a_smaller_one),
    cmocka_unit_test(a_refused_guard_is_enomem_and_the_slot_is_kept),
    cmocka_unit_test(a_kernel_without_guards_gets_mprotect),
    cmocka_unit_test(an_emulator_that_ignores_advice_gets_mprotect),
    cmocka_unit_test(a_failed_allocation_is_enomem),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
