/* MODEL_WEAK: C11 by views.
 *
 * Each cell has a history, the stores it got in their modification order; a store is numbered by
 * its place in it. A view says for each cell which store is the oldest that may still be read. A
 * thread has three: what it is bound to see (now), what its relaxed loads would bind it to at the
 * next fence (pending), and what its relaxed stores pass on because a fence came before them
 * (passed). A store carries the view it releases; an acquire load joins it into `now`. One more
 * view stands for the order of seq_cst fences and operations: a fence exchanges with all of it, an
 * operation with its own cell's place in it.
 *
 * The heavy fence is a full fence in every thread at once, except that what a thread did since its
 * last light fence, which the compiler may still hold back, is not passed on. So each thread also
 * keeps the view it had then (settled).
 *
 * Loads see only what was stored before: see model.h. That a load could have come late, after a
 * store that replaces what it saw, is found where it matters: each read of plain memory, and each
 * load of a guarded cell that the thread relies on, is numbered, views also say which reads of each
 * thread come before, and a store that is not bound to come after such a read is a failure.
 */
#include <string.h>

#include "memory.h"

#define CELLS 64
#define STORES 64 /* a cell's history in one run */
#define LOADS 8   /* of guarded cells, that a thread may still rely on */
#define NOBODY 0xff

/* A place for each cell, then one for each thread: how many of its reads come before. */
typedef uint8_t view[CELLS + MODEL_THREADS];
#define READS_OF(t) (CELLS + (t))

struct stored {
  uint64_t x;
  view released;
  uint8_t head; /* whose release sequence this belongs to, or NOBODY */
  bool glued;   /* a read-modify-write or a part of a sequence: nothing comes between it and the
                 * store before */
};

/* A cell keeps its number for the whole search, whichever thread comes first in a run. */
static struct cell {
  const void *at;
  unsigned bytes;
  bool known; /* in this run: history holds its value at the start */
  bool plain; /* ordinary memory */
  uint8_t last;
  uint8_t read[MODEL_THREADS]; /* the number of the thread's last read that matters, or 0 */
  struct stored history[STORES];
} cells[CELLS];
static unsigned cell_count;

/* A load of a guarded cell, until the thread says that it relies on it. */
struct guarded_load {
  uint64_t x;
  uint8_t cell, read;
};

static struct seen {
  view now, pending, passed, settled;
  struct guarded_load load[LOADS]; /* the newest last */
  uint8_t loads;
  bool ended;
} seen[MODEL_THREADS];
static view sequential;
static unsigned threads;

static void join(view into, const view from) {
  for (unsigned c = 0; c < cell_count; c++)
    if (from[c] > into[c]) into[c] = from[c];
  for (unsigned i = CELLS; i < sizeof(view); i++)
    if (from[i] > into[i]) into[i] = from[i];
}

static void forget(void) {
  cell_count = 0;
}

static void start(unsigned n) {
  threads = n;
  memset(seen, 0, sizeof seen);
  memset(sequential, 0, sizeof sequential);
  for (unsigned c = 0; c < cell_count; c++) cells[c].known = false;
}

static unsigned cell_index(const void *at, unsigned bytes) {
  unsigned c = 0;
  while (c < cell_count && cells[c].at != at) c++;
  if (c == CELLS) model_fail("the model has more than %d cells", CELLS);
  if (c == cell_count) {
    cells[c].at = at;
    cells[c].known = cells[c].plain = false;
    cell_count++;
  }
  if (!cells[c].known) {
    cells[c].known = true;
    cells[c].bytes = bytes;
    cells[c].last = 0;
    memset(cells[c].read, 0, sizeof cells[c].read);
    cells[c].history[0] = (struct stored){.x = memory_peek(at, bytes), .head = NOBODY};
  }
  return c;
}

/* The stores of a cell that the thread may read: from this one to the last. */
static uint8_t oldest(unsigned t, unsigned c, int order) {
  uint8_t from = seen[t].now[c];
  return order == WEFT__SEQ && sequential[c] > from ? sequential[c] : from;
}

