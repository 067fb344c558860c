/* Descriptors, for which descriptor.c and what it waits with are compiled as they are: events, cancels and
 * closes against a task that tries, and waits when there is nothing. The kernel is a counter of bytes under
 * a lock; it tells of each that comes once.
 *
 * A byte that is there while its reader sleeps is a deadlock; so is a close that somebody overlooks. */
#include "base/sys.h"
#include "core/descriptor_pool.h"
#include "core/loop.h"
#include "core/room.h"

#define WAITERS_MORE                                                                               \
  struct weft__descriptor d;                                                                       \
  struct weft__loop home;                                                                          \
  unsigned bytes; /* guarded by lock */                                                            \
  unsigned got, closes, gone, recycled;
#include "waiters.h"

enum { FD = 7, AGE = 3 };

/* --- what the code under test stands on --- */

static int count_close(int fd) {
  MODEL_CHECK(fd == FD);
  S.closes++;
  return 0;
}
static const struct weft__sys_table table = {.close = count_close};
_Atomic(const struct weft__sys_table *) weft__sys_current = &table;

weft__atomic_u32 weft__room_waiters;
void weft__room_made_slow(void) {}
int weft__pollset_add(struct weft__pollset *s, int fd, void *descriptor, uint16_t age) {
  (void)s, (void)fd, (void)descriptor, (void)age;
  return 0;
}
int weft__descriptor_alloc(struct weft__descriptor **ret) {
  (void)ret;
  model_fail("no model makes a descriptor");
}
void weft__descriptor_recycle(struct weft__descriptor *d) {
  MODEL_CHECK(d == &S.d && !d->home && S.recycled++ == 0);
}
void weft__descriptor_settle(struct weft__descriptor *d, struct weft__loop *home) {
  (void)d, (void)home;
  model_fail("each has its home");
}
void weft__descriptor_unsettle(struct weft__descriptor *d) {
  d->home = NULL;
}
struct weft__descriptor *weft__descriptor_at(struct weft__loop *home) {
  (void)home;
  model_fail("no runtime ends");
}
bool weft__pollset_full(const struct weft__pollset *s) {
  (void)s;
  return false;
}
void weft__loop_poke(struct weft__loop *l) {
  (void)l;
}
void weft__loop_watches(struct weft__loop *l) {
  (void)l;
}
bool weft__sim_net_owns(int fd) {
  (void)fd;
  return false;
}
int weft__sim_net_watch(struct weft__sim_watch *w, int fd) {
  (void)w, (void)fd;
  model_fail("no model is in a simulated network");
}
void weft__sim_net_unwatch(struct weft__sim_watch *w) {
  (void)w;
}

static void count_gone(void *owner) {
  (void)owner;
  S.gone++;
}

/* One that is in its home already, with nothing to read. */
static void opened(void) {
  setup();
  struct weft__descriptor *d = &S.d;
  weft__list_init(&d->watch.link);
  d->home = &S.home;
  d->fd = FD;
  d->age = AGE;
  d->gone = count_gone;
  model_name(&d->lock.locked, "d.lock");
  model_name(&d->ready[WEFT__IN], "d.ready");
  model_name(&d->calls, "d.calls");
}

/* --- the kernel --- */

static bool kernel_read(void) {
  weft__spin_lock(&S.lock);
  bool any = S.bytes > 0;
  if (any) S.bytes--;
  weft__spin_unlock(&S.lock);
  return any;
}

static void byte_comes(void) {
  weft__spin_lock(&S.lock);
  S.bytes++;
  weft__spin_unlock(&S.lock);
  weft__descriptor_event(&S.d, AGE, WEFT__CAN_READ);
}

/* --- the threads --- */

/* The pattern of descriptor.h. */
static int read_byte(void) {
  struct weft__descriptor *d = &S.d;
  int r = weft__descriptor_enter(d);
  if (r < 0) return r;
  bool got = false;
  while (!got && (weft__descriptor_take(d, WEFT__IN) ||
                  (r = weft__descriptor_wait(d, WEFT__IN, WEFT__NEVER)) == 0))
    got = kernel_read();
  if (got) {
    S.got++;
    weft__descriptor_more(d, WEFT__IN);
  }
  weft__descriptor_leave(d);
  return got ? 0 : r;
}

static void reads(void) {
  S.result[0] = read_byte();
}
static void reads_twice(void) {
  S.result[0] = read_byte();
  if (S.result[0] == 0) S.result[0] = read_byte();
}
static void an_old_event(void) {
  weft__descriptor_event(&S.d, AGE - 1, WEFT__CAN_READ);
  byte_comes();
}
static void closes(void) {
  weft__descriptor_close(&S.d);
}
static void frees(void) {
  weft__descriptor_free(&S.d);
}

/* --- what holds --- */

