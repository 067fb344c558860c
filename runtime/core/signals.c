#include "core/signals.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/mutex.h"
#include "base/thread_error.h"
#include "core/monitor.h"
#include "core/runtime.h"

enum { NUMBERS = 64, RUNTIMES = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weft__list subs = {&subs, &subs}; /* guarded by lock */

/* Of each signal, by number - 1. Guarded by lock; `before` is constant while the handler is set. */
static struct taken {
  unsigned count;          /* subs that want it */
  struct sigaction before; /* what was there */
} taken[NUMBERS];

/* What the handler looks at. */
static _Atomic(struct weft__runtime *) listeners[RUNTIMES]; /* changed under lock */
static atomic_uint inside;
static _Atomic(pid_t) process; /* whose handler it is; set before it */

int weft__signal_check(int signo) {
  if (signo < 1 || signo > NUMBERS) return WEFT_EINVAL;
  switch (signo) {
  case SIGKILL:
  case SIGSTOP:
  case SIGSEGV:
  case SIGBUS:
  case SIGILL:
  case SIGFPE:
  case SIGTRAP:
  case SIGABRT:
  case SIGSYS:
    return WEFT_ENOTSUP;
  default:
    return 0;
  }
}

/* ---- the handler ---- */

static void note(struct weft__runtime *rt, int signo) {
  atomic_fetch_add(&rt->signals.noted[signo - 1], 1);
  atomic_fetch_or(&rt->signals.any, weft__signal_bit(signo));
}

/* As if the handler were the one before. The signal is blocked here: a default comes as we return. */
static void as_before(int signo, siginfo_t *info, void *context) {
  const struct sigaction *before = &taken[signo - 1].before;
  if (before->sa_flags & SA_SIGINFO) {
    before->sa_sigaction(signo, info, context);
  } else if (before->sa_handler == SIG_DFL) {
    sigaction(signo, before, NULL);
    raise(signo);
  } else if (before->sa_handler != SIG_IGN) {
    before->sa_handler(signo);
  }
}

static void on_signal(int signo, siginfo_t *info, void *context) {
  int saved = weft__thread_error_get(); /* of whoever was interrupted */
  if (getpid() != process) {
    as_before(signo, info, context);
  } else {
    atomic_fetch_add(&inside, 1);
    for (int i = 0; i < RUNTIMES; i++) {
      struct weft__runtime *rt = atomic_load(&listeners[i]);
      if (!rt) continue;
      note(rt, signo);
      weft__monitor_ring(rt);
    }
    atomic_fetch_sub(&inside, 1);
  }
  weft__thread_error_set(saved);
}

/* ---- taking: all under the lock ---- */

static int take_one(int signo) {
  struct taken *t = &taken[signo - 1];
  if (t->count++ > 0) return 0;
  process = getpid();
  /* On the thread's signal stack: that of a task is small. */
  struct sigaction sa = {.sa_sigaction = on_signal,
                         .sa_flags = SA_ONSTACK | SA_RESTART | SA_SIGINFO};
  sigemptyset(&sa.sa_mask);
  if (sigaction(signo, NULL, &t->before) == 0 && sigaction(signo, &sa, NULL) == 0) return 0;
  t->count--;
  return WEFT_EINVAL; /* the C library keeps it for itself */
}

static void give_back_one(int signo) {
  struct taken *t = &taken[signo - 1];
  struct sigaction now;
  if (--t->count > 0) return;
  if (sigaction(signo, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
      now.sa_sigaction == on_signal)
    sigaction(signo, &t->before, NULL);
}

static void give_back(uint64_t set) {
  for (int signo = 1; signo <= NUMBERS; signo++)
    if (set & weft__signal_bit(signo)) give_back_one(signo);
}

static int take(uint64_t set) {
  for (int signo = 1; signo <= NUMBERS; signo++) {
    if (!(set & weft__signal_bit(signo))) continue;
    int r = take_one(signo);
    if (r == 0) continue;
    give_back(set & (weft__signal_bit(signo) - 1));
    return r;
  }
  return 0;
}

static int add_listener(struct weft__runtime *rt) {
  for (int i = 0; i < RUNTIMES; i++)
    if (!atomic_load(&listeners[i])) {
      atomic_store(&listeners[i], rt);
      return 0;
    }
  return WEFT_ENOBUFS;
}

static void remove_listener(struct weft__runtime *rt) {
  for (int i = 0; i < RUNTIMES; i++)
    if (atomic_load(&listeners[i]) == rt) atomic_store(&listeners[i], NULL);
}

static int begin_listening(struct weft__signal_sub *sub, struct weft__runtime *rt) {
  int r = rt->signals.subs == 0 ? add_listener(rt) : 0;
  if (r < 0) return r;
  r = take(sub->set);
  if (r < 0 && rt->signals.subs == 0) remove_listener(rt);
  return r;
}

static void detach(struct weft__signal_sub *sub) {
  struct weft__runtime *rt = sub->rt;
  weft__list_remove(&sub->link);
  sub->rt = NULL;
  rt->signals.subs--;
  if (rt->sim) return;
  give_back(sub->set);
  if (rt->signals.subs == 0) remove_listener(rt);
}

/* ---- who listens ---- */

int weft__signals_add(struct weft__signal_sub *sub, struct weft__runtime *rt) {
  weft__mutex_lock(&lock);
  int r = rt->sim ? 0 : begin_listening(sub, rt);
  if (r == 0) {
    sub->rt = rt;
    rt->signals.subs++;
    weft__list_push_back(&subs, &sub->link);
  }
  weft__mutex_unlock(&lock);
  return r;
}

bool weft__signals_remove(struct weft__signal_sub *sub) {
  weft__mutex_lock(&lock);
  bool was = sub->rt != NULL;
  if (was) detach(sub);
  weft__mutex_unlock(&lock);
  return was;
}

bool weft__signals_find(struct weft__runtime *rt, bool (*fn)(struct weft__signal_sub *, void *),
                        void *arg) {
  bool found = false;
  weft__mutex_lock(&lock);
  weft__list_foreach(l, &subs) {
    struct weft__signal_sub *sub = weft__container_of(l, struct weft__signal_sub, link);
    if (sub->rt == rt && fn(sub, arg)) {
      found = true;
      break;
    }
  }
  weft__mutex_unlock(&lock);
  return found;
}

static void pass_one(struct weft__runtime *rt, int signo) {
  unsigned times = atomic_exchange(&rt->signals.noted[signo - 1], 0);
  if (times == 0) return; /* it was counted, and its bit came after */
  weft__list_foreach(l, &subs) {
    struct weft__signal_sub *sub = weft__container_of(l, struct weft__signal_sub, link);
    if (sub->rt == rt && (sub->set & weft__signal_bit(signo))) sub->came(sub, signo, times);
  }
}

void weft__signals_pass(struct weft__runtime *rt) {
  if (!atomic_load(&rt->signals.any)) return;
  uint64_t any = atomic_exchange(&rt->signals.any, 0);
  weft__mutex_lock(&lock);
  for (int signo = 1; signo <= NUMBERS; signo++)
    if (any & weft__signal_bit(signo)) pass_one(rt, signo);
  weft__mutex_unlock(&lock);
}

/* Takes one of rt's off the list. */
static struct weft__signal_sub *drop_one(struct weft__runtime *rt) {
  weft__list_foreach(l, &subs) {
    struct weft__signal_sub *sub = weft__container_of(l, struct weft__signal_sub, link);
    if (sub->rt != rt) continue;
    detach(sub);
    return sub;
  }
  return NULL;
}

void weft__signals_end(struct weft__runtime *rt) {
  struct weft__signal_sub *sub;
  weft__mutex_lock(&lock);
  while (rt->signals.subs > 0 && (sub = drop_one(rt)) != NULL)
    if (sub->dropped) sub->dropped(sub);
  weft__mutex_unlock(&lock);
  if (!rt->sim)
    while (atomic_load(&inside) != 0) sched_yield();
}

void weft__signals_forget(int signo, void (*handler)(int)) {
  weft__mutex_lock(&lock);
  struct taken *t = &taken[signo - 1];
  if (t->count > 0 && !(t->before.sa_flags & SA_SIGINFO) && t->before.sa_handler == handler)
    t->before = (struct sigaction){.sa_handler = SIG_DFL};
  weft__mutex_unlock(&lock);
}

int weft__signals_play(int signo) {
  struct weft__runtime *rt = NULL;
  weft__mutex_lock(&lock);
  weft__list_foreach(l, &subs) {
    struct weft__signal_sub *sub = weft__container_of(l, struct weft__signal_sub, link);
    if (sub->rt->sim && (sub->set & weft__signal_bit(signo))) rt = sub->rt;
  }
  if (rt) note(rt, signo);
  weft__mutex_unlock(&lock);
  if (!rt) return WEFT_ENOTSUP;
  weft__monitor_want_ticks(rt);
  return 0;
}
