/* The runtime's threads. */
#ifndef WEFT_CORE_THREAD_H
#define WEFT_CORE_THREAD_H

#include <pthread.h>
#include <signal.h>

struct weft__worker;

/* Blocks on the calling thread what is for the program's own threads: every signal but those that a
 * fault of the thread itself raises. (A fault whose signal is blocked kills the process without
 * asking any handler.) *ret_old is the mask to go back to. */
void weft__block_program_signals(sigset_t *ret_old);

/* Starts a thread with a name, and with those signals blocked. 0, WEFT_EAGAIN or WEFT_ENOMEM. */
int weft__thread_start(pthread_t *ret, void *(*main)(void *), void *arg, const char *name);

/* The calling thread does little and late work of others waits for it: asks the kernel for a short
 * slice, which brings it onto a busy CPU sooner without a higher share. Linux 6.12 and later; nothing
 * happens elsewhere. */
void weft__thread_short_slice(void);

/* What every thread that runs tasks does at its beginning and end: becomes w for weft__self(), gets an
 * alternate signal stack for overflows; and the reverse. */
void weft__worker_thread_begin(struct weft__worker *w);
void weft__worker_thread_end(struct weft__worker *w);

#endif
