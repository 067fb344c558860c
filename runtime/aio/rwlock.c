/* weft_rwlock: one line for readers and writers. Whoever leaves, the lock or the line, lets in from its
 * head who may come in: one writer, or all readers up to the next writer. */
#include <weft/sync.h>

#include "aio/holder.h"
#include "aio/sync.h"

/* The word's state: WRITER and the name of the task that writes (holder.h), or the number of readers times
 * READER. */
#define WRITER WEFT__HOLDER_WRITES
#define READER UINT64_C(8)

enum { TO_READ = 0, TO_WRITE = 1 }; /* marks of the records */

struct rwlock {
  struct weft__sync sync;
};
_Static_assert(sizeof(struct rwlock) <= WEFT_RWLOCK_SIZE, "weft_rwlock is large enough");

static struct rwlock *inner(weft_rwlock *l) {
  return (struct rwlock *)(void *)l;
}

static uint64_t written_by(struct weft__task *t) {
  return weft__holder_self(t) | WRITER;
}

/* The state when the task has come in that would then be `writer`, or 0 when it may not. */
static uint64_t entered(uint64_t state, int how, uint64_t writer) {
  if (how == TO_WRITE) return state == 0 ? writer : 0;
  return state & WRITER ? 0 : state + READER;
}

/* Of a record in the line. */
static uint64_t waiting_writer(const struct weft__waiter *rec) {
  return weft__holder(rec->task, weft__word_key(rec->ticket)) | WRITER;
}

/* Lets in who may come in. Locked on entry, unlocked on return. */
static void admit(struct rwlock *l, uint64_t state) {
  struct weft__sync *s = &l->sync;
  struct weft__sync_woken woken = {NULL, NULL};
  struct weft__waiter *first;
  uint64_t next;
  while ((first = weft__sync_first(s)) != NULL &&
         (next = entered(state, first->code, waiting_writer(first))) != 0)
    if (weft__sync_win(first, 0, &woken)) state = next;
  weft__sync_unlock(s, state);
  weft__sync_ready(&woken);
}

static int acquire_slow(struct rwlock *l, struct weft__task *t, int how) {
  struct weft__sync *s = &l->sync;
  int r = weft__wait_open(t, false, &t->wait.ticket);
  if (r < 0) return r;
  uint64_t self = written_by(t), state = weft__sync_lock(s);
  uint64_t next = weft__list_empty(&s->line) ? entered(state, how, self) : 0;
  if (next || state == self) {
    weft__sync_unlock(s, next ? next : state);
    weft__wait_abort(t, t->wait.ticket);
    return next ? 0 : WEFT_EDEADLK;
  }
  weft__sync_join(s, t, state, how, how == TO_READ ? &weft__waits_to_read : &weft__waits_to_write,
                  l);
  r = weft__sync_wait(s, t);
  /* Those behind a writer that goes away may be readers whom it kept out. */
  if (r != 0) admit(l, weft__sync_leave(s, t));
  return r;
}

/* 0 with the lock; WEFT_EAGAIN when that is not so simple. */
static inline int take(struct rwlock *l, struct weft__task *t, int how) {
  uint64_t word = weft__load_relaxed_u64(&l->sync.word);
  uint64_t self = written_by(t), next;
  while (!(word & WEFT__SYNC_FLAGS) && (next = entered(word, how, self)) != 0)
    if (weft__likely(weft__cas_u64(&l->sync.word, &word, next))) return 0;
  return WEFT_EAGAIN;
}

/* function: the public one, which a report names. */
static inline __attribute__((always_inline)) int acquire(weft_rwlock *lock, int how,
                                                         const char *function) {
  struct rwlock *l = inner(lock);
  struct weft__task *t = NULL;
  int r = weft__sync_enter_as(function, &t);
  if (r < 0) return r;
  return weft__likely(take(l, t, how) == 0) ? 0 : acquire_slow(l, t, how);
}

static inline __attribute__((always_inline)) int try(weft_rwlock *lock, int how,
                                                     const char *function) {
  struct weft__task *t = weft__current_task();
  if (weft__unlikely(!t)) return weft__no_task_at(function, __builtin_return_address(0));
  struct rwlock *l = inner(lock);
  if (take(l, t, how) == 0) return 0;
  /* It may have been locked for a moment only. */
  struct weft__sync *s = &l->sync;
  uint64_t self = written_by(t), state = weft__sync_lock(s);
  uint64_t next = weft__list_empty(&s->line) ? entered(state, how, self) : 0;
  weft__sync_unlock(s, next ? next : state);
  return next ? 0 : WEFT_EAGAIN;
}

static bool held(uint64_t state, int how) {
  return how == TO_WRITE ? (state & WRITER) != 0 : !(state & WRITER) && state >= READER;
}
static uint64_t left(uint64_t state, int how) {
  return how == TO_WRITE ? 0 : state - READER;
}

static __attribute__((noinline)) int release_slow(struct rwlock *l, int how) {
  struct weft__sync *s = &l->sync;
  uint64_t state = weft__sync_lock(s);
  int r = !held(state, how) ? WEFT_ESTATE : weft__sync_refuses(s) ? WEFT_EBUSY : 0;
  if (r == 0)
    admit(l, left(state, how));
  else
    weft__sync_unlock(s, state);
  return r;
}

static inline int release(weft_rwlock *lock, int how) {
  struct rwlock *l = inner(lock);
  int r = weft__sync_enter_any();
  if (weft__unlikely(r < 0)) return r;
  uint64_t word = weft__load_relaxed_u64(&l->sync.word);
  while (!(word & WEFT__SYNC_FLAGS)) {
    if (weft__unlikely(!held(word, how))) return WEFT_ESTATE;
    if (weft__likely(weft__cas_u64(&l->sync.word, &word, left(word, how)))) return 0;
  }
  return release_slow(l, how);
}

int weft_rwlock_acquire_read(weft_rwlock *l) {
  return acquire(l, TO_READ, __func__);
}
int weft_rwlock_acquire_write(weft_rwlock *l) {
  return acquire(l, TO_WRITE, __func__);
}
int weft_rwlock_try_read(weft_rwlock *l) {
  return try(l, TO_READ, __func__);
}
int weft_rwlock_try_write(weft_rwlock *l) {
  return try(l, TO_WRITE, __func__);
}
int weft_rwlock_release_read(weft_rwlock *l) {
  return release(l, TO_READ);
}
int weft_rwlock_release_write(weft_rwlock *l) {
  return release(l, TO_WRITE);
}
