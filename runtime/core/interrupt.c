#include "core/interrupt.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/thread_error.h"
#include "core/cancel.h"
#include "core/monitor.h"
#include "core/worker.h"

enum { NONE = 0, NOTED = 1, PASSING = 2, PASSED = 3 };

/* Not of the shim's types: a signal handler passes no points. All sequentially consistent: who enters the
 * handler raises `inside` and then looks for the runtime, who takes the runtime away then looks at
 * `inside`. */
static _Atomic(struct weft__runtime *) target;
static atomic_uint inside;
static pid_t process; /* set before target: a child made by fork has no runtime to tell */

/* As if the program had no handler. The signal is blocked here: it comes as the handler returns. */
static void end_process(void) {
  struct sigaction sa = {.sa_handler = SIG_DFL};
  sigaction(SIGINT, &sa, NULL);
  raise(SIGINT);
}

static void on_sigint(int sig) {
  int saved = weft__thread_error_get(); /* of whoever was interrupted */
  (void)sig;
  atomic_fetch_add(&inside, 1);
  struct weft__runtime *rt = atomic_load(&target);
  unsigned none = NONE;
  if (rt && getpid() == process &&
      atomic_compare_exchange_strong(&rt->interrupts.noted.v, &none, NOTED))
    weft__monitor_ring(rt);
  else
    end_process();
  atomic_fetch_sub(&inside, 1);
  weft__thread_error_set(saved);
}

/* The process's main thread, with nobody else who takes the signal. */
static bool may_take(void) {
  struct sigaction now;
  if (getpid() != (pid_t)syscall(SYS_gettid)) return false;
  return sigaction(SIGINT, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
         now.sa_handler == SIG_DFL;
}

void weft__interrupts_begin(struct weft__runtime *rt, struct weft__task *t) {
  struct weft__interrupts *in = &rt->interrupts;
  weft__store_relaxed_u32(&in->noted, NONE);
  if (in->refused || rt->sim || !may_take()) return;
  in->task = t;
  in->key = weft__word_key(weft__load_relaxed_u64(&t->word));
  process = getpid();
  atomic_store(&target, rt);
  /* On the thread's signal stack: that of a task is small. */
  struct sigaction sa = {.sa_handler = on_sigint, .sa_flags = SA_ONSTACK | SA_RESTART};
  sigemptyset(&sa.sa_mask);
  in->installed = sigaction(SIGINT, &sa, NULL) == 0;
}

void weft__interrupts_end(struct weft__runtime *rt) {
  struct weft__interrupts *in = &rt->interrupts;
  struct sigaction now, normal = {.sa_handler = SIG_DFL};
  if (!in->installed) return;
  in->installed = false;
  /* A handler that the program has put in its place meanwhile stays. */
  if (sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == on_sigint)
    sigaction(SIGINT, &normal, NULL);
  else
    weft__signals_forget(SIGINT, on_sigint); /* who has taken the signal would put it back */
  atomic_store(&target, NULL);
  while (atomic_load(&inside) != 0) sched_yield();
  while (weft__load_acquire_u32(&in->noted) == PASSING) sched_yield();
}

int weft__interrupts_answer(struct weft__runtime *rt, int code) {
  struct weft__interrupts *in = &rt->interrupts;
  bool noted = weft__load_acquire_u32(&in->noted) != NONE;
  /* The request of the signal is one; the task may have taken it back. More are somebody else's. */
  bool alone = noted && weft__word_count(weft__load_acquire_u64(&in->task->word)) <= 1;
  return code == WEFT_ECANCELED && alone ? WEFT_EINTR : code;
}

void weft__interrupts_pass(struct weft__runtime *rt) {
  struct weft__interrupts *in = &rt->interrupts;
  uint32_t noted = NOTED;
  if (!weft__cas_u32(&in->noted, &noted, PASSING)) return;
  weft__cancel_task_why(in->task, in->key, "SIGINT");
  weft__store_release_u32(&in->noted, PASSED);
}
