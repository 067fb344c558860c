/* Bursts: what one look at a poll set makes ready, and whether it is worth a helper.
 *
 * A worker that is woken comes after 20 to 50 us, and what it takes over costs a cache line or two more than
 * it would have here. So nobody is woken for the tasks of a look one by one. When all are queued, a helper is
 * woken if what waits behind the first of them would wait longer than that: the length of the queues times
 * what a slice has taken here of late. A slice that turns out to be longer is the monitor's business.
 */
#ifndef WEFT_CORE_BURST_H
#define WEFT_CORE_BURST_H

#include <stdbool.h>
#include <stdint.h>

struct weft__worker;

/* All of them the worker's own. */
struct weft__burst {
  bool open;     /* a look tells its news: weft__notify_if_surplus is put off */
  uint64_t from; /* the last look, on the clock of weft__now_fast; 0: the worker has slept since */
  uint64_t slices;   /* how many had been run by then */
  uint64_t slice_ns; /* what one takes, on average, the later ones counting for more */
};

void weft__burst_init(struct weft__burst *b);
/* Around the news of one look, made at `now`, by w. */
void weft__burst_begin(struct weft__worker *w, uint64_t now);
void weft__burst_end(struct weft__worker *w);
/* w has slept: that time is no slice's. */
void weft__burst_rested(struct weft__worker *w);

#endif
