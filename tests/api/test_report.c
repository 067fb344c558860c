/* Reports: the error handler, what it is told, and what happens when it is broken. */
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "base/sys.h"
#include "log_capture.h"
#include "task_test.h"
#include "threads.h"

/* What a handler was told, and how it answers. */
struct told {
  atomic_int calls;
  weft_report_kind kind;
  int code;
  char message[256], name[64], description[256], site[128], kind_name[64];
  const void *object;
  weft_task task;
  int answer;
};

static void copy(char *to, size_t size, const char *from) {
  snprintf(to, size, "%s", from ? from : "");
}

static int hear(const weft_report *r, void *arg) {
  struct told *t = arg;
  t->kind = r->kind;
  t->code = r->code;
  t->object = r->object;
  t->task = r->task;
  copy(t->message, sizeof t->message, r->message);
  copy(t->name, sizeof t->name, r->task_name);
  copy(t->description, sizeof t->description, r->task_description);
  copy(t->site, sizeof t->site, r->site_name);
  copy(t->kind_name, sizeof t->kind_name, r->object_kind);
  atomic_fetch_add(&t->calls, 1);
  return t->answer;
}

/* A run whose handler is hear, and whose log is kept. */
struct scene {
  struct told told;
  struct log_capture log;
};

static struct scene scene;

static int run_scene(weft_fn fn, int answer) {
  scene = (struct scene){.log = LOG_CAPTURE_INIT, .told = {.answer = answer}};
  weft_run_opts opts = {.log = log_capture_line, .log_arg = &scene.log};
  opts.on_error = hear;
  opts.on_error_arg = &scene.told;
  return weft_run(fn, &scene, &opts);
}

/* ---- what is told ---- */

static int wait_for_call(int n) {
  int r = 0, rounds = 0;
  while (atomic_load(&scene.told.calls) < n && (r = latch_turn(&rounds)) == 0) {}
  return r;
}

static int detach_a_failure(void *arg) {
  (void)arg;
  weft_detach(weft_spawn(return_own_error, NULL, &(weft_spawn_opts){.name = "the lost one"}));
  return wait_for_call(1);
}

static void R5_the_handler_gets_the_failure_with_its_context(void **state) {
  (void)state;
  CHECK_INT(run_scene(detach_a_failure, 0), 0);
  CHECK_INT(atomic_load(&scene.told.calls), 1);
  CHECK_INT(scene.told.kind, WEFT_REPORT_TASK);
  CHECK_INT(scene.told.code, OWN_ERROR);
  CHECK_STR(scene.told.name, "the lost one");
  CHECK(strstr(scene.told.message, "the lost one") != NULL);
  CHECK(strstr(scene.told.description, "the lost one") != NULL);
  CHECK(strstr(scene.told.description, "spawned at") != NULL);
  CHECK(scene.told.site[0] != '\0');
  CHECK(scene.told.task.slot_ != NULL);
  CHECK_INT(scene.log.total, 0);
}

static int leave_a_failure(void *arg) {
  struct scene *s = arg;
  (void)s;
  weft_task t = weft_spawn(return_own_error, NULL, &(weft_spawn_opts){.name = "nobody's"});
  int code = 0;
  CHECK_INT(weft_task_wait(t, &code), 0);
  CHECK_INT(code, OWN_ERROR);
  return 5;
}

static void R5_a_failure_that_was_never_awaited_is_reported_at_the_end(void **state) {
  (void)state;
  CHECK_INT(run_scene(leave_a_failure, 0), 5);
  CHECK_INT(atomic_load(&scene.told.calls), 1);
  CHECK_INT(scene.told.kind, WEFT_REPORT_UNAWAITED);
  CHECK_INT(scene.told.code, OWN_ERROR);
  CHECK_STR(scene.told.name, "nobody's");
  CHECK_INT(scene.log.total, 0);
}

