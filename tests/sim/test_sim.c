/* Simulated runs: that a seed is a schedule, what time is there, what is found and reported. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

#include "base/clock.h"
#include "child.h"
#include "log_capture.h"
#include "task_test.h"

/* ---- a scenario whose course depends on the schedule ---- */

struct course {
  _Atomic uint64_t
      hash; /* of what happened, in its order; nothing comes between load and store here */
};

static void note(struct course *c, uint64_t what) {
  c->hash = (c->hash ^ what) * UINT64_C(0x100000001b3);
}

struct walker {
  struct course *course;
  uint64_t number;
};

static int walk(void *arg) {
  struct walker *w = arg;
  int r = 0;
  for (uint64_t i = 0; i < 5 && r == 0; i++) {
    note(w->course, w->number * 16 + i);
    r = i % 2 ? weft_yield() : weft_sleep(weft_us((int64_t)(w->number % 3)));
  }
  return r;
}

static int job(void *arg) {
  struct walker *w = arg;
  weft_sim_point();
  note(w->course, 1000 + w->number);
  return 0;
}

static int use_thread(void *arg) {
  return weft_to_thread(job, arg);
}

static int scenario(void *arg) {
  struct course *c = arg;
  struct walker w[8];
  weft_group g = WEFT_GROUP_INIT;
  c->hash = UINT64_C(0xcbf29ce484222325);
  for (int i = 0; i < 8; i++) {
    w[i] = (struct walker){c, (uint64_t)i};
    weft_group_spawn(&g, i % 3 ? walk : use_thread, &w[i], NULL);
  }
  return weft_group_join(&g);
}

static weft_sim_report run_seed(uint64_t seed, struct course *c, weft_sim_log *record,
                                const weft_sim_log *follow) {
  weft_sim_report report;
  weft_sim_opts o = {.first_seed = seed, .seeds = 1, .record = record, .follow = follow};
  CHECK_INT(weft_simulate(scenario, c, &o, &report), 0);
  return report;
}

static void check_same(const weft_sim_report *a, const weft_sim_report *b) {
  CHECK_UINT(a->decisions, b->decisions);
  CHECK_UINT(a->switches, b->switches);
  CHECK_INT(a->time, b->time);
  CHECK_UINT(a->workers, b->workers);
}

static void a_seed_gives_the_same_run_each_time(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 30; seed++) {
    struct course first, again;
    weft_sim_report a = run_seed(seed, &first, NULL, NULL);
    weft_sim_report b = run_seed(seed, &again, NULL, NULL);
    check_same(&a, &b);
    CHECK_UINT(first.hash, again.hash);
  }
}

static void different_seeds_give_different_runs(void **state) {
  (void)state;
  uint64_t seen[50];
  int different = 0;
  for (int i = 0; i < 50; i++) {
    struct course c;
    run_seed((uint64_t)i + 1, &c, NULL, NULL);
    bool is_new = true;
    for (int k = 0; k < i; k++) is_new &= seen[k] != c.hash;
    seen[i] = c.hash;
    different += is_new;
  }
  CHECK(different > 25);
}

static void without_workers_asked_for_there_are_one_to_four(void **state) {
  (void)state;
  int of[5] = {0};
  for (uint64_t seed = 1; seed <= 60; seed++) {
    struct course c;
    weft_sim_report r = run_seed(seed, &c, NULL, NULL);
    if (!CHECK(r.workers >= 1 && r.workers <= 4)) return;
    of[r.workers]++;
  }
  for (int i = 1; i <= 4; i++) CHECK(of[i] > 0);
}

/* ---- decisions that are recorded and followed ---- */

enum { ROOM = 1 << 20 };
static uint32_t decisions[ROOM];

