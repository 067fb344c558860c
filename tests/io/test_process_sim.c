/* Child processes under seeds of the simulation. They are real and take real time, but who starts,
 * waits, cancels and closes comes in any order. So few seeds, and no deadlines, which come first. */
#include "counts.h"
#include "parked.h"
#include "process_test.h"

enum { SEEDS = COUNTS_PICK(100, 30, 20) };

/* A real moment is many virtual seconds, after each of which a run says what it still waits for. */
static void ignore_line(const char *line, void *arg) {
  (void)line;
  (void)arg;
}

static void under_seeds(weft_fn body) {
  if (WEFT_VALGRIND) weft_test_skip("valgrind has no pidfds, which a simulation needs");
  weft_sim_report report;
  weft_run_opts run = {.log = ignore_line};
  int r = weft_simulate(body, NULL, &(weft_sim_opts){.seeds = SEEDS, .run = &run}, &report);
  CHECK_INT(r, 0);
  if (r == 0) CHECK_UINT(report.runs, SEEDS);
}

static int wait_for_code(void *p) {
  weft_process_status st = {.code = 99};
  int r = weft_process_wait(p, &st);
  return r < 0 ? r : st.code;
}

static int wait_and_cancel(void *arg) {
  (void)arg;
  weft_task t[4];
  weft_process *p = start_script("read x; exit 5", &with_pipes);
  if (!p) return -1;
  for (int i = 0; i < 4; i++) t[i] = weft_spawn(wait_for_code, p, NULL);
  weft_cancel(t[1]);
  int r = weft_process_close_stdin(p);
  weft_cancel(t[2]);
  for (int i = 0; i < 4; i++) {
    int code = weft_await(t[i]);
    CHECK(code == 5 || (code == WEFT_ECANCELED && (i == 1 || i == 2)));
  }
  CHECK_INT(weft_process_close(p), 0);
  return r;
}

static void waits_and_cancels_meet_the_end(void **state) {
  (void)state;
  under_seeds(wait_and_cancel);
}

static int start_one(void *arg) {
  return weft_process_shell(arg, "exit 0", &with_pipes);
}

static int cancel_starts(void *arg) {
  (void)arg;
  enum { N = 3 };
  weft_process *p[N] = {NULL};
  weft_task t[N];
  for (int i = 0; i < N; i++) t[i] = weft_spawn(start_one, &p[i], NULL);
  weft_yield();
  for (int i = 0; i < N; i++) weft_cancel(t[i]);
  for (int i = 0; i < N; i++) {
    int r = weft_await(t[i]);
    CHECK(p[i] ? r == 0 || r == WEFT_ECANCELED : r == WEFT_ECANCELED);
    CHECK_INT(weft_process_close(p[i]), 0);
  }
  return 0;
}

static void cancels_meet_the_start(void **state) {
  (void)state;
  under_seeds(cancel_starts);
}

static int close_beside(void *arg) {
  (void)arg;
  weft_process *p = start_script("cat", &with_pipes);
  if (!p) return -1;
  pid_t pid = weft_process_pid(p);
  weft_task t = spawn_parked(wait_for_code, p);
  CHECK_INT(weft_process_close(p), 0);
  CHECK_INT(weft_await(t), -1); /* a signal */
  CHECK(is_gone(pid));
  return 0;
}

static void a_close_meets_a_wait(void **state) {
  (void)state;
  under_seeds(close_beside);
}

struct talk {
  weft_process *p;
  weft_process_output out;
};

static int communicate(void *arg) {
  struct talk *t = arg;
  return weft_process_communicate(t->p, "some input", 10, 0, &t->out, NULL);
}

static int cut_and_go_on(void *arg) {
  (void)arg;
  struct talk t = {.p = start_script("cat; echo end >&2", &with_pipes)};
  if (!t.p) return -1;
  int r, rounds = 0;
  do {
    weft_task task = weft_spawn(communicate, &t, NULL);
    for (uint32_t n = weft_sim_random(20); n > 0; n--) latch_turn(&rounds);
    weft_cancel(task);
    r = weft_await(task);
  } while (r == WEFT_ECANCELED && !t.out.out);
  CHECK(r == 0 || r == WEFT_ECANCELED); /* the cancel came after the answer */
  CHECK_STR(t.out.out, "some input");
  CHECK_STR(t.out.err, "end\n");
  return weft_process_close(t.p);
}

static void a_talk_is_cut_anywhere_and_goes_on(void **state) {
  (void)state;
  under_seeds(cut_and_go_on);
}

/* Whatever the talk is at: it is told, and its streams are there as long as it is. */
static int close_during_a_talk(void *arg) {
  (void)arg;
  struct talk t = {.p = start_script("cat", &with_pipes)};
  if (!t.p) return -1;
  int rounds = 0;
  weft_task task = weft_spawn(communicate, &t, NULL);
  /* It must have begun. */
  for (uint32_t n = weft_sim_random(12); n > 0 || weft_process_stdin(t.p); n -= n > 0)
    if (latch_turn(&rounds) < 0 || rounds > 2000) break;
  CHECK_INT(weft_process_close(t.p), 0);
  int r = weft_await(task);
  CHECK(r == WEFT_ECLOSED || (r == 0 && t.out.out));
  return 0;
}

static void a_close_meets_a_talk(void **state) {
  (void)state;
  under_seeds(close_during_a_talk);
}

static int leave_open(void *arg) {
  (void)arg;
  weft_process *p = start_script("cat", &with_pipes);
  if (p) weft_detach(weft_spawn(wait_for_code, p, NULL));
  return 0;
}

static void a_run_ends_with_an_open_process(void **state) {
  (void)state;
  under_seeds(leave_open);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(waits_and_cancels_meet_the_end),
    cmocka_unit_test(cancels_meet_the_start),
    cmocka_unit_test(a_close_meets_a_wait),
    cmocka_unit_test(a_talk_is_cut_anywhere_and_goes_on),
    cmocka_unit_test(a_close_meets_a_talk),
    cmocka_unit_test(a_run_ends_with_an_open_process),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
