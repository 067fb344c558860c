/* The debug mode: its beginning and end, and what is only seen at the end. */
#include <weft/debug.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/resource.h"
#include "insight/insight.h"
#include "insight/where.h"

#define SLOW_NS (100 * WEFT__NS_PER_MS)
enum { NAMED_AT_MOST = 16 };

weft__atomic_u32 weft__debug_runs;

static bool wanted(const weft_run_opts *o) {
  const char *v = getenv("WEFT_DEBUG");
  return o->debug || (v && *v && strcmp(v, "0") != 0);
}

int weft__debug_begin(struct weft__runtime *rt, const weft_run_opts *o) {
  if (o->slow_slice < 0) return WEFT_EINVAL;
  if (!wanted(o)) return 0;
  struct weft__debug *d = weft__zalloc(sizeof *d);
  if (!d) return WEFT_ENOMEM;
  d->rt = rt;
  d->slow = o->slow_slice ? (uint64_t)o->slow_slice : SLOW_NS;
  /* ISO C knows no way from a void pointer to a function. */
  void *held = dlsym(RTLD_DEFAULT, WEFT__HELD_SYMBOL);
  memcpy(&d->held, &held, sizeof held);
  int r = weft__slow_begin(d);
  if (r < 0) {
    weft__free(d);
    return r;
  }
  rt->debug = d;
  rt->observed = true;
  weft__add_relaxed_u32(&weft__debug_runs, 1);
  return 0;
}

bool weft_debugging(void) {
  struct weft__worker *w = weft__self();
  return w && w->rt->debug;
}

bool weft__debug_first(struct weft__debug *d, const void *site) {
  bool known = false;
  weft__spin_lock(&d->lock);
  for (unsigned i = 0; i < d->nsites && !known; i++) known = d->sites[i] == site;
  bool first = !known && d->nsites < WEFT__SITES_KEPT;
  if (first) d->sites[d->nsites++] = site;
  weft__spin_unlock(&d->lock);
  return first;
}

void weft__debug_label(struct weft__task *t, char *buf, size_t size) {
  const char *name = weft__task_name(t);
  if (name)
    snprintf(buf, size, "'%s'", name);
  else
    weft__where_symbol(weft__load_acquire_ptr(&t->fn), buf, size);
}

void weft__debug_symbol(const void *address, char *buf, size_t size) {
  weft__where_symbol(address, buf, size);
}

void weft__debug_place(const void *address, char *buf, size_t size) {
  weft__where(address, true, buf, size);
}

/* ---- calls from outside a task ---- */

void weft__debug_wrong_thread(const char *function, const void *site) {
  struct weft__worker *w = weft__self();
  bool held = !w || !w->rt->debug;
  struct weft__runtime *rt = held ? weft__runtime_hold_debugged() : w->rt;
  if (!rt) return;
  if (weft__debug_first(rt->debug, site)) {
    char place[192];
    weft__where(site, true, place, sizeof place);
    weft_report r = {.kind = WEFT_REPORT_THREAD, .site = site, .site_name = place};
    /* A function of the runtime's own stands for the one that was called. */
    bool public = strncmp(function, "weft_", 5) == 0 && function[5] != '_';
    weft__report(rt, NULL, &r, "%s was called outside a task, at %s: only tasks can call it",
                 public ? function : "a function that needs a task", place);
  }
  if (held) weft__runtime_release(rt);
}

/* ---- slices ---- */

void weft__debug_thread_begin(struct weft__worker *w) {
  weft__slow_thread_begin(w->rt->debug, w);
}

void weft__debug_slice_begin(struct weft__worker *w, struct weft__task *t) {
  (void)t;
  weft__slow_slice_begin(w->rt->debug, w);
}

/* Nothing that a task has locked may be locked when it leaves its thread. */
static void report_held(struct weft__debug *d, struct weft__worker *w, struct weft__task *t) {
  struct weft__held_lock locks[4];
  unsigned n = d->held(locks, sizeof locks / sizeof locks[0]);
  for (unsigned i = 0; i < n; i++) {
    if (!weft__debug_first(d, locks[i].site)) continue;
    char label[128], place[192];
    weft__debug_label(t, label, sizeof label);
    weft__where(locks[i].site, true, place, sizeof place);
    weft_report r = {.kind = WEFT_REPORT_MUTEX,
                     .site = locks[i].site,
                     .site_name = place,
                     .object = locks[i].lock,
                     .object_kind = locks[i].kind};
    weft__report(w->rt, t, &r, "task %s %s while it holds the %s locked at %s", label,
                 w->post == WEFT__POST_EXIT ? "ends" : "suspends", locks[i].kind, place);
  }
}

