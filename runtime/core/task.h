/* The task object: what a spawn makes, a worker runs and a handle names.
 *
 * Its memory is type-stable: objects come from slabs that are unmapped only when the runtime ends,
 * so a stale handle, a late timer or a late canceller may always read the claim word, whose key
 * tells them that the task they mean is gone.
 *
 * References (refs): one for the handle, until it is consumed and the task is over; one for the
 * runtime, which travels with the task through the queues and is dropped by whoever finishes it.
 * A task that its awaiter began from the middle of a queue leaves its queue entry behind as a
 * tombstone; the entry has a reference of its own in that case (the runtime's), dropped by whoever
 * pops it, while the awaiter finishes the task under the handle's.
 */
#ifndef WEFT_CORE_TASK_H
#define WEFT_CORE_TASK_H

#include <stddef.h>
#include <stdint.h>

#include <weft/task.h>

#include "base/atomics.h"
#include "base/check.h"
#include "base/context.h"
#include "base/list.h"
#include "base/spin.h"
#include "base/stack.h"
#include "core/claim.h"
#include "core/locals.h"
#include "core/waitkind.h"

struct weft__runtime;
struct weft__task;
struct weft__worker;
struct weft__timers;
struct weft_strand;
struct weft_timeout;

#define WEFT__NEVER UINT64_MAX

struct weft__waiter;

/* Between the events and the wait of a task that waits for several: counts them, or does with each
 * what `event` says. Where it counts it lives on the waiting task's stack, and the event that brings
 * `left` to zero wins the wait. */
struct weft__gate {
  weft__atomic_u32 left; /* acq_rel decrements: the last one sees what the others wrote */
  /* Constant while anything is watched: */
  bool fail_fast;       /* an error opens the gate at once */
  bool spare_cancelled; /* but WEFT_ECANCELED does not */
  /* Not NULL: takes every event instead, under the source's lock; it makes ready whom it wakes.
   * rec->code is the event's. */
  void (*event)(struct weft__gate *g, struct weft__waiter *rec);
  const void *object; /* with event, for those who look: what tasks wait for that this event brings about,
                         as they say it in wait_object; or NULL */
  bool alone;         /* and no other event does */
  int error; /* of fail_fast: written by who opened the gate, before the wait is won */
};

/* One wait in one source's list. Guarded by the source's lock while it is linked; filled by the
 * waiting task before it links it. */
struct weft__waiter {
  struct weft__list link;
  struct weft__task *task;
  weft__ticket ticket;
  struct weft__gate *gate; /* NULL: the first event wins */
  int code;                /* of the event: written under the source's lock before it wins */
  bool fired;              /* likewise, for waits on several things: this one has happened */
};

/* Who owns a task beside its handle (a group): told on the worker that finishes it, after the
 * task's code is set and before its memory may be used again. Must not suspend. */
struct weft__owner {
  void (*child_done)(struct weft__owner *owner, struct weft__task *t);
};

/* Something of the floors above that a task holds and hands down to all that it starts. */
struct weft__heritage {
  weft__atomic_u32 refs; /* acq_rel drops: the last one frees after all the others' uses */
  void (*gone)(struct weft__heritage *h);
};

static inline void weft__heritage_init(struct weft__heritage *h,
                                       void (*gone)(struct weft__heritage *h)) {
  weft__store_relaxed_u32(&h->refs, 1);
  h->gone = gone;
}
static inline void weft__heritage_ref(struct weft__heritage *h) {
  weft__add_relaxed_u32(&h->refs, 1);
}
static inline void weft__heritage_drop(struct weft__heritage *h) {
  if (weft__sub_u32(&h->refs, 1) == 1) h->gone(h);
}

enum weft__watched {
  WEFT__WATCHED = 1,  /* somebody is in watchers, which then is a valid ring */
  WEFT__DETACHED = 2, /* nobody will read the code: a failure is reported when it happens */
  WEFT__CHECKED = 4,  /* debug mode: it has begun a timeout scope or a shield; is none open? */
};

enum weft__link { WEFT__LINK_READY = 0, WEFT__LINK_START = 1 };

/* What sets a task apart from most. One byte, so that a spawn, a wake-up and a slice each ask once. */
enum weft__odd {
  WEFT__FRESH = 1,  /* begun by a worker, has no stack yet */
  WEFT__HOG = 2,    /* its last slice outlasted the hog limit: set by the worker that ran it */
  WEFT__PINNED = 4, /* constant: runs on `home` only */
  WEFT__STRAND = 8, /* constant: has a strand */
  WEFT__EAGER = 16, /* until it is begun: its first slice is part of its spawn */
};