static void a_recorded_run_is_followed(void **state) {
  (void)state;
  weft_sim_log log = {.decisions = decisions, .capacity = ROOM};
  struct course recorded, followed;
  weft_sim_report a = run_seed(5, &recorded, &log, NULL);
  CHECK_UINT(log.seed, 5);
  CHECK_UINT(log.taken, a.decisions);
  log.seed = 99; /* by which the generator alone would take another way */
  weft_sim_report b = run_seed(1, &followed, NULL, &log);
  CHECK_UINT(b.seed, 99);
  check_same(&a, &b);
  CHECK_UINT(recorded.hash, followed.hash);
  CHECK(!b.diverged);
}

static void a_ring_that_lost_its_beginning_is_followed_too(void **state) {
  (void)state;
  weft_sim_log log = {.decisions = decisions, .capacity = 64};
  struct course recorded, followed;
  weft_sim_report a = run_seed(6, &recorded, &log, NULL);
  CHECK(a.decisions > 64);
  weft_sim_report b = run_seed(1, &followed, NULL, &log);
  check_same(&a, &b);
  CHECK_UINT(recorded.hash, followed.hash);
}

static void a_changed_decision_is_another_run(void **state) {
  (void)state;
  int changed = 0;
  for (uint32_t at = 20; at < 40; at++) {
    weft_sim_log log = {.decisions = decisions, .capacity = ROOM};
    struct course recorded, followed;
    weft_sim_report a = run_seed(7, &recorded, &log, NULL);
    decisions[at] = decisions[at] ? 0 : 1;
    weft_sim_report b = run_seed(7, &followed, NULL, &log);
    changed += a.decisions != b.decisions || a.time != b.time || recorded.hash != followed.hash;
  }
  CHECK(changed > 0);
}

static void decisions_of_another_program_are_noticed(void **state) {
  (void)state;
  weft_sim_log log = {.decisions = decisions, .capacity = ROOM, .seed = 1, .taken = ROOM};
  for (size_t i = 0; i < ROOM; i++) decisions[i] = UINT32_MAX; /* no choice has so many ways */
  struct course c;
  weft_sim_report r = run_seed(1, &c, NULL, &log);
  CHECK(r.diverged);
}

static void a_log_is_not_followed_into_itself(void **state) {
  (void)state;
  weft_sim_log log = {.decisions = decisions, .capacity = ROOM};
  weft_sim_opts o = {.record = &log, .follow = &log};
  CHECK_INT(weft_simulate(return_zero, NULL, &o, NULL), WEFT_EINVAL);
}

/* ---- time ---- */

static int sleep_for_ever(void *arg) {
  (void)arg;
  return weft_sleep(WEFT_FOREVER);
}

static int sleep_an_hour(void *arg) {
  weft_ns begin = weft_now();
  CHECK_INT(weft_sleep(weft_sec(3600)), 0);
  *(weft_ns *)arg = weft_now() - begin;
  return 0;
}

static uint64_t real_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void an_hour_of_sleep_takes_no_time(void **state) {
  (void)state;
  weft_ns slept = 0;
  uint64_t begin = real_ms();
  CHECK_INT(weft_run(sleep_an_hour, &slept, &(weft_run_opts){.seed = 3}), 0);
  CHECK(slept >= weft_sec(3600) && slept < weft_sec(3601));
  CHECK(real_ms() - begin < 60000);
  CHECK(strcmp(weft__clock_source(), "virtual") != 0); /* the clock is itself again */
}

static int compute_for_a_second(void *arg) {
  weft_ns begin = weft_now();
  (void)arg;
  weft_sim_work(weft_sec(1));
  CHECK(weft_now() - begin >= weft_sec(1));
  return 0;
}

static int tick_beside(void *arg) {
  weft_ns *worst = arg;
  weft_task hog = weft_spawn(compute_for_a_second, NULL, NULL);
  while (weft_task_done(hog) == 0) {
    weft_ns begin = weft_now();
    CHECK_INT(weft_sleep(weft_ms(10)), 0);
    weft_ns late = weft_now() - begin - weft_ms(10);
    if (late > *worst) *worst = late;
  }
  return weft_await(hog);
}

