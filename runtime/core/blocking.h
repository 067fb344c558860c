/* The threads of the blocking pool: they run jobs that block, so that no worker has to.
 *
 * Independent of the scheduler: a job is a function, an argument and a callback; weft_to_thread
 * makes the callback a wake-up of a task.
 *
 * How jobs travel. Submit pushes onto `incoming`, a stack without a lock, so that a worker never
 * waits for a pool thread that was preempted while it held the lock. A pool thread moves all of
 * `incoming` to `queue` under the lock, oldest first, and takes jobs from there: one at a time, or,
 * when its last jobs were over in microseconds, a batch into its slots. A slot is emptied by one
 * exchange, by the thread that runs the job or by whoever takes it back: a withdrawing caller, a
 * thread without work, or the tick when the thread is stuck in an earlier job. So a job in a batch
 * never waits for long behind one that blocks.
 *
 * How threads are woken. At most one thread is on its way at a time (`searching`): the submit that
 * finds none wakes or starts one, and the thread that takes jobs and leaves some does the same for
 * the next. A burst of a thousand jobs therefore costs one wake-up for each thread, not for each
 * job. `attention` tells submit whether it has to come into the lock for that.
 *
 * Jobs that are over at once go to one thread as long as all that wait would take it less than it
 * costs to wake another (`each` is what a job lately took): a second thread would only fight with
 * the submitters for the lines of the jobs. When a job turns out to be long after all, the tick
 * corrects that within a millisecond.
 *
 * How many threads. `hot` may be at work (awake and not blocked) at a time. More come only from the
 * tick, while jobs wait: a thread that was in its jobs for the whole time since the last tick, used
 * little CPU and is asleep in the kernel is blocked and makes room for others. When the newcomers
 * turn out to block too, twice as many come with the next tick. A thread that waits for a CPU is
 * not blocked, so CPU-bound jobs do not make the pool grow. Idle threads end after a while, the one
 * that was idle for the longest first.
 *
 * The queue has no bound of its own: a job is memory of its submitter, about 90 bytes of it, and
 * the limit is the number of tasks that wait for one.
 */
#ifndef WEFT_CORE_BLOCKING_H
#define WEFT_CORE_BLOCKING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/atomics.h"
#include "base/counters.h"
#include "base/list.h"

struct weft__blocking;
struct weft__blocking_thread;

enum weft__job_state {
  WEFT__JOB_INCOMING = 0, /* on `incoming`; what submit sets */
  WEFT__JOB_QUEUED,       /* in `queue` */
  WEFT__JOB_HELD,         /* was put into a slot of `holder`; begun once the slot is empty */
};

/* The submitter's memory, from submit until done is called or withdraw returned true. The submitter
 * sets the first three fields. */
struct weft__job {
  int (*fn)(void *arg);
  void *arg;
  /* Called on the pool thread after fn; the job's memory may be gone once it returns, and the pool
   * does not touch it again. Must not block and must not call the pool. */
  void (*done)(struct weft__job *job);
  int code; /* what fn returned; written before done */

  enum weft__job_state state;           /* the pool's lock, once submitted */
  unsigned slot;                        /* the same; valid while HELD */
  struct weft__blocking_thread *holder; /* the same */
  struct weft__list link;               /* the same; in `queue` while QUEUED */
  struct weft__job *below; /* the next older on `incoming`; written before the push (release), read
                              by who emptied it (acquire) */
};

enum {
  WEFT__BLOCKING_BATCH = 32,        /* most jobs a thread takes at a time */
  WEFT__BLOCKING_LONG_NS = 1000000, /* averages count longer times as this */
};

/* One thread. The memory is kept until close and used again, so a stale `holder` may be looked at.
 */
