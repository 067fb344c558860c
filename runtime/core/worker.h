/* A worker: a thread, its libuv loop, its queues and its timers. And its stand-in, the reserve.
 *
 * The turn of a worker: now and then look at the loop and the timers; take the next task (next.c);
 * switch to it; when it switches back, do what it asked for (commit its wait, requeue it, recycle
 * its stack). Without work it searches its peers, then sleeps (idle.c).
 *
 * Queues, in the order they are looked into: tasks that only this worker may run (inbox), ready tasks
 * oldest first (ring), unstarted tasks newest first (deque), tasks whose last slice was a hog's
 * (hogs), then what all workers share (runtime.h).
 */
#ifndef WEFT_CORE_WORKER_H
#define WEFT_CORE_WORKER_H

#include <pthread.h>

#include "base/choice.h"
#include "base/context.h"
#include "base/counters.h"
#include "base/stack.h"
#include "core/burst.h"
#include "core/deque.h"
#include "core/loop.h"
#include "core/ring.h"
#include "core/runtime.h"
#include "core/self.h"
#include "core/task.h"
#include "core/tasklist.h"
#include "core/timers.h"

/* What the scheduler does for the task that has just switched away. */
enum weft__post {
  WEFT__POST_COMMIT, /* it waits: close the claim word's ARMED phase */
  WEFT__POST_YIELD,  /* it goes to the back of the ready queue */
  WEFT__POST_EXIT,   /* it has ended: its stack is free */
  WEFT__POST_EAGER,  /* its child w->eager runs first (eager.c) */
};

/* Park state: one word that the sleeper and its wakers agree on. */
enum weft__park {
  WEFT__AWAKE = 0,
  WEFT__ON_FUTEX = 1, /* sleeps in futex_wait on this word */
  WEFT__IN_LOOP = 2,  /* sleeps in its loop */
  WEFT__NOTIFIED = 3, /* was woken, or is to look again before it sleeps */
};

enum weft__lease {
  WEFT__LEASE_NONE = 0,
  WEFT__LEASE_WANTED = 1,   /* take it, or keep it */
  WEFT__LEASE_RECALLED = 2, /* give it back */
};

struct weft__counters {
  struct weft__counter tasks_run, inline_run, spawned, finished, steals, parks;
};

struct weft__worker {
  /* The worker's own; constant, or touched by its thread only. */
  struct weft__runtime *rt;
  struct weft__task *current;
  struct weft__task
      *behind; /* whose stack it is while the program's code for reports runs on it, and
                                current is NULL (report.c) */
  struct weft__task_cache cache;
  enum weft__post post;
  unsigned index; /* of a reserve: of the worker it stands in for */
  bool reserve;
  uint32_t tick;       /* turns */
  uint32_t poll_in;    /* turns until the next look at loop and timers */
  uint32_t tombstones; /* begun from the middle of a queue here, their entries not seen since */
  int budget;          /* waits left in this slice that need not suspend */
  bool plain;          /* constant: neither exact nor a reserve: spawns go to the deque */
  bool turn_unstarted; /* whose turn it is: ready and unstarted tasks alternate */
  bool searching;      /* counted in rt->searching */
  struct weft__burst burst;
  struct weft__task *eager;    /* of a task that makes way: what runs instead */
  struct weft__task *spawners; /* those that have made way, the latest first, through
                                  link[WEFT__LINK_READY] */
  struct weft__loop *loop;     /* own, or the leased one */
  struct weft__timers *timers; /* own, or the leased ones */
  struct weft__rng rng;
  struct weft__stack_cache stacks;
  weft__context sched; /* the thread's own stack, while a task runs */
  pthread_t thread;

  /* Written by the owner, read by the monitor: relaxed, a sample. */
  struct weft__counters counters;
  weft__atomic_u32 cpu_clock; /* clockid_t of the thread's CPU time; set before its first slice */
  /* Odd while a task runs; grows with every switch. Relaxed by the owner; the monitor and peers
   * sample it and conclude nothing about other memory. */
  _Alignas(64) weft__atomic_u32 slice;

