/* The allocation seam: what it gives, what it counts, how it fails, and who serves it. */
#include "weft_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <weft/errors.h>

#include "base/memory.h"

#if WEFT_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

static struct weft__memory_stats now(void) {
  struct weft__memory_stats s;
  weft__memory_stats(&s);
  return s;
}

static bool all_zero(const unsigned char *p, size_t n) {
  while (n > 0 && p[n - 1] == 0) n--;
  return n == 0;
}

/* ---- what it gives ---- */

static void blocks_are_as_asked_for(void **state) {
  (void)state;
  void *p = weft__alloc(100);
  assert_non_null(p);
  memset(p, 0xff, 100);
  weft__free(p);
  unsigned char *z = weft__zalloc(100);
  assert_non_null(z);
  CHECK(all_zero(z, 100));
  weft__free(z);
  z = weft__calloc(30, 30);
  assert_non_null(z);
  CHECK(all_zero(z, 900));
  weft__free(z);
  for (size_t align = sizeof(void *); align <= 65536; align *= 2) {
    p = weft__alloc_aligned(align, 24);
    assert_non_null(p);
    CHECK_UINT((uintptr_t)p % align, 0);
    memset(p, 1, 24);
    weft__free(p);
  }
}

static void size_zero_gives_a_block_and_null_may_be_freed(void **state) {
  (void)state;
  void *p = weft__alloc(0), *q = weft__zalloc(0), *r = weft__calloc(0, 8);
  CHECK(p && q && r && p != q && q != r);
  p = weft__realloc(p, 0);
  CHECK(p != NULL);
  weft__free(p);
  weft__free(q);
  weft__free(r);
  weft__free(NULL);
}

static void realloc_keeps_the_content_and_strdup_copies(void **state) {
  (void)state;
  char *p = weft__realloc(NULL, 8);
  assert_non_null(p);
  strcpy(p, "abcdefg");
  p = weft__realloc(p, 100000);
  assert_non_null(p);
  CHECK_STR(p, "abcdefg");
  char *copy = weft__strdup(p);
  assert_non_null(copy);
  weft__free(p);
  CHECK_STR(copy, "abcdefg");
  weft__free(copy);
}

static void sizes_that_cannot_be_give_null(void **state) {
  (void)state;
  volatile size_t huge = SIZE_MAX / 2;
  uint64_t failures = now().failures;
  CHECK_PTR(weft__calloc(huge, 16), NULL);
  CHECK_PTR(weft__alloc(huge), NULL);
  CHECK_PTR(weft__alloc_aligned(64, huge), NULL);
  char *p = weft__strdup("kept");
  assert_non_null(p);
  uint64_t live = now().live_bytes;
  CHECK_PTR(weft__realloc(p, huge), NULL);
  CHECK_UINT(now().live_bytes, live);
  CHECK_STR(p, "kept");
  weft__free(p);
  CHECK_UINT(now().failures - failures, 4);
}

/* ---- what it counts ---- */

static void calls_and_live_bytes_are_counted(void **state) {
  (void)state;
  struct weft__memory_stats before = now();
  void *p = weft__alloc(1000);
  void *q = weft__alloc_aligned(64, 2000);
  struct weft__memory_stats during = now();
  CHECK_UINT(during.allocations - before.allocations, 2);
  CHECK(during.live_bytes - before.live_bytes >= 3000);
  CHECK(during.live_bytes - before.live_bytes < 6000);
  p = weft__realloc(p, 50000);
  CHECK(now().live_bytes - before.live_bytes >= 52000);
  weft__free(p);
  weft__free(q);
  struct weft__memory_stats after = now();
  CHECK_UINT(after.live_bytes, before.live_bytes);
  CHECK_UINT(after.allocations - before.allocations, after.frees - before.frees);
  CHECK_UINT(after.uv_allocations, before.uv_allocations);
}

static void *allocates(void *arg) {
  void **block = arg;
  *block = weft__alloc(4096);
  return NULL;
}

static void *frees(void *block) {
  weft__free(block);
  return NULL;
}