static int report_own(void *arg) {
  int object = 0;
  (void)arg;
  weft_report r = {.code = WEFT_EPIPE, .message = "of my own", .object = &object};
  r.object_kind = "thing";
  CHECK_INT(weft_report_error(&r), 0);
  CHECK_INT(scene.told.kind, WEFT_REPORT_OWN);
  CHECK_INT(scene.told.code, WEFT_EPIPE);
  CHECK_STR(scene.told.message, "of my own");
  CHECK_STR(scene.told.kind_name, "thing");
  CHECK_PTR(scene.told.object, &object);
  CHECK_INT(weft_report_error(&(weft_report){.code = WEFT_EPIPE}), 0);
  CHECK(strstr(scene.told.message, "WEFT_EPIPE") != NULL);
  CHECK_INT(weft_report_log(&(weft_report){.message = "two\nlines"}), 0);
  CHECK_INT(log_capture_count(&scene.log, "two"), 1);
  CHECK_INT(log_capture_count(&scene.log, "lines"), 1);
  CHECK_INT(log_capture_count(&scene.log, "\n"), 0);
  return 0;
}

static void R5_a_program_reports_to_the_same_handler(void **state) {
  (void)state;
  CHECK_INT(run_scene(report_own, 0), 0);
  CHECK_INT(atomic_load(&scene.told.calls), 2);
  CHECK_INT(scene.log.total, 2);
}

/* ---- setting it ---- */

static int set_and_get(void *arg) {
  struct told other = {0};
  void *got = arg;
  CHECK(weft_error_handler(&got) == hear);
  CHECK_PTR(got, &scene.told);
  CHECK_INT(weft_set_error_handler(hear, &other), 0);
  CHECK_INT(weft_report_error(&(weft_report){.message = "to the other"}), 0);
  CHECK_STR(other.message, "to the other");
  CHECK_INT(weft_set_error_handler(NULL, NULL), 0);
  CHECK(weft_error_handler(&got) == NULL);
  CHECK_PTR(got, &scene.told); /* not touched */
  CHECK_INT(weft_report_error(&(weft_report){.message = "to the log"}), 0);
  return 0;
}

static void R5_the_handler_can_be_changed_and_taken_away(void **state) {
  (void)state;
  CHECK_INT(run_scene(set_and_get, 0), 0);
  CHECK_INT(atomic_load(&scene.told.calls), 0);
  CHECK_INT(log_capture_count(&scene.log, "to the log"), 1);
  CHECK_INT(scene.log.total, 1);
}

static void R5_outside_a_runtime_there_is_no_handler(void **state) {
  (void)state;
  CHECK_INT(weft_set_error_handler(hear, NULL), WEFT_ENOTASK);
  CHECK(weft_error_handler(NULL) == NULL);
  CHECK_INT(weft_report_error(&(weft_report){.message = "to nobody"}), WEFT_ENOTASK);
  CHECK_INT(weft_report_log(&(weft_report){.message = "to nobody"}), WEFT_ENOTASK);
  for (int kind = 0; kind <= WEFT_REPORT_HANDLER; kind++)
    CHECK(strlen(weft_report_kind_name((weft_report_kind)kind)) > 4);
  CHECK_STR(weft_report_kind_name((weft_report_kind)1000), "a report");
}

/* ---- broken handlers ---- */

static void R5_a_handler_that_fails_falls_back_to_the_log(void **state) {
  (void)state;
  CHECK_INT(run_scene(detach_a_failure, WEFT_EIO), 0);
  CHECK_INT(atomic_load(&scene.told.calls), 1);
  CHECK_INT(log_capture_count(&scene.log, "the lost one"), 1);
  CHECK_INT(log_capture_count(&scene.log, "the error handler failed"), 1);
  CHECK_INT(log_capture_count(&scene.log, "WEFT_EIO"), 1);
}

/* Does all that a handler must not do, and some of what it may. */
struct careless {
  weft_runtime rt;
  atomic_int calls;
  struct latch submitted;
  weft_task sleeper;
};

static struct careless careless;

