/* The claim word: one 64-bit word per task that decides who wins.
 *
 * Every race over a task is a race for this word: who starts it, whether an event, a timeout or a
 * cancel ends its wait, whether a cancel still finds it alive, and who may consume its handle. A
 * change is one CAS, so each race has one winner, and a record that lies on the task's stack is
 * never needed to decide it.
 *
 *   bits  0..2   phase
 *   bit   3      CANCEL: a cancel was requested and has not been delivered yet
 *   bit   4      MASKED: the wait in progress does not deliver a cancel (shield, drain); before the
 *                task begins, APART: it never runs on its awaiter's stack
 *   bits  5..6   reason: what ended the last wait, 0 while one is open; or a callback that is to begin at
 *                a time has not begun
 *   bit   7      TAKEN: the right to consume the handle is taken
 *   bits  8..15  number of cancel requests not taken back, saturating
 *   bits 16..31  generation of the wait: two waits of one task never look alike to a late winner
 *   bits 32..63  key: which task this memory is now; changes when the memory is used again
 *
 *   UNSTARTED --start--> RUNNING --arm--> ARMED --commit--> PARKED
 *                           ^               |                 |
 *                           +----- win (event, timeout) ------+      RUNNING --finish--> DONE
 *                           +----- cancel, unless MASKED -----+
 *
 * ARMED means: the wait is published, but the task still uses its stack. A winner that finds ARMED
 * leaves the task to its own worker, whose commit fails and which makes the task ready; a winner
 * that finds PARKED owns the task and makes it ready itself. So a task is never run twice, and a
 * wake-up between publishing and leaving the stack is never lost.
 *
 * Ordering: every transition is an acq_rel CAS on the word. What the winner wrote before it won is
 * seen by the task after its wait; what the task wrote before it parked is seen by whoever resumes
 * it. A task reads its own word relaxed where only it can have made the last transition.
 */
#ifndef WEFT_CORE_CLAIM_H
#define WEFT_CORE_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"

enum weft__phase {
  WEFT__FREE = 0,
  WEFT__UNSTARTED = 1,
  WEFT__RUNNING = 2, /* running, or ready to run: there is no wait to win */
  WEFT__ARMED = 3,
  WEFT__PARKED = 4,
  WEFT__DONE = 5,
};

enum weft__reason {
  WEFT__BY_EVENT = 0,
  WEFT__BY_TIMEOUT = 1,
  WEFT__BY_CANCEL = 2,
  /* A callback that begins at a time: PARKED until then, RUNNING when it is due, until it begins. No
   * wait has this reason, and winning it with BY_TIMEOUT leaves it. */
  WEFT__NOT_BEGUN = 3,
};

/* What the caller of win or cancel has to do next. */
enum weft__outcome {
  WEFT__LOST,       /* nothing: somebody else ended this wait, or there is none */
  WEFT__WON,        /* nothing: the task's own worker will run it */
  WEFT__WON_PARKED, /* make the task ready: the caller owns it now */
  WEFT__STALE,      /* cancel only: the key names no living task */
};

#define WEFT__PHASE_MASK UINT64_C(7)
#define WEFT__CANCEL (UINT64_C(1) << 3)
#define WEFT__MASKED (UINT64_C(1) << 4)
#define WEFT__APART WEFT__MASKED /* while UNSTARTED, where there is no wait to mask */
#define WEFT__REASON_SHIFT 5
#define WEFT__REASON_MASK (UINT64_C(3) << WEFT__REASON_SHIFT)
#define WEFT__TAKEN (UINT64_C(1) << 7)
#define WEFT__COUNT_SHIFT 8
#define WEFT__COUNT_MASK (UINT64_C(0xff) << WEFT__COUNT_SHIFT)
#define WEFT__COUNT_ONE (UINT64_C(1) << WEFT__COUNT_SHIFT)
#define WEFT__WAIT_SHIFT 16
#define WEFT__WAIT_MASK (UINT64_C(0xffff) << WEFT__WAIT_SHIFT)
#define WEFT__WAIT_ONE (UINT64_C(1) << WEFT__WAIT_SHIFT)
#define WEFT__KEY_SHIFT 32

/* Names one wait of one task: its key and generation. */
typedef uint64_t weft__ticket;
#define WEFT__TICKET_MASK (~UINT64_C(0xffff))

static inline unsigned weft__word_phase(uint64_t word) {
  return (unsigned)(word & WEFT__PHASE_MASK);
}
static inline uint32_t weft__word_key(uint64_t word) {
  return (uint32_t)(word >> WEFT__KEY_SHIFT);
}
static inline unsigned weft__word_count(uint64_t word) {
  return (unsigned)((word & WEFT__COUNT_MASK) >> WEFT__COUNT_SHIFT);
}
static inline enum weft__reason weft__word_reason(uint64_t word) {
  return (enum weft__reason)((word & WEFT__REASON_MASK) >> WEFT__REASON_SHIFT);
}
static inline bool weft__word_waiting(uint64_t word) {
  unsigned phase = weft__word_phase(word);
  return phase == WEFT__ARMED || phase == WEFT__PARKED;
}
static inline uint64_t weft__word_with_phase(uint64_t word, unsigned phase) {
  return (word & ~WEFT__PHASE_MASK) | phase;
}
/* The word of a task that has not begun, in memory whose last word was `last`. Key 0 is skipped: it
 * is what a handle carries that names no task. */
