/* Child processes. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "scene.h"

/* Cancelled: by the group, of which another failed. */
#define SPAWN_CODES WEFT_ENOMEM, WEFT_EAGAIN, WEFT_EMFILE, WEFT_ENFILE, WEFT_ECANCELED
#define TALK_CODES WEFT_ENOMEM

static const weft_process_opts pipes = {
    .in = WEFT_STDIO_PIPE, .out = WEFT_STDIO_PIPE, .err = WEFT_STDIO_PIPE};

/* Or NULL, and nothing is left of it. */
static weft_process *start(const char *const *argv, const weft_process_opts *opts) {
  weft_process *p = NULL;
  int r = STEP(weft_process_spawn(&p, argv, opts), 0, SPAWN_CODES);
  HOLDS((r == 0) == (p != NULL));
  return p;
}

static const char *const exit_three[] = {"sh", "-c", "exit 3", NULL};
static const char *const cat[] = {"cat", NULL};

/* Every child that was started has been reaped. */
static void run_and_look(weft_fn fn, const weft_run_opts *opts) {
  scene_run(fn, NULL, opts);
  HOLDS(waitpid(-1, NULL, WNOHANG) < 0);
}

/* ---- its end ---- */

static int wait_for_three(void *p) {
  weft_process_status st = {.code = 99};
  scene_enter();
  int r = STEP(weft_process_wait(p, &st), 0, WEFT_ECANCELED);
  HOLDS(r < 0 ? st.code == 99 : st.code == 3);
  return scene_leave(r);
}

static int run_one(void *arg) {
  (void)arg;
  scene_enter();
  weft_process *p = start(exit_three, NULL);
  if (p) {
    weft_task t = weft_spawn(wait_for_three, p, NULL);
    wait_for_three(p);
    STEP(weft_await(t), 0, WEFT_ENOMEM, WEFT_ECANCELED);
    wait_for_three(p);
    STEP(weft_process_close(p), 0, 0);
  }
  return scene_leave(0);
}

static void ends(void) {
  run_and_look(run_one, &(weft_run_opts){.workers = 2});
}

static int run_some(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  (void)arg;
  scene_enter();
  for (int i = 0; i < 6; i++) weft_group_spawn(&g, run_one, NULL, NULL);
  STEP(weft_group_join(&g), 0, WEFT_ENOMEM);
  return scene_leave(0);
}

static void many(void) {
  run_and_look(run_some, &(weft_run_opts){.workers = 1});
}

/* ---- ending it ---- */

static int wait_for_signal(weft_process *p, int signal) {
  weft_process_status st = {.signal = 99};
  int r = STEP(weft_process_wait(p, &st), 0, 0);
  HOLDS(r < 0 ? st.signal == 99 : st.signal == signal);
  return r;
}

static int end_some(void *arg) {
  weft_process *p;
  (void)arg;
  scene_enter();
  if ((p = start(cat, &pipes)) != NULL) {
    HOLDS(weft_process_poll(p, NULL) == WEFT_EPENDING);
    STEP(weft_process_kill(p), 0, 0);
    wait_for_signal(p, SIGKILL);
    HOLDS(weft_process_kill(p) == WEFT_ESRCH);
    STEP(weft_process_close(p), 0, 0);
  }
  if ((p = start(cat, &(weft_process_opts){.in = WEFT_STDIO_PIPE, .new_group = true})) != NULL) {
    STEP(weft_process_signal_group(p, SIGTERM), 0, 0);
    wait_for_signal(p, SIGTERM);
    STEP(weft_process_close(p), 0, 0);
  }
  if ((p = start(cat, &pipes)) != NULL) STEP(weft_process_close(p), 0, 0); /* which kills */
  return scene_leave(0);
}

static void killed(void) {
  run_and_look(end_some, &(weft_run_opts){.workers = 1});
}

static int stop_one(void *arg) {
  weft_process_status st = {0};
  (void)arg;
  scene_enter();
  weft_process_opts opts = pipes;
  opts.grace = weft_sec(3600);
  weft_process *p = start(cat, &opts);
  if (p) {
    STEP(weft_process_stop(p, weft_sec(3600), &st), 0, WEFT_ENOMEM);
    STEP(weft_process_close(p), 0, 0);
  }
  return scene_leave(0);
}

static void stopped(void) {
  run_and_look(stop_one, &(weft_run_opts){.workers = 2});
}

static int leave_open(void *arg) {
  (void)arg;
  scene_enter();
  start(cat, &pipes);
  start(exit_three, NULL);
  return scene_leave(0);
}

static void left_open(void) {
  run_and_look(leave_open, &(weft_run_opts){.workers = 2});
}

/* ---- talking ---- */

enum { MUCH = 150000 }; /* more than the pipes hold */

/* What comes back is what went there, or the beginning of it when a pipe broke. */
static int talk(void *arg) {
  weft_process_output out = {.out = NULL};
  weft_process_status st = {.code = 99};
  (void)arg;
  scene_enter();
  char *bytes = malloc(MUCH);
  for (size_t i = 0; i < MUCH; i++) bytes[i] = (char)('a' + i * 7 % 26);
  weft_process *p = start(cat, &pipes);
  if (p) {
    int r = 0;
    for (int tries = 0; tries < 3; tries++) {
      r = STEP(weft_process_communicate(p, bytes, MUCH, MUCH, &out, &st), 0, TALK_CODES);
      if (r == 0) break;
      HOLDS(out.out == NULL && st.code == 99);
    }
    if (r == 0)
      HOLDS(out.out && out.out_len <= MUCH && memcmp(out.out, bytes, out.out_len) == 0 && out.err &&
            out.err_len == 0 && st.code == 0);
    STEP(weft_process_close(p), 0, 0);
  }
  free(bytes);
  return scene_leave(0);
}

static void talks(void) {
  run_and_look(talk, &(weft_run_opts){.workers = 2});
}

/* What is not there is told by the spawn, whatever fails. */
static int start_nothing(void *arg) {
  static const char *const nowhere[] = {"/nowhere/at-all", NULL};
  weft_process *p = NULL;
  (void)arg;
  scene_enter();
  STEP(weft_process_spawn(&p, nowhere, &pipes), WEFT_ENOENT, SPAWN_CODES);
  HOLDS(p == NULL);
  return scene_leave(0);
}

static void missing(void) {
  run_and_look(start_nothing, &(weft_run_opts){.workers = 1});
}

const struct scenario weft_faults_child_scenarios[] = {
    {"child_ends", "a child process that exits, and two who wait", ends, SCENARIO_EDGES},
    {"child_many", "six of them at once", many, SCENARIO_EDGES},
    {"child_kill", "children that are killed and closed", killed, SCENARIO_EDGES},
    {"child_stop", "a child that is asked to end", stopped, SCENARIO_REAL},
    {"child_left", "children that are open when the run ends", left_open, SCENARIO_EDGES},
    {"child_talk", "much to a child and back", talks, SCENARIO_EDGES},
    {"child_missing", "a program that is not there", missing, SCENARIO_EDGES},
    {0},
};
