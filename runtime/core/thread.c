#include "core/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/overflow.h"
#include "base/sim.h"
#include "base/sys.h"
#include "core/debug.h"
#include "core/worker.h"

void weft__block_program_signals(sigset_t *ret_old) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  sigset_t set;
  sigfillset(&set);
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&set, faults[i]);
  pthread_sigmask(SIG_SETMASK, &set, ret_old);
}

int weft__thread_start(pthread_t *ret, void *(*main)(void *), void *arg, const char *name) {
  sigset_t old;
  weft__block_program_signals(&old); /* the new thread inherits the mask */
  int r = weft__sys_thread_create(ret, NULL, main, arg);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (r < 0) return r;
  weft__sys_thread_name(*ret, name);
  return 0;
}

/* The first version of the kernel's struct sched_attr; C libraries differ in whether they have it. */
struct slice_request {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t slice_ns;
  uint64_t deadline;
  uint64_t period;
};

/* The shortest slice that the kernel accepts. */
#define SHORT_SLICE_NS 100000

void weft__thread_short_slice(void) {
  struct slice_request request = {
      .size = sizeof request,
      .policy = SCHED_OTHER,
      .nice = getpriority(PRIO_PROCESS, 0),
      .slice_ns = SHORT_SLICE_NS,
  };
  if (!weft__sim_here() && sched_getscheduler(0) == SCHED_OTHER)
    (void)syscall(SYS_sched_setattr, 0, &request, 0);
}

/* Simulated threads have that of the thread that plays them. */
static bool owns_signal_stack(void) {
  return !weft__sim_here() || weft__sim_first_thread();
}

void weft__worker_thread_begin(struct weft__worker *w) {
  clockid_t clock;
  weft__self_set(w);
  WEFT__ASSERT(weft__sys_thread_cpu_clock(pthread_self(), &clock) == 0);
  weft__store_relaxed_u32(&w->cpu_clock, (uint32_t)clock);
  if (weft__sim_here())
    weft__sim_context_thread(&w->sched);
  else
    weft__context_init_thread(&w->sched);
  /* Without memory for it an overflow is still caught by the guard, only without a name. */
  if (owns_signal_stack()) (void)weft__overflow_thread_init();
  if (w->rt->debug) weft__debug_thread_begin(w);
}

void weft__worker_thread_end(struct weft__worker *w) {
  if (owns_signal_stack()) weft__overflow_thread_fini();
  weft__context_fini(&w->sched);
  weft__self_set(NULL);
}
