/* When the blocking pool grows: the tick, and how it tells a blocked thread from a busy one.
 *
 * Three questions, the cheap one first. Did the thread use CPU since the last look? Its CPU clock
 * tells, for a third of a microsecond. If hardly any: is it asleep in the kernel, or does it wait
 * for a CPU? That is in /proc, for some seven microseconds, and is asked once per blocking job.
 * Without /proc a thread counts as blocked when it was off its CPU for so long that a fair
 * scheduler would have run it in between.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <weft/errors.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/sys.h"
#include "core/blocking.h"

enum {
  LOOK_NS = 500000,    /* an interval shorter than this says nothing */
  STILL_LOOKS = 20,    /* looks in a row that stand in for /proc */
  SETTLED_PERIOD = 16, /* a thread known to be blocked is looked at every so many ticks */
};

static uint64_t cpu_time(const struct weft__blocking_thread *t) {
  struct timespec ts = {0};
  if (weft__sys_clock_gettime(t->clock, &ts) < 0) return 0;
  return (uint64_t)ts.tv_sec * WEFT__NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* The state letter of the thread in /proc, or 0 when it cannot be had. */
static char kernel_state(const struct weft__blocking_thread *t) {
  char path[64], text[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", t->tid);
  int fd = weft__sys_open(path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  /* past the seam: this read fails with its file, and the n-th read of a test is one of its own */
  ssize_t n = weft__sys_real.read(fd, text, sizeof text);
  weft__sys_close(fd);
  /* "123 (name) S ...": a name has at most 15 bytes, of any kind, and what follows has no bracket
   */
  const char *end = n > 0 ? memrchr(text, ')', (size_t)n) : NULL;
  return end && end + 2 < text + n ? end[2] : 0;
}

static bool is_blocked(struct weft__blocking_thread *t) {
  char state = kernel_state(t);
  if (state == 0) return ++t->still >= STILL_LOOKS;
  return state == 'S' || state == 'D';
}

static void set_seen(struct weft__blocking_thread *t, uint64_t now, uint64_t cpu) {
  t->seen_time = now;
  t->seen_cpu = cpu;
  t->seen_finished = weft__counter_read(&t->finished);
  t->seen_running = t->running;
}

/* Looks at one awake thread: sets blocked; true when it is computing, or would if it had a CPU. */
static bool look_at(struct weft__blocking *p, struct weft__blocking_thread *t, uint64_t now) {
  bool same_job = t->seen_time != 0 && t->seen_running && t->running &&
                  t->seen_finished == weft__counter_read(&t->finished);
  if (t->blocked && same_job && (p->ticks + t->number) % SETTLED_PERIOD != 0) return false;
  if (t->seen_time != 0 && weft__elapsed(t->seen_time, now) < LOOK_NS) return false;
  if (same_job && t->taken > 1) weft__blocking_reclaim(p, t);
  uint64_t cpu = cpu_time(t);
  uint64_t interval = weft__elapsed(t->seen_time, now);
  bool first = t->seen_time == 0;
  bool off_cpu = weft__elapsed(t->seen_cpu, cpu) < interval / 4;
  set_seen(t, now, cpu);
  if (first || !t->running) return false;
  bool blocked = off_cpu && (t->blocked || is_blocked(t));
  if (!off_cpu) t->still = 0;
  if (blocked != t->blocked) p->blocked += blocked ? 1 : -1U;
  t->blocked = blocked;
  return !blocked;
}

static void look_around(struct weft__blocking *p, uint64_t now) {
  unsigned computing = 0;
  weft__list_foreach(link, &p->running) {
    computing += look_at(p, weft__container_of(link, struct weft__blocking_thread, link), now);
  }
  p->surplus = computing > p->hot ? computing - p->hot : 0;
}

/* Calls one more thread for the jobs that wait; false when none waits or none can be had. The lock
 * is held, but given up for a moment: making a thread takes long enough. */
static bool grow_by_one(struct weft__blocking *p, uint64_t now) {
  struct weft__blocking_thread *t = NULL;
  if (p->queued <= p->searching || weft__blocking_summon(p, &t) < 0) return false;
  set_seen(t, now, cpu_time(t)); /* so that the next tick can judge it already */
  weft__blocking_publish(p);
  weft__mutex_unlock(&p->lock);
  weft__blocking_wake(t);
  weft__mutex_lock(&p->lock);
  return true;
}

/* Jobs queued, or taken and not begun. */
static bool jobs_wait(struct weft__blocking *p) {
  weft__blocking_collect(p);
  return p->queued > 0 || p->batched > 0;
}

bool weft__blocking_tick(struct weft__blocking *p, uint64_t now) {
  weft__mutex_lock(&p->lock);
  p->ticks++;
  weft__blocking_collect(p);
  look_around(p, now);
  unsigned active = p->awake - p->blocked;
  unsigned lacking = active < p->hot ? p->hot - active : 0;
  if (lacking == 0 || p->queued == 0) {
    p->growth = p->hot;
  } else {
    /* All that came with the last tick are blocked too: twice as many, one for each at most. */
    unsigned n = p->growth < p->blocked ? p->growth : p->blocked;
    if (n < lacking) n = lacking;
    p->growth = n < p->max / 2 ? 2 * n : p->max;
    while (n > 0 && grow_by_one(p, now)) n--;
  }
  p->ticking = jobs_wait(p);
  weft__blocking_publish(p);
  /* What came before the publish asked for no ticks. */
  if (!p->ticking) p->ticking = jobs_wait(p);
  bool again = p->ticking;
  weft__blocking_publish(p);
  weft__mutex_unlock(&p->lock);
  return again;
}