static uint64_t observe(unsigned t, unsigned c, uint8_t which, int order) {
  const struct stored *s = &cells[c].history[which];
  if (which > seen[t].now[c]) seen[t].now[c] = which;
  join(memory_acquires(order) ? seen[t].now : seen[t].pending, s->released);
  return s->x;
}

/* --- reads: what must not come after a store that another thread makes later --- */

static uint8_t count_read(unsigned t) {
  if (seen[t].now[READS_OF(t)] == UINT8_MAX) model_fail("more than %d reads", UINT8_MAX);
  return ++seen[t].now[READS_OF(t)];
}

static void fail_if_read_late(unsigned t, unsigned c, const char *how) {
  for (unsigned other = 0; other < threads; other++)
    if (other != t && cells[c].read[other] > seen[t].now[READS_OF(other)])
      model_fail("%s: a store to %s is not ordered after the last read", how,
                 explore_name(cells[c].at));
  memset(cells[c].read, 0, sizeof cells[c].read);
}

static void note_load(unsigned t, unsigned c, uint64_t x) {
  struct seen *me = &seen[t];
  if (me->loads == LOADS) memmove(&me->load[0], &me->load[1], --me->loads * sizeof me->load[0]);
  me->load[me->loads++] =
      (struct guarded_load){.x = x, .cell = (uint8_t)c, .read = count_read(t)};
}

static void rely(unsigned t, uint64_t x) {
  struct seen *me = &seen[t];
  for (unsigned i = me->loads; i-- > 0;)
    if (me->load[i].x == x) {
      cells[me->load[i].cell].read[t] = me->load[i].read;
      break;
    }
  me->loads = 0;
}

static uint64_t load(unsigned t, const void *at, unsigned bytes, int order) {
  unsigned c = cell_index(at, bytes);
  uint8_t last = cells[c].last;
  unsigned older = explore_choose(1U + last - oldest(t, c, order));
  uint64_t x = observe(t, c, (uint8_t)(last - older), order);
  if (explore_guarded(at)) note_load(t, c, x);
  return x;
}

static void shift(view v, unsigned c, uint8_t from) {
  if (v[c] >= from) v[c]++;
}

/* Makes room for a store at place `at` of the cell's order: what came there moves up by one. */
static struct stored *insert(unsigned c, uint8_t at) {
  struct cell *cell = &cells[c];
  if (cell->last == STORES - 1) model_fail("more than %d stores to one cell", STORES);
  cell->last++;
  if (at == cell->last) return &cell->history[at];
  memmove(&cell->history[at + 1], &cell->history[at], (cell->last - at) * sizeof cell->history[0]);
  shift(sequential, c, at);
  for (unsigned t = 0; t < threads; t++) {
    shift(seen[t].now, c, at);
    shift(seen[t].pending, c, at);
    shift(seen[t].passed, c, at);
    shift(seen[t].settled, c, at);
  }
  for (unsigned other = 0; other < cell_count; other++)
    for (unsigned i = 0; cells[other].known && i <= cells[other].last; i++)
      shift(cells[other].history[i].released, c, at);
  return &cell->history[at];
}

static void add(unsigned t, unsigned c, uint8_t at, uint64_t x, int order, bool continues) {
  struct cell *cell = &cells[c];
  struct seen *me = &seen[t];
  struct stored *s = insert(c, at);
  s->x = x;
  me->now[c] = at;
  memcpy(s->released, memory_releases(order) ? me->now : me->passed, sizeof(view));
  s->head = memory_releases(order) ? (uint8_t)t : NOBODY;
  s->glued = continues;
  if (continues) {
    join(s->released, cell->history[at - 1].released);
    if (s->head == NOBODY) s->head = cell->history[at - 1].head;
  }
  if (order == WEFT__SEQ) sequential[c] = at;
  if (at == cell->last) memory_poke((void *)(uintptr_t)cell->at, cell->bytes, x);
  explore_changed(t);
}

/* A store comes after what its thread has seen, not always after what others have stored: its CPU
 * may have held it back. */