static inline uint64_t weft__word_fresh(uint64_t last) {
  uint32_t key = weft__word_key(last) + 1;
  return (uint64_t)(key ? key : 1) << WEFT__KEY_SHIFT | WEFT__UNSTARTED;
}

/* True while a handle with this key may be used: the task lives, or it has ended and its handle was
 * not consumed. (A task that has ended outlives its handle while a queue still refers to it.) */
static inline bool weft__word_names(uint64_t word, uint32_t key) {
  unsigned phase = weft__word_phase(word);
  return weft__word_key(word) == key && phase != WEFT__FREE &&
         (phase != WEFT__DONE || !(word & WEFT__TAKEN));
}

/* Begins the task: true for exactly one caller. `take` is for its awaiter, who also takes the handle:
 * then it fails when that is taken already, or when the task is to run apart. */
static inline bool weft__claim_start(weft__atomic_u64 *w, uint32_t key, bool take) {
  uint64_t word = weft__load_relaxed_u64(w);
  for (;;) {
    if (weft__word_key(word) != key || weft__word_phase(word) != WEFT__UNSTARTED) return false;
    if (take && (word & (WEFT__TAKEN | WEFT__APART))) return false;
    uint64_t next = weft__word_with_phase(word & ~WEFT__APART, WEFT__RUNNING);
    if (weft__cas_u64(w, &word, next | (take ? WEFT__TAKEN : 0))) return true;
  }
}

/* Takes the right to consume the handle; false if the key is stale or it was taken. */
static inline bool weft__claim_take(weft__atomic_u64 *w, uint32_t key) {
  uint64_t word = weft__load_relaxed_u64(w);
  for (;;) {
    if (weft__word_key(word) != key || weft__word_phase(word) == WEFT__FREE || (word & WEFT__TAKEN))
      return false;
    if (weft__cas_u64(w, &word, word | WEFT__TAKEN)) return true;
  }
}

/* Opens a wait of the running task and writes its ticket; false, with nothing opened, when an
 * undelivered cancel is there and the wait is not masked (the cancel is then delivered: the bit is
 * cleared). Called by the task itself, before it links itself into any source. */
static inline bool weft__claim_arm(weft__atomic_u64 *w, bool masked, weft__ticket *ret) {
  uint64_t word = weft__load_relaxed_u64(w);
  for (;;) {
    if ((word & WEFT__CANCEL) && !masked) {
      if (weft__cas_u64(w, &word, word & ~WEFT__CANCEL)) return false;
      continue;
    }
    uint64_t wait = (word + WEFT__WAIT_ONE) & WEFT__WAIT_MASK;
    uint64_t next = (word & ~(WEFT__WAIT_MASK | WEFT__REASON_MASK | WEFT__MASKED)) | wait;
    next = weft__word_with_phase(next, WEFT__ARMED) | (masked ? WEFT__MASKED : 0);
    if (weft__cas_u64(w, &word, next)) {
      *ret = next & WEFT__TICKET_MASK;
      return true;
    }
  }
}

/* The task has left its stack: true if it is parked now, false if its wait was won meanwhile and it
 * is to be made ready. Called by the worker it ran on, once per switch away. */
static inline bool weft__claim_commit(weft__atomic_u64 *w) {
  uint64_t word = weft__load_acquire_u64(w); /* what the winner wrote, when there is one already */
  for (;;) {
    if (weft__word_phase(word) != WEFT__ARMED) return false;
    if (weft__cas_u64(w, &word, weft__word_with_phase(word, WEFT__PARKED))) return true;
  }
}

/* Ends the wait named by the ticket, if it is still open. An open wait has no reason yet, so adding one
 * is setting it. */
static inline enum weft__outcome weft__claim_win(weft__atomic_u64 *w, weft__ticket ticket,
                                                 enum weft__reason reason) {
  uint64_t word = weft__load_relaxed_u64(w);
  for (;;) {
    if ((word & WEFT__TICKET_MASK) != ticket || !weft__word_waiting(word)) return WEFT__LOST;
    bool parked = weft__word_phase(word) == WEFT__PARKED;
    uint64_t next = weft__word_with_phase(word & ~WEFT__MASKED, WEFT__RUNNING);
    next |= (uint64_t)reason << WEFT__REASON_SHIFT;
    if (weft__cas_u64(w, &word, next)) return parked ? WEFT__WON_PARKED : WEFT__WON;
  }
}

/* Requests a cancel. A wait that is open and not masked ends with it, and the request counts as
 * delivered; otherwise the request stays in the word for the next arm. */
