/* weft_barrier. Who is told a round's outcome is decided under the lock alone, not by the claim words: a
 * waiter whose cancel came in the same moment is still one of the parties that the others were told of. */
#include <weft/barrier.h>

#include <string.h>

#include "aio/sync.h"

/* The word's state: BROKEN, or the number of those who wait times ONE. */
#define BROKEN UINT64_C(4)
#define ONE UINT64_C(8)

struct barrier {
  struct weft__sync sync;
  int64_t parties; /* constant; WEFT_BARRIER_INIT writes it */
};
_Static_assert(sizeof(struct barrier) <= WEFT_BARRIER_SIZE, "weft_barrier is large enough");
_Static_assert(offsetof(struct barrier, parties) == 24, "WEFT_BARRIER_INIT fills the parties");

static const struct weft__wait_kind a_barrier = {"a barrier"};

static struct barrier *inner(weft_barrier *b) {
  return (struct barrier *)(void *)b;
}
static const struct barrier *inner_const(const weft_barrier *b) {
  return (const struct barrier *)(const void *)b;
}
static bool usable(const struct barrier *b) {
  return b->parties >= 1 && b->parties <= INT32_MAX;
}

int weft_barrier_init(weft_barrier *barrier, int parties) {
  int r = weft__sync_enter_any();
  if (r < 0) return r;
  if (parties < 1) return WEFT_EINVAL;
  memset(barrier, 0, sizeof *barrier);
  *barrier = (weft_barrier)WEFT_BARRIER_INIT(parties);
  return 0;
}

/* Ends the round: tells the oldest waiter `code`, the next one code + step, and so on. Locked on entry,
 * unlocked on return. */
static void end_round(struct barrier *b, uint64_t state, int code, int step) {
  struct weft__sync *s = &b->sync;
  struct weft__sync_woken woken = {NULL, NULL};
  for (struct weft__waiter *rec; (rec = weft__sync_first(s)) != NULL; code += step)
    weft__sync_win(rec, code, &woken);
  weft__sync_unlock(s, state);
  weft__sync_ready(&woken);
}

/* A cancel or a deadline ended t's wait. */
static int interrupted(struct barrier *b, struct weft__task *t, int r) {
  struct weft__sync *s = &b->sync;
  uint64_t state = weft__sync_lock(s);
  bool waits = weft__list_linked(&t->wait.link);
  weft__list_remove(&t->wait.link);
  weft__sync_unlock(s, waits ? state - ONE : state);
  if (waits) return r;
  /* The round had ended: that is the answer, and what interrupted it is answered next time. */
  weft__postpone_cancel(t);
  t->limit_hit = 0;
  return t->wait.code;
}

int weft_barrier_wait(weft_barrier *barrier) {
  struct barrier *b = inner(barrier);
  struct weft__sync *s = &b->sync;
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r == 0 && !usable(b)) r = WEFT_EINVAL;
  if (r == 0) r = weft__wait_open(t, false, &t->wait.ticket);
  if (r < 0) return r;
  uint64_t state = weft__sync_lock(s);
  int last = (int)b->parties - 1;
  if (state == BROKEN || state == (uint64_t)last * ONE) {
    if (state == BROKEN)
      weft__sync_unlock(s, state);
    else
      end_round(b, 0, 0, 1);
    weft__wait_abort(t, t->wait.ticket);
    return state == BROKEN ? WEFT_EBROKEN : last;
  }
  weft__sync_join(s, t, state + ONE, 0, &a_barrier, b);
  r = weft__sync_wait(s, t);
  return r == 0 ? t->wait.code : interrupted(b, t, r);
}

static int break_round(struct barrier *b, uint64_t state) {
  int r = weft__sync_enter_any();
  if (r == 0 && !usable(b)) r = WEFT_EINVAL;
  if (r < 0) return r;
  uint64_t before = weft__sync_lock(&b->sync);
  if (weft__sync_refuses(&b->sync)) {
    weft__sync_unlock(&b->sync, before);
    return WEFT_EBUSY;
  }
  end_round(b, state, WEFT_EBROKEN, 0);
  return 0;
}

int weft_barrier_reset(weft_barrier *barrier) {
  return break_round(inner(barrier), 0);
}

int weft_barrier_abort(weft_barrier *barrier) {
  return break_round(inner(barrier), BROKEN);
}

int weft_barrier_parties(const weft_barrier *barrier) {
  const struct barrier *b = inner_const(barrier);
  return usable(b) ? (int)b->parties : WEFT_EINVAL;
}

int weft_barrier_waiting(const weft_barrier *barrier) {
  return (int)(weft__load_relaxed_u64(&inner_const(barrier)->sync.word) / ONE);
}

bool weft_barrier_broken(const weft_barrier *barrier) {
  return (weft__load_relaxed_u64(&inner_const(barrier)->sync.word) & BROKEN) != 0;
}
