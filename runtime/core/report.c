#include "core/report.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sim.h"
#include "core/introspect.h"
#include "core/worker.h"

enum { MESSAGE = 512 };

/* A call of the handler or of the log in progress. */
struct active {
  struct weft__list link;
  uint64_t thread;
};

void weft__reports_init(struct weft__reports *rs, weft_error_fn handler, void *arg) {
  *rs = (struct weft__reports){.handler = handler, .arg = arg};
  weft__list_init(&rs->active);
}

/* Simulated threads are one thread of the system. */
static uint64_t this_thread(void) {
  return weft__sim_here() ? weft__sim_thread_number() : (uint64_t)(uintptr_t)pthread_self();
}

static weft_error_fn get_handler(struct weft__reports *rs, void **ret_arg) {
  weft__spin_lock(&rs->lock);
  weft_error_fn handler = rs->handler;
  *ret_arg = rs->arg;
  weft__spin_unlock(&rs->lock);
  return handler;
}

/* How many calls this one is inside of. */
static unsigned enter(struct weft__reports *rs, struct active *a) {
  unsigned depth = 0;
  a->thread = this_thread();
  weft__spin_lock(&rs->lock);
  weft__list_foreach(link, &rs->active) {
    depth += weft__container_of(link, struct active, link)->thread == a->thread;
  }
  weft__list_push_back(&rs->active, &a->link);
  weft__spin_unlock(&rs->lock);
  return depth;
}

static void leave(struct weft__reports *rs, struct active *a) {
  weft__spin_lock(&rs->lock);
  weft__list_remove(&a->link);
  weft__spin_unlock(&rs->lock);
}

/* The program's code must not suspend: it may be called at a task's very end, or where the task is
 * between two states. So there is no task for it. Returns whom to put back. */
static struct weft__task *hide_task(void) {
  struct weft__worker *w = weft__self();
  struct weft__task *t = w ? w->current : NULL;
  if (t) {
    w->behind = t;
    w->current = NULL;
  }
  return t;
}

static void show_task(struct weft__task *t) {
  struct weft__worker *w = weft__self();
  if (!t || !w) return; /* none, or in a child that the handler has forked */
  w->current = t;
  w->behind = NULL;
}

/* The log gets lines. */
static void log_lines(struct weft__runtime *rt, const char *text) {
  for (;;) {
    size_t n = strcspn(text, "\n");
    weft__log(rt, "%.*s", (int)n, text);
    if (text[n] == '\0') return;
    text += n + 1;
  }
}

/* The text in the log, by a call that is inside of so many others. */
static void to_log(struct weft__runtime *rt, unsigned depth, const char *text) {
  if (rt && depth < 2)
    log_lines(rt, text);
  else
    fprintf(stderr, "weft: %s\n", text); /* else it is the log function that reports */
}

/* The handler, or the log. */
static void deliver(struct weft__runtime *rt, const weft_report *r, bool ask) {
  struct active a;
  unsigned depth = enter(&rt->reports, &a);
  void *arg;
  weft_error_fn handler = get_handler(&rt->reports, &arg);
  if (!ask || depth > 0) handler = NULL;
  struct weft__task *t = hide_task();
  int code = handler ? handler(r, arg) : 0;
  if (code < 0) {
    char line[96];
    snprintf(line, sizeof line, "the error handler failed: %d (%s)", code, weft_err_name(code));
    to_log(rt, depth, line);
  }
  if (!handler || code < 0) to_log(rt, depth, r->message);
  show_task(t);
  leave(&rt->reports, &a);
}

/* Where there is a site there is a name; buf has room for a place, for as long as the report lasts. */
static void name_site(weft_report *r, char *buf) {
  if (!r->site || r->site_name) return;
  weft__place(r->site, buf, WEFT__PLACE);
  r->site_name = buf;
}

/* A future has no name: its failure is told with the place where it was made. */
static void add_place(char *message, const weft_report *r) {
  size_t n = strlen(message);
  if (r->kind == WEFT_REPORT_FUTURE && r->site_name)
    snprintf(message + n, MESSAGE - n, ", made at %s", r->site_name);
}

