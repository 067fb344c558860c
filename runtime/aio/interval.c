/* Interval tickers: a point in time that moves on by whole periods. */
#include <weft/interval.h>

#include <weft/errors.h>

#include "aio/line.h"
#include "base/clock.h"

static const struct weft__wait_kind for_tick = {"a tick of an interval"};

/* What does not fit is never. */
static weft_ns later(weft_ns at, weft_ns by) {
  return at > WEFT_FOREVER - by ? WEFT_FOREVER : at + by;
}

int weft_interval_init(weft_interval *i, weft_ns period, const weft_interval_opts *opts) {
  static const weft_interval_opts defaults;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!opts) opts = &defaults;
  if (period < 1 || (unsigned)opts->missed > WEFT_INTERVAL_SKIP) return WEFT_EINVAL;
  *i = (weft_interval){.period_ = period, .policy_ = opts->missed};
  weft_interval_reset(i, opts->delayed ? period : 0);
  return 0;
}

void weft_interval_reset(weft_interval *i, weft_ns after) {
  i->due_ = later(weft_now(), after > 0 ? after : 0);
  i->stopped_ = false;
}

void weft_interval_stop(weft_interval *i) {
  i->stopped_ = true;
}

static int wait_until(struct weft__task *t, weft_interval *i) {
  weft__ticket ticket;
  int r = weft__wait_open(t, false, &ticket);
  if (r < 0) return r;
  weft__waits_for(t, &for_tick, i);
  uint64_t deadline = i->due_ == WEFT_FOREVER ? WEFT__NEVER : (uint64_t)i->due_;
  r = weft__wait_park(t, ticket, deadline);
  return r == WEFT_ETIMEDOUT ? 0 : r;
}

/* A tick that is due already: others run now and then all the same. */
static int no_wait(struct weft__task *t) {
  int r = weft__checkpoint(t);
  if (r < 0) return r;
  return --weft__self()->budget > 0 ? 0 : weft__shared_pause(t);
}

/* The tick of `due_` is given now: when the next one is due. */
static void move_on(weft_interval *i) {
  weft_ns now = weft_now();
  weft_ns whole = (now - i->due_) / i->period_;
  if (whole > 0 && i->policy_ != WEFT_INTERVAL_BURST) {
    i->left_out += (uint64_t)whole;
    i->due_ = i->policy_ == WEFT_INTERVAL_DELAY ? now : i->due_ + whole * i->period_;
  }
  i->due_ = later(i->due_, i->period_);
}

int weft_interval_tick(weft_interval *i, weft_ns *ret_due) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (i->stopped_) return 0;
  int r = i->due_ > weft_now() ? wait_until(t, i) : no_wait(t);
  if (r < 0) return r;
  if (ret_due) *ret_due = i->due_;
  move_on(i);
  return 1;
}
