/* Child processes, inside.
 *
 * The end of a child is noticed by the poll set of a loop, through its pidfd (descriptor.h),
 * without any task: whoever is told of the event reaps the child, under the process' lock, and
 * wakes all who wait. Where that cannot be had a job of the blocking pool waits instead. Signals
 * are sent under the same lock, and only while the child is not reaped: so its number is its own.
 *
 * Reference counts keep the object for calls that are under way while it is closed. Two references
 * are there from the beginning: the program's, which weft_process_close drops, and that of the
 * closer, which ends what is open when the run ends.
 */
#ifndef WEFT_IO_PROCESS_H
#define WEFT_IO_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/process.h>

#include "base/list.h"
#include "base/spin.h"
#include "core/blocking.h"
#include "core/closer.h"
#include "core/descriptor.h"
#include "core/resource.h"
#include "core/task.h"

enum { WEFT__STDIN, WEFT__STDOUT, WEFT__STDERR, WEFT__STDIO };

struct weft_process {
  struct weft__spin lock; /* guards what follows, up to `rt` */
  uint32_t refs;
  bool over;          /* reaped, or never to be: code and status say how it ended */
  bool closing;       /* weft_process_close has begun */
  bool closed;        /* and ended: the closer's reference is the last one */
  bool communicating; /* a task is in weft_process_communicate, and has what is its own below */
  bool streamless;    /* the streams are closed, or are to be once that call has ended */
  int code;           /* 0, WEFT_ECHILD, or why its status is not known */
  weft_process_status status;
  struct weft__list waiting; /* records of those who wait for the end */
  weft_stream *stream[WEFT__STDIO];

  /* Constant once it is spawned. */
  struct weft__runtime *rt;
  pid_t pid;
  int pidfd;  /* -1: none, or it is the descriptor's */
  bool leads; /* a process group */
  bool piped[WEFT__STDIO];
  weft_ns grace;
  struct weft__descriptor *ends; /* of the pidfd; NULL: the job waits */

  struct weft__gate gate; /* the event of `ends` */
  struct weft__waiter rec;
  struct weft__job job; /* holds a reference while it runs */

  struct weft__closer closer;
  bool ended; /* the closer's: it has had its first turn */
  struct weft__resource resource;

  /* The communicating task's. */
  size_t sent; /* bytes of its input */
  struct {
    char *data; /* NULL until all of it is there */
    size_t len;
  } got[WEFT__STDIO]; /* [WEFT__STDIN] is unused */
};

/* Starts the child: fills pid and pidfd of p, which is new, and its streams. Suspends.
 * process_start.c */
int weft__process_start(struct weft_process *p, const char *const *argv,
                        const weft_process_opts *opts, const void *site);

/* From now on its end is noticed. 0; or, when nobody can be had to notice it, an error: then the
 * child is dead. On a worker. process_watch.c */
int weft__process_watch(struct weft_process *p);

/* Looks whether the child has ended, with the lock: true once it is over. */
bool weft__process_look(struct weft_process *p);

/* Gives up the lock, and wakes all who wait if it is over. On a thread of p's runtime. */
void weft__process_unlock(struct weft_process *p);

/* Waits for the end, as weft_process_wait; masked: no cancel ends the wait. WEFT_ETIMEDOUT at the
 * deadline. 0: it is over. */
int weft__process_wait(struct weft_process *p, struct weft__task *t, bool masked,
                       uint64_t deadline);

/* A call of t begins: 0, and weft__process_unref ends it. WEFT_EINVAL. */
int weft__process_enter(struct weft_process *p, struct weft__task *t);

/* One of the streams, which is the caller's to close; or NULL. */
weft_stream *weft__process_take_stream(struct weft_process *p, int i);

/* Kills it and fetches its status, blocking the thread for that moment. */
void weft__process_put_down(struct weft_process *p);

/* Ends it by its ladder and waits for that; no cancel cuts it. By a task. process_end.c */
void weft__process_end(struct weft_process *p, struct weft__task *t);

/* Has it ended, and freed, by the end of the run. */
void weft__process_register(struct weft_process *p, const void *site);

/* While a task communicates its streams are only aborted, which ends its calls: it closes them itself. */
void weft__process_close_streams(struct weft_process *p);

void weft__process_ref(struct weft_process *p);
void weft__process_unref(struct weft_process *p);

#endif
