#include "scene.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* The first thing that went wrong. Guarded by lock, as the log's end. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char wrong[512];

/* Constant while the scene runs. */
static int injected;
static bool faults_about;

static atomic_bool strayed;
static atomic_int entered, left;
static atomic_int accepted; /* tasks that nobody awaits */
static atomic_int ended;    /* of them */
static atomic_int named;    /* failures that the log told */

bool scene_wrong(const char *format, ...) {
  va_list args;
  va_start(args, format);
  pthread_mutex_lock(&lock);
  if (wrong[0] == '\0') vsnprintf(wrong, sizeof wrong, format, args);
  pthread_mutex_unlock(&lock);
  va_end(args);
  return false;
}

int scene_step(const char *what, int code, int success, const int *allowed) {
  if (code == success) return code;
  atomic_store(&strayed, true);
  if (faults_about) {
    if (injected != 0 && code == injected) return code;
    for (; *allowed != 0; allowed++)
      if (code == *allowed) return code;
  }
  scene_wrong("%s gave %d (%s)%s", what, code, weft_err_name(code),
              faults_about ? "" : " although nothing failed");
  return code;
}

bool scene_may_fail(void) {
  return faults_about;
}

/* A failure of a task that nobody awaits is told here and nowhere else. */
static void on_log(const char *line, void *arg) {
  (void)arg;
  if (strstr(line, "failed and nobody awaits it") || strstr(line, "failed and was never awaited"))
    atomic_fetch_add(&named, 1);
  fprintf(stderr, "log: %s\n", line);
}

weft_run_opts scene_opts(const weft_run_opts *opts) {
  weft_run_opts with_log = *opts;
  with_log.log = on_log;
  return with_log;
}

int scene_run(weft_fn main_task, void *arg, const weft_run_opts *opts) {
  weft_run_opts with_log = scene_opts(opts);
  return STEP(weft_run(main_task, arg, &with_log), 0, RUN_CODES);
}

void scene_enter(void) {
  atomic_fetch_add(&entered, 1);
}

int scene_leave(int code) {
  atomic_fetch_add(&left, 1);
  return code;
}

void scene_accept(int code) {
  if (code == 0) atomic_fetch_add(&accepted, 1);
}

void scene_note_ended(void) {
  atomic_fetch_add(&ended, 1);
}

void scene_wait_for_accepted(void) {
  while (atomic_load(&ended) + atomic_load(&named) < atomic_load(&accepted))
    if (STEP(weft_yield(), 0, 0) < 0) return;
}

int scene_return_seven(void *arg) {
  (void)arg;
  scene_enter();
  return scene_leave(7);
}

int scene_yield_seven(void *arg) {
  (void)arg;
  scene_enter();
  int r = weft_yield();
  return scene_leave(r < 0 ? r : 7);
}

int scene_return_given(void *arg) {
  scene_enter();
  return scene_leave(*(const int *)arg);
}

int scene_park(void *arg) {
  (void)arg;
  scene_enter();
  return scene_leave(weft_sleep(weft_sec(3600)));
}

int scene_sleep_little(void *arg) {
  (void)arg;
  scene_enter();
  return scene_leave(weft_sleep(weft_us(200)));
}

int scene_alone(void *arg) {
  (void)arg;
  scene_enter();
  STEP(weft_yield(), 0, 0);
  scene_note_ended();
  return scene_leave(0);
}

void scene_begin(int error, bool faults) {
  injected = error < 0 ? error : 0;
  faults_about = faults;
  wrong[0] = '\0';
  atomic_store(&strayed, false);
  atomic_store(&entered, 0);
  atomic_store(&left, 0);
  atomic_store(&accepted, 0);
  atomic_store(&ended, 0);
  atomic_store(&named, 0);
}

const char *scene_end(bool *ret_lost) {
  int in = atomic_load(&entered), out = atomic_load(&left);
  *ret_lost = false;
  if (wrong[0] != '\0') return wrong;
  if (in == out) return NULL;
  *ret_lost = true;
  snprintf(wrong, sizeof wrong, "%d tasks began and %d ended", in, out);
  return wrong;
}

bool scene_strayed(void) {
  return atomic_load(&strayed);
}