static void counts_outlive_their_threads_and_blocks_may_end_elsewhere(void **state) {
  (void)state;
  struct weft__memory_stats before = now();
  for (int i = 0; i < 300; i++) { /* more threads than tallies, one after the other */
    pthread_t thread;
    void *block = NULL;
    assert_int_equal(pthread_create(&thread, NULL, allocates, &block), 0);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, frees, block), 0);
    pthread_join(thread, NULL);
  }
  struct weft__memory_stats after = now();
  CHECK_UINT(after.allocations - before.allocations, 300);
  CHECK_UINT(after.frees - before.frees, 300);
  CHECK_UINT(after.live_bytes, before.live_bytes);
}

enum { CROWD = 200, ROUNDS = 30000 };
static pthread_barrier_t all_here;

static void *one_of_a_crowd(void *arg) {
  (void)arg;
  void *p = weft__alloc(64);
  pthread_barrier_wait(&all_here); /* every thread holds its tally now */
  for (int i = 0; i < ROUNDS; i++) {
    void *q = weft__alloc(64);
    weft__free(q);
  }
  weft__free(p);
  pthread_barrier_wait(&all_here);
  return NULL;
}

static void counts_are_exact_with_more_threads_than_tallies(void **state) {
  (void)state;
  pthread_t threads[CROWD];
  struct weft__memory_stats before = now();
  pthread_barrier_init(&all_here, NULL, CROWD);
  for (int i = 0; i < CROWD; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, one_of_a_crowd, NULL), 0);
  for (int i = 0; i < CROWD; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&all_here);
  struct weft__memory_stats after = now();
  CHECK_UINT(after.allocations - before.allocations, CROWD * (ROUNDS + 1));
  CHECK_UINT(after.frees - before.frees, CROWD * (ROUNDS + 1));
  CHECK_UINT(after.live_bytes, before.live_bytes);
}

/* A destructor of the program's own that runs after the seam's: the thread has given its tally back
 * and another thread may have it. */
enum { LATE = 2000 };

static void frees_late(void *block) {
  weft__free(block);
  for (int i = 0; i < LATE; i++) {
    void *p = weft__alloc(10);
    weft__free(p);
  }
}

static void *keeps_a_block_to_its_end(void *arg) {
  pthread_setspecific(*(pthread_key_t *)arg, weft__alloc(10));
  return NULL;
}

static void destructors_of_the_program_may_still_allocate_and_free(void **state) {
  (void)state;
  enum { WAVES = 50, THREADS = 8 };
  pthread_key_t key;
  weft__free(weft__alloc(1)); /* the seam's own key is older than this one */
  assert_int_equal(pthread_key_create(&key, frees_late), 0);
  struct weft__memory_stats before = now();
  for (int wave = 0; wave < WAVES; wave++) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
      assert_int_equal(pthread_create(&threads[i], NULL, keeps_a_block_to_its_end, &key), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  }
  pthread_key_delete(key);
  struct weft__memory_stats after = now();
  CHECK_UINT(after.live_bytes, before.live_bytes);
  CHECK_UINT(after.frees - before.frees, WAVES * THREADS * (LATE + 1));
  CHECK_UINT(after.allocations - before.allocations, WAVES * THREADS * (LATE + 1));
}

/* ---- how it fails ---- */

static void the_nth_allocation_fails_once(void **state) {
  (void)state;
  weft__memory_fail(WEFT__MEMORY_OWN, 2, false);
  void *a = weft__alloc(10), *b = weft__zalloc(10), *c = weft__calloc(1, 10);
  CHECK(a != NULL);
  CHECK_PTR(b, NULL);
  CHECK(c != NULL);
  CHECK_UINT(weft__memory_fail_end(), 3);
  weft__free(a);
  weft__free(c);
}

