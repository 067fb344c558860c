/* The runtime's threads. */
#ifndef WEFT_CORE_THREAD_H
#define WEFT_CORE_THREAD_H

#include <pthread.h>

struct weft__worker;

/* Starts a thread with a name and with every signal blocked, so that signals go to the program's own
 * threads. 0, WEFT_EAGAIN or WEFT_ENOMEM. */
int weft__thread_start(pthread_t *ret, void *(*main)(void *), void *arg, const char *name);

/* What every thread that runs tasks does at its beginning and end: becomes w for weft__self(), gets an
 * alternate signal stack for overflows; and the reverse. */
void weft__worker_thread_begin(struct weft__worker *w);
void weft__worker_thread_end(struct weft__worker *w);

#endif