void weft__debug_slice_end(struct weft__worker *w, struct weft__task *t) {
  struct weft__debug *d = w->rt->debug;
  weft__slow_slice_end(d, w, t);
  if (d->held) report_held(d, w, t);
}

/* Every begin has its end in the same function, mostly: so one report for each body of a task. */
void weft__debug_task_end(struct weft__task *t) {
  if (!t->scopes && !t->shield) return;
  void *fn = weft__load_acquire_ptr(&t->fn);
  if (!weft__debug_first(t->rt->debug, fn)) return;
  char label[128], place[192];
  const void *site = weft__load_acquire_ptr(&t->site);
  const char *what = t->shield ? "a shield" : "a timeout scope";
  if (t->scopes && t->shield) what = "a timeout scope and a shield";
  weft__debug_label(t, label, sizeof label);
  weft__where(site, true, place, sizeof place);
  weft_report r = {.kind = WEFT_REPORT_OPEN, .site = site, .site_name = place, .object_kind = what};
  weft__report(t->rt, t, &r, "task %s, spawned at %s, has ended inside %s that it began", label,
               place, what);
}

/* ---- the monitor ---- */

void weft__debug_tick(struct weft__runtime *rt, uint64_t now) {
  weft__slow_tick(rt->debug, now);
  weft__endless_tick(rt->debug, now);
}

void weft__debug_idle(struct weft__runtime *rt) {
  weft__endless_idle(rt->debug);
}

/* ---- the end ---- */

void weft__debug_tasks_over(struct weft__runtime *rt) {
  struct weft__debug *d = rt->debug;
  struct weft__resource_seen seen[NAMED_AT_MOST];
  if (d->open_told) return; /* what is open now belongs to those that close the rest */
  d->open_told = true;
  size_t n = weft__resources_copy(rt, seen, NAMED_AT_MOST);
  for (size_t i = 0; i < n && i < NAMED_AT_MOST; i++) {
    char place[192];
    weft__where(seen[i].site, true, place, sizeof place);
    weft_report r = {.kind = WEFT_REPORT_OPEN,
                     .site = seen[i].site,
                     .site_name = place,
                     .object_kind = seen[i].kind};
    weft__report(rt, NULL, &r, "%s opened at %s is still open as the run ends", seen[i].kind,
                 place);
  }
  if (n > NAMED_AT_MOST) weft__log(rt, "and %zu more are open", n - NAMED_AT_MOST);
}

/* A failure is reported without debug mode, too. */
static bool is_unconsumed(const struct weft__task *t) {
  uint64_t word = weft__load_acquire_u64(&t->word);
  return weft__word_phase(word) == WEFT__DONE && !(word & WEFT__TAKEN) &&
         (t->code >= 0 || t->code == WEFT_ECANCELED);
}

static void report_unconsumed(struct weft__runtime *rt, struct weft__task *t) {
  char label[128], place[192];
  const void *site = weft__load_acquire_ptr(&t->site);
  weft__debug_label(t, label, sizeof label);
  weft__where(site, true, place, sizeof place);
  weft_report r = {.kind = WEFT_REPORT_HANDLE, .site = site, .site_name = place};
  weft__report(rt, t, &r,
               "the handle of task %s, spawned at %s, was never awaited, joined or detached", label,
               place);
}

void weft__debug_end(struct weft__runtime *rt) {
  struct weft__debug *d = rt->debug;
  unsigned n = 0;
  for (struct weft__task_slab *s = weft__load_acquire_ptr(&rt->tasks.slabs); s; s = s->next)
    for (int i = 0; i < WEFT__TASKS_PER_SLAB; i++)
      if (is_unconsumed(&s->tasks[i]) && n++ < NAMED_AT_MOST) report_unconsumed(rt, &s->tasks[i]);
  if (n > NAMED_AT_MOST) weft__log(rt, "and %u more handles", n - NAMED_AT_MOST);
  weft__resources_drop(rt);
  weft__sub_u32(&weft__debug_runs, 1);
  weft__slow_end(d);
  rt->debug = NULL;
  weft__free(d);
}
