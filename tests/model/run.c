/* One run of a model: its threads as fibers, and the operations they call.
 *
 * A thread hands over to the scheduler before each operation and does it when it is next resumed,
 * so between two hand-overs lies exactly one operation and the plain code that follows it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "explore.h"
#include "fiber.h"

#define NOBODY MODEL_THREADS /* setup, check and conditions: at once, on the newest values */
#define LONGEST 20000        /* steps: a run that is longer is taken for one without end */

enum status { READY, SPINNING, WAITING, ASLEEP, FINISHED };

static struct thread {
  const char *name;
  struct fiber fiber;
  enum status status;
  bool (*condition)(void); /* WAITING */
  const void *word;        /* ASLEEP on it */
  uint64_t stack_hash;     /* of the stack as it was when the thread last stopped */
  bool moved;              /* it has run since */
  bool news;               /* another thread's store became visible since it last spun */
} threads[MODEL_THREADS];

#define GUARDS 4
static struct guard {
  const void *from;
  size_t size;
} guard[GUARDS]; /* the model's, set anew in each run */
static unsigned guards;

static struct run *R;
static unsigned count;   /* threads */
static unsigned running; /* the one whose code runs, or NOBODY */
static unsigned current; /* the one that ran last, or NOBODY */
static bool preempted;   /* the step was taken from a thread that could go on: for the trace */
static void *scheduler;  /* sp */
static jmp_buf give_up;  /* a failure outside the threads */

/* --- threads --- */

static void hand_over(void) {
  fiber_switch(&threads[running].fiber.sp, scheduler);
}

static void resume(unsigned t) {
  struct thread *th = &threads[t];
  running = t;
  if (R->model->enter) R->model->enter(t);
  fiber_switch(&scheduler, th->fiber.sp);
  running = NOBODY;
  th->moved = true;
  if ((char *)th->fiber.sp < th->fiber.used) th->fiber.used = th->fiber.sp;
}

static void thread_main(void) {
  R->model->threads[running].body();
  threads[running].status = FINISHED;
  R->memory->ended(running);
  for (;;) hand_over();
}

void model_fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(R->why, sizeof R->why, format, args);
  va_end(args);
  R->failed = true;
  if (running == NOBODY) longjmp(give_up, 1);
  for (;;) hand_over();
}

/* The runtime's own assertions end a run like MODEL_CHECK; the linker sends them here. */
_Noreturn void __wrap_weft__assert_failed(const char *cond, const char *file, int line);
_Noreturn void __wrap_weft__assert_failed(const char *cond, const char *file, int line) {
  model_fail("%s:%d: assertion failed: %s", file, line, cond);
}

void explore_changed(unsigned by) {
  for (unsigned t = 0; t < count; t++) {
    if (t == by) continue;
    threads[t].news = true;
    if (threads[t].status == SPINNING) threads[t].status = READY;
  }
}

bool explore_delay(void) {
  if (R->preemptions != MODEL_ALL && R->used >= R->preemptions) {
    R->cut = true;
    return false;
  }
  if (explore_choose(2) == 0) return false;
  R->used++;
  return true;
}

static bool can_run(unsigned t) {
  const struct thread *th = &threads[t];
  return th->status == READY || (th->status == WAITING && th->condition());
}

/* --- the scheduler --- */

/* What can happen next: t means a step of thread t, MODEL_THREADS + t that its oldest waiting store
 * becomes visible. To go on with the same thread comes first: the search begins with the schedule
 * that has no surprise in it. */
static unsigned possibilities(unsigned *option) {
  unsigned n = 0;
  bool goes_on = current != NOBODY && can_run(current);
  if (goes_on) option[n++] = current;
  for (unsigned t = 0; t < count; t++) {
    if (t == current || !can_run(t)) continue;
    if (goes_on && R->preemptions != MODEL_ALL && R->used >= R->preemptions)
      R->cut = true;
    else
      option[n++] = t;
  }
  for (unsigned t = 0; t < count; t++)
    if (R->memory->waits(t)) option[n++] = MODEL_THREADS + t;
  return n;
}

static void take(unsigned option) {
  R->steps++;
  if (option >= MODEL_THREADS) {
    unsigned t = option - MODEL_THREADS;
    const void *cell = R->memory->drain(t);
    if (R->tracing)
      trace_line(threads[t].name, false, NULL, "(store to %s becomes visible)", explore_name(cell));
    return;
  }
  preempted = current != NOBODY && option != current && can_run(current);
  if (preempted) R->used++;
  current = option;
  resume(option);
}

/* Most words of a large state are zero and stay so: they cost a comparison. */
static uint64_t hash_bytes(uint64_t h, const void *from, size_t size) {
  const char *p = from;
  uint64_t word;
  for (uint64_t i = 0; size >= sizeof word; i++, p += sizeof word, size -= sizeof word) {
    memcpy(&word, p, sizeof word);
    if (word) h = memory_mix(h, word + (i << 48));
  }
  for (; size > 0; p++, size--) h = memory_mix(h, (uint8_t)*p);
  return h;
}

