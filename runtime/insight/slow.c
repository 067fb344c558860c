/* Tasks that keep their worker for long.
 *
 * The worker notes when a slice begins. The monitor, when one has lasted too long, asks the worker's thread
 * by a signal what it is doing: the handler copies the task's names and the return addresses on its stack,
 * and the monitor writes the report while the slice lasts, since it may last for ever. At the slice's
 * end the worker itself says how long it was. In a simulation there is one thread, which cannot be asked.
 */
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "insight/insight.h"
#include "insight/where.h"

#define ANSWER_NS (20 * WEFT__NS_PER_MS) /* how long the monitor waits for a trace */
enum { REPORT = 4096 };

/* ---- the signal ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;    /* runtimes that have signals; guarded by lock */
static int signal_number; /* constant while there are users */

static const void *interrupted(const void *context) {
  const ucontext_t *u = context;
#if defined(__x86_64__)
  return (const void *)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  return (const void *)u->uc_mcontext.pc;
#else
  (void)u;
  return NULL;
#endif
}

/* The program's own frames: those from the interrupted instruction on. */
static void take_frames(struct weft__trace *trace, const void *context) {
  void *all[WEFT__FRAMES + 8];
  const void *pc = interrupted(context);
  int n = backtrace(all, WEFT__FRAMES + 8), first = 0;
  while (first < n && all[first] != pc) first++;
  if (first == n) first = 0;
  trace->n = n - first < WEFT__FRAMES ? n - first : WEFT__FRAMES;
  memcpy(trace->frames, &all[first], (size_t)trace->n * sizeof all[0]);
}

/* Not through the shim: a signal handler passes no points. */
static void take_task(struct weft__trace *trace, const struct weft__task *t) {
  const char *name = atomic_load_explicit(&t->name.v, memory_order_relaxed);
  size_t n = 0;
  while (name && name[n] && n < sizeof trace->name - 1) {
    trace->name[n] = name[n];
    n++;
  }
  trace->name[n] = '\0';
  trace->fn = atomic_load_explicit(&t->fn.v, memory_order_relaxed);
  trace->site = atomic_load_explicit(&t->site.v, memory_order_relaxed);
}

static void on_signal(int sig, siginfo_t *info, void *context) {
  int saved = errno;
  struct weft__worker *w = weft__self();
  struct weft__debug *d = w ? w->rt->debug : NULL;
  (void)sig, (void)info;
  if (d && w->current) {
    struct weft__watch *watch = &d->watches[w - w->rt->workers];
    uint32_t asked = WEFT__WATCH_ASKED;
    if (atomic_load_explicit(&watch->state.v, memory_order_acquire) == asked) {
      take_task(&watch->trace, w->current);
      take_frames(&watch->trace, context);
      /* Fails when the monitor did not want to wait any longer. */
      atomic_compare_exchange_strong_explicit(&watch->state.v, &asked, WEFT__WATCH_TAKEN,
                                              memory_order_acq_rel, memory_order_acquire);
    }
  }
  errno = saved;
}