static inline enum weft__outcome weft__claim_cancel(weft__atomic_u64 *w, uint32_t key) {
  uint64_t word = weft__load_relaxed_u64(w);
  for (;;) {
    unsigned phase = weft__word_phase(word);
    if (weft__word_key(word) != key || phase == WEFT__FREE || phase == WEFT__DONE)
      return WEFT__STALE;
    uint64_t next = word;
    if ((word & WEFT__COUNT_MASK) != WEFT__COUNT_MASK) next += WEFT__COUNT_ONE;
    bool wins = weft__word_waiting(word) && !(word & WEFT__MASKED);
    if (wins) {
      next = weft__word_with_phase(next & ~WEFT__REASON_MASK, WEFT__RUNNING);
      next |= (uint64_t)WEFT__BY_CANCEL << WEFT__REASON_SHIFT;
    } else {
      next |= WEFT__CANCEL;
    }
    if (weft__cas_u64(w, &word, next)) {
      if (!wins) return WEFT__LOST;
      return phase == WEFT__PARKED ? WEFT__WON_PARKED : WEFT__WON;
    }
  }
}

/* ---- callbacks (core/call.c) ---- */

#define WEFT__REASON_NOT_BEGUN ((uint64_t)WEFT__NOT_BEGUN << WEFT__REASON_SHIFT)

/* Opens the wait of a new task for the time at which it is to begin; nobody may consume its handle.
 * False, with nothing opened, when its cancel was requested already. By its maker, who commits it. */
static inline bool weft__claim_schedule(weft__atomic_u64 *w, weft__ticket *ret) {
  uint64_t word = weft__load_relaxed_u64(w);
  for (;;) {
    if (word & WEFT__CANCEL) return false;
    uint64_t next = weft__word_with_phase((word & ~WEFT__APART) + WEFT__WAIT_ONE, WEFT__ARMED);
    next |= WEFT__REASON_NOT_BEGUN | WEFT__TAKEN;
    if (weft__cas_u64(w, &word, next)) {
      *ret = next & WEFT__TICKET_MASK;
      return true;
    }
  }
}

/* The callback begins: false if it was withdrawn or cancelled before. By the worker that has it. */
static inline bool weft__claim_begin(weft__atomic_u64 *w) {
  uint64_t word = weft__load_acquire_u64(w); /* what who cancels wrote before */
  for (;;) {
    if ((word & WEFT__CANCEL) || weft__word_reason(word) != WEFT__NOT_BEGUN) return false;
    if (weft__cas_u64(w, &word, word & ~WEFT__REASON_MASK)) return true;
  }
}

/* Keeps a callback from beginning. LOST or STALE when it has begun, ended or was withdrawn before. */
static inline enum weft__outcome weft__claim_withdraw(weft__atomic_u64 *w, uint32_t key) {
  uint64_t word = weft__load_relaxed_u64(w);
  for (;;) {
    unsigned phase = weft__word_phase(word);
    if (weft__word_key(word) != key || phase == WEFT__FREE || phase == WEFT__DONE)
      return WEFT__STALE;
    bool begun = phase != WEFT__UNSTARTED && weft__word_reason(word) != WEFT__NOT_BEGUN;
    if (begun || (word & WEFT__CANCEL)) return WEFT__LOST;
    uint64_t next = word + WEFT__COUNT_ONE;
    if (weft__word_waiting(word)) {
      next = weft__word_with_phase(next & ~WEFT__REASON_MASK, WEFT__RUNNING);
      next |= (uint64_t)WEFT__BY_CANCEL << WEFT__REASON_SHIFT;
    } else {
      next |= WEFT__CANCEL;
    }
    if (weft__cas_u64(w, &word, next)) return phase == WEFT__PARKED ? WEFT__WON_PARKED : WEFT__WON;
  }
}

/* Takes one request back; when no more than `floor` remain an undelivered one is withdrawn. Returns the
 * requests that remain, or -1 for a stale key. */
static inline int weft__claim_uncancel_to(weft__atomic_u64 *w, uint32_t key, unsigned floor) {
  uint64_t word = weft__load_relaxed_u64(w);
  for (;;) {
    if (!weft__word_names(word, key)) return -1;
    uint64_t next = word;
    if (weft__word_count(word) > 0) next -= WEFT__COUNT_ONE;
    if (weft__word_count(next) <= floor) next &= ~WEFT__CANCEL;
    if (weft__cas_u64(w, &word, next)) return (int)weft__word_count(next);
  }
}

static inline int weft__claim_uncancel(weft__atomic_u64 *w, uint32_t key) {
  return weft__claim_uncancel_to(w, key, 0);
}

/* Delivers a pending request outside a wait: true if there was one. By the task itself. */
static inline bool weft__claim_deliver(weft__atomic_u64 *w) {
  if (!(weft__load_relaxed_u64(w) & WEFT__CANCEL)) return false;
  return (weft__and_u64(w, ~WEFT__CANCEL) & WEFT__CANCEL) != 0;
}

/* One try to end the task whose word was *word; on failure *word is what it is now, and the caller
 * decides again (a cancel may have come). seq_cst pairs with the registration of a waiter
 * (weft__done_watch): either the waiter sees DONE, or the ending task sees the waiter. */
static inline bool weft__claim_finish(weft__atomic_u64 *w, uint64_t *word) {
  return weft__cas_seq_u64(w, word, weft__word_with_phase(*word, WEFT__DONE));
}

#endif
