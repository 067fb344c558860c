#include "core/thread.h"

#include <signal.h>

#include <weft/errors.h>

#include "base/overflow.h"
#include "core/worker.h"

int weft__thread_start(pthread_t *ret, void *(*main)(void *), void *arg, const char *name) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old); /* the new thread inherits the mask */
  int r = pthread_create(ret, NULL, main, arg);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (r != 0) return WEFT_EAGAIN;
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
