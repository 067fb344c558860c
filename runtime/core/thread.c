#include "core/thread.h"

#include <signal.h>

#include "base/overflow.h"
#include "base/sys.h"
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
  pthread_setname_np(*ret, name);
  return 0;
}

void weft__worker_thread_begin(struct weft__worker *w) {
  weft__self_set(w);
  weft__context_init_thread(&w->sched);
  /* Without memory for it an overflow is still caught by the guard, only without a name. */
  (void)weft__overflow_thread_init();
}

void weft__worker_thread_end(struct weft__worker *w) {
  weft__overflow_thread_fini();
  weft__context_fini(&w->sched);
  weft__self_set(NULL);
}