/* Equal hashes mean equal futures: shared state, what each thread has on its stack and in its saved
 * registers, what memory still holds back and, under a bound, whom it costs to switch away from. */
static uint64_t state_hash(void) {
  uint64_t h = hash_bytes(1, R->model->state, R->model->state_size);
  for (unsigned t = 0; t < count; t++) {
    struct thread *th = &threads[t];
    h = memory_mix(h, (uint64_t)th->status << 1 | th->news);
    if (th->status == FINISHED) continue;
    if (th->moved) {
      size_t depth = (size_t)(fiber_top(&th->fiber) - (char *)th->fiber.sp);
      th->stack_hash = hash_bytes(2, th->fiber.sp, depth);
      th->moved = false;
    }
    h = memory_mix(h, th->stack_hash);
  }
  if (R->preemptions != MODEL_ALL) h = memory_mix(h, current);
  return R->memory->hash(h);
}

static void fail_if_stuck(void) {
  static const char *const doing[] = {"", "spins", "waits", "sleeps", "has ended"};
  size_t used = 0;
  char text[200] = "";
  bool stuck = false;
  for (unsigned t = 0; t < count; t++) {
    const struct thread *th = &threads[t];
    stuck = stuck || th->status != FINISHED;
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %s", t ? ", " : "", th->name,
                             doing[th->status]);
    if (used >= sizeof text) used = sizeof text - 1;
  }
  if (stuck) model_fail("deadlock: %s", text);
}

static void begin(void) {
  const struct model *m = R->model;
  memset(m->state, 0, m->state_size);
  guards = 0;
  for (count = 0; count < MODEL_THREADS && m->threads[count].name; count++) {
    struct thread *th = &threads[count];
    th->name = m->threads[count].name;
    th->status = READY;
    th->moved = true;
    th->news = false;
    fiber_prepare(&th->fiber, thread_main);
  }
  if (m->setup) m->setup();
  R->memory->start(count);
  for (unsigned t = 0; t < count && !R->failed; t++) resume(t); /* to its first operation */
}

static void run_to_the_end(void) {
  unsigned option[2 * MODEL_THREADS];
  uint64_t limit = R->steps + LONGEST;
  begin();
  while (!R->failed) {
    unsigned n = possibilities(option);
    if (n == 0) {
      fail_if_stuck();
      if (R->model->check) R->model->check();
      return;
    }
    if (R->steps >= limit) model_fail("no end after %d steps", LONGEST);
    if (explore_known(state_hash, R->used)) return;
    take(option[explore_choose(n)]);
  }
}

void run_model(struct run *run) {
  R = run;
  R->failed = false;
  R->used = 0;
  running = current = NOBODY;
  if (setjmp(give_up) == 0) run_to_the_end();
}

/* --- operations --- */

static bool is_mutated(const void *site) {
  for (unsigned i = 0; i < R->bounds->sites; i++)
    if (R->bounds->site[i] == site) return true;
  return false;
}

static int weakened(const void *site, const char *what, int order) {
  const struct model_bounds *b = R->bounds;
  if (sites_collecting) sites_add(site, what, order);
  if (is_mutated(site)) return b->site_order;
  if (order == WEFT__SEQ && (b->weaken & MODEL_SEQ_ACQ_REL))
    order = *what == 'l' ? WEFT__ACQUIRE : *what == 's' ? WEFT__RELEASE : WEFT__ACQ_REL;
  if (b->weaken & MODEL_RELEASE_RELAXED) {
    if (order == WEFT__RELEASE) order = WEFT__RELAXED;
    if (order == WEFT__ACQ_REL) order = WEFT__ACQUIRE;
  }
  if (b->weaken & MODEL_ACQUIRE_RELAXED) {
    if (order == WEFT__ACQUIRE) order = WEFT__RELAXED;
    if (order == WEFT__ACQ_REL) order = WEFT__RELEASE;
  }
  return order;
}

#define TRACE(...)                                                                                 \
  do {                                                                                             \
    if (R->tracing) trace_line(threads[running].name, preempted, __VA_ARGS__);                     \
  } while (0)

uint64_t weft__model_load(const void *cell, unsigned bytes, enum weft__model_order asked) {
  if (running == NOBODY) return memory_peek(cell, bytes);
  const void *site = __builtin_return_address(0);
  hand_over();
  int order = weakened(site, "load", (int)asked);
  uint64_t x = R->memory->load(running, cell, bytes, order);
  TRACE(site, "load %s -> %#jx%s (%s)", explore_name(cell), (uintmax_t)x,
        x == memory_peek(cell, bytes) ? "" : " not the newest", trace_order(order));
  return x;
}

void weft__model_store(void *cell, unsigned bytes, uint64_t x, enum weft__model_order asked) {
  if (running == NOBODY) {
    memory_poke(cell, bytes, x);
    return;
  }
  const void *site = __builtin_return_address(0);
  hand_over();
  int order = weakened(site, "store", (int)asked);
  R->memory->store(running, cell, bytes, x, order);
  TRACE(site, "store %s = %#jx (%s)", explore_name(cell), (uintmax_t)x, trace_order(order));
}