struct weft__blocking_thread {
  struct weft__list link; /* in idle, awake or unused. The pool's lock */
  struct weft__blocking *pool;
  pthread_t id;         /* the lock */
  unsigned number;      /* of its name; constant */
  clockid_t clock;      /* its CPU time; the lock */
  int tid;              /* the lock; set by the thread before it runs a job */
  bool running;         /* it has taken jobs and not come back for more. The lock */
  bool searching;       /* counted in the pool's searching. The lock */
  bool blocked;         /* found so by the tick, until it comes back. The lock */
  unsigned taken;       /* slots filled when it last took jobs, 0 once it came back. The lock */
  uint64_t each;        /* ns that its last jobs took on average. The thread only */
  uint64_t out_at;      /* when it ran out of jobs. The lock */
  uint64_t summoned_at; /* when it was called for the next ones. The lock */

  /* What the tick saw last. The lock. */
  uint64_t seen_time; /* 0: nothing since the thread last was idle */
  uint64_t seen_cpu;
  uint64_t seen_finished;
  bool seen_running;
  unsigned still; /* looks in a row that found it off its CPU */

  weft__atomic_u32 signal; /* futex word; 1: leave idle. Set under the lock by who took it off the
                              idle list, awaited without it and reset under it by the thread.
                              Release and acquire only say so: what the thread then reads it reads
                              under the lock */
  struct weft__counter finished; /* jobs; written by the thread */
  /* Jobs taken and not begun. Filled by the thread under the lock, each emptied by one exchange of
   * whoever gets it: the thread itself, or another under the lock. So the lock orders what is in a
   * job, and the exchange decides who has it. */
  weft__atomic_ptr slot[WEFT__BLOCKING_BATCH];
};

/* Bits of `attention`. */
enum {
  WEFT__BLOCKING_SUMMON = 1, /* a job that comes has to wake a thread or to ask for ticks */
  WEFT__BLOCKING_DESERTED =
      2, /* there is no thread: submit makes sure that one can be made first */
};

struct weft__blocking {
  weft__atomic_ptr incoming; /* struct weft__job, newest on top, or a mark that the pool is closed.
                                Pushed by cas_seq, emptied by xchg under the lock. Store-load
                                against `attention`, see publish */
  weft__atomic_u32
      attention;     /* written under the lock (seq), read by submit after its push (seq) */
  uint8_t apart[56]; /* submitters write the line above, pool threads the rest */

  pthread_mutex_t lock; /* guards all below. A leaf: nothing else is locked or awaited under it */
  unsigned hot;         /* constant */
  unsigned max;         /* constant */
  unsigned threads;     /* alive: awake or idle */
  unsigned awake;       /* running a job, looking for one, or on the way there */
  unsigned blocked;     /* of the awake */
  unsigned searching;   /* of the awake: looking for a job or on the way there */
  unsigned batched;     /* threads that took more than one job and have not come back */
  unsigned growth;      /* how many threads the next tick may add */
  unsigned surplus;     /* how many more than hot computed at the last tick: so many have to rest */
  size_t queued;        /* jobs in queue */
  unsigned numbers;     /* thread structs ever made */
  unsigned peak;        /* most threads alive at a time */
  unsigned ticks;
  bool ticking; /* the owner was asked for ticks and has not been told to stop */
  bool closed;
  bool abandoned; /* close timed out: threads end without being joined */
  uint64_t each;  /* average time of a job in ns, long ones counted as a millisecond */
  /* Average time from running out of jobs to the next, in ns: whether spinning pays. */
  uint64_t gap;
  uint64_t ended_finished; /* jobs finished by threads that have ended */
  struct weft__list queue;
  struct weft__list running;           /* threads that are awake */
  struct weft__list idle;              /* threads asleep, the last one to fall asleep first */
  struct weft__list unused;            /* memory of threads that have ended */
  struct weft__blocking_thread *ended; /* the last thread that ended, not joined yet */
  weft__atomic_u32 alive; /* = threads; for close to sleep on (futex). Written under the lock; the
                             release of 0 is acquired by close, which frees the pool without the
                             lock */

  /* Set by the owner between init and the first submit, constant afterwards. */
  uint64_t idle_ns; /* how long an idle thread stays; 10 s by default */
  uint64_t spin_ns; /* how long one that ran out of jobs looks for more at most */
  /* Asks for ticks from now on, until a tick returns false. May be NULL: then the pool never grows
   * beyond hot. Called on any thread that submits or runs jobs, without the lock; must not block.
   */
  void (*want_ticks)(struct weft__blocking *p);
  /* Told about every second while close waits for jobs. May be NULL. Called by who closes, without the
   * lock. */
  void (*waits)(struct weft__blocking *p);
};

