/* The seam as simulated threads see it: threads, sleep, time and streams (sim_net.c) are played, the
 * rest is the kernel's. On any other thread everything is the kernel's. Compiled without TSan, as
 * sim.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/sim_net.h"
#include "base/sim_threads.h"

/* The clocks of simulated threads, by their numbers: positive ones that the kernel does not
 * have. */
#define PLAYED_CLOCKS ((clockid_t)1000)

/* A sleep may end without a reason, and up to a microsecond before its time (futex.h). */
enum { SPURIOUS_ONE_IN = 32, EARLY_NS = 1000 };

static int sim_futex_wait(const void *word, uint32_t expected, const struct timespec *abs) {
  if (!weft__sim_here()) return weft__sys_real.futex_wait(word, expected, abs);
  weft__sim_pass(); /* the word may change before the comparison, */
  if (__atomic_load_n((const uint32_t *)word, __ATOMIC_RELAXED) != expected) return WEFT_EAGAIN;
  if (weft__sim_draw(SPURIOUS_ONE_IN) == 0) return weft__sim_draw(2) ? 0 : WEFT_EINTR;
  uint64_t deadline = UINT64_MAX;
  if (abs) {
    deadline = (uint64_t)abs->tv_sec * WEFT__NS_PER_SEC + (uint64_t)abs->tv_nsec;
    if (deadline > EARLY_NS && weft__sim_draw(2)) deadline -= weft__sim_draw(EARLY_NS);
  }
  /* but not between it and going to sleep. */
  return weft__sim_wait(word, deadline, -1) ? 0 : WEFT_ETIMEDOUT;
}

static int sim_futex_wake(const void *word, int n) {
  if (!weft__sim_here()) return weft__sys_real.futex_wake(word, n);
  return (int)weft__sim_wake(word, (unsigned)n);
}

static int sim_membarrier(int cmd, unsigned flags) {
  return weft__sim_here() ? 0 : weft__sys_real.membarrier(cmd, flags);
}

static int sim_sched_yield(void) {
  if (!weft__sim_here()) return weft__sys_real.sched_yield();
  weft__sim_pass();
  return 0;
}

static int sim_thread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                             void *arg) {
  if (!weft__sim_here()) return weft__sys_real.thread_create(ret, attr, fn, arg);
  return weft__sim_thread_create(ret, fn, arg);
}

static int sim_thread_join(pthread_t thread) {
  return weft__sim_here() ? weft__sim_thread_join(thread) : weft__sys_real.thread_join(thread);
}

static int sim_thread_detach(pthread_t thread) {
  return weft__sim_here() ? weft__sim_thread_detach(thread) : weft__sys_real.thread_detach(thread);
}

static int sim_thread_cpu_clock(pthread_t thread, clockid_t *ret) {
  if (!weft__sim_here()) return weft__sys_real.thread_cpu_clock(thread, ret);
  *ret = PLAYED_CLOCKS + (clockid_t)weft__sim_thread_by_id(thread)->number;
  return 0;
}

static int sim_thread_name(pthread_t thread, const char *name) {
  return weft__sim_here() ? 0 : weft__sys_real.thread_name(thread, name);
}

static int sim_clock_gettime(clockid_t clock, struct timespec *ret) {
  if (!weft__sim_here() || clock < PLAYED_CLOCKS) return weft__sys_real.clock_gettime(clock, ret);
  const struct weft__sim_thread *t = weft__sim_thread_by_number((uint64_t)(clock - PLAYED_CLOCKS));
  if (!t) return WEFT_EINVAL;
  uint64_t ns = t->cpu;
  if (t->computing) ns += weft__elapsed(t->since, weft__now());
  ret->tv_sec = (time_t)(ns / WEFT__NS_PER_SEC);
  ret->tv_nsec = (long)(ns % WEFT__NS_PER_SEC);
  return 0;
}

/* R: has its CPU or wants it, S: sleeps. One that is held up may have either reason. */
static char state_letter(const struct weft__sim_thread *t) {
  if (t->stalled && !t->computing) return weft__sim_draw(2) ? 'R' : 'D';
  return t->key && !t->computing ? 'S' : 'R';
}

/* A file with the state of a simulated thread: the kernel's would be about the playing one. */
static int open_state(uint64_t number) {
  const struct weft__sim_thread *t = weft__sim_thread_by_number(number);
  if (!t || t->ended) return WEFT_ENOENT;
  char text[64];
  int n = snprintf(text, sizeof text, "%llu (simulated) %c 1\n", (unsigned long long)number,
                   state_letter(t));
  int fds[2];
  int r = weft__sys_real.pipe2(fds, O_CLOEXEC);
  if (r < 0) return r;
  (void)weft__sys_real.write(fds[1], text, (size_t)n);
  (void)weft__sys_real.close(fds[1]);
  return fds[0];
}

static int sim_open(const char *path, int flags, int mode) {
  static const char tasks[] = "/proc/self/task/";
  if (weft__sim_here() && strncmp(path, tasks, sizeof tasks - 1) == 0)
    return open_state(strtoull(path + sizeof tasks - 1, NULL, 10));
  return weft__sys_real.open(path, flags, mode);
}

/* Filled once: a thread that an earlier simulation has left behind may still read it. Whoever begins a
 * simulation is alone with it. */
const struct weft__sys_table *weft__sim_sys(void) {
  static struct weft__sys_table table;
  if (table.open == sim_open) return &table;
  table = weft__sys_real;
  table.futex_wait = sim_futex_wait;
  table.futex_wake = sim_futex_wake;
  table.membarrier = sim_membarrier;
  table.sched_yield = sim_sched_yield;
  table.thread_create = sim_thread_create;
  table.thread_join = sim_thread_join;
  table.thread_detach = sim_thread_detach;
  table.thread_cpu_clock = sim_thread_cpu_clock;
  table.thread_name = sim_thread_name;
  table.clock_gettime = sim_clock_gettime;
  table.open = sim_open;
  weft__sim_net_install(&table);
  return &table;
}