static void every_kind_of_allocation_can_fail(void **state) {
  (void)state;
  char *p = weft__strdup("x");
  uint64_t failures = now().failures;
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  CHECK_PTR(weft__alloc(1), NULL);
  CHECK_PTR(weft__zalloc(1), NULL);
  CHECK_PTR(weft__calloc(1, 1), NULL);
  CHECK_PTR(weft__alloc_aligned(64, 1), NULL);
  CHECK_PTR(weft__strdup("y"), NULL);
  CHECK_PTR(weft__realloc(NULL, 1), NULL);
  CHECK_PTR(weft__realloc(p, 100), NULL);
  CHECK_UINT(weft__memory_fail_end(), 7);
  CHECK_UINT(now().failures - failures, 7);
  CHECK_STR(p, "x");
  weft__free(p);
}

static void counting_alone_makes_nothing_fail(void **state) {
  (void)state;
  weft__memory_fail(WEFT__MEMORY_OWN, 0, false);
  for (int i = 0; i < 10; i++) {
    void *p = weft__alloc(1);
    CHECK(p != NULL);
    weft__free(p);
  }
  CHECK_UINT(weft__memory_fail_end(), 10);
}

/* ---- libuv ---- */

static void libuv_allocates_through_the_seam(void **state) {
  (void)state;
  uv_env_item_t *items = NULL;
  int count = 0;
  assert_int_equal(weft__memory_init(), 0);
  assert_int_equal(weft__memory_init(), 0);
  struct weft__memory_stats before = now();
  assert_int_equal(uv_os_environ(&items, &count), 0);
  struct weft__memory_stats during = now();
  CHECK(during.uv_allocations > before.uv_allocations);
  CHECK(during.uv_live_bytes > before.uv_live_bytes);
  CHECK_UINT(during.allocations, before.allocations);
  uv_os_free_environ(items, count);
  struct weft__memory_stats after = now();
  CHECK_UINT(after.uv_live_bytes, before.uv_live_bytes);
  CHECK_UINT(after.uv_frees - before.uv_frees, after.uv_allocations - before.uv_allocations);
}

/* libuv's table of watchers grows with the number of the descriptor that is watched. */
static void what_is_set_aside_serves_libuv_when_memory_is_short(void **state) {
  (void)state;
  assert_int_equal(weft__memory_init(), 0);
  uint64_t live = now().uv_live_bytes;
  uv_loop_t loop;
  uv_poll_t poll;
  int fds[2];
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(pipe(fds), 0);
  int high = fcntl(fds[0], F_DUPFD_CLOEXEC, 300);
  assert_true(high >= 300);
  assert_int_equal(uv_poll_init(&loop, &poll, high), 0);
  assert_int_equal(weft__memory_reserve(1024 * sizeof(void *)), 0);
  weft__memory_fail(WEFT__MEMORY_UV, 1, true);
  assert_int_equal(uv_poll_start(&poll, UV_READABLE, NULL), 0); /* else the process ends here */
  CHECK_UINT(weft__memory_fail_end(), 1);
  weft__memory_reserve_end();
  uv_close((uv_handle_t *)&poll, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&loop), 0);
  CHECK_UINT(now().uv_live_bytes, live);
  close(fds[0]);
  close(fds[1]);
  close(high);
}

static void what_is_set_aside_and_not_needed_is_given_back(void **state) {
  (void)state;
  uint64_t live = now().uv_live_bytes;
  assert_int_equal(weft__memory_reserve(100), 0);
  CHECK(now().uv_live_bytes >= live + 100);
  weft__memory_reserve_end();
  CHECK_UINT(now().uv_live_bytes, live);
  weft__memory_fail(WEFT__MEMORY_UV, 1, false);
  CHECK_INT(weft__memory_reserve(100), WEFT_ENOMEM);
  weft__memory_fail_end();
  CHECK_UINT(now().uv_live_bytes, live);
}

/* One call of libuv that allocates and says so when it cannot. (Its uv_os_environ leaks then.) */
static int link_read_by_libuv(void) {
  uv_fs_t req;
  int r = uv_fs_readlink(NULL, &req, "/proc/self/exe", NULL);
  uv_fs_req_cleanup(&req);
  return r;
}

