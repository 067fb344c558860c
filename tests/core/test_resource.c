/* What is open in a run: the registry of the debug mode. */
#include "core/resource.h"

#include <weft.h>

#include "core/worker.h"
#include "log_capture.h"
#include "task_test.h"

static const char places[3]; /* any addresses will do */

static size_t registered(struct weft__resource_seen *seen, size_t max) {
  return weft__resources_copy(weft__self()->rt, seen, max);
}

static int open_and_close(void *arg) {
  struct weft__resource *r = arg;
  struct weft__resource_seen seen[3] = {{NULL, NULL}};
  for (int i = 0; i < 3; i++) weft__resource_open(&r[i], "a thing", &places[i]);
  CHECK_UINT(registered(seen, 2), 3);
  CHECK_PTR(seen[0].site, places);
  CHECK_PTR(seen[1].site, &places[1]);
  CHECK_PTR(seen[2].site, NULL);
  weft__resource_close(&r[1]);
  weft__resource_close(&r[1]);
  CHECK_UINT(registered(seen, 3), 2);
  CHECK_PTR(seen[1].site, &places[2]);
  CHECK_STR(seen[1].kind, "a thing");
  weft__resource_close(&r[0]);
  weft__resource_close(&r[2]);
  CHECK_UINT(registered(seen, 3), 0);
  return 0;
}

static void what_is_open_is_in_the_list_until_it_is_closed(void **state) {
  (void)state;
  struct weft__resource r[3] = {{.kind = NULL}};
  CHECK_INT(weft_run(open_and_close, r, &(weft_run_opts){.debug = true}), 0);
}

static int open_two(void *arg) {
  struct weft__resource *r = arg;
  weft__resource_open(&r[0], "a generator", places);
  weft__resource_open(&r[1], "a pool", __builtin_return_address(0));
  return 0;
}

static void what_is_left_open_is_reported_and_may_be_closed_after_the_run(void **state) {
  (void)state;
  struct log_capture log = LOG_CAPTURE_INIT;
  struct weft__resource r[2] = {{.kind = NULL}};
  weft_run_opts o = {.debug = true, .log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(open_two, r, &o), 0);
  CHECK_INT(log_capture_count(&log, "a generator opened at "), 1);
  CHECK_INT(log_capture_count(&log, "a pool opened at "), 1);
  CHECK_INT(log_capture_count(&log, "is still open as the run ends"), 2);
  CHECK(log.total == 2 || !log_capture_print(&log));
  weft__resource_close(&r[0]);
  weft__resource_close(&r[1]);
}

static int open_without(void *arg) {
  weft__resource_open(arg, "a thing", places);
  CHECK_UINT(registered(NULL, 0), 0);
  return 0;
}

static void without_debug_mode_or_outside_a_run_nothing_is_registered(void **state) {
  (void)state;
  struct log_capture log = LOG_CAPTURE_INIT;
  struct weft__resource r = {.kind = NULL};
  weft_run_opts o = {.log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(open_without, &r, &o), 0);
  CHECK(log.total == 0 || !log_capture_print(&log));
  weft__resource_close(&r);
  weft__resource_open(&r, "a thing", places);
  weft__resource_close(&r);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_open_is_in_the_list_until_it_is_closed),
    cmocka_unit_test(what_is_left_open_is_reported_and_may_be_closed_after_the_run),
    cmocka_unit_test(without_debug_mode_or_outside_a_run_nothing_is_registered),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