static uint64_t update(void *cell, unsigned bytes, const struct memory_update *u, int asked,
                       bool *done, const void *site) {
  if (running == NOBODY) {
    uint64_t x;
    uint64_t old = memory_peek(cell, bytes);
    *done = memory_compute(u, bytes, old, &x);
    if (*done) memory_poke(cell, bytes, x);
    return old;
  }
  hand_over();
  int order = weakened(site, "update", asked);
  uint64_t old = R->memory->update(running, cell, bytes, u, order, done);
  uint64_t x = u->expected;
  if (*done) memory_compute(u, bytes, old, &x);
  TRACE(site, "update %s: %#jx %s %#jx (%s)", explore_name(cell), (uintmax_t)old,
        *done ? "becomes" : "is not", (uintmax_t)x, trace_order(order));
  return old;
}

bool weft__model_cas(void *cell, unsigned bytes, uint64_t *expected, uint64_t desired,
                     enum weft__model_order order) {
  const struct memory_update u = {.kind = MEMORY_CAS, .expected = *expected, .operand = desired};
  bool done;
  *expected = update(cell, bytes, &u, (int)order, &done, __builtin_return_address(0));
  return done;
}

uint64_t weft__model_rmw(void *cell, unsigned bytes, enum weft__model_rmw op, uint64_t x,
                         enum weft__model_order order) {
  const struct memory_update u = {.kind = MEMORY_FETCH, .op = op, .operand = x};
  bool done;
  return update(cell, bytes, &u, (int)order, &done, __builtin_return_address(0));
}

void weft__model_fence(enum weft__model_fence kind) {
  static const char *const names[] = {"light fence", "heavy fence", "full fence"};
  static const unsigned planted[] = {MODEL_NO_LIGHT, MODEL_NO_HEAVY, MODEL_NO_FULL};
  if (running == NOBODY) return;
  const void *site = __builtin_return_address(0);
  hand_over();
  if (sites_collecting) sites_add(site, "fence", (int)kind);
  if ((R->bounds->weaken & planted[kind]) || is_mutated(site)) {
    TRACE(site, "(no %s)", names[kind]);
    return;
  }
  R->memory->fence(running, kind);
  TRACE(site, "%s", names[kind]);
}

void weft__model_spin(void) {
  if (running == NOBODY) return;
  struct thread *th = &threads[running];
  /* After a round in which nothing changed another round is pointless until something does. */
  if (!th->news) th->status = SPINNING;
  th->news = false;
  hand_over();
  R->memory->catch_up(running);
  TRACE(__builtin_return_address(0), "goes round");
}

unsigned model_choose(unsigned n) {
  unsigned x = explore_choose(n);
  if (running != NOBODY) TRACE(NULL, "chooses %u of %u", x, n);
  return x;
}

uint64_t model_read(const struct model_plain *p) {
  return running == NOBODY ? p->v : R->memory->read_plain(running, p);
}

void model_write(struct model_plain *p, uint64_t x) {
  if (running == NOBODY)
    p->v = x;
  else
    R->memory->write_plain(running, p, x);
}

bool explore_guarded(const void *cell) {
  for (unsigned i = 0; i < guards; i++)
    if (cell >= guard[i].from && (const char *)cell < (const char *)guard[i].from + guard[i].size)
      return true;
  return false;
}

void model_guard(const void *from, size_t size) {
  if (guards == GUARDS) model_fail("more than %d guarded ranges", GUARDS);
  guard[guards].from = from;
  guard[guards++].size = size;
}

void model_rely(uint64_t x) {
  if (running != NOBODY) R->memory->rely(running, x);
}

void model_wait_until(bool (*cond)(void)) {
  struct thread *th = &threads[running];
  th->condition = cond;
  th->status = WAITING;
  hand_over();
  th->status = READY;
  R->memory->catch_up(running);
  TRACE(NULL, "has waited");
}

bool model_futex_wait(weft__atomic_u32 *word, uint32_t expected) {
  struct thread *th = &threads[running];
  hand_over();
  R->memory->fence(running, WEFT__FENCE_FULL);
  bool sleeps = word->v == expected;
  TRACE(NULL, "futex wait on %s: %s", explore_name(&word->v), sleeps ? "sleeps" : "differs");
  if (!sleeps) return false;
  th->word = word;
  th->status = ASLEEP;
  hand_over(); /* until a wake makes it READY */
  TRACE(NULL, "is awake");
  return true;
}

unsigned model_futex_wake(weft__atomic_u32 *word, unsigned n) {
  hand_over();
  R->memory->fence(running, WEFT__FENCE_FULL);
  unsigned woken = 0;
  while (woken < n) {
    unsigned sleepers[MODEL_THREADS];
    unsigned found = 0;
    for (unsigned t = 0; t < count; t++)
      if (threads[t].status == ASLEEP && threads[t].word == word) sleepers[found++] = t;
    if (found == 0) break;
    threads[sleepers[explore_choose(found)]].status = READY;
    woken++;
  }
  TRACE(NULL, "futex wake on %s: %u", explore_name(&word->v), woken);
  return woken;
}
