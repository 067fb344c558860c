/* What can be asked about tasks: the current one, names, descriptions, the list of all. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <weft/task.h>

#include "core/debug.h"
#include "core/introspect.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/spawn.h"
#include "core/worker.h"

weft_task weft_current(void) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__handle_failed(weft__not_in_task());
  return weft__handle(t, weft__load_relaxed_u64(&t->word));
}

/* The word of the task that h names, or 0 when it names none. */
static uint64_t word_of(weft_task h) {
  struct weft__task *t = h.slot_;
  uint64_t word = weft__load_acquire_u64(&t->word);
  return weft__word_names(word, weft__handle_key(h)) ? word : 0;
}

const char *weft_task_name(weft_task h) {
  if (!h.slot_ || weft__in_child() || !word_of(h)) return NULL;
  const char *name = weft__task_name(h.slot_);
  return word_of(h) ? name : NULL; /* it may have changed hands meanwhile */
}

int weft_task_done(weft_task h) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!h.slot_) return weft__handle_error(h);
  uint64_t word = word_of(h);
  return word ? weft__word_phase(word) == WEFT__DONE : WEFT_ESTALE;
}

int weft_detach(weft_task h) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!h.slot_) return weft__handle_error(h);
  struct weft__task *t = h.slot_;
  if (!weft__claim_take(&t->word, weft__handle_key(h))) return WEFT_ESTALE;
  weft__let_go(t);
  return 0;
}

static const char *state_name(uint64_t word, struct weft__task *t) {
  switch (weft__word_phase(word)) {
  case WEFT__UNSTARTED:
    return "not begun";
  case WEFT__ARMED:
  case WEFT__PARKED:
    return "waiting";
  case WEFT__DONE:
    return "ended";
  default:
    return weft__load_relaxed_ptr(&t->inline_child) ? "awaiting a task it runs itself" : "running";
  }
}

/* " for a lock, with a deadline" of a task that waits. What it waits for is a guess while it still leaves. */
static void put_wait(struct weft__task *t, uint64_t word, char *buf, size_t size) {
  buf[0] = '\0';
  if (!weft__word_waiting(word)) return;
  const struct weft__wait_kind *kind = weft__load_relaxed_ptr(&t->wait_kind);
  bool deadline = weft__load_relaxed_ptr(&t->timer_heap) && kind != &weft__waits_time;
  snprintf(buf, size, "%s%s%s", kind ? " for " : "", kind ? kind->name : "",
           deadline ? " with a deadline" : "");
}

void weft__symbol(const void *address, char *buf, size_t size) {
  Dl_info info;
  if (weft__debug_any()) {
    weft__debug_symbol(address, buf, size);
  } else if (address && dladdr(address, &info) && info.dli_sname) {
    size_t offset = (size_t)((const char *)address - (const char *)info.dli_saddr);
    snprintf(buf, size, offset ? "%s+0x%zx" : "%s", info.dli_sname, offset);
  } else {
    snprintf(buf, size, "%p", (void *)(uintptr_t)address);
  }
}

void weft__place(const void *address, char *buf, size_t size) {
  if (weft__debug_any())
    weft__debug_place(address, buf, size);
  else
    weft__symbol(address, buf, size);
}

void weft__task_label(struct weft__task *t, char *buf, size_t size) {
  char fn[96], site[WEFT__PLACE];
  const char *name = weft__task_name(t);
  if (name)
    snprintf(fn, sizeof fn, "'%s'", name);
  else
    weft__symbol(weft__load_acquire_ptr(&t->fn), fn, sizeof fn);
  if (!weft__debug_any()) {
    snprintf(buf, size, "%s", fn);
    return;
  }
  weft__place(weft__load_acquire_ptr(&t->site), site, sizeof site);
  snprintf(buf, size, "%s, spawned at %s,", fn, site);
}

int weft__task_describe(struct weft__task *t, uint64_t word, char *buf, size_t size) {
  char fn[96], site[WEFT__PLACE], name[96], wait[80];
  const char *given = weft__task_name(t);
  weft__symbol(weft__load_acquire_ptr(&t->fn), fn, sizeof fn);
  weft__place(weft__load_acquire_ptr(&t->site), site, sizeof site);
  snprintf(name, sizeof name, "%s", given ? given : "-");
  put_wait(t, word, wait, sizeof wait);
  return snprintf(buf, size, "task %u '%s' %s%s%s, runs %s, spawned at %s",
                  (unsigned)weft__word_key(word), name, state_name(word, t), wait,
                  weft__word_count(word) ? ", cancel requested" : "", fn, site);
}

int weft_task_describe(weft_task h, char *buf, size_t size) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!h.slot_) return weft__handle_error(h);
  uint64_t word = word_of(h);
  if (!word) return WEFT_ESTALE;
  char text[WEFT__DESCRIPTION];
  weft__task_describe(h.slot_, word, text, sizeof text);
  if (!word_of(h)) return WEFT_ESTALE; /* another task by now: what was read may be its */
  return snprintf(buf, size, "%s", text);
}

int weft_tasks(weft_task *tasks, size_t max) {
  struct weft__worker *w = weft__self();
  if (!w || !w->current) return weft__no_task();
  size_t n = 0;
  for (struct weft__task_slab *s = weft__load_acquire_ptr(&w->rt->tasks.slabs); s; s = s->next)
    for (int i = 0; i < WEFT__TASKS_PER_SLAB; i++) {
      uint64_t word = weft__load_acquire_u64(&s->tasks[i].word);
      unsigned phase = weft__word_phase(word);
      if (phase == WEFT__FREE || phase == WEFT__DONE) continue;
      if (n < max) tasks[n] = weft__handle(&s->tasks[i], word);
      n++;
    }
  return (int)n;
}