static void all_read(void) {
  MODEL_CHECK(S.result[0] == 0 && S.bytes == 0);
  MODEL_CHECK(S.d.waiter[WEFT__IN] == NULL);
}
/* What was not read can be: the next try is worth it. */
static void nothing_lost(void) {
  MODEL_CHECK(S.got + S.bytes == 1);
  MODEL_CHECK(S.got == cancel_pending(0)); /* a byte and a cancel: both are told */
  if (S.bytes) {
    MODEL_CHECK(S.result[0] == WEFT_ECANCELED);
    MODEL_CHECK(weft__load_relaxed_u32(&S.d.ready[WEFT__IN]) == 1);
  }
  MODEL_CHECK(S.d.waiter[WEFT__IN] == NULL);
}
static void closed_once(void) {
  MODEL_CHECK(S.result[0] == WEFT_ECLOSED || (S.result[0] == 0 && S.got == 1));
  MODEL_CHECK(S.closes == 1 && S.gone == 0);
}
static void gone_once(void) {
  MODEL_CHECK(S.closes == 1 && S.gone == 1 && S.recycled == 1);
}

#define DESCRIPTOR_MODEL(name_, check_, ...)                                                       \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = opened, .enter = enter, .check = check_, .threads = {  \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

static const struct model event =
    DESCRIPTOR_MODEL("descriptor: a byte", all_read, {"reader", reads}, {"kernel", byte_comes});
static const struct model two_bytes =
    DESCRIPTOR_MODEL("descriptor: two bytes, told by two threads", all_read,
                     {"reader", reads_twice}, {"kernel", byte_comes}, {"other", byte_comes});
static const struct model stale =
    DESCRIPTOR_MODEL("descriptor: an event of who was there before", all_read, {"reader", reads},
                     {"kernel", an_old_event});
static const struct model cancel =
    DESCRIPTOR_MODEL("descriptor: a byte, cancel", nothing_lost, {"reader", reads},
                     {"kernel", byte_comes}, {"canceller", cancels_0});
static const struct model close_ =
    DESCRIPTOR_MODEL("descriptor: close", closed_once, {"reader", reads}, {"closer", closes});
static const struct model close_and_byte =
    DESCRIPTOR_MODEL("descriptor: a byte, close", closed_once, {"reader", reads},
                     {"kernel", byte_comes}, {"closer", closes});

/* Two calls inside, and the end of both stages by two threads. */
static void leaves(void) {
  weft__descriptor_leave(&S.d);
}
static void entered_twice(void) {
  opened();
  weft__descriptor_enter(&S.d);
  weft__descriptor_enter(&S.d);
}
static const struct model last_out = {
    .name = "descriptor: the last one out",
    MODEL_STATE(S),
    .setup = entered_twice,
    .enter = enter,
    .check = gone_once,
    .threads = {{"one", leaves}, {"other", leaves}, {"owner", frees}}};

static const struct model *const all[] = {&event,  &two_bytes,      &stale,   &cancel,
                                          &close_, &close_and_byte, &last_out};

static void hold(enum model_memory memory, int preemptions) {
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    model_holds(all[i], &(struct model_bounds){.memory = memory, .preemptions = preemptions});
}

static void nothing_is_lost_sequentially_consistent(void **state) {
  (void)state;
  hold(MODEL_SC, 3);
}
static void nothing_is_lost_with_store_buffers(void **state) {
  (void)state;
  hold(MODEL_TSO, 2);
}
static void nothing_is_lost_in_weak_memory(void **state) {
  (void)state;
  hold(MODEL_WEAK, 2);
}

/* --- a planted bug --- */

/* Clears after the try: what came in between is forgotten. */
static void reads_and_then_clears(void) {
  struct weft__descriptor *d = &S.d;
  int r = weft__descriptor_enter(d);
  while (r == 0 && !kernel_read()) {
    weft__descriptor_take(d, WEFT__IN);
    r = weft__descriptor_wait(d, WEFT__IN, WEFT__NEVER);
  }
  weft__descriptor_leave(d);
  S.result[0] = r;
}
static const struct model late =
    DESCRIPTOR_MODEL("descriptor: cleared too late", all_read, {"reader", reads_and_then_clears},
                     {"kernel", byte_comes});

static void clearing_after_the_try_loses_a_byte(void **state) {
  (void)state;
  model_breaks(&late, &(struct model_bounds){.memory = MODEL_SC, .preemptions = 2},
               "deadlock: reader waits");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_lost_sequentially_consistent),
    cmocka_unit_test(nothing_is_lost_with_store_buffers),
    cmocka_unit_test(nothing_is_lost_in_weak_memory),
    cmocka_unit_test(clearing_after_the_try_loses_a_byte),
};

static const struct model_suite suites[] = {
    {all, sizeof all / sizeof all[0], {.memory = MODEL_WEAK, .preemptions = 1}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, sizeof tests / sizeof tests[0], suites,
                    sizeof suites / sizeof suites[0]);
}