  /* Written by others. */
  /* enum weft__park. From AWAKE to asleep by the sleeper, from asleep or AWAKE to NOTIFIED by
   * wakers, both by CAS: one of the two comes first, so no notice is lost. A waker's CAS releases
   * what it did before, the sleeper's acquires it. seq_cst, since a CAS that fails may otherwise
   * have read an older notice than the last; that work is seen at all rests on the fences of
   * idle.c. */
  _Alignas(64) weft__atomic_u32 park;
  /* The poll set that it sleeps in while park says IN_LOOP. Written by itself before it goes to sleep
   * (release), read by a waker after its CAS of park, and by others who are in the same set (acquire). */
  weft__atomic_ptr bed;
  weft__atomic_u32 poll_due;   /* set by the monitor: look at loop and timers on the next turn.
                                  Relaxed */
  weft__atomic_u32 hogged;     /* set by the monitor during a hog's slice, cleared by the owner.
                                  Relaxed: a mark that comes late makes a hog of the next task,
                                  which costs it a turn */
  struct weft__tasklist inbox; /* started or new tasks that only this worker may run */
  struct weft__tasklist hogs;
  struct weft__counter hog_count; /* written by the monitor */

  /* Of a reserve (reserve.c). */
  /* enum weft__lease. WANTED by the monitor (xchg, releases lease_until; the reserve acquires),
   * RECALLED by the owner (CAS from WANTED), NONE by the reserve (xchg). Each is followed by an
   * unpark, whose notice carries it to a reserve that sleeps. */
  weft__atomic_u32 lease;
  weft__atomic_u64 lease_until;     /* by the monitor, before WANTED; read relaxed after it */
  struct weft__counter lease_count; /* its thread's */
  bool started;                     /* the monitor's, then the shutdown's */

  struct weft__ring ring;
  struct weft__deque deque;

  /* The worker's loop and timers; a reserve's are unused. */
  struct weft__loop own_loop;
  struct weft__timers own_timers;
};

static inline void weft__count(struct weft__counter *c) {
  weft__counter_add(c, 1);
}

/* Fills a zeroed worker; a reserve gets no loop of its own. */
int weft__worker_init(struct weft__worker *w, struct weft__runtime *rt, unsigned index,
                      bool reserve);
void weft__worker_fini(struct weft__worker *w);

/* Runs until the runtime has ended. On the worker's thread, self() set. */
void weft__worker_loop(struct weft__worker *w);

/* The child of a fork has only this thread and no runtime: a task's end is the process's end. */
_Noreturn void weft__end_child(int code);

/* The next task of w's own or the shared queues, or NULL. Tombstones on the way are dropped.
 * next.c */
struct weft__task *weft__next_task(struct weft__worker *w);
/* A task of a peer, or NULL; of a batch the rest goes into w's ring. next.c */
struct weft__task *weft__steal_task(struct weft__worker *w);

/* Runs t, taken from a queue, until it switches away; does what it then asks for. */
void weft__run_task(struct weft__worker *w, struct weft__task *t);

/* Looks at loop and timers without waiting. */
void weft__worker_poll(struct weft__worker *w);

/* More work than w itself does next: what a helper would find. Any thread; a hint. */
bool weft__worker_surplus(struct weft__worker *w);

/* ---- idle.c ---- */

/* Sleeps as the park word (already `how`) says, at most until the deadline. */
void weft__sleep_until(struct weft__worker *w, uint32_t how, uint64_t deadline);

/* No work: searches the peers for a while, then sleeps until woken, an event or a timer. Returns a
 * task that it found, or NULL: look at the queues again. */
struct weft__task *weft__worker_idle(struct weft__worker *w);
/* Wakes one sleeping worker to help, unless somebody searches already. */
void weft__notify(struct weft__runtime *rt);
/* The same although somebody searches. */
void weft__notify_hard(struct weft__runtime *rt);
/* Wakes this worker, or makes it look again before it sleeps. */
void weft__unpark(struct weft__worker *w);
/* w, which searched, has found something. */
void weft__stop_searching(struct weft__worker *w);

#endif
