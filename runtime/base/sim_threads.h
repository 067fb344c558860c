/* What the parts of the simulation share. For sim.c, sim_threads.c, sim_death.c and sim_sys.c alone. */
#ifndef WEFT_BASE_SIM_THREADS_H
#define WEFT_BASE_SIM_THREADS_H

#include "base/list.h"
#include "base/sim.h"
#include "base/sim_draw.h"
#include "base/sys.h"

enum weft__sim_why { WEFT__SIM_WOKEN, WEFT__SIM_TIME, WEFT__SIM_FD };

/* Fields are the playing thread's. */
struct weft__sim_thread {
  struct weft__list link; /* in runnable, asleep, ended or unused; in none while it has the turn */
  weft__context own;      /* of its own stack */
  weft__context *at;      /* where it was left: own, or the context of a task's stack */
  void *lo;               /* its own stack */
  size_t size;
  void *local; /* what the floor above keeps per thread; while it has not the turn */
  void *(*main)(void *arg);
  void *arg;
  uint64_t number;
  const void *key; /* what it sleeps on, or NULL */
  uint64_t deadline;
  int fd; /* readable wakes it too, or -1 */
  enum weft__sim_why why;
  bool stalled;   /* asleep, but as if it were busy, or off its CPU */
  bool computing; /* while it is stalled: busy */
  uint64_t cpu;   /* CPU time, but for a stall in which it computes */
  uint64_t since; /* when that stall began */
  bool ended;
  char started; /* addresses for TSan: creation happens before the beginning, */
  char gone;    /* and the end before a join */
};

struct weft__simulation {
  struct weft__draws draws;
  struct weft__sim_hooks hooks;
  uint64_t seed;
  struct weft__sim_thread *current;
  struct weft__list runnable; /* without the current one */
  struct weft__list asleep;
  uint32_t nrunnable;
  uint64_t wake_at; /* no sleeper has an earlier deadline */
  bool busy;        /* inside a hook: no turn is given away */
  /* The temper of this run. */
  uint32_t patience;  /* most points in a row */
  uint32_t stalls;    /* one turn in so many is followed by a stall; 0: none */
  uint32_t pace;      /* ns that a point takes */
  uint32_t run, left; /* points of this turn, and how many are left */
  uint64_t turns, switches;
  uint32_t spins; /* rounds of one thread that spins alone */
};

static inline struct weft__sim_thread *weft__sim_thread_of(const struct weft__list *link) {
  return weft__container_of((struct weft__list *)(uintptr_t)link, struct weft__sim_thread, link);
}

/* ---- sim.c ---- */

struct weft__sim_thread *weft__sim_current(void);
/* t, which is in no list, may have the turn. */
void weft__sim_runnable(struct weft__sim_thread *t);
/* Draws who has the turn next and makes it so; the caller, in a list or ended, then switches to it. */
struct weft__sim_thread *weft__sim_next(void);
void weft__sim_set_local(void *local);

/* ---- sim_threads.c ---- */

/* Number 0: the thread that plays. */
struct weft__sim_thread *weft__sim_threads_begin(void);
/* Keeps the stacks for the next simulation. */
void weft__sim_threads_end(void);
int weft__sim_thread_create(pthread_t *ret, void *(*main)(void *arg), void *arg);
int weft__sim_thread_join(pthread_t id);
int weft__sim_thread_detach(pthread_t id);
/* The thread with this id; the running one for any other id. */
struct weft__sim_thread *weft__sim_thread_by_id(pthread_t id);
/* By its number; NULL when it is gone. */
struct weft__sim_thread *weft__sim_thread_by_number(uint64_t number);

/* ---- sim_death.c ---- */

/* Between the two an abort says the seed first. */
void weft__sim_watch_death(void);
void weft__sim_forget_death(void);

/* ---- sim_sys.c ---- */

/* The table to install; the playing thread, before it plays. */
const struct weft__sys_table *weft__sim_sys(void);

#endif
