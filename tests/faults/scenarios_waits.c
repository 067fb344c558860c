/* Waiting for time and for descriptors. */
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/fdwait.h"
#include "scene.h"

/* ---- time ---- */

static int sleep_all(void *arg) {
  enum { N = 150 }; /* a timer heap grows at 64 and at 128 */
  weft_task t[N];
  (void)arg;
  scene_enter();
  for (int i = 0; i < N; i++) t[i] = weft_spawn(scene_sleep_little, NULL, NULL);
  for (int i = 0; i < N; i++) STEP(weft_await(t[i]), 0, WEFT_ENOMEM);
  return scene_leave(0);
}

static void sleepers(void) {
  scene_run(sleep_all, NULL, &(weft_run_opts){.workers = 2});
}

static int two_sleeps(void *arg) {
  (void)arg;
  int r = weft_sleep(weft_us(20));
  return r < 0 ? r : weft_sleep(weft_us(20));
}

static int nested_scopes(void *arg) {
  weft_timeout outer, inner;
  (void)arg;
  scene_enter();
  STEP(weft_timeout_begin(&outer, weft_sec(3600)), 0, 0);
  STEP(weft_timeout_begin(&inner, weft_us(100)), 0, 0);
  int r = weft_sleep(weft_sec(3600));
  STEP(weft_timeout_end(&inner, r), WEFT_ETIMEDOUT, WEFT_ENOMEM);
  r = STEP(weft_sleep(weft_us(10)), 0, WEFT_ENOMEM);
  STEP(weft_timeout_reschedule(&outer, weft_us(100)), 0, 0);
  r = weft_sleep(weft_sec(3600));
  STEP(weft_timeout_end(&outer, r), WEFT_ETIMEDOUT, WEFT_ENOMEM);
  STEP(weft_wait_for(two_sleeps, NULL, weft_sec(3600)), 0, WEFT_ENOMEM);
  STEP(weft_wait_for(scene_park, NULL, weft_us(100)), WEFT_ETIMEDOUT, WEFT_ENOMEM);
  return scene_leave(0);
}

static int tasks_in_time(void *arg) {
  (void)arg;
  scene_enter();
  weft_task quick = weft_spawn(scene_sleep_little, NULL, NULL);
  weft_task stuck = weft_spawn(scene_park, NULL, NULL);
  weft_task peek = weft_spawn(scene_sleep_little, NULL, NULL);
  STEP(weft_wait_for_task(quick, weft_sec(3600)), 0, WEFT_ENOMEM);
  STEP(weft_wait_for_task(stuck, weft_us(100)), WEFT_ETIMEDOUT, WEFT_ENOMEM);
  weft_timeout s;
  int code = 1234;
  STEP(weft_timeout_begin(&s, weft_sec(3600)), 0, 0);
  int r = STEP(weft_task_wait(peek, &code), 0, WEFT_ENOMEM);
  HOLDS((r == 0) == (code != 1234));
  STEP(weft_timeout_end(&s, 0), 0, 0);
  STEP(weft_await(peek), 0, WEFT_ENOMEM);
  return scene_leave(0);
}

static void timeouts(void) {
  scene_run(nested_scopes, NULL, &(weft_run_opts){.workers = 1});
  scene_run(tasks_in_time, NULL, &(weft_run_opts){.workers = 2});
}

static void timeouts_exact(void) {
  scene_run(nested_scopes, NULL, &(weft_run_opts){.exact = true});
  scene_run(tasks_in_time, NULL, &(weft_run_opts){.exact = true});
}

/* ---- descriptors ---- */

#define FD_CODES WEFT_ENOMEM, WEFT_EMFILE, WEFT_ENFILE

struct pipes {
  int there[2];
  int back[2];      /* back[1] is closed by the task that echoes */
  atomic_bool begun; /* that task runs */
};

/* What is read: a byte, or what the wait ended with. */
static int wait_and_read(int fd) {
  char c;
  while (read(fd, &c, 1) != 1) {
    int r = STEP(weft__fd_wait(fd, WEFT__FD_READ), 0, FD_CODES);
    if (r < 0) return r;
  }
  return c;
}

static int echo_bytes(void *arg) {
  struct pipes *p = arg;
  int r = 0;
  scene_enter();
  atomic_store(&p->begun, true);
  while (r >= 0 && r != 'z') {
    r = wait_and_read(p->there[0]);
    if (r >= 0) HOLDS(write(p->back[1], &(char){(char)r}, 1) == 1);
  }
  close(p->back[1]); /* the other side sees the end, also when a wait failed */
  return scene_leave(r < 0 ? r : 0);
}

static int talk(struct pipes *p) {
  for (char c = 'w'; c <= 'z'; c++) {
    char got;
    ssize_t n;
    int r = 0;
    HOLDS(write(p->there[1], &c, 1) == 1);
    while ((n = read(p->back[0], &got, 1)) < 0 && r == 0)
      r = STEP(weft__fd_wait(p->back[0], WEFT__FD_READ), 0, FD_CODES);
    if (r < 0) return r;
    if (n == 0) return WEFT_EPIPE;
    HOLDS(got == c);
  }
  return 0;
}

