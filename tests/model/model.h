/* The bounded explorer: runs a few model threads over the real code of the runtime, in every order
 * of their atomic operations up to a bound, under a memory model of choice.
 *
 * A model is a struct with all its shared state, a setup, a body per thread and a check for the
 * end. The code under test is compiled with WEFT_MODEL, so that each operation of base/atomics.h is
 * a point where another thread may run. A model is run again and again from the start; each run
 * follows one list of choices, and a depth-first search enumerates the lists. What a run must not
 * depend on: time, addresses from malloc, anything left over from the run before.
 *
 *   static struct { weft__atomic_u32 flag; struct model_plain data; uint32_t got; } S;
 *   static void writer(void) { model_write(&S.data, 1); weft__store_release_u32(&S.flag, 1); }
 *   static void reader(void) {
 *     if (weft__load_acquire_u32(&S.flag)) MODEL_CHECK(model_read(&S.data) == 1);
 *   }
 *   static const struct model passing = {
 *       .name = "message passing", MODEL_STATE(S),
 *       .threads = {{"writer", writer}, {"reader", reader}}};
 *   ...
 *   model_holds(&passing, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = MODEL_ALL});
 *   model_breaks(&passing, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = MODEL_ALL,
 *                                                 .weaken = MODEL_RELEASE_RELAXED}, "race");
 */
#ifndef WEFT_TESTS_MODEL_H
#define WEFT_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "weft_test.h"

#ifndef WEFT_MODEL
#error "models are compiled with WEFT_MODEL"
#endif

#define MODEL_THREADS 4

struct model_thread {
  const char *name;
  void (*body)(void);
};

struct model {
  const char *name;
  /* Every variable that the threads share or that outlives a call: zeroed before each run, and part
   * of what makes two states equal. A model that keeps something elsewhere is searched wrongly. */
  void *state;
  size_t state_size;
  void (*setup)(void); /* before the threads; its stores are seen by all. May be NULL */
  struct model_thread threads[MODEL_THREADS + 1]; /* up to the first without a name */
  void (*check)(void); /* after all threads, sees all their stores. May be NULL */
  /* Thread t goes on: sets what the code under test keeps per OS thread. May be NULL */
  void (*enter)(unsigned t);
};

#define MODEL_STATE(s) .state = &(s), .state_size = sizeof(s)

/* What a load may see. Each contains the behaviours of the one before. */
enum model_memory {
  /* Sequential consistency: one operation at a time. */
  MODEL_SC,
  /* Store buffers (x86): a store waits in its thread's FIFO until the scheduler drains it; a
   * read-modify-write, a seq_cst store and a full fence empty the own buffer, a heavy fence empties
   * everybody's, except stores that no light fence has followed yet: those the compiler may still
   * hold back. */
  MODEL_TSO,
  /* C11 by views: each cell keeps the stores it got, a load may return any that its thread is not
   * yet bound to have superseded; release, acquire, seq_cst and the fences bind. Shows missing
   * acquire and release, and code that takes an acq_rel operation for a fence. Not modelled: loads
   * that see a store which depends on their own thread's future. */
  MODEL_WEAK,
};

#define MODEL_ALL (-1) /* as many preemptions as there can be */

/* Planted bugs: the code under test as if it had been written with less. */
enum model_weaken {
  MODEL_NO_LIGHT = 1,        /* light fences do nothing */
  MODEL_NO_HEAVY = 2,        /* heavy fences do nothing */
  MODEL_NO_FULL = 4,         /* full fences do nothing */
  MODEL_RELEASE_RELAXED = 8, /* release and acq_rel lose their release */
  MODEL_ACQUIRE_RELAXED = 16,
  MODEL_SEQ_ACQ_REL = 32, /* seq_cst operations are acquire, release or both */
};