struct weft__blocking_stats {
  unsigned threads;  /* alive now */
  unsigned awake;    /* of them, not idle */
  unsigned blocked;  /* of the awake, found blocked by the last tick */
  unsigned peak;     /* most alive at a time */
  uint64_t waiting;  /* jobs that no thread has begun */
  uint64_t finished; /* jobs done */
};

/* Starts no thread: a run that never blocks pays nothing. hot >= 1, max >= hot. 0 or WEFT_EINVAL.
 * On failure there is nothing to close. */
int weft__blocking_init(struct weft__blocking *p, unsigned hot, unsigned max);

/* Runs the job on a pool thread, once. Any thread; takes the lock only when a thread has to be
 * woken or started. 0; WEFT_ECLOSED after close has begun; WEFT_EAGAIN or WEFT_ENOMEM when there is
 * no thread and none could be made. On failure the job never runs. */
int weft__blocking_submit(struct weft__blocking *p, struct weft__job *j);

/* Takes back a job that was submitted. True: it had not begun and never will, done will not be
 * called, its memory is the caller's. False: it runs or ran, and done will be or was called; the
 * memory must be valid during this call all the same. Any thread. */
bool weft__blocking_withdraw(struct weft__blocking *p, struct weft__job *j);

/* Lets the pool grow; now is weft__now(). Wanted about every millisecond from a call of want_ticks
 * until it returns false: no job waits. One thread at a time. want_ticks may be called again while
 * the last tick returns: an owner that keeps a note of it clears the note before a tick, not after.
 */
bool weft__blocking_tick(struct weft__blocking *p, uint64_t now);

/* Refuses further jobs, waits until all that were submitted are done and the threads have ended,
 * and gives everything back; 0. Ticks by itself meanwhile: no other thread may tick any more. At
 * deadline_ns on the clock of weft__now() (UINT64_MAX: none) returns WEFT_ETIMEDOUT: then threads
 * are left behind, which still run the jobs that were submitted, and *p must stay valid for ever.
 * Once. */
int weft__blocking_close(struct weft__blocking *p, uint64_t deadline_ns);

/* Any thread. */
void weft__blocking_stats(struct weft__blocking *p, struct weft__blocking_stats *ret);

/* ---- between the files of the pool; the lock is held unless said otherwise ---- */

/* Moves the jobs of `incoming` to the end of the queue. */
void weft__blocking_collect(struct weft__blocking *p);

/* The same, and refuses jobs from now on. */
void weft__blocking_refuse(struct weft__blocking *p);

/* Puts the jobs that t took and has not begun back to the front of the queue. */
void weft__blocking_reclaim(struct weft__blocking *p, struct weft__blocking_thread *t);

/* Makes `attention` what the other fields say. Jobs pushed before it, by submitters that saw the
 * old value, are found by a collect after it. */
void weft__blocking_publish(struct weft__blocking *p);

/* What is to be done once the lock is free. */
struct weft__blocking_errand {
  struct weft__blocking_thread *wake; /* or NULL */
  bool ticks;
};

/* Provides for the jobs that wait: calls a thread, or asks for ticks when there is no room for one,
 * and publishes. 0, or why no thread could be made. */
int weft__blocking_provide(struct weft__blocking *p, struct weft__blocking_errand *ret);
/* Without the lock. */
void weft__blocking_run_errand(struct weft__blocking *p, const struct weft__blocking_errand *e);

/* Sets a thread on its way, an idle one or a new one, and writes it to *ret. 0, or why none could
 * be made. Afterwards, without the lock: weft__blocking_wake(*ret). */
int weft__blocking_summon(struct weft__blocking *p, struct weft__blocking_thread **ret);
void weft__blocking_wake(struct weft__blocking_thread *t);

#endif