static void store(unsigned t, void *cell, unsigned bytes, uint64_t x, int order) {
  unsigned c = cell_index(cell, bytes);
  fail_if_read_late(t, c, "late load");
  uint8_t places[STORES];
  unsigned n = 0;
  for (unsigned at = cells[c].last + 1U; at > oldest(t, c, order); at--)
    if (at > cells[c].last || !cells[c].history[at].glued) places[n++] = (uint8_t)at;
  uint8_t at = places[explore_choose(n)];
  /* C11: later stores of the same thread belong to the release sequence (C++20 ended that). */
  add(t, c, at, x, order, cells[c].history[at - 1].head == t);
}

static bool room_behind(unsigned c, unsigned i) {
  return i == cells[c].last || !cells[c].history[i + 1].glued;
}

/* A read-modify-write stores right behind what it reads; one that fails is a load. */
static uint64_t update(unsigned t, void *at, unsigned bytes, const struct memory_update *u,
                       int order, bool *done) {
  unsigned c = cell_index(at, bytes);
  uint8_t fits[STORES];
  unsigned n = 0;
  uint64_t x = 0;
  for (unsigned i = cells[c].last + 1U; i-- > oldest(t, c, order);)
    if (!memory_compute(u, bytes, cells[c].history[i].x, &x) || room_behind(c, i))
      fits[n++] = (uint8_t)i;
  uint8_t which = fits[explore_choose(n)];
  uint64_t old = observe(t, c, which, order);
  *done = memory_compute(u, bytes, old, &x);
  if (*done) {
    add(t, c, (uint8_t)(which + 1), x, order, true);
    /* The compiler moves no earlier store below it and no later load above it. */
    if (memory_releases(order) && memory_acquires(order))
      memcpy(seen[t].settled, seen[t].now, sizeof(view));
  }
  return old;
}

static void full_fence(struct seen *me) {
  join(me->now, me->pending);
  join(sequential, me->now);
  join(me->now, sequential);
  memcpy(me->passed, me->now, sizeof(view));
  memcpy(me->settled, me->now, sizeof(view));
}

static void fence(unsigned t, enum weft__model_fence kind) {
  struct seen *me = &seen[t];
  if (kind == WEFT__FENCE_LIGHT) {
    memcpy(me->settled, me->now, sizeof(view));
    return;
  }
  if (kind == WEFT__FENCE_HEAVY)
    for (unsigned other = 0; other < threads; other++) join(sequential, seen[other].settled);
  full_fence(me);
  if (kind == WEFT__FENCE_HEAVY)
    for (unsigned other = 0; other < threads; other++) {
      join(seen[other].now, sequential);
      join(seen[other].passed, sequential);
    }
}

static uint64_t read_plain(unsigned t, const struct model_plain *p) {
  unsigned c = cell_index(&p->v, sizeof p->v);
  cells[c].plain = true;
  if (seen[t].now[c] != cells[c].last)
    model_fail("data race: a read of %s is not ordered after the last write", explore_name(&p->v));
  cells[c].read[t] = count_read(t);
  return cells[c].history[cells[c].last].x;
}

static void write_plain(unsigned t, struct model_plain *p, uint64_t x) {
  unsigned c = cell_index(&p->v, sizeof p->v);
  cells[c].plain = true;
  if (seen[t].now[c] != cells[c].last)
    model_fail("data race: a write of %s is not ordered after the last write", explore_name(&p->v));
  fail_if_read_late(t, c, "data race");
  add(t, c, (uint8_t)(cells[c].last + 1), x, WEFT__RELAXED, false);
}

/* Time alone makes stores visible; it orders nothing. */
static void catch_up(unsigned t) {
  for (unsigned c = 0; c < cell_count; c++)
    if (cells[c].known && !cells[c].plain) seen[t].now[c] = cells[c].last;
}

static void ended(unsigned t) {
  seen[t].ended = true; /* what it still knows does not matter */
}

static bool waits(unsigned t) {
  (void)t;
  return false;
}