struct weft__task {
  /* First line: all that a spawn and an inline run touch. */
  weft__atomic_u64 word;    /* claim.h */
  weft__atomic_u32 refs;    /* each drop releases, the last one acquires: what the others did to
                                the task comes before its memory is used again */
  int code;                 /* written by the finisher before DONE */
  weft__atomic_ptr fn;      /* weft_fn: weft__task_fn and the like; written by the spawner,
                                constant while the task lives */
  void *arg;                /* likewise */
  weft__atomic_u32 watched; /* what its end has to look at (enum weft__watched); changed under the
                               lock; seq_cst with word's DONE */
  uint8_t odd; /* enum weft__odd. Whose the task is: its maker's, a queue's, its worker's */
  bool
      has_opts; /* the task's: a field of the second part, or proc_death, is set: then its memory is
                    cleared before it is used again */
  bool sticky;  /* the task's: a cancel was delivered and not caught */
  bool drains;  /* the task's: its wait is masked and not only shielded: no timeout scope ends it */
  weft__atomic_ptr site;     /* constant: return address of the spawn */
  /* struct weft__owner: NULL, or told when it ends; then the task that spawned it is in parent. Written by
   * the spawner before the task may run, constant while it lives. Relaxed: who looks at it from elsewhere
   * may see an earlier task's until this one has begun. */
  weft__atomic_ptr owner;
  weft__context *ctx;        /* where it is suspended; its awaiter's while it runs inline */

  /* The task's own while it runs; read by the worker that switches it. */
  /* The task it runs on its own stack, while it does. A light fence follows the store, then a look
   * at the own word; a canceller changes the word, then a heavy fence, then looks here. */
  weft__atomic_ptr inline_child;
  struct weft__stack *stack; /* the one it runs on: its own, or its awaiter's */
  uint64_t limit;            /* nearest deadline of the scopes that count (limit.h), or WEFT__NEVER */
  uint64_t limit_hit;        /* the one that was delivered, or 0 */
  struct weft_timeout *scopes; /* innermost timeout scope */
  uint32_t shield;             /* depth of shield scopes */
  uint32_t contexts;           /* depth of weft_context_run: 0 when the task begins and ends */
  struct weft__runtime *rt;    /* constant for the memory: whose slab it lies in */

  struct weft__task *link[2]; /* guarded by the lock of the list it is in (enum weft__link) */

  struct weft__waiter wait; /* the record of a wait on one thing */
  /* What the wait in progress is for; meaningless otherwise. By the task, before it parks; read by
   * whoever looks, who makes sure by the claim word that the wait lasted while it looked. Relaxed. */
  weft__atomic_ptr wait_kind;   /* const struct weft__wait_kind * */
  weft__atomic_ptr wait_object; /* the lock, the queue, the awaited task ... */
  struct weft__spin lock;       /* guards watchers */
  struct weft__list watchers;   /* who waits for the end; a valid ring while WATCHED */
  struct weft__list siblings;   /* guarded by the owner's lock */
  uint32_t sibling_index;       /* the owner's, set before the task may run */
  weft__atomic_ptr parent;      /* struct weft__task, or NULL; as owner, and only while there is one */

  weft__atomic_ptr
      timer_heap;      /* heap of the armed timer, or NULL; set by the task (timers.h), looked
                                  at by descriptions: relaxed */
  uint32_t timer_slot; /* place in it; guarded by the heap's lock */
  uint32_t proc_death; /* the task's own: how the last pool process died under it, see offload/ */

  /* From the options of the spawn. */
  struct weft_strand *strand; /* of a task that has one; it holds a reference */
  struct weft__worker *home;  /* where a pinned task runs */
  weft__atomic_ptr name;      /* const char * */
  void *copy;                 /* the copied argument, freed with the task */
  size_t stack_size;          /* 0: the run's */

  /* What a spawn hands down; has_opts is set when there is any. */
  weft__env env;                   /* the task-locals: the task's own */
  struct weft__heritage *heritage; /* or NULL; constant once it may run */

  /* Of the last cancel request (cancel.c). */
  struct weft__spin reason_lock; /* guards reason */
  weft__atomic_u32 reason_key;   /* whose it is, so that no successor takes it for its own; written
                                    under the lock. Relaxed: who reads it without only asks whether
                                    there is a reason to replace */
  const char *reason;            /* a static string, or NULL */
};

