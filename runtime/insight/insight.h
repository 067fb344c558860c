/* The debug mode of one runtime. */
#ifndef WEFT_INSIGHT_INSIGHT_H
#define WEFT_INSIGHT_INSIGHT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/spin.h"
#include "core/debug.h"
#include "core/report.h"
#include "core/worker.h"
#include "insight/held.h"

enum {
  WEFT__FRAMES = 24,
  WEFT__SITES_KEPT = 128,
  WEFT__CIRCLES_KEPT = 64,
  WEFT__NAME_COPY = 64,
};

/* What a worker's thread was doing when it was asked. */
struct weft__trace {
  char name[WEFT__NAME_COPY]; /* of the task; empty: it has none */
  const void *fn, *site;
  void *frames[WEFT__FRAMES];
  int n;
};

enum weft__watch_state {
  WEFT__WATCH_CALM,  /* nothing is known of the slice in progress */
  WEFT__WATCH_ASKED, /* the monitor has asked for a trace; the handler alone may write it */
  WEFT__WATCH_TAKEN, /* it is there, for whoever moves the state on */
  WEFT__WATCH_TOLD,  /* the slice was reported while it lasted */
};

/* The slice in progress of one worker or reserve. */
struct weft__watch {
  weft__atomic_u64
      began; /* by the worker, 0 between slices; read by the monitor. Relaxed: a sample */
  /* enum weft__watch_state. By CAS (acq_rel: with TAKEN goes the trace), and to CALM at the end of the slice
   * by an exchange, after which nobody but a handler that was asked again writes the trace. */
  weft__atomic_u32 state;
  struct weft__trace trace;
  uint64_t asked_at; /* the monitor's */
  pthread_t thread;  /* the worker's, written before its first slice is seen in `began` */
};

struct weft__debug {
  struct weft__runtime *rt;
  uint64_t slow;               /* ns: constant */
  bool signals;                /* constant: threads can be asked what they do */
  bool open_told;              /* worker 0's: what is open has been reported */
  weft__held_fn held;          /* constant: of libweft-debug, or NULL */
  struct weft__watch *watches; /* by place in rt->workers */
  uint64_t look_at;            /* the monitor's: when to look for circles next */
  bool idle_told;         /* the monitor's: an idleness has been reported, which is done once */
  struct weft__spin lock; /* guards the rest */
  const void *sites[WEFT__SITES_KEPT]; /* that have been reported, each once */
  unsigned nsites;
  struct {
    const struct weft__task *task;
    uint64_t word;
  } circles[WEFT__CIRCLES_KEPT]; /* the monitor's: a member of each that has been reported */
  unsigned ncircles;
};

/* The task's name in quotes, or what it runs. Of a task that the caller keeps from being used again. */
void weft__debug_label(struct weft__task *t, char *buf, size_t size);

/* True for the first report of this kind from this place. Any thread. */
bool weft__debug_first(struct weft__debug *d, const void *site);

/* slow.c: what a slice of rt's worker is. */
int weft__slow_begin(struct weft__debug *d);
void weft__slow_end(struct weft__debug *d);
void weft__slow_thread_begin(struct weft__debug *d, struct weft__worker *w);
void weft__slow_slice_begin(struct weft__debug *d, struct weft__worker *w);
void weft__slow_slice_end(struct weft__debug *d, struct weft__worker *w, struct weft__task *t);
void weft__slow_tick(struct weft__debug *d, uint64_t now);

/* endless.c: circles, and runs in which nothing can happen any more. By the monitor. */
void weft__endless_tick(struct weft__debug *d, uint64_t now);
void weft__endless_idle(struct weft__debug *d);

#endif
