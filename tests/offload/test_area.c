/* The shared memory of the slots: sizes, who sees it, who does not. */
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/sys.h"
#include "offload/area.h"
#include "processes.h"
#include "weft_test.h"

static void slots_do_not_overlap(void **state) {
  (void)state;
  struct weft__area a;
  size_t size = 10000;
  assert_int_equal(weft__area_map(&a, 3, size), 0);
  for (unsigned i = 0; i < 3; i++) {
    memset(weft__area_in(&a, i), (int)(10 + i), size);
    memset(weft__area_out(&a, i), (int)(20 + i), size);
    weft__store_release_u64(weft__area_begun(&a, i), 30 + i);
  }
  for (unsigned i = 0; i < 3; i++) {
    const unsigned char *in = weft__area_in(&a, i);
    const unsigned char *out = weft__area_out(&a, i);
    for (size_t k = 0; k < size; k++) {
      if (!CHECK_UINT(in[k], 10 + i) || !CHECK_UINT(out[k], 20 + i)) break;
    }
    CHECK_UINT(weft__load_acquire_u64(weft__area_begun(&a, i)), 30 + i);
  }
  weft__area_unmap(&a);
  weft__area_unmap(&a); /* a second time is nothing */
}

static void sizes_that_do_not_fit_are_refused(void **state) {
  (void)state;
  struct weft__area a;
  int before = count_mappings();
  assert_int_equal(weft__area_map(&a, 1, SIZE_MAX), WEFT_EINVAL);
  assert_int_equal(weft__area_map(&a, 1, SIZE_MAX / 2), WEFT_EINVAL);
  assert_int_equal(weft__area_map(&a, 256, SIZE_MAX / 512 + 1), WEFT_EINVAL);
  assert_int_equal(weft__area_map(&a, 256, (size_t)1 << 45), WEFT_ENOMEM);
  weft__sys_fail(WEFT__SYS_mmap, 1, WEFT_ENOMEM, false);
  assert_int_equal(weft__area_map(&a, 1, 1), WEFT_ENOMEM);
  weft__sys_clear();
  assert_int_equal(count_mappings(), before);
}

struct worker {
  struct weft__area *area;
  unsigned own;
  unsigned touched;
};

static int touch(void *arg) {
  const struct worker *w = arg;
  signal(SIGSEGV, SIG_DFL);
  if (weft__area_keep(w->area, w->own) < 0) return 1;
  memset(weft__area_in(w->area, w->touched), 'x', 1);
  memset((char *)weft__area_out(w->area, w->touched) + w->area->payload - 1, 'y', 1);
  return 0;
}

static void a_worker_reaches_its_own_slot_only(void **state) {
  (void)state;
  struct weft__area a;
  assert_int_equal(weft__area_map(&a, 3, 5000), 0);
  for (unsigned own = 0; own < 3; own++) {
    for (unsigned touched = 0; touched < 3; touched++) {
      struct worker w = {&a, own, touched};
      CHECK_INT(in_child(touch, &w), own == touched ? 256 : SIGSEGV);
    }
    const char *in = weft__area_in(&a, own);
    CHECK_INT(in[0], 'x');
  }
  weft__area_unmap(&a);
}

static int read_area(void *arg) {
  signal(SIGSEGV, SIG_DFL);
  return *(volatile char *)weft__area_in(arg, 0);
}

static void later_children_do_not_inherit_it(void **state) {
  (void)state;
  struct weft__area a;
  assert_int_equal(weft__area_map(&a, 1, 5000), 0);
  assert_int_equal(in_child(read_area, &a), 256);
  weft__area_withhold(&a);
  assert_int_equal(in_child(read_area, &a), SIGSEGV);
  weft__area_unmap(&a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(slots_do_not_overlap),
    cmocka_unit_test(sizes_that_do_not_fit_are_refused),
    cmocka_unit_test(a_worker_reaches_its_own_slot_only),
    cmocka_unit_test(later_children_do_not_inherit_it),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