/* Tasks lie where an address has no more bits than these: locks keep a key beside it (aio/holder.h). So do
 * all that x86-64 and aarch64 give to a program that does not ask for others. */
#define WEFT__TASK_ADDRESS_BITS 48
_Static_assert(sizeof(void *) <= sizeof(uint64_t), "an address fits in a word");

/* A slab of objects, for those who look at all tasks. */
enum { WEFT__TASKS_PER_SLAB = 128 };
struct weft__task_slab {
  struct weft__task_slab *next; /* constant once published */
  struct weft__task tasks[WEFT__TASKS_PER_SLAB];
};

/* All slabs of a runtime and the objects that no worker keeps. */
struct weft__task_pool {
  struct weft__runtime *rt; /* constant */
  weft__atomic_ptr slabs;   /* pushed by CAS (release: the slab is filled), acquire by walkers */
  struct weft__spin lock;   /* guards spare */
  struct weft__task *spare; /* through link[WEFT__LINK_READY] */
};

/* A worker's own free objects. Owner only. */
struct weft__task_cache {
  struct weft__task *head; /* through link[WEFT__LINK_READY] */
  uint32_t count;
};

/* fn, site and name are also read for a description, which another thread may ask for with a handle
 * that is stale a moment later: it reads them and then looks whether the word still names the task.
 * Release and acquire make that look see at least the end of the task whose successor's field was
 * read. The task itself and its workers read relaxed. */
static inline void weft__task_set_fn(struct weft__task *t, weft_fn fn, const void *site) {
  weft__store_release_ptr(&t->fn, (void *)(uintptr_t)fn);
  weft__store_release_ptr(&t->site, (void *)(uintptr_t)site);
}
static inline weft_fn weft__task_fn(struct weft__task *t) {
  return (weft_fn)(uintptr_t)weft__load_relaxed_ptr(&t->fn);
}
static inline void weft__task_set_name(struct weft__task *t, const char *name) {
  weft__store_release_ptr(&t->name, (void *)(uintptr_t)name);
}
static inline const char *weft__task_name(struct weft__task *t) {
  return weft__load_acquire_ptr(&t->name);
}

/* The calling task is about to wait for object. */
static inline void weft__waits_for(struct weft__task *t, const struct weft__wait_kind *kind,
                                   const void *object) {
#ifdef WEFT_MODEL /* nothing depends on it: the explorer need not try its orders */
  (void)t, (void)kind, (void)object;
#else
  weft__store_relaxed_ptr(&t->wait_kind, (void *)(uintptr_t)kind);
  weft__store_relaxed_ptr(&t->wait_object, (void *)(uintptr_t)object);
#endif
}

/* Handles. */
static inline weft_task weft__handle(struct weft__task *t, uint64_t word) {
  return (weft_task){.slot_ = t, .key_ = weft__word_key(word)};
}
static inline uint32_t weft__handle_key(weft_task h) {
  return (uint32_t)h.key_;
}
static inline bool weft__handle_bad(weft_task h) {
  return h.slot_ == NULL;
}
/* A handle whose slot is NULL carries the error of its spawn in key_. */
int weft__handle_error(weft_task h);
weft_task weft__handle_failed(int error);

void weft__task_pool_init(struct weft__task_pool *p, struct weft__runtime *rt);
/* Frees every slab; no task may be alive, no handle used afterwards. */
void weft__task_pool_fini(struct weft__task_pool *p);

/* A cache keeps this many free objects; beyond it half go to the pool. Large enough that a burst of
 * a thousand spawned and joined tasks never leaves its worker. */
enum { WEFT__TASK_CACHE_MAX = 2048 };

/* Gives the free objects of c to the pool. */
void weft__task_cache_drain(struct weft__task_pool *p, struct weft__task_cache *c);
/* Gets free objects from the pool or a new slab; false when memory is exhausted. */
bool weft__task_cache_fill(struct weft__task_pool *p, struct weft__task_cache *c);

/* A fresh object with refs 2, phase UNSTARTED, and everything else cleared except fn, arg, site and
 * owner, which the caller sets. NULL when memory is exhausted. Owner of the cache only (a thread
 * that is no worker passes a cache on its stack and drains it). */
