/* The end of a run waits for jobs of the thread pool that no task waits for: it names them every second,
 * and not for ever. Simulated, so that the minutes cost nothing. */
#include <string.h>
#include <weft.h>

#include "base/clock.h"
#include "base/futex.h"
#include "core/worker.h"
#include "log_capture.h"
#include "task_test.h"

struct scene {
  struct weft__job job;
  weft__atomic_u32 never;
  weft_ns length;
  struct latch begun, done;
  struct log_capture log;
};

static struct scene scene;

static int sleep_on_the_thread(void *arg) {
  struct scene *s = arg;
  uint64_t until = weft__now() + (uint64_t)s->length;
  latch_hit(&s->begun);
  while (weft__now() < until) weft__futex_wait(&s->never, 0, until);
  return 0;
}

static void on_done(struct weft__job *job) {
  latch_hit(&weft__container_of(job, struct scene, job)->done);
}

static int leave_a_job(void *arg) {
  struct scene *s = arg;
  s->begun = s->done = (struct latch){0};
  s->log = (struct log_capture)LOG_CAPTURE_INIT;
  s->job = (struct weft__job){.fn = sleep_on_the_thread, .arg = s, .done = on_done};
  CHECK_INT(weft__blocking_submit(&weft__current_task()->rt->blocking, &s->job), 0);
  return latch_wait(&s->begun, 1);
}

/* The end of a run that leaves a job of this length. */
static weft_sim_report end_with_job(weft_ns length, weft_ns shutdown_timeout) {
  weft_run_opts run = {.shutdown_timeout = shutdown_timeout};
  weft_sim_report report;
  scene = (struct scene){.length = length};
  run.log = log_capture_line;
  run.log_arg = &scene.log;
  weft_simulate(leave_a_job, &scene, &(weft_sim_opts){.seeds = 5, .run = &run}, &report);
  return report;
}

static void R7_the_end_waits_for_jobs_and_names_them_every_second(void **state) {
  (void)state;
  weft_sim_report report = end_with_job(weft_ms(4500), 0);
  CHECK_INT(report.code, 0);
  CHECK_INT(latch_hits(&scene.done), 1);
  CHECK_INT(log_capture_count(&scene.log, "the thread pool has not ended"), 4);
}

static void R7_jobs_have_300_seconds_at_the_end(void **state) {
  (void)state;
  weft_sim_report report = end_with_job(weft_sec(299), 0);
  CHECK_INT(report.code, 0);
  CHECK_INT(latch_hits(&scene.done), 1);
  report = end_with_job(weft_sec(302), 0);
  CHECK_INT(report.code, WEFT_ETIMEDOUT);
  CHECK_INT(latch_hits(&scene.done), 0);
  CHECK(report.time >= weft_sec(300) && report.time < weft_sec(302));
}

static void R7_the_shutdown_timeout_holds_for_jobs_too(void **state) {
  (void)state;
  weft_sim_report report = end_with_job(weft_sec(20), weft_sec(2));
  CHECK_INT(report.code, WEFT_ETIMEDOUT);
  CHECK(report.time >= weft_sec(2) && report.time < weft_sec(4));
  report = end_with_job(weft_sec(400), weft_sec(500)); /* and may be longer than the default */
  CHECK_INT(report.code, 0);
  CHECK_INT(latch_hits(&scene.done), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(R7_the_end_waits_for_jobs_and_names_them_every_second),
    cmocka_unit_test(R7_jobs_have_300_seconds_at_the_end),
    cmocka_unit_test(R7_the_shutdown_timeout_holds_for_jobs_too),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
