/* Something every so often, without drift. Tokio: time::interval. asyncio has no counterpart.
 *
 *   weft_interval every;
 *   r = weft_interval_init(&every, weft_ms(100), NULL);
 *   while ((r = weft_interval_tick(&every, NULL)) > 0) sample();
 *
 * Ticks are due at fixed distances, however long the code between them takes, and are never early.
 * What happens when a tick comes so late that the next one is due, too, is the interval's policy.
 */
#ifndef WEFT_INTERVAL_H
#define WEFT_INTERVAL_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/decls.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

typedef enum weft_interval_missed {
  WEFT_INTERVAL_BURST =
      0,               /* every tick comes, the late ones without a pause: as many as time allows */
  WEFT_INTERVAL_DELAY, /* the next one is a whole period after the late one, and so on from there */
  WEFT_INTERVAL_SKIP,  /* those that were missed are left out; the next one is where it would be */
} weft_interval_missed;

/* Every field may be left zero. */
typedef struct weft_interval_opts {
  weft_interval_missed missed;
  bool delayed; /* the first tick is due after a period; default: at once */
} weft_interval_opts;

/* Belongs to one task at a time; any place, and nothing to give back. */
typedef struct weft_interval {
  weft_ns period_;
  weft_ns due_;
  weft_interval_missed policy_;
  bool stopped_;
  uint64_t left_out; /* to be read: ticks that DELAY and SKIP have left out since init */
} weft_interval;

/* Begins an interval now. opts may be NULL. 0, or WEFT_EINVAL for a period below 1 or a bad policy.
 * [any thread] [never suspends] */
int weft_interval_init(weft_interval *i, weft_ns period, const weft_interval_opts *opts);

/* Waits until the next tick is due. 1, and *ret_due (may be NULL) is when it was due, on the clock
 * of weft_now; 0 once the interval was stopped; WEFT_ECANCELED, WEFT_ENOMEM: then the tick is still
 * to come.
 * [task] [suspends] [cancel point]. Tokio: tick */
int weft_interval_tick(weft_interval *i, weft_ns *ret_due);

/* The next tick is due `after` from now, the later ones at the interval's distance from it; 0 and
 * less: at once. Also starts a stopped interval again. Not while another task waits for a tick.
 * [any thread] [never suspends]. Tokio: reset_after */
void weft_interval_reset(weft_interval *i, weft_ns after);

/* No more ticks. Not while another task waits for one. [any thread] [never suspends] */
void weft_interval_stop(weft_interval *i);

WEFT_END_DECLS
#endif
