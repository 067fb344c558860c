/* The ring of events; see trace.h for who may touch it when. */
#include "base/trace.h"

#include <weft/errors.h>

#include "base/clock.h"
#include "base/memory.h"

int weft__trace_init(struct weft__trace *t, uint32_t worker, size_t capacity) {
  const size_t limit = SIZE_MAX / sizeof(struct weft__trace_event) / 2;
  if (capacity == 0 || capacity > limit) return WEFT_EINVAL;
  size_t rounded = 1;
  while (rounded < capacity) rounded *= 2;
  struct weft__trace_event *events =
      weft__alloc_aligned(64, rounded * sizeof(struct weft__trace_event));
  if (!events) return WEFT_ENOMEM;
  *t = (struct weft__trace){.events = events, .mask = rounded - 1, .worker = worker};
  return 0;
}

void weft__trace_fini(struct weft__trace *t) {
  weft__free(t->events);
  *t = (struct weft__trace){.events = NULL};
}

void weft__trace_write(struct weft__trace *t, enum weft__trace_kind kind, uint64_t task,
                       uint64_t aux) {
  t->events[t->written++ & t->mask] = (struct weft__trace_event){
      .time = weft__now_fast(),
      .task = task,
      .aux = aux,
      .worker = t->worker,
      .kind = (uint32_t)kind,
  };
}

size_t weft__trace_length(const struct weft__trace *t) {
  if (!t->events) return 0;
  return (size_t)(t->written <= t->mask ? t->written : t->mask + 1);
}

const struct weft__trace_event *weft__trace_at(const struct weft__trace *t, size_t i) {
  WEFT__ASSERT(i < weft__trace_length(t));
  return &t->events[(weft__trace_lost(t) + i) & t->mask];
}

uint64_t weft__trace_lost(const struct weft__trace *t) {
  return t->written - weft__trace_length(t);
}

const char *weft__trace_kind_name(uint32_t kind) {
  static const char *const names[WEFT__TRACE_KINDS] = {
      [WEFT__TRACE_RUN_BEGIN] = "run-begin", [WEFT__TRACE_RUN_END] = "run-end",
      [WEFT__TRACE_SPAWN] = "spawn",         [WEFT__TRACE_STEAL] = "steal",
      [WEFT__TRACE_WAKE] = "wake",           [WEFT__TRACE_PARK] = "park",
      [WEFT__TRACE_UNPARK] = "unpark",       [WEFT__TRACE_LEASE] = "lease",
      [WEFT__TRACE_RETURN] = "return",
  };
  return kind < WEFT__TRACE_KINDS && names[kind] ? names[kind] : "?";
}