static int be_careless(const weft_report *r, void *arg) {
  struct careless *c = arg;
  weft_task me = weft_current();
  atomic_fetch_add(&c->calls, 1);
  CHECK_INT(weft_task_error(me), WEFT_ENOTASK);
  CHECK_INT(weft_sleep(weft_ms(1)), WEFT_ENOTASK);
  CHECK_INT(weft_yield(), WEFT_ENOTASK);
  CHECK_INT(weft_await(weft_spawn(return_zero, NULL, NULL)), WEFT_ENOTASK);
  CHECK_INT(weft_run(return_zero, NULL, NULL), WEFT_ENESTED);
  CHECK_INT(weft_report_error(r), 0); /* to the log: no second call */
  CHECK_INT(weft_submit(c->rt, hit_and_return, &c->submitted, NULL), 0);
  CHECK_INT(weft_cancel(c->sleeper), 1);
  return 0;
}

static int fail_by_await(void *arg) {
  (void)arg;
  return OWN_ERROR;
}

static int survive(void *arg) {
  struct latch parked = {0};
  (void)arg;
  careless.rt = weft_runtime_current();
  careless.sleeper = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  weft_detach(weft_spawn(fail_by_await, NULL, &(weft_spawn_opts){.name = "the cause"}));
  CHECK_INT(latch_wait(&careless.submitted, 1), 0);
  CHECK_INT(weft_await(careless.sleeper), WEFT_ECANCELED);
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  /* In the middle of a task, which goes on as if nothing had been. */
  careless.sleeper = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 2), 0);
  CHECK_INT(weft_report_error(&(weft_report){.message = "the second cause"}), 0);
  CHECK_INT(weft_await(careless.sleeper), WEFT_ECANCELED);
  CHECK_INT(latch_wait(&careless.submitted, 2), 0);
  return weft_sleep(weft_us(10));
}

static void R5_a_handler_cannot_suspend_nor_recurse_nor_stop_the_runtime(void **state) {
  static struct log_capture log;
  (void)state;
  log = (struct log_capture)LOG_CAPTURE_INIT;
  careless = (struct careless){0};
  weft_run_opts opts = {.log = log_capture_line, .log_arg = &log};
  opts.on_error = be_careless;
  opts.on_error_arg = &careless;
  CHECK_INT(weft_run(survive, NULL, &opts), 0);
  CHECK_INT(atomic_load(&careless.calls), 2);
  CHECK_INT(log_capture_count(&log, "the cause"), 1);
  CHECK_INT(log_capture_count(&log, "the second cause"), 1);
  if (weft_test_failed()) log_capture_print(&log);
}

static void report_the_line(const char *line, void *arg) {
  atomic_fetch_add((atomic_int *)arg, 1);
  weft_report_error(&(weft_report){.message = line});
}

static int report_once(void *arg) {
  (void)arg;
  return weft_report_error(&(weft_report){.message = "round and round"});
}

static void R5_a_log_that_reports_its_own_lines_ends(void **state) {
  atomic_int lines = 0;
  (void)state;
  CHECK_INT(
      weft_run(report_once, NULL, &(weft_run_opts){.log = report_the_line, .log_arg = &lines}), 0);
  CHECK_INT(atomic_load(&lines), 2); /* the third goes to stderr */
}

/* ---- threads of a pool ---- */

static int report_from_a_job(void *arg) {
  (void)arg;
  return weft_report_error(&(weft_report){.message = "from a job"});
}

static int ask_a_thread(void *arg) {
  (void)arg;
  return weft_to_thread(report_from_a_job, NULL);
}

static void R5_a_pool_thread_has_no_handler_of_its_own(void **state) {
  (void)state;
  CHECK_INT(run_scene(ask_a_thread, 0), WEFT_ENOTASK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(R5_the_handler_gets_the_failure_with_its_context),
    cmocka_unit_test(R5_a_failure_that_was_never_awaited_is_reported_at_the_end),
    cmocka_unit_test(R5_a_program_reports_to_the_same_handler),
    cmocka_unit_test(R5_the_handler_can_be_changed_and_taken_away),
    cmocka_unit_test(R5_outside_a_runtime_there_is_no_handler),
    cmocka_unit_test(R5_a_handler_that_fails_falls_back_to_the_log),
    cmocka_unit_test(R5_a_handler_cannot_suspend_nor_recurse_nor_stop_the_runtime),
    cmocka_unit_test(R5_a_log_that_reports_its_own_lines_ends),
    cmocka_unit_test(R5_a_pool_thread_has_no_handler_of_its_own),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