static void allocations_of_libuv_fail_only_when_asked_to(void **state) {
  (void)state;
  assert_int_equal(weft__memory_init(), 0);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  CHECK_INT(link_read_by_libuv(), 0);
  CHECK_UINT(weft__memory_fail_end(), 0);
  weft__memory_fail(WEFT__MEMORY_UV, 0, false);
  CHECK_INT(link_read_by_libuv(), 0);
  uint64_t n = weft__memory_fail_end();
  CHECK(n >= 1);
  for (uint64_t i = 1; i <= n; i++) { /* each in turn, and nothing leaks */
    uint64_t live = now().uv_live_bytes;
    weft__memory_fail(WEFT__MEMORY_UV | WEFT__MEMORY_OWN, i, false);
    CHECK_INT(link_read_by_libuv(), UV_ENOMEM);
    weft__memory_fail_end();
    CHECK_UINT(now().uv_live_bytes, live);
  }
}

/* ---- who serves it ---- */

static void the_allocator_that_is_named_serves_malloc_and_the_seam(void **state) {
  (void)state;
  const size_t size = 8 << 20;
  struct weft__memory_stats before = now();
  void *volatile p = malloc(size);
  void *q = weft__alloc(size);
  struct weft__memory_stats during = now();
  bool figures = strcmp(during.allocator, "valgrind") != 0; /* it keeps its own to itself */
  CHECK(!figures || during.heap_allocated >= before.heap_allocated + 2 * size);
  CHECK(during.heap_active >= during.heap_allocated);
  CHECK(!figures || during.heap_resident > 0);
  free(p);
  weft__free(q);
  CHECK(!figures || now().heap_allocated < during.heap_allocated);
}

#if WEFT_JEMALLOC
static uint64_t jemalloc_gave_this_thread(void) {
  uint64_t value = 0;
  size_t len = sizeof value;
  assert_int_equal(mallctl("thread.allocated", &value, &len, NULL, 0), 0);
  return value;
}

static void jemalloc_serves_this_build(void **state) {
  (void)state;
  CHECK(strncmp(now().allocator, "jemalloc ", 9) == 0);
  uint64_t before = jemalloc_gave_this_thread();
  void *p = weft__alloc(100000);
  CHECK(jemalloc_gave_this_thread() - before >= 100000);
  weft__free(p);
  assert_int_equal(weft__memory_init(), 0);
  before = jemalloc_gave_this_thread();
  CHECK_INT(link_read_by_libuv(), 0);
  CHECK(jemalloc_gave_this_thread() > before);
}
#else
static void the_c_library_or_the_sanitizer_serves_this_build(void **state) {
  (void)state;
  struct weft__memory_stats s = now();
  CHECK(strncmp(s.allocator, "glibc ", 6) == 0 || strcmp(s.allocator, "sanitizer") == 0 ||
        strcmp(s.allocator, "valgrind") == 0);
}
#endif

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocks_are_as_asked_for),
    cmocka_unit_test(size_zero_gives_a_block_and_null_may_be_freed),
    cmocka_unit_test(realloc_keeps_the_content_and_strdup_copies),
    cmocka_unit_test(sizes_that_cannot_be_give_null),
    cmocka_unit_test(calls_and_live_bytes_are_counted),
    cmocka_unit_test(counts_outlive_their_threads_and_blocks_may_end_elsewhere),
    cmocka_unit_test(counts_are_exact_with_more_threads_than_tallies),
    cmocka_unit_test(destructors_of_the_program_may_still_allocate_and_free),
    cmocka_unit_test(the_nth_allocation_fails_once),
    cmocka_unit_test(every_kind_of_allocation_can_fail),
    cmocka_unit_test(counting_alone_makes_nothing_fail),
    cmocka_unit_test(libuv_allocates_through_the_seam),
    cmocka_unit_test(allocations_of_libuv_fail_only_when_asked_to),
    cmocka_unit_test(what_is_set_aside_serves_libuv_when_memory_is_short),
    cmocka_unit_test(what_is_set_aside_and_not_needed_is_given_back),
    cmocka_unit_test(the_allocator_that_is_named_serves_malloc_and_the_seam),
#if WEFT_JEMALLOC
    cmocka_unit_test(jemalloc_serves_this_build),
#else
    cmocka_unit_test(the_c_library_or_the_sanitizer_serves_this_build),
#endif
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