/* False when the program uses the signal itself. */
static bool install(void) {
  struct sigaction now;
  int number = SIGRTMAX - 1;
  if (sigaction(number, NULL, &now) != 0 || (now.sa_flags & SA_SIGINFO) ||
      now.sa_handler != SIG_DFL)
    return false;
  struct sigaction ours = {.sa_sigaction = on_signal,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
  sigemptyset(&ours.sa_mask);
  signal_number = number;
  return sigaction(number, &ours, NULL) == 0;
}

static bool begin_signals(void) {
  weft__mutex_lock(&lock);
  bool there = users > 0 || install();
  if (there && users++ == 0) {
    void *frame[1];
    backtrace(frame, 1); /* the first one loads a library: not in a handler */
  }
  weft__mutex_unlock(&lock);
  return there;
}

static void end_signals(void) {
  weft__mutex_lock(&lock);
  if (--users == 0) {
    struct sigaction by_default = {.sa_handler = SIG_IGN}; /* of one that is still on its way */
    sigaction(signal_number, &by_default, NULL);
    by_default.sa_handler = SIG_DFL;
    sigaction(signal_number, &by_default, NULL);
  }
  weft__mutex_unlock(&lock);
}

int weft__slow_begin(struct weft__debug *d) {
  d->watches = weft__calloc(d->rt->nworkers + d->rt->nreserves, sizeof *d->watches);
  if (!d->watches) return WEFT_ENOMEM;
  d->signals = !d->rt->sim && begin_signals();
  return 0;
}

void weft__slow_end(struct weft__debug *d) {
  if (d->signals) end_signals();
  weft__free(d->watches);
}

/* ---- reports ---- */

static size_t put_frames(char *buf, size_t size, const struct weft__trace *trace) {
  size_t at = 0;
  for (int i = 0; i < trace->n && at + 1 < size; i++) {
    char place[192];
    weft__where(trace->frames[i], i > 0, place, sizeof place);
    int n = snprintf(buf + at, size - at, "\n  in %s", place);
    at += n > 0 ? (size_t)n : 0;
  }
  return at;
}

/* trace NULL: there is none. */
static void report(struct weft__debug *d, struct weft__task *t, const void *site, const char *label,
                   bool over, uint64_t ns, const struct weft__trace *trace) {
  char text[REPORT], place[192];
  weft__where(site, true, place, sizeof place);
  int n = snprintf(text, sizeof text,
                   "task %s, spawned at %s, %s its worker for %llu ms without suspending%s", label,
                   place, over ? "kept" : "has kept", (unsigned long long)(ns / WEFT__NS_PER_MS),
                   trace && trace->n ? "; it was" : "");
  if (trace && n > 0 && (size_t)n < sizeof text)
    put_frames(text + n, sizeof text - (size_t)n, trace);
  weft_report r = {.kind = WEFT_REPORT_HOG, .message = text, .site = site, .site_name = place};
  weft__report(d->rt, t, &r, NULL);
}

static void report_trace(struct weft__debug *d, const struct weft__trace *trace, uint64_t ns) {
  char label[WEFT__NAME_COPY + 2];
  if (trace->name[0])
    snprintf(label, sizeof label, "'%s'", trace->name);
  else
    weft__where_symbol(trace->fn, label, sizeof label);
  report(d, NULL, trace->site, label, false, ns, trace);
}

/* ---- the worker's side ---- */

void weft__slow_thread_begin(struct weft__debug *d, struct weft__worker *w) {
  struct weft__watch *watch = &d->watches[w - w->rt->workers];
  sigset_t set;
  watch->thread = pthread_self();
  if (d->held) { /* what the thread had locked before it was a worker */
    struct weft__held_lock lock_of_the_thread;
    d->held(&lock_of_the_thread, 1);
  }
  if (!d->signals) return;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void weft__slow_slice_begin(struct weft__debug *d, struct weft__worker *w) {
  struct weft__watch *watch = &d->watches[w - w->rt->workers];
  if (weft__unlikely(weft__load_relaxed_u32(&watch->state) != WEFT__WATCH_CALM))
    weft__xchg_u32(&watch->state, WEFT__WATCH_CALM); /* asked between two slices */
  weft__store_release_u64(&watch->began, weft__now());
}

void weft__slow_slice_end(struct weft__debug *d, struct weft__worker *w, struct weft__task *t) {
  struct weft__watch *watch = &d->watches[w - w->rt->workers];
  uint64_t began = weft__load_relaxed_u64(&watch->began), now = weft__now();
  weft__store_relaxed_u64(&watch->began, 0);
  uint32_t state = weft__load_relaxed_u32(&watch->state);
  if (state != WEFT__WATCH_CALM) state = weft__xchg_u32(&watch->state, WEFT__WATCH_CALM);
  if (now - began < d->slow) return;
  char label[128];
  weft__debug_label(t, label, sizeof label);
  report(d, t, weft__load_relaxed_ptr(&t->site), label, true, now - began,
         state == WEFT__WATCH_TAKEN ? &watch->trace : NULL);
}

/* ---- the monitor's side ---- */

/* The trace, or without one in time what is known without asking: nothing about the task. */
static void tell(struct weft__debug *d, struct weft__watch *watch, uint64_t now, uint64_t ns) {
  uint32_t taken = WEFT__WATCH_TAKEN, asked = WEFT__WATCH_ASKED;
  if (weft__cas_u32(&watch->state, &taken, WEFT__WATCH_TOLD)) {
    struct weft__trace trace = watch->trace;
    report_trace(d, &trace, ns);
  } else if (now - watch->asked_at >= ANSWER_NS &&
             weft__cas_u32(&watch->state, &asked, WEFT__WATCH_TOLD)) {
    weft_report r = {.kind = WEFT_REPORT_HOG};
    weft__report(
        d->rt, NULL, &r,
        "a task has kept its worker for %llu ms without suspending; its thread does not answer",
        (unsigned long long)(ns / WEFT__NS_PER_MS));
  }
}

static void look_at(struct weft__debug *d, struct weft__watch *watch, uint64_t now) {
  uint64_t began = weft__load_acquire_u64(&watch->began);
  if (began == 0 || now < began || now - began < d->slow) return;
  uint32_t calm = WEFT__WATCH_CALM;
  if (weft__load_relaxed_u32(&watch->state) != calm) {
    tell(d, watch, now, now - began);
    return;
  }
  watch->asked_at = now;
  if (weft__cas_u32(&watch->state, &calm, WEFT__WATCH_ASKED))
    pthread_kill(watch->thread, signal_number);
}

void weft__slow_tick(struct weft__debug *d, uint64_t now) {
  if (!d->signals) return;
  for (unsigned i = 0; i < d->rt->nworkers + d->rt->nreserves; i++) look_at(d, &d->watches[i], now);
}
