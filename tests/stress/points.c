/* What a thread does at a marked point: mostly nothing; now and then it gives up the CPU, computes
 * a little, or sleeps, so that another thread comes in between two steps that follow each other
 * closely. Some threads are slow for a while and act at every tenth point: that is how a protocol
 * meets a partner that has been preempted.
 *
 * A point may be under a spinlock, so it never waits for anything but time; and it must not order
 * anything: relaxed atomics, thread-locals, and the futex call made directly, because the race
 * detector takes everything else for synchronisation.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/choice.h"
#include "base/point.h"
#include "stress.h"

/* Written between rounds, read at every point. The epoch is what threads reseed by. */
static atomic_uint rate;
static atomic_uint epoch;
static atomic_uint_least64_t base_seed;
static atomic_uint_least64_t threads_seen;
static atomic_uint_least64_t acted;

enum { SLOW_FOR = 200, SLOW_RATE = 10, SPIN_MOST = 3000, SLEEP_MOST_NS = 150000 };

struct chooser {
  struct weft__rng rng;
  unsigned epoch; /* 0: never used */
  unsigned wait;  /* points until it acts */
  unsigned slow;  /* acts left while it is slow */
};

/* initial-exec: a point may be anywhere, also where an allocation may not be. */
static _Thread_local struct chooser mine __attribute__((tls_model("initial-exec")));

#define RELAXED memory_order_relaxed

static void rest(long ns) {
  static uint32_t word; /* nobody wakes it */
  struct timespec t = {.tv_nsec = ns};
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
}

static void act(struct weft__rng *rng) {
  uint32_t kind = stress_draw(rng, 100);
  atomic_fetch_add_explicit(&acted, 1, RELAXED);
  if (kind < 60)
    syscall(SYS_sched_yield);
  else if (kind < 95)
    for (volatile uint32_t i = stress_draw(rng, SPIN_MOST); i > 0; i--) {}
  else
    rest(1000 + (long)stress_draw(rng, SLEEP_MOST_NS));
}

static void reseed(struct chooser *c, unsigned now) {
  uint64_t thread = atomic_fetch_add_explicit(&threads_seen, 1, RELAXED);
  weft__rng_init(&c->rng, atomic_load_explicit(&base_seed, RELAXED), thread);
  c->epoch = now;
  c->wait = 1;
  c->slow = 0;
}

/* On the thread that passes the point, which has its errno back afterwards. */
static void at_point(enum weft__point kind) {
  struct chooser *c = &mine;
  (void)kind; /* who spins is disturbed like who passes */
  unsigned now = atomic_load_explicit(&epoch, RELAXED);
  unsigned one_in = atomic_load_explicit(&rate, RELAXED);
  if (one_in == 0) return;
  if (c->epoch != now) reseed(c, now);
  if (--c->wait > 0) return;
  int saved = errno;
  act(&c->rng);
  errno = saved;
  if (c->slow == 0 && stress_one_in(&c->rng, 500)) c->slow = SLOW_FOR;
  unsigned mean = c->slow > 0 && one_in > SLOW_RATE ? SLOW_RATE : one_in;
  if (c->slow > 0) c->slow--;
  c->wait = 1 + stress_draw(&c->rng, 2 * mean - 1);
}

void stress_points_set(unsigned one_in, uint64_t seed) {
  atomic_store_explicit(&base_seed, seed, RELAXED);
  atomic_store_explicit(&rate, one_in, RELAXED);
  atomic_fetch_add_explicit(&epoch, 1, RELAXED);
  /* The program has one thread when this is called first; from then on the hook stays. */
  if (weft__point_hook != at_point) weft__point_hook = at_point;
}

uint64_t stress_points_acted(void) {
  return atomic_load_explicit(&acted, RELAXED);
}