static int converse(void *arg) {
  struct pipes *p = arg;
  scene_enter();
  atomic_store(&p->begun, false);
  weft_task t = weft_spawn(echo_bytes, p, NULL);
  while (!atomic_load(&p->begun) && weft_task_done(t) == 0) STEP(weft_yield(), 0, 0);
  bool begun = atomic_load(&p->begun);
  if (begun && STEP(talk(p), 0, FD_CODES, WEFT_EPIPE) < 0) HOLDS(write(p->there[1], "z", 1) == 1);
  STEP(weft_await(t), 0, FD_CODES);
  if (!begun) close(p->back[1]);
  return scene_leave(0);
}

static void open_pipe(int fds[2]) {
  fds[0] = fds[1] = -1;
  if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) fds[0] = fds[1] = -1;
}

static void close_both(int fds[2]) {
  if (fds[0] >= 0) close(fds[0]);
  if (fds[1] >= 0) close(fds[1]);
}

static void converse_on_pipes(int workers) {
  struct pipes p;
  open_pipe(p.there);
  open_pipe(p.back);
  if (p.there[0] >= 0 && p.back[0] >= 0) {
    int r = scene_run(converse, &p, &(weft_run_opts){.workers = workers});
    if (r < 0) close(p.back[1]); /* the main task did not run */
    p.back[1] = -1;
  } else {
    STEP(WEFT_EMFILE, 0, WEFT_EMFILE);
  }
  close_both(p.there);
  close_both(p.back);
}

static void fd_wait(void) {
  converse_on_pipes(1);
  converse_on_pipes(2);
}

/* A wait that ends by a deadline, one that is cancelled, and one for a bad descriptor. */
static int wait_in_vain(void *arg) {
  scene_enter();
  int fd = *(const int *)arg;
  int r = weft__fd_wait(fd, WEFT__FD_READ);
  return scene_leave(r);
}

static int give_up(void *arg) {
  int fd = *(int *)arg;
  weft_timeout s;
  scene_enter();
  STEP(weft_timeout_begin(&s, weft_us(300)), 0, 0);
  int r = weft__fd_wait(fd, WEFT__FD_READ);
  STEP(weft_timeout_end(&s, r), WEFT_ETIMEDOUT, FD_CODES);
  weft_task t = weft_spawn(wait_in_vain, arg, NULL);
  STEP(weft_sleep(weft_us(300)), 0, WEFT_ENOMEM);
  bool there = weft_task_error(t) == 0;
  if (there) HOLDS(weft_cancel(t) >= 0);
  STEP(weft_await(t), WEFT_ECANCELED, FD_CODES);
  STEP(weft__fd_wait(-1, WEFT__FD_READ), WEFT_EBADF, FD_CODES);
  return scene_leave(0);
}

static void fd_give_up(void) {
  int fds[2];
  open_pipe(fds);
  if (fds[0] >= 0)
    scene_run(give_up, &fds[0], &(weft_run_opts){.workers = 2});
  else
    STEP(WEFT_EMFILE, 0, WEFT_EMFILE);
  close_both(fds);
}

/* Descriptors with high numbers: libuv's table of watchers grows with them. */
static int wait_high(void *arg) {
  const int *fd = arg;
  scene_enter();
  for (int i = 0; i < 3; i++)
    if (fd[i] >= 0) STEP(weft__fd_wait(fd[i], WEFT__FD_WRITE), 0, FD_CODES);
  return scene_leave(0);
}

static void fd_high(void) {
  int fds[2];
  open_pipe(fds);
  int high[3] = {-1, -1, -1};
  for (int i = 0; i < 3 && fds[1] >= 0; i++)
    high[i] = fcntl(fds[1], F_DUPFD_CLOEXEC, 100 << (2 * i));
  scene_run(wait_high, high, &(weft_run_opts){.workers = 1});
  for (int i = 0; i < 3; i++)
    if (high[i] >= 0)
      close(high[i]);
    else
      STEP(WEFT_EMFILE, 0, WEFT_EMFILE, WEFT_EINVAL);
  close_both(fds);
}

const struct scenario weft_faults_wait_scenarios[] = {
    {"sleepers", "more sleeping tasks than a timer heap has room for", sleepers, SCENARIO_ANY},
    {"timeouts", "scopes in each other, and waits with a limit", timeouts, SCENARIO_ANY},
    {"timeouts_exact", "the same in exact mode", timeouts_exact, SCENARIO_ANY},
    {"fd_wait", "two tasks talk through pipes", fd_wait, SCENARIO_ANY},
    {"fd_give_up", "waits for a descriptor that end otherwise", fd_give_up, SCENARIO_ANY},
    {"fd_high", "descriptors with high numbers", fd_high, SCENARIO_ANY},
    {0},
};
