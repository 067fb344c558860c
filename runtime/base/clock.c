/* The clock as a line through the CPU's counter.
 *
 * A line is ns = base + (counter - from) * rate, and it holds for counters in [from, from + length)
 * only. When it has run out, whoever reads the clock next takes the lock, compares the counter with
 * CLOCK_MONOTONIC and continues with a new line that starts now, at the kernel's time or at the old
 * line's end, whichever is later; in the second case the new line is a little flatter, so that it
 * meets the kernel's time at its end. So the clock is one function of the counter, the same for all
 * threads, and never decreases; an old line cannot be used beyond its end, however long a thread
 * was preempted. What remains is that the counter is the same on all CPUs: the kernel watches that,
 * and where it stops trusting the counter as its own clock source we never start.
 *
 * The rate comes from two comparisons of the counter with the kernel's clock, some time apart. Each
 * is good to about 50 ns, so a rate measured over d is used for at most another d: the error stays
 * at about 100 ns. Lines grow from 1 ms to 20 ms, and that is also how far ahead the clock can have
 * run when the counter jumps or changes its rate (a suspended machine, one moved to another host):
 * the clock then waits for the kernel's. Until the first millisecond has passed, and after such a
 * jump, there is no rate: readings are clock_gettime's, under the lock, never smaller than what was
 * given out before.
 *
 * The line is guarded by a version that is odd while it changes (a seqlock): readers write nothing.
 * These atomics stay outside base/atomics.h: the explorer runs on a virtual clock.
 */
#include "base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <weft/time.h>

#include "base/check.h"
#include "base/point.h"
#include "base/spin.h"
#include "base/sys.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

enum source {
  SYSTEM, /* clock_gettime: before init, and where the counter cannot be used */
  COUNTER,
  VIRTUAL
};

#define LINE_MAX_NS (20 * WEFT__NS_PER_MS)
/* A rate is measured over at least this long. */
#define BASELINE_MIN_NS WEFT__NS_PER_MS
/* And over one to two times this long once the clock has run for a while: long enough for a good
 * rate, short enough to follow the kernel when it adjusts its own. */
#define BASELINE_AGE_NS (250 * WEFT__NS_PER_MS)
/* A rate that differs more than this from the one before is not the kernel adjusting its clock
 * (at most 0.05 %) but a counter that was stopped or replaced. */
#define RATE_JUMP (1.0 / 500)
/* A baseline must be this much longer than its two ends are uncertain. */
#define BASELINE_PER_WIDTH 4096
/* Counts: what the two readings and the kernel's take without an interrupt, on a fast counter. */
#define NARROW 300

/* Written under lock between two increments of version; each store below the first increment is a
 * release and each load above the second check an acquire, so a reader that sees one version twice,
 * even, has that version's fields. */
static struct {
  _Atomic(uint32_t) version;
  _Atomic(uint64_t) from;
  _Atomic(uint64_t) length; /* in counts; 0: there is no line */
  _Atomic(uint64_t) base;
  _Atomic(uint64_t) rate; /* nanoseconds per count, 32 bits behind the point */
} line __attribute__((aligned(64)));

/* Written under lock, read without it by weft__now to skip the lock where there is no counter. */
static _Atomic(int) source = SYSTEM;

/* One comparison of the counter with the kernel's clock. */
struct sample {
  uint64_t count;
  uint64_t ns;
  uint64_t width; /* counts between the readings before and after: twice the uncertainty */
};

/* Read and written without the lock: a simulation reads it at any point, under the lock too. */
static _Atomic(uint64_t) virtual_ns;

/* Everything below is guarded by lock. */
static struct weft__spin lock;
static struct sample baseline;  /* where the rate is measured from; ns 0: none */
static struct sample successor; /* the next baseline, in BASELINE_AGE_NS at most */
static double rate_before;      /* of the last line; 0: none */
static uint64_t given;          /* the largest time given out without a line */
static uint64_t line_end;       /* the time at the end of the last line */
static enum source detected = SYSTEM; /* what weft__clock_init found */

static uint64_t system_ns(void) {
  struct timespec t;
  int r = weft__sys_clock_gettime(CLOCK_MONOTONIC, &t);
  WEFT__ASSERT(r == 0);
  return (uint64_t)t.tv_sec * WEFT__NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* ---- the counter ---- */

#if defined(WEFT__CLOCK_COUNT)

/* A test drives the clock with a counter of its own. */
static inline uint64_t count_ordered(void) {
  return WEFT__CLOCK_COUNT();
}

static inline uint64_t count_fast(void) {
  return WEFT__CLOCK_COUNT();
}

static bool counter_usable(void) {
  return true;
}

#elif defined(__x86_64__)

/* Not before any earlier load: it tells a time after what those loads have seen. */
static inline uint64_t count_ordered(void) {
  _mm_lfence();
  return __rdtsc();
}

static inline uint64_t count_fast(void) {
  return __rdtsc();
}

/* The CPU says that the counter has one rate in every power state, and this thread may read it. */
static bool counter_is_invariant(void) {
  unsigned a, b, c, d;
  int allowed = 0;
  if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & (1U << 8))) return false;
  return prctl(PR_GET_TSC, &allowed) != 0 || allowed == PR_TSC_ENABLE;
}