static const void *drain(unsigned t) {
  (void)t;
  return NULL;
}

/* Two runs are in the same state when they differ only in stores that nobody can read any more: a
 * cell's stores are counted from the oldest that a live thread may read. */
static void floors(view floor) {
  for (unsigned c = 0; c < cell_count; c++) {
    floor[c] = cells[c].known ? cells[c].last : 0;
    for (unsigned t = 0; t < threads; t++)
      if (!seen[t].ended && seen[t].now[c] < floor[c]) floor[c] = seen[t].now[c];
  }
}

/* Likewise of a thread's reads only those matter that a store may still have to come after: they
 * are counted by their rank among these. */
static uint8_t rank[MODEL_THREADS][UINT8_MAX + 1];

static void rank_reads(void) {
  for (unsigned t = 0; t < threads; t++) {
    unsigned reads = seen[t].now[READS_OF(t)];
    memset(rank[t], 0, reads + 1);
    if (reads == 0) continue;
    for (unsigned c = 0; c < cell_count; c++)
      if (cells[c].known && cells[c].read[t]) rank[t][cells[c].read[t]] = 1;
    for (unsigned i = 0; i < seen[t].loads; i++) rank[t][seen[t].load[i].read] = 1;
    for (unsigned i = 1; i <= reads; i++) rank[t][i] = (uint8_t)(rank[t][i] + rank[t][i - 1]);
  }
}

static uint64_t hash_view(uint64_t h, const view v, const view floor) {
  uint64_t word = 0;
  for (unsigned c = 0; c < cell_count; c += 8) {
    word = 0;
    for (unsigned i = c; i < cell_count && i < c + 8; i++)
      word = word << 8 | (uint8_t)(v[i] > floor[i] ? v[i] - floor[i] : 0);
    h = memory_mix(h, word);
  }
  word = 0;
  for (unsigned t = 0; t < threads; t++) word = word << 8 | rank[t][v[READS_OF(t)]];
  return memory_mix(h, word);
}

static uint64_t hash_reads(uint64_t h, const uint8_t *of_cell) {
  uint64_t word = 0;
  for (unsigned t = 0; t < threads; t++) word = word << 8 | rank[t][of_cell[t]];
  return memory_mix(h, word);
}

static uint64_t hash_seen(uint64_t h, unsigned t, const view floor) {
  const struct seen *s = &seen[t];
  h = hash_view(h, s->settled, floor);
  if (s->ended) return h;
  h = hash_view(h, s->now, floor);
  h = hash_view(h, s->pending, floor);
  h = hash_view(h, s->passed, floor);
  for (unsigned i = 0; i < s->loads; i++) {
    h = memory_mix(h, s->load[i].x);
    h = memory_mix(h, (uint64_t)s->load[i].cell << 8 | rank[t][s->load[i].read]);
  }
  return h;
}

static uint64_t hash(uint64_t h) {
  view floor;
  floors(floor);
  rank_reads();
  for (unsigned c = 0; c < cell_count; c++) {
    if (!cells[c].known) continue;
    h = hash_reads(h, cells[c].read);
    if (cells[c].last == 0) continue;
    h = memory_mix(h, cells[c].last - floor[c]);
    for (unsigned i = floor[c]; i <= cells[c].last; i++) {
      const struct stored *s = &cells[c].history[i];
      h = memory_mix(h, s->x);
      h = memory_mix(h, (uint64_t)s->head << 1 | s->glued);
      h = hash_view(h, cells[c].history[i].released, floor);
    }
  }
  for (unsigned t = 0; t < threads; t++) h = hash_seen(h, t, floor);
  return hash_view(h, sequential, floor);
}

const struct memory memory_weak = {
    .forget = forget,
    .start = start,
    .load = load,
    .store = store,
    .update = update,
    .fence = fence,
    .read_plain = read_plain,
    .write_plain = write_plain,
    .rely = rely,
    .catch_up = catch_up,
    .ended = ended,
    .waits = waits,
    .drain = drain,
    .hash = hash,
};
