/* The trace ring. */
#include "weft_test.h"

#include <weft/errors.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/trace.h"

static void a_trace_that_is_off_records_nothing(void **state) {
  (void)state;
  struct weft__trace t = {.events = NULL};
  weft__trace_add(&t, WEFT__TRACE_SPAWN, 1, 2);
  CHECK_UINT(weft__trace_length(&t), 0);
  CHECK_UINT(weft__trace_lost(&t), 0);
  weft__trace_fini(&t);
}

static void events_come_back_in_order_with_all_they_were_given(void **state) {
  (void)state;
  struct weft__trace t = {.events = NULL};
  assert_int_equal(weft__trace_init(&t, 3, 8), 0);
  weft__clock_set_virtual(1000);
  weft__trace_add(&t, WEFT__TRACE_SPAWN, 7, 8);
  weft__clock_advance(500);
  weft__trace_add(&t, WEFT__TRACE_STEAL, 9, 2);
  weft__clock_set_real();
  assert_int_equal(weft__trace_length(&t), 2);
  const struct weft__trace_event *e = weft__trace_at(&t, 0);
  CHECK_UINT(e->time, 1000);
  CHECK_UINT(e->task, 7);
  CHECK_UINT(e->aux, 8);
  CHECK_UINT(e->worker, 3);
  CHECK_UINT(e->kind, WEFT__TRACE_SPAWN);
  CHECK_UINT(weft__trace_at(&t, 1)->time, 1500);
  CHECK_UINT(weft__trace_at(&t, 1)->kind, WEFT__TRACE_STEAL);
  weft__trace_fini(&t);
  CHECK_UINT(weft__trace_length(&t), 0);
}

static void a_full_ring_keeps_the_newest_and_says_how_many_it_lost(void **state) {
  (void)state;
  struct weft__trace t = {.events = NULL};
  assert_int_equal(weft__trace_init(&t, 0, 5), 0); /* rounded up to 8 */
  for (uint64_t i = 0; i < 8; i++) weft__trace_add(&t, WEFT__TRACE_WAKE, i, 0);
  CHECK_UINT(weft__trace_length(&t), 8);
  CHECK_UINT(weft__trace_lost(&t), 0);
  for (uint64_t i = 8; i < 100; i++) weft__trace_add(&t, WEFT__TRACE_WAKE, i, 0);
  CHECK_UINT(weft__trace_length(&t), 8);
  CHECK_UINT(weft__trace_lost(&t), 92);
  for (size_t i = 0; i < 8; i++) CHECK_UINT(weft__trace_at(&t, i)->task, 92 + i);
  weft__trace_fini(&t);
}

static void a_ring_of_one_keeps_the_last_event(void **state) {
  (void)state;
  struct weft__trace t = {.events = NULL};
  assert_int_equal(weft__trace_init(&t, 0, 1), 0);
  for (uint64_t i = 0; i < 3; i++) weft__trace_add(&t, WEFT__TRACE_PARK, i, 0);
  CHECK_UINT(weft__trace_length(&t), 1);
  CHECK_UINT(weft__trace_at(&t, 0)->task, 2);
  weft__trace_fini(&t);
}

static void a_trace_that_cannot_begin_stays_off(void **state) {
  (void)state;
  struct weft__trace t = {.events = NULL};
  CHECK_INT(weft__trace_init(&t, 0, 0), WEFT_EINVAL);
  CHECK_INT(weft__trace_init(&t, 0, SIZE_MAX), WEFT_EINVAL);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  CHECK_INT(weft__trace_init(&t, 0, 8), WEFT_ENOMEM);
  CHECK_UINT(weft__memory_fail_end(), 1);
  CHECK_PTR(t.events, NULL);
  weft__trace_add(&t, WEFT__TRACE_WAKE, 1, 1);
  CHECK_UINT(weft__trace_length(&t), 0);
}

static void every_kind_has_a_name(void **state) {
  (void)state;
  for (uint32_t k = 1; k < WEFT__TRACE_KINDS; k++) CHECK(weft__trace_kind_name(k)[0] != '?');
  CHECK_STR(weft__trace_kind_name(WEFT__TRACE_RUN_BEGIN), "run-begin");
  CHECK_STR(weft__trace_kind_name(0), "?");
  CHECK_STR(weft__trace_kind_name(WEFT__TRACE_KINDS), "?");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_trace_that_is_off_records_nothing),
    cmocka_unit_test(events_come_back_in_order_with_all_they_were_given),
    cmocka_unit_test(a_full_ring_keeps_the_newest_and_says_how_many_it_lost),
    cmocka_unit_test(a_ring_of_one_keeps_the_last_event),
    cmocka_unit_test(a_trace_that_cannot_begin_stays_off),
    cmocka_unit_test(every_kind_has_a_name),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
