/* Simulated threads: their stacks, their beginning and their end. Compiled without TSan, as sim.c.
 *
 * A thread's stack, its context and its number survive it for the next one: making a stack, and a fiber
 * for TSan, costs more than a short simulation.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <weft/errors.h>

#include "base/annotate.h"
#include "base/check.h"
#include "base/sim_threads.h"

/* What a thread has: a job of the blocking pool may rely on it. LeakSanitizer reads all of every stack,
 * so there it is less. */
#if WEFT__NOTES
#define STACK_SIZE ((size_t)2 << 20)
#else
#define STACK_SIZE ((size_t)8 << 20)
#endif
#define GUARD_SIZE ((size_t)64 << 10)

/* Of the playing thread, or of nobody between simulations. */
static struct weft__sim_thread first;
static struct weft__list unused = {&unused, &unused};
static struct weft__list alive = {&alive, &alive}; /* by all, in the order of creation */
static uint64_t numbers;

/* All threads of a simulation but the first, for the end; the link of the scheduler is another. */
struct record {
  struct weft__list all; /* in alive or unused */
  unsigned tool_id;      /* valgrind's */
  struct weft__sim_thread thread;
};

static struct record *record_of(struct weft__list *all) {
  return weft__container_of(all, struct record, all);
}

static struct record *of_id(pthread_t id) {
  return (struct record *)(uintptr_t)id;
}

static struct record *make_record(void) {
  struct record *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  void *p = NULL;
  int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (weft__sys_real.mmap(NULL, GUARD_SIZE + STACK_SIZE, prot, flags, -1, 0, &p) < 0) {
    free(r);
    return NULL;
  }
  if (weft__sys_real.mprotect(p, GUARD_SIZE, PROT_NONE) < 0) {
    weft__sys_real.munmap(p, GUARD_SIZE + STACK_SIZE);
    free(r);
    return NULL;
  }
  r->thread.lo = (char *)p + GUARD_SIZE;
  r->thread.size = STACK_SIZE;
  weft__list_init(&r->all);
  r->tool_id = weft__note_mapped(r->thread.lo, STACK_SIZE);
  weft__note_taken(r->thread.lo, STACK_SIZE);
  return r;
}

static void entry(void *arg) {
  struct weft__sim_thread *me = arg;
#if WEFT__TSAN
  __tsan_acquire(&me->started);
#endif
  me->main(me->arg);
#if WEFT__TSAN
  __tsan_release(&me->gone);
#endif
  me->ended = true;
  (void)weft__sim_wake(&me->gone, 1);
  struct weft__sim_thread *next = weft__sim_next();
  weft__sim_set_local(next->local);
  weft__context_exit_apart(&me->own, next->at);
}

int weft__sim_thread_create(pthread_t *ret, void *(*main)(void *arg), void *arg) {
#if WEFT__TSAN
  __tsan_acquire(&unused);
#endif
  struct weft__list *kept = weft__list_pop_front(&unused);
  struct record *r = kept ? record_of(kept) : make_record();
  if (!r) return WEFT_EAGAIN;
  weft__list_push_back(&alive, &r->all);
  struct weft__sim_thread *t = &r->thread;
  weft__list_init(&t->link);
  weft__context_reset(&t->own, t->lo, t->size, entry, t);
  t->at = &t->own;
  t->local = NULL;
  t->main = main;
  t->arg = arg;
  t->number = ++numbers;
  t->key = NULL;
  t->fd = -1;
  t->stalled = t->computing = t->ended = false;
  t->cpu = 0;
#if WEFT__TSAN
  __tsan_release(&t->started);
#endif
  *ret = (pthread_t)(uintptr_t)r;
  weft__sim_runnable(t);
  return 0;
}

/* Its last switch has been made: somebody else runs. As if by a lock around `unused`, what used the record
 * before happens before what takes it out again. */
static void put_back(struct record *r) {
  weft__list_remove(&r->all);
  weft__list_push_front(&unused, &r->all);
#if WEFT__TSAN
  __tsan_release(&unused);
#endif
}

int weft__sim_thread_join(pthread_t id) {
  struct record *r = of_id(id);
  while (!r->thread.ended) weft__sim_wait(&r->thread.gone, UINT64_MAX, -1);
#if WEFT__TSAN
  __tsan_acquire(&r->thread.gone);
#endif
  put_back(r);
  return 0;
}

/* A thread that nobody joins is kept until the end of the simulation. */
int weft__sim_thread_detach(pthread_t id) {
  (void)id;
  return 0;
}

struct weft__sim_thread *weft__sim_thread_by_id(pthread_t id) {
  weft__list_foreach(all, &alive) {
    if (record_of(all) == of_id(id)) return &record_of(all)->thread;
  }
  return weft__sim_current();
}

struct weft__sim_thread *weft__sim_thread_by_number(uint64_t number) {
  if (number == 0) return &first;
  weft__list_foreach(all, &alive) {
    if (record_of(all)->thread.number == number) return &record_of(all)->thread;
  }
  return NULL;
}

/* The bounds of the thread's own stack, to tell it from a task's. Asking for them means reading the
 * list of mappings: once a thread. */
static void find_stack(struct weft__sim_thread *t) {
  static __thread void *lo;
  static __thread size_t size;
  pthread_attr_t attr;
  if (!lo && pthread_getattr_np(pthread_self(), &attr) == 0) {
    pthread_attr_getstack(&attr, &lo, &size);
    pthread_attr_destroy(&attr);
  }
  t->lo = lo;
  t->size = size;
}

struct weft__sim_thread *weft__sim_threads_begin(void) {
  first = (struct weft__sim_thread){.fd = -1};
  weft__list_init(&first.link);
  find_stack(&first);
  weft__context_init_thread(&first.own);
  numbers = 0;
  return &first;
}

/* A thread that was left where it is: nothing may run on its stack again, not even another thread. */
static void discard(struct record *r) {
  weft__list_remove(&r->all);
  weft__context_fini(&r->thread.own);
  weft__note_given(r->thread.lo, STACK_SIZE);
  weft__note_unmapped(r->tool_id, r->thread.lo, STACK_SIZE);
  weft__sys_real.munmap((char *)r->thread.lo - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
  free(r);
}

/* Nothing of a simulation goes on after it: what comes then is ordered after all that its threads did,
 * also those that nobody has joined. */
static void order_after(struct weft__sim_thread *t) {
#if WEFT__TSAN
  void *me = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(t->own.notes.fiber, 0);
  __tsan_switch_to_fiber(me, 0);
#else
  (void)t;
#endif
}

void weft__sim_threads_end(void) {
  weft__list_foreach_safe(all, next, &alive) {
    struct record *r = record_of(all);
    order_after(&r->thread);
    if (r->thread.ended)
      put_back(r);
    else
      discard(r);
  }
  weft__context_fini(&first.own);
}

uint64_t weft__sim_thread_number(void) {
  return weft__sim_current()->number;
}

bool weft__sim_first_thread(void) {
  return weft__sim_current() == &first;
}

void weft__sim_context_thread(weft__context *c) {
  *c = weft__sim_current()->own;
#if WEFT__ASAN
  /* The fake stack is the running thread's, and its root region own's to take back. */
  c->notes.fake = c->notes.fake_root = NULL;
#endif
#if WEFT__TSAN
  c->notes.own_fiber = false;
#endif
}
