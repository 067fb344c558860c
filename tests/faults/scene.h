/* What a scenario may use while any of its calls may fail.
 *
 * A scenario is a small program over weft's interface. It checks every result with STEP, gives back
 * what it made whatever failed, and its task bodies say when they begin and end. STEP knows whether
 * a fault is about: without one only success will do; with one the call may also give a code that
 * its header names, or the very code that was injected.
 */
#ifndef WEFT_FAULTS_SCENE_H
#define WEFT_FAULTS_SCENE_H

#include <stdbool.h>
#include <stddef.h>

#include <weft.h>

enum scenario_kind {
  SCENARIO_ANY,
  SCENARIO_EDGES,  /* as ANY, and has descriptors that tell of a change once: a call that says "would
                      block" of what would not, without a change to come, is no kernel's */
  SCENARIO_REAL,   /* has threads of its own, blocks, or computes: is not simulated */
  SCENARIO_PLANTED /* has a defect, for the self-test only */
};

struct scenario {
  const char *name;
  const char *what; /* in a few words, for --list */
  void (*run)(void);
  enum scenario_kind kind;
};

/* Ends with a NULL name. */
extern const struct scenario weft_faults_task_scenarios[];
extern const struct scenario weft_faults_group_scenarios[];
extern const struct scenario weft_faults_wait_scenarios[];
extern const struct scenario weft_faults_thread_scenarios[];
extern const struct scenario weft_faults_process_scenarios[];
extern const struct scenario weft_faults_child_scenarios[];
extern const struct scenario weft_faults_life_scenarios[];
extern const struct scenario weft_faults_aio_scenarios[];
extern const struct scenario weft_faults_insight_scenarios[];
extern const struct scenario weft_faults_stream_scenarios[];
extern const struct scenario weft_faults_datagram_scenarios[];
extern const struct scenario weft_faults_connect_scenarios[];
extern const struct scenario weft_faults_server_scenarios[];
extern const struct scenario weft_faults_planted_scenarios[];

/* ---- for scenarios: any thread ---- */

/* Checks what a call gave and gives it back. The codes after `success` are those that its header
 * names for a lack of something. */
#define STEP(call, success, ...) scene_step(#call, (call), (success), (const int[]){__VA_ARGS__, 0})
int scene_step(const char *what, int code, int success, const int *named);

/* A condition that holds whatever fails. */
#define HOLDS(condition) ((condition) ? true : scene_wrong("does not hold: %s", #condition))
bool scene_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Codes that the headers name. */
#define RUN_CODES WEFT_ENOMEM, WEFT_EAGAIN, WEFT_EMFILE, WEFT_ENFILE
#define THREAD_CODES WEFT_ENOMEM, WEFT_EAGAIN
#define OPEN_CODES WEFT_ENOMEM, WEFT_EAGAIN, WEFT_EMFILE, WEFT_ENFILE, WEFT_EPROC
#define CALL_CODES WEFT_ENOMEM, WEFT_EAGAIN, WEFT_EMFILE, WEFT_ENFILE, WEFT_EPROC

/* A call may fail in this run: a wait for what then does not come may need a limit. */
bool scene_may_fail(void);

/* Runs main_task in a runtime with the scene's log. Its code is to be 0. */
int scene_run(weft_fn main_task, void *arg, const weft_run_opts *opts);

/* The same options with the scene's log, for who runs otherwise. */
weft_run_opts scene_opts(const weft_run_opts *opts);

/* The first and the last thing that a task body does. */
void scene_enter(void);
int scene_leave(int code);

/* code 0: a task that nobody awaits was accepted. It runs, or the log names it. Its body is one
 * that ends with scene_note_ended. */
void scene_accept(int code);
void scene_note_ended(void);
/* Yields until all that were accepted have ended or were named. In a task. */
void scene_wait_for_accepted(void);

/* Bodies. The value is what they return. */
int scene_return_seven(void *arg);
int scene_yield_seven(void *arg);
int scene_return_given(void *arg); /* the int behind arg */
int scene_park(void *arg);         /* until it is cancelled */
int scene_sleep_little(void *arg); /* 200 us */
int scene_alone(void *arg);        /* for a task that nobody awaits: yields once; 0 */

/* ---- for the harness ---- */

/* error 0: nothing fails. */
void scene_begin(int error, bool faults);
/* What is wrong with the scene so far, or NULL; *ret_lost says that it is a lost task. */
const char *scene_end(bool *ret_lost);
/* Some step did not succeed. */
bool scene_strayed(void);

#endif