static inline struct weft__task *weft__task_new(struct weft__task_pool *p,
                                                struct weft__task_cache *c) {
  if (weft__unlikely(!c->head) && !weft__task_cache_fill(p, c)) return NULL;
  struct weft__task *t = c->head;
  c->head = t->link[WEFT__LINK_READY];
  c->count--;
  /* Nobody but late readers of the word can see the object: plain refs, and a release store so that
   * a walker that sees the new key sees the fields of the slab. */
  weft__store_relaxed_u32(&t->refs, 2);
  weft__store_release_u64(&t->word, weft__word_fresh(weft__load_relaxed_u64(&t->word)));
  t->limit = WEFT__NEVER;
  return t;
}

/* Puts an object without references back. Late cancellers may still try to CAS its word, but leave
 * a DONE or FREE one alone, so the store overwrites nothing that matters to the next task. The key
 * stays: phase FREE makes every old handle stale, and the next task gets a new key. */
static inline void weft__task_recycle(struct weft__task_cache *c, struct weft__task *t) {
  t->sticky = false;
  t->limit_hit = 0;
  t->shield = 0;
  t->scopes = NULL;
  uint64_t word = weft__load_relaxed_u64(&t->word);
  weft__store_release_u64(&t->word, (word >> WEFT__KEY_SHIFT << WEFT__KEY_SHIFT) | WEFT__FREE);
  t->link[WEFT__LINK_READY] = c->head;
  c->head = t;
  c->count++;
}

void weft__task_free_slow(struct weft__task_pool *p, struct weft__task_cache *c,
                          struct weft__task *t);

/* Drops n references; the last one frees the object into c, the calling worker's cache, or into the
 * pool when c is NULL. */
static inline void weft__task_unref(struct weft__task_pool *p, struct weft__task_cache *c,
                                    struct weft__task *t, uint32_t n) {
  /* The caller holds n references; when no other exists nobody can make one. */
  if (weft__load_acquire_u32(&t->refs) != n && weft__sub_u32(&t->refs, n) != n) return;
  if (weft__likely(c && !t->has_opts && c->count < WEFT__TASK_CACHE_MAX))
    weft__task_recycle(c, t);
  else
    weft__task_free_slow(p, c, t);
}

/* Registers rec (task, ticket, gate filled) to be won when t ends. 0 when linked; 1 when t has
 * ended already (not linked, rec->code is its code); WEFT_ESTALE when key names no task. Pairs with
 * weft__task_finish. */
int weft__done_watch(struct weft__task *t, uint32_t key, struct weft__waiter *rec);
/* Unlinks rec if it still is; after it no finisher touches rec. */
void weft__done_unwatch(struct weft__task *t, struct weft__waiter *rec);

/* The handle was given up: a failure is reported when it happens, or now. Drops the handle's
 * reference. Any thread; the caller has taken the handle. */
void weft__let_go(struct weft__task *t);

/* Reports the failure of a task that has ended and that nobody awaits, if it has failed. Without locks. */
void weft__report_failure(struct weft__task *t);

/* The slow half of ending a task (finish.h): tells its watchers, and reports a failure of a
 * detached one. */
void weft__task_tell(struct weft__task *t, int code);

/* In debug mode, by the task itself: has its end look for open scopes. */
void weft__task_check_end(struct weft__task *t);

/* Visits every task that has not ended, with its claim word as it was then. Any thread; each of them may
 * change or end meanwhile. Inline, so that who is compiled without TSan visits without it. */
typedef void weft__task_visit(struct weft__task *t, uint64_t word, void *arg);
static inline void weft__task_each_live(struct weft__task_pool *p, weft__task_visit *visit,
                                        void *arg) {
  for (struct weft__task_slab *s = weft__load_acquire_ptr(&p->slabs); s; s = s->next)
    for (int i = 0; i < WEFT__TASKS_PER_SLAB; i++) {
      uint64_t word = weft__load_acquire_u64(&s->tasks[i].word);
      unsigned phase = weft__word_phase(word);
      if (phase != WEFT__FREE && phase != WEFT__DONE) visit(&s->tasks[i], word, arg);
    }
}

/* Opens the gate for an error: true for the one who did. */
bool weft__gate_open(struct weft__gate *g, int error);

/* An event for rec happened with this code: wins the wait, or counts. Under the source's lock; true
 * when rec->task is now the caller's to make ready. */
bool weft__waiter_fire(struct weft__waiter *rec, int code);

#endif