/* The kernel's own choice, which it withdraws when the CPUs' counters differ. On kvm-clock the
 * counters may differ between CPUs, and a kernel that finds them equal prefers tsc: so only tsc. */
static bool kernel_trusts_counter(void) {
  static const char path[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
  char name[16];
  int fd = weft__sys_open(path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return false;
  ssize_t n = weft__sys_read(fd, name, sizeof name);
  weft__sys_close(fd);
  return n == 4 && memcmp(name, "tsc\n", 4) == 0;
}

static bool counter_usable(void) {
  return counter_is_invariant() && kernel_trusts_counter();
}

#else

static inline uint64_t count_ordered(void) {
  return 0;
}

static inline uint64_t count_fast(void) {
  return 0;
}

static bool counter_usable(void) {
  return false;
}

#endif

/* The first that is narrow, or the narrowest of a few: an interrupt between the readings shows as
 * width. */
static struct sample compare(void) {
  struct sample best = {.width = UINT64_MAX};
  for (int i = 0; i < 4 && best.width > NARROW; i++) {
    uint64_t before = count_ordered();
    uint64_t ns = system_ns();
    uint64_t after = count_ordered();
    uint64_t width = after - before;
    if (width < best.width)
      best = (struct sample){.count = before + width / 2, .ns = ns, .width = width};
  }
  return best;
}

/* ---- reading ---- */

/* False when the line does not hold for this count, or changed meanwhile. */
static inline bool read_line(bool ordered, uint64_t *ret) {
  uint32_t version = atomic_load_explicit(&line.version, memory_order_acquire);
  uint64_t length = atomic_load_explicit(&line.length, memory_order_acquire);
  if (weft__unlikely(length == 0)) return false;
  uint64_t from = atomic_load_explicit(&line.from, memory_order_acquire);
  uint64_t base = atomic_load_explicit(&line.base, memory_order_acquire);
  uint64_t rate = atomic_load_explicit(&line.rate, memory_order_acquire);
  uint64_t passed = (ordered ? count_ordered() : count_fast()) - from;
  uint32_t again = atomic_load_explicit(&line.version, memory_order_relaxed);
  if (weft__unlikely(passed >= length || again != version || (version & 1))) return false;
  /* No overflow: passed * rate is less than LINE_MAX_NS << 32. */
  *ret = base + ((passed * rate) >> 32);
  return true;
}

static void set_line(uint64_t from, uint64_t length, uint64_t base, uint64_t rate) {
  uint32_t version = atomic_load_explicit(&line.version, memory_order_relaxed);
  atomic_store_explicit(&line.version, version + 1, memory_order_relaxed);
  atomic_store_explicit(&line.length, length, memory_order_release);
  atomic_store_explicit(&line.from, from, memory_order_release);
  atomic_store_explicit(&line.base, base, memory_order_release);
  atomic_store_explicit(&line.rate, rate, memory_order_release);
  atomic_store_explicit(&line.version, version + 2, memory_order_release);
  line_end = base + ((length * rate) >> 32);
}

/* ---- a new line; all of it under the lock ---- */

static uint64_t at_least_given(uint64_t ns) {
  if (ns > given) given = ns;
  return given;
}

/* Gives up the line and measures anew from here: the kernel's clock until then. */
static uint64_t start_over(struct sample now) {
  if (atomic_load_explicit(&line.length, memory_order_relaxed) != 0) at_least_given(line_end);
  set_line(0, 0, 0, 0);
  baseline = successor = now;
  rate_before = 0;
  return at_least_given(now.ns);
}

static bool rate_is_plausible(double rate) {
  if (!(rate > 1.0 / 16 && rate < 1000)) return false;
  if (rate_before == 0) return true;
  return rate > rate_before * (1 - RATE_JUMP) && rate < rate_before * (1 + RATE_JUMP);
}

/* Continues from now at the given rate, for at most ns nanoseconds. */
static uint64_t continue_line(struct sample now, double rate, uint64_t ns) {
  uint64_t base = at_least_given(now.ns > line_end ? now.ns : line_end);
  uint64_t ahead = base - now.ns;
  double length_ns = (double)(ns < LINE_MAX_NS ? ns : LINE_MAX_NS);
  /* More than that cannot be made up for by going slower. */
  if ((double)ahead > length_ns / 8) return start_over(now);
  double slower = rate * (1 - (double)ahead / length_ns);
  set_line(now.count, (uint64_t)(length_ns / rate), base, (uint64_t)(slower * 4294967296.0));
  rate_before = rate;
  return base;
}

static uint64_t renew(void) {
  struct sample now = compare();
  if (baseline.ns == 0) return start_over(now);
  /* A counter that began anew gives an absurd number here, and an implausible rate below. */
  uint64_t counts = now.count - baseline.count;
  uint64_t ns = now.ns - baseline.ns;
  bool coarse = counts / BASELINE_PER_WIDTH < now.width + baseline.width;
  if (ns < BASELINE_MIN_NS || coarse) {
    /* Too early for a rate. Whatever line there was has ended. */
    at_least_given(line_end);
    return at_least_given(now.ns);
  }
  double rate = (double)ns / (double)counts;
  if (!rate_is_plausible(rate)) return start_over(now);
  if (now.ns - successor.ns > BASELINE_AGE_NS) {
    baseline = successor;
    successor = now;
  }
  return continue_line(now, rate, ns);
}

static __attribute__((noinline)) uint64_t read_slow(void) {
  uint64_t ns;
  enum source which = (enum source)atomic_load_explicit(&source, memory_order_acquire);
  if (which == VIRTUAL) return atomic_load_explicit(&virtual_ns, memory_order_relaxed);
  if (which == SYSTEM) {
    ns = system_ns();
    /* Still no line that might be ahead of it: then no lock is needed. */
    if (atomic_load_explicit(&source, memory_order_acquire) == SYSTEM) return ns;
  }
  weft__spin_lock(&lock);
  switch (atomic_load_explicit(&source, memory_order_relaxed)) {
  case VIRTUAL:
    ns = atomic_load_explicit(&virtual_ns, memory_order_relaxed);
    break;
  case COUNTER:
    if (!read_line(true, &ns)) ns = renew();
    break;
  default:
    ns = system_ns();
    break;
  }
  weft__spin_unlock(&lock);
  return ns;
}

uint64_t weft__now(void) {
  uint64_t ns;
  return weft__likely(read_line(true, &ns)) ? ns : read_slow();
}

uint64_t weft__now_fast(void) {
  uint64_t ns;
  return weft__likely(read_line(false, &ns)) ? ns : read_slow();
}

weft_ns weft_now(void) {
  weft__point(); /* who waits by asking for the time lets others run, and time pass */
  return (weft_ns)weft__now();
}

/* ---- choosing the source ---- */

/* Under the lock. */
static void use(enum source which) {
  set_line(0, 0, 0, 0);
  baseline = successor = (struct sample){.ns = 0};
  rate_before = 0;
  given = line_end = 0;
  atomic_store_explicit(&source, which, memory_order_release);
}

/* The child has only the thread that called fork, and another one may have held the lock: the lock
 * is free, a line that was being written is void, and measuring begins anew. */
static void in_child(void) {
  uint64_t last = 0;
  enum source which = (enum source)atomic_load_explicit(&source, memory_order_relaxed);
  uint32_t version = atomic_load_explicit(&line.version, memory_order_relaxed);
  weft__store_release_u32(&lock.locked, 0);
  if (version & 1)
    atomic_store_explicit(&line.version, version + 1, memory_order_relaxed);
  else
    read_line(true, &last);
  use(which);
  given = last;
}

static void init(void) {
  pthread_atfork(NULL, NULL, in_child);
  if (!counter_usable()) return;
  weft__spin_lock(&lock);
  detected = COUNTER;
  if (atomic_load_explicit(&source, memory_order_relaxed) == SYSTEM) use(COUNTER);
  weft__spin_unlock(&lock);
}

void weft__clock_init(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init);
}

const char *weft__clock_source(void) {
  switch (atomic_load_explicit(&source, memory_order_acquire)) {
  case COUNTER:
    return "tsc";
  case VIRTUAL:
    return "virtual";
  default:
    return "clock_gettime";
  }
}

/* ---- the seam ---- */

void weft__clock_set_virtual(uint64_t ns) {
  WEFT__ASSERT(ns > 0);
  weft__spin_lock(&lock);
  atomic_store_explicit(&virtual_ns, ns, memory_order_relaxed);
  use(VIRTUAL);
  weft__spin_unlock(&lock);
}

void weft__clock_advance(uint64_t ns) {
  WEFT__ASSERT(atomic_load_explicit(&source, memory_order_relaxed) == VIRTUAL);
  atomic_fetch_add_explicit(&virtual_ns, ns, memory_order_relaxed);
}

void weft__clock_set_system(void) {
  weft__spin_lock(&lock);
  use(SYSTEM);
  weft__spin_unlock(&lock);
}

void weft__clock_set_real(void) {
  weft__spin_lock(&lock);
  use(detected);
  weft__spin_unlock(&lock);
}
