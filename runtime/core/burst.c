#include "core/burst.h"

#include "core/ready.h"
#include "core/worker.h"

enum {
  HELP_NS = 100 * 1000, /* about twice what a helper takes to come */
  LEAST_NS = 1000,      /* the average grows by so much at once, however small it is */
  WEIGHT = 4,           /* of the past against the last look's average, as WEIGHT - 1 to 1 */
};

/* Before anything is known a slice is long: a helper too many costs less than one too few. */
void weft__burst_init(struct weft__burst *b) {
  *b = (struct weft__burst){.slice_ns = HELP_NS};
}

/* One look in which the thread lost its CPU says little: no average counts for more than twice what was known. */
static void learn(struct weft__burst *b, uint64_t now, uint64_t slices) {
  if (b->from != 0 && slices != b->slices) {
    uint64_t average = (now - b->from) / (slices - b->slices), most = 2 * b->slice_ns + LEAST_NS;
    if (average > most) average = most;
    b->slice_ns = (b->slice_ns * (WEIGHT - 1) + average) / WEIGHT;
  }
  b->from = now;
  b->slices = slices;
}

/* A reserve lives in others' time, and a simulation in none. */
void weft__burst_begin(struct weft__worker *w, uint64_t now) {
  if (w->reserve || w->rt->sim) return;
  learn(&w->burst, now, weft__counter_read(&w->counters.tasks_run));
  w->burst.open = true;
}

void weft__burst_end(struct weft__worker *w) {
  if (!w->burst.open) return;
  w->burst.open = false;
  uint64_t queued = weft__ring_len(&w->ring) + weft__deque_len(&w->deque);
  if (queued > 1 && (queued - 1) * w->burst.slice_ns >= HELP_NS) weft__notify_if_surplus(w);
}

void weft__burst_rested(struct weft__worker *w) {
  w->burst.from = 0;
}