/* In most schedules: in some the ticker itself is a hog for once, and waits for the other then. */
static void a_simulated_hog_is_stood_in_for(void **state) {
  (void)state;
  int in_time = 0;
  for (uint64_t seed = 1; seed <= 50; seed++) {
    weft_ns worst = 0;
    weft_run_opts o = {.seed = seed, .workers = 1};
    CHECK_INT(weft_run(tick_beside, &worst, &o), 0);
    in_time += worst < weft_ms(100);
  }
  CHECK(in_time > 25);
}

static void without_reserves_a_hog_is_waited_for(void **state) {
  (void)state;
  int in_time = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    weft_ns worst = 0;
    weft_run_opts o = {.seed = seed, .workers = 1, .no_reserve = true};
    CHECK_INT(weft_run(tick_beside, &worst, &o), 0);
    in_time += worst < weft_ms(100);
  }
  CHECK_INT(in_time, 0);
}

/* ---- what is found ---- */

static int fail_now_and_then(void *arg) {
  (void)arg;
  CHECK_INT(weft_yield(), 0);
  return weft_sim_random(20) == 7 ? OWN_ERROR : 0;
}

static void the_first_failing_seed_is_reported_and_fails_again(void **state) {
  (void)state;
  weft_sim_report r;
  CHECK_INT(weft_simulate(fail_now_and_then, NULL, NULL, &r), OWN_ERROR);
  CHECK_INT(r.code, OWN_ERROR);
  CHECK_UINT(r.seed, r.runs); /* the seeds begin at 1 */
  for (int i = 0; i < 10; i++)
    CHECK_INT(weft_run(fail_now_and_then, NULL, &(weft_run_opts){.seed = r.seed}), OWN_ERROR);
  weft_sim_opts before = {.seeds = r.seed - 1};
  if (r.seed > 1) CHECK_INT(weft_simulate(fail_now_and_then, NULL, &before, NULL), 0);
}

static int wait_for_each_other(void *arg) {
  weft_task *other = arg;
  return weft_task_wait(*other, NULL);
}

static int deadlock(void *arg) {
  static weft_task a, b;
  (void)arg;
  b = weft_current(); /* the one that waits for a waits for this task */
  a = weft_spawn(wait_for_each_other, &b, &(weft_spawn_opts){.name = "the other"});
  return weft_await(a);
}

static void a_deadlock_is_reported_with_its_tasks_and_ends(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct log_capture log = LOG_CAPTURE_INIT;
    weft_run_opts o = {.seed = seed, .log = log_capture_line, .log_arg = &log};
    CHECK_INT(weft_run(deadlock, NULL, &o), WEFT_EDEADLK);
    CHECK_INT(log_capture_count(&log, ": deadlock: "), 1);
    CHECK_INT(log_capture_count(&log, "'the other' waiting"), 1);
  }
}

/* Its tasks were cancelled and have ended: the next run finds a sound runtime. */
static void a_runner_survives_a_deadlock_in_one_of_its_runs(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct log_capture log = LOG_CAPTURE_INIT;
    weft_run_opts o = {.seed = seed, .log = log_capture_line, .log_arg = &log};
    weft_runner r;
    if (!CHECK_INT(weft_runner_open(&r, &o), 0)) return;
    CHECK_INT(weft_runner_run(&r, return_seven, NULL), 7);
    CHECK_INT(weft_runner_run(&r, deadlock, NULL), WEFT_EDEADLK);
    CHECK_INT(weft_runner_run(&r, return_seven, NULL), 7);
    CHECK_INT(weft_runner_close(&r), 0);
    CHECK_INT(log_capture_count(&log, ": deadlock: "), 1);
  }
}

static void a_sleep_for_ever_is_a_deadlock(void **state) {
  struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  weft_run_opts o = {.seed = 1, .log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(sleep_for_ever, NULL, &o), WEFT_EDEADLK);
}

struct pair {
  weft_task task[2];
  struct latch known, shielded;
};

struct half {
  struct pair *pair;
  int other;
};