struct model_bounds {
  enum model_memory memory;
  int preemptions; /* switches away from a thread that could go on, and under MODEL_TSO stores that
                    * begin to wait; 0, 1, ... up to this are tried */
  unsigned weaken; /* MODEL_NO_LIGHT | ... */
  const void *const *site; /* weaken one operation of the code only, by the addresses that it was
                            * compiled to: see model_mutants */
  unsigned sites;
  int site_order;      /* enum weft__model_order, or -1 to drop a fence */
  bool every_schedule; /* do not stop where a state was seen before: counts whole schedules */
  uint64_t max_states; /* 0: a default */
};

struct model_result {
  bool failed;
  bool replayed;      /* the failing schedule was run again and failed in the same way */
  bool complete;      /* everything within the bound was tried */
  bool exhaustive;    /* and the bound cut nothing off */
  int preemptions;    /* of the failing schedule, or the last bound tried */
  uint64_t schedules; /* runs, whole or up to a state that was known */
  uint64_t states;
  uint64_t steps;
  double seconds;
  char why[256];     /* the failure */
  const char *trace; /* its schedule, one operation a line; valid until the next search */
};

struct model_result model_search(const struct model *m, const struct model_bounds *bounds);

/* The two forms of a test. Both print one line with the counts. model_holds fails the running test
 * with the schedule when a schedule fails or when the search is not complete; model_breaks fails it
 * unless a failure whose text contains `why` is found and replays. */
bool model_holds(const struct model *m, const struct model_bounds *bounds);
bool model_breaks(const struct model *m, const struct model_bounds *bounds, const char *why);

/* Models with the bounds within which a weaker ordering has to break one of them. */
struct model_suite {
  const struct model *const *models;
  size_t n;
  struct model_bounds bounds;
};

/* Weakens each ordering in the code that the models run, one at a time, and searches the models
 * with it until one fails. Returns how many mutants survived all models, and prints those;
 * writes how many there were. An ordering that survives is not needed by anything the models
 * show. */
unsigned model_mutants(const struct model_suite *suites, size_t n, unsigned *mutants);

/* The main of a program of models whose orderings are checked: weft_test_main, and with --orders
 * [FILE] instead the mutants of the runtime's orderings, one a line for tests/model/orders, but for
 * those that FILE names. */
int model_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n_tests,
               const struct model_suite *suites, size_t n_suites);

/* --- for the bodies --- */

/* Ends the run as a failure. Also in setup and check. */
_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define MODEL_CHECK(cond)                                                                          \
  ((cond) ? (void)0 : model_fail("%s:%d: does not hold: %s", __FILE__, __LINE__, #cond))

/* Any of 0 .. n - 1; the search tries all. */
unsigned model_choose(unsigned n);

/* Ordinary memory, 8 bytes. Under MODEL_WEAK an access that is not ordered after the last write,
 * and a write that is not ordered after the last reads, is a failure ("data race"). Not a point
 * where another thread may run. */
struct model_plain {
  uint64_t v;
};
uint64_t model_read(const struct model_plain *p);
void model_write(struct model_plain *p, uint64_t x);

/* Atomics from `from` on, by setup: a thread reads one, does nothing with what it got until
 * another operation has told it that this was good, and then says so. A later store to it by
 * another thread has to be ordered after that load under MODEL_WEAK; otherwise the load could
 * have come after it on another machine ("late load"). */
void model_guard(const void *from, size_t size);
/* The thread relies on x, which its newest load of a guarded cell with this value gave. */
void model_rely(uint64_t x);

/* The kernel's futex: compares and goes to sleep in one step, as strong as a full fence; true if it
 * slept. Wake picks up to n sleepers, in every way there is. All threads asleep is a failure
 * ("deadlock"): the lost wake-up. */
bool model_futex_wait(weft__atomic_u32 *word, uint32_t expected);
unsigned model_futex_wake(weft__atomic_u32 *word, unsigned n);

/* Waits for something that is not the subject of the model; cond may load, and sees the newest
 * values; so does the thread afterwards, of atomics. The waiting itself orders nothing. */
void model_wait_until(bool (*cond)(void));

/* A name for a cell in schedules; without one it is its offset in the state. By setup. */
void model_name(const void *cell, const char *name);

#endif
