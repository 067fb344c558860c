#include "core/thread.h"

#include <signal.h>

#include <weft/errors.h>

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
  (void)w;
}
void weft__worker_thread_end(struct weft__worker *w) {
  (void)w;
}