static int wait_shielded(void *arg) {
  struct half *h = arg;
  int r = latch_wait(&h->pair->known, 1);
  if (r < 0) return r;
  weft_shield_begin();
  latch_hit(&h->pair->shielded);
  return weft_task_wait(h->pair->task[h->other], NULL);
}

static int leave_two_that_wait(void *arg) {
  static struct pair pair; /* outlives this task, as the two do */
  static struct half halves[2];
  (void)arg;
  pair = (struct pair){0};
  for (int i = 0; i < 2; i++) {
    halves[i] = (struct half){&pair, 1 - i};
    pair.task[i] = weft_spawn(wait_shielded, &halves[i], NULL);
  }
  latch_hit(&pair.known);
  return latch_wait(&pair.shielded, 2);
}

static void tasks_that_survive_their_cancel_do_not_make_a_run_endless(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct log_capture log = LOG_CAPTURE_INIT;
    weft_run_opts o = {.seed = seed, .log = log_capture_line, .log_arg = &log};
    CHECK_INT(weft_run(leave_two_that_wait, NULL, &o), WEFT_EDEADLK);
    CHECK(log_capture_count(&log, "deadlock") == 1);
  }
}

static int job_with_a_large_frame(void *arg) {
  char large[700 << 10];
  memset(large, 7, sizeof large);
  *(int *)arg = large[sizeof large / 2];
  return 0;
}

static int use_a_large_frame(void *arg) {
  return weft_to_thread(job_with_a_large_frame, arg);
}

static void a_job_has_the_stack_of_a_thread(void **state) {
  int seen = 0;
  (void)state;
  CHECK_INT(weft_run(use_a_large_frame, &seen, &(weft_run_opts){.seed = 1}), 0);
  CHECK_INT(seen, 7);
}

/* ---- the end of the process ---- */

static int abort_in_a_task(void *arg) {
  (void)arg;
  CHECK_INT(weft_yield(), 0);
  abort();
}

static int fault_in_a_task(void *arg) {
  (void)arg;
  CHECK_INT(weft_yield(), 0);
  return *(volatile int *)4096; /* nothing is mapped there */
}

static int run_seed_4321(void *fn) {
  return weft_run(*(weft_fn *)fn, NULL, &(weft_run_opts){.seed = 4321});
}

static void a_process_that_dies_says_the_seed(void **state) {
  static weft_fn fns[] = {abort_in_a_task, fault_in_a_task};
  (void)state;
  for (size_t i = 0; i < sizeof fns / sizeof fns[0]; i++) {
    struct child_end end = child_run(run_seed_4321, &fns[i]);
    CHECK(child_died(&end));
    if (!CHECK(strstr(end.output, "WEFT_SEED=4321\n") != NULL)) print_error("%s", end.output);
  }
}

/* ---- fork ---- */

static int fork_and_look(void *arg) {
  int *ran = arg;
  weft_task other = weft_spawn(walk, &(struct walker){&(struct course){0}, 1}, NULL);
  pid_t pid = fork();
  if (pid == 0) {
    for (int i = 0; i < 10000; i++) (void)weft_now(); /* points, where others would come */
    _exit(weft_simulated() || weft_yield() != WEFT_ECHILD);
  }
  int status = -1;
  CHECK(pid > 0);
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK_INT(status, 0);
  (*ran)++;
  return weft_await(other);
}

static void a_child_does_not_play_on(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 5; seed++) {
    int ran = 0;
    CHECK_INT(weft_run(fork_and_look, &ran, &(weft_run_opts){.seed = seed}), 0);
    CHECK_INT(ran, 1);
  }
}

/* ---- outside of a simulation ---- */

TASK_TEST(outside_of_a_simulation_its_calls_do_nothing) {
  if (weft_simulated()) return;
  weft_ns begin = weft_now();
  weft_sim_point();
  weft_sim_work(weft_sec(1000));
  CHECK_UINT(weft_sim_random(100), 0);
  CHECK_UINT(weft_sim_seed(), 0);
  CHECK(weft_now() - begin < weft_sec(500));
}