/* ---- from inside ---- */

void weft__report(struct weft__runtime *rt, struct weft__task *t, weft_report *r,
                  const char *format, ...) {
  char message[MESSAGE], description[WEFT__DESCRIPTION], site[WEFT__PLACE];
  if (format) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    r->message = message;
  }
  if (t) {
    uint64_t word = weft__load_acquire_u64(&t->word);
    r->task = weft__handle(t, word);
    r->task_name = weft__task_name(t);
    weft__task_describe(t, word, description, sizeof description);
    r->task_description = description;
    if (!r->site) r->site = weft__load_acquire_ptr(&t->site);
  }
  name_site(r, site);
  if (format) add_place(message, r);
  r->runtime_ = rt;
  if (rt)
    deliver(rt, r, true);
  else
    to_log(NULL, 0, r->message);
}

/* ---- the public side ---- */

const char *weft_report_kind_name(weft_report_kind kind) {
  static const char *const names[] = {
      [WEFT_REPORT_OWN] = "a report of the program's own",
      [WEFT_REPORT_TASK] = "a task failed",
      [WEFT_REPORT_UNAWAITED] = "a failed task was never awaited",
      [WEFT_REPORT_CALLBACK] = "a callback failed",
      [WEFT_REPORT_FUTURE] = "a failed future was never read",
      [WEFT_REPORT_REMAINS] = "a task outlives its cancel",
      [WEFT_REPORT_JOBS] = "jobs outlive the run",
      [WEFT_REPORT_PROCESS] = "a process cannot be replaced",
      [WEFT_REPORT_DEADLOCK] = "a deadlock",
      [WEFT_REPORT_HOG] = "a task kept its worker for long",
      [WEFT_REPORT_HANDLE] = "a handle was never consumed",
      [WEFT_REPORT_THREAD] = "a call from the wrong thread",
      [WEFT_REPORT_MUTEX] = "a mutex held across a suspension",
      [WEFT_REPORT_OPEN] = "a resource was left open",
      [WEFT_REPORT_PAUSE] = "accepting pauses",
      [WEFT_REPORT_HANDLER] = "a handler failed",
  };
  unsigned i = (unsigned)kind;
  return i < sizeof names / sizeof *names ? names[i] : "a report";
}

int weft_set_error_handler(weft_error_fn fn, void *arg) {
  struct weft__worker *w = weft__self();
  if (!w) return weft__no_task();
  struct weft__reports *rs = &w->rt->reports;
  weft__spin_lock(&rs->lock);
  rs->handler = fn;
  rs->arg = arg;
  weft__spin_unlock(&rs->lock);
  return 0;
}

weft_error_fn weft_error_handler(void **ret_arg) {
  struct weft__worker *w = weft__self();
  if (!w) return NULL;
  void *arg;
  weft_error_fn fn = get_handler(&w->rt->reports, &arg);
  if (fn && ret_arg) *ret_arg = arg;
  return fn;
}

/* The handler of a report that came on a thread of a pool has the runtime from there. */
static struct weft__runtime *runtime_of(const weft_report *report) {
  struct weft__worker *w = weft__self();
  return report->runtime_ ? report->runtime_ : w ? w->rt : NULL;
}

static inline __attribute__((always_inline)) int report_own(const weft_report *report, bool ask,
                                                            const char *function) {
  struct weft__runtime *rt = runtime_of(report);
  if (!rt) return weft__no_task_at(function, __builtin_return_address(0));
  char message[MESSAGE], site[WEFT__PLACE];
  weft_report r = *report;
  r.runtime_ = rt;
  if (!r.message) {
    snprintf(message, sizeof message, r.code < 0 ? "%s: %s (%s)" : "%s",
             weft_report_kind_name(r.kind), weft_err_name(r.code), weft_strerror(r.code));
    r.message = message;
  }
  name_site(&r, site);
  deliver(rt, &r, ask);
  return 0;
}

int weft_report_error(const weft_report *report) {
  return report_own(report, true, __func__);
}

int weft_report_log(const weft_report *report) {
  return report_own(report, false, __func__);
}