static int look_inside(void *arg) {
  CHECK(weft_simulated());
  *(uint64_t *)arg = weft_sim_seed();
  CHECK_INT(weft_simulate(return_zero, NULL, NULL, NULL), WEFT_ENESTED);
  CHECK_UINT(weft_sim_random(0), 0);
  return 0;
}

static void inside_the_seed_is_known(void **state) {
  (void)state;
  uint64_t seed = 0;
  CHECK_INT(weft_run(look_inside, &seed, &(weft_run_opts){.seed = 77}), 0);
  CHECK_UINT(seed, 77);
  CHECK(!weft_simulated());
}

static void bad_options_are_refused(void **state) {
  (void)state;
  weft_sim_log no_memory = {.capacity = 8};
  CHECK_INT(weft_simulate(NULL, NULL, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_simulate(return_zero, NULL, &(weft_sim_opts){.time_limit = -1}, NULL),
            WEFT_EINVAL);
  CHECK_INT(weft_simulate(return_zero, NULL, &(weft_sim_opts){.record = &no_memory}, NULL),
            WEFT_EINVAL);
  CHECK_INT(weft_simulate(return_zero, NULL, &(weft_sim_opts){.follow = &no_memory}, NULL),
            WEFT_EINVAL);
  weft_run_opts bad = {.workers = -1};
  weft_sim_report report = {.runs = 42};
  CHECK_INT(weft_simulate(return_zero, NULL, &(weft_sim_opts){.run = &bad}, &report), WEFT_EINVAL);
}

/* ---- beside other threads ---- */

struct outsider {
  weft_runtime rt;
  weft_task task;
  int simulate, submit, run, cancel;
};

static void *try_from_outside(void *arg) {
  struct outsider *o = arg;
  o->simulate = weft_simulate(return_zero, NULL, NULL, NULL);
  o->submit = weft_submit(o->rt, return_zero, NULL, NULL);
  o->run = weft_run(return_zero, NULL, NULL);
  o->cancel = weft_cancel(o->task);
  return NULL;
}

static int let_another_try(void *arg) {
  struct outsider *o = arg;
  pthread_t thread;
  o->rt = weft_runtime_current();
  o->task = weft_spawn(return_zero, NULL, NULL);
  CHECK_INT(pthread_create(&thread, NULL, try_from_outside, o), 0);
  pthread_join(thread, NULL); /* blocks the simulation, not the other thread */
  int r = weft_await(o->task);
  return r == WEFT_ECANCELED ? 0 : r;
}

static void other_threads_are_told_that_it_is_busy(void **state) {
  (void)state;
  struct outsider o = {.simulate = 1, .submit = 1};
  CHECK_INT(weft_run(let_another_try, &o, &(weft_run_opts){.seed = 1}), 0);
  CHECK_INT(o.simulate, WEFT_EBUSY);
  CHECK_INT(o.submit, WEFT_EBUSY);
  CHECK_INT(o.run, WEFT_EBUSY);
  CHECK_INT(o.cancel, WEFT_EBUSY);
}

static void a_refused_series_reports_no_run(void **state) {
  (void)state;
  weft_run_opts bad = {.workers = WEFT_WORKERS_MAX + 1};
  weft_sim_report report = {.runs = 42, .seed = 42};
  CHECK_INT(weft_simulate(NULL, NULL, &(weft_sim_opts){.run = &bad}, &report), WEFT_EINVAL);
  CHECK_UINT(report.runs, 0);
  CHECK_UINT(report.seed, 0);
}

static void a_refused_option_is_not_a_failing_seed(void **state) {
  (void)state;
  if (getenv("WEFT_SEED")) weft_test_skip("runs under a seed");
  struct log_capture log = LOG_CAPTURE_INIT;
  weft_run_opts run = {.log = log_capture_line, .log_arg = &log};
  weft_sim_report report = {.runs = 42, .seed = 42};
  const char *before = getenv("WEFT_WORKERS");
  char kept[32];
  snprintf(kept, sizeof kept, "%s", before ? before : "");
  setenv("WEFT_WORKERS", "0", 1);
  CHECK_INT(weft_simulate(return_zero, NULL, &(weft_sim_opts){.run = &run}, &report), WEFT_EINVAL);
  CHECK_UINT(report.runs, 0);
  CHECK_UINT(report.seed, 0);
  CHECK_INT(report.code, WEFT_EINVAL);
  CHECK_INT(log_capture_count(&log, "WEFT_WORKERS is '0'"), 1);
  CHECK_INT(log_capture_count(&log, "seed"), 0);
  setenv("WEFT_WORKERS", kept, 1);
  setenv("WEFT_SEED", "0x", 1);
  CHECK_INT(weft_simulate(return_zero, NULL, &(weft_sim_opts){.run = &run}, &report), WEFT_EINVAL);
  unsetenv("WEFT_SEED");
  CHECK_INT(log_capture_count(&log, "WEFT_SEED is '0x'"), 1);
  CHECK_INT(log.total, 2);
}

static void the_seed_of_the_environment_is_the_only_one(void **state) {
  (void)state;
  const char *before = getenv("WEFT_SEED");
  if (before) weft_test_skip("runs under a seed");
  weft_sim_report report;
  setenv("WEFT_SEED", "1234", 1);
  CHECK_INT(weft_simulate(return_zero, NULL, NULL, &report), 0);
  unsetenv("WEFT_SEED");
  CHECK_UINT(report.runs, 1);
  CHECK_UINT(report.seed, 1234);
}

static void a_runtime_that_runs_is_in_the_way(void **state) {
  (void)state;
  struct outsider o = {.simulate = 1, .submit = 1};
  CHECK_INT(weft_run(let_another_try, &o, NULL), 0);
  if (!getenv("WEFT_SEED")) {
    CHECK_INT(o.simulate, WEFT_EBUSY);
    CHECK_INT(o.submit, 0);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_seed_gives_the_same_run_each_time),
    cmocka_unit_test(different_seeds_give_different_runs),
    cmocka_unit_test(without_workers_asked_for_there_are_one_to_four),
    cmocka_unit_test(a_recorded_run_is_followed),
    cmocka_unit_test(a_ring_that_lost_its_beginning_is_followed_too),
    cmocka_unit_test(a_changed_decision_is_another_run),
    cmocka_unit_test(decisions_of_another_program_are_noticed),
    cmocka_unit_test(an_hour_of_sleep_takes_no_time),
    cmocka_unit_test(a_simulated_hog_is_stood_in_for),
    cmocka_unit_test(without_reserves_a_hog_is_waited_for),
    cmocka_unit_test(the_first_failing_seed_is_reported_and_fails_again),
    cmocka_unit_test(a_deadlock_is_reported_with_its_tasks_and_ends),
    cmocka_unit_test(outside_of_a_simulation_its_calls_do_nothing),
    cmocka_unit_test(inside_the_seed_is_known),
    cmocka_unit_test(a_log_is_not_followed_into_itself),
    cmocka_unit_test(a_runner_survives_a_deadlock_in_one_of_its_runs),
    cmocka_unit_test(a_sleep_for_ever_is_a_deadlock),
    cmocka_unit_test(tasks_that_survive_their_cancel_do_not_make_a_run_endless),
    cmocka_unit_test(a_job_has_the_stack_of_a_thread),
    cmocka_unit_test(a_process_that_dies_says_the_seed),
    cmocka_unit_test(a_child_does_not_play_on),
    cmocka_unit_test(a_refused_series_reports_no_run),
    cmocka_unit_test(a_refused_option_is_not_a_failing_seed),
    cmocka_unit_test(the_seed_of_the_environment_is_the_only_one),
    cmocka_unit_test(bad_options_are_refused),
    cmocka_unit_test(other_threads_are_told_that_it_is_busy),
    cmocka_unit_test(a_runtime_that_runs_is_in_the_way),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
