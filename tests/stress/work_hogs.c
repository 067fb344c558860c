/* Tasks that keep their workers for many milliseconds beside others that sleep, yield, wait for
 * descriptors and for each other: loops and timers go to reserves and come back all the time. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/choice.h"
#include "core/fdwait.h"
#include "stress.h"

enum { MOST = 12, TICKS = 20 };

struct beside {
  struct stress_round *r;
  int hogs, tickers, talkers;
  struct stress_mark marks[4 * MOST];
  atomic_int used;
};

struct part {
  struct beside *b;
  int index;
  int in, out; /* of a talker: descriptors */
};

static struct stress_mark *own_mark(struct beside *b) {
  return &b->marks[atomic_fetch_add_explicit(&b->used, 1, memory_order_relaxed)];
}

static int hog(void *arg) {
  struct part *p = arg;
  struct stress_mark *mark = own_mark(p->b);
  struct weft__rng rng;
  stress_begin(mark);
  stress_rng(&rng, p->b->r, (uint64_t)p->index);
  for (uint32_t i = 1 + stress_draw(&rng, 3); i > 0; i--) {
    stress_burn((weft_ns)stress_draw(&rng, 12) * weft_ms(1));
    if (stress_one_in(&rng, 2)) EXPECT_INT(weft_yield(), 0);
    if (stress_one_in(&rng, 3)) EXPECT_INT(weft_sleep(weft_us(100)), 0);
  }
  return stress_end(mark, 0);
}

static int leaf(void *arg) {
  return *(int *)arg;
}

static int tick(void *arg) {
  struct part *p = arg;
  struct stress_mark *mark = own_mark(p->b);
  stress_begin(mark);
  for (int i = 0; i < TICKS; i++) {
    weft_ns begin = weft_now();
    EXPECT_INT(weft_sleep(weft_us(300)), 0);
    EXPECT(weft_now() - begin >= weft_us(300));
    EXPECT_INT(weft_await(weft_spawn(leaf, &i, NULL)), i);
  }
  return stress_end(mark, 0);
}

/* errno belongs to a thread, and the task may change it: asked for in a function of its own. */
static __attribute__((noinline)) int pass(int from, int to) {
  char byte = 'x';
  if (from >= 0 && read(from, &byte, 1) != 1) return -errno;
  if (to >= 0 && write(to, &byte, 1) != 1) return -errno;
  return 1;
}

/* A byte goes round between two tasks. */
static int talk(void *arg) {
  struct part *p = arg;
  struct stress_mark *mark = own_mark(p->b);
  stress_begin(mark);
  if (p->index % 2 == 0) EXPECT_INT(pass(-1, p->out), 1);
  for (int i = 0; i < TICKS; i++) {
    int r;
    while ((r = pass(p->in, i + 1 < TICKS || p->index % 2 ? p->out : -1)) == -EAGAIN)
      if (!EXPECT_INT(weft__fd_wait(p->in, WEFT__FD_READ), 0)) return r;
    EXPECT_INT(r, 1);
  }
  return stress_end(mark, 0);
}

static int beside_main(void *arg) {
  struct beside *b = arg;
  struct part part[4 * MOST];
  weft_group g = WEFT_GROUP_INIT;
  int fds[MOST][4], n = 0;
  for (int i = 0; i < b->tickers; i++, n++) {
    part[n] = (struct part){.b = b, .index = n};
    weft_group_spawn(&g, tick, &part[n], NULL);
  }
  for (int i = 0; i < b->talkers; i++) {
    int *f = fds[i];
    if (!EXPECT(pipe2(f, O_NONBLOCK) == 0 && pipe2(f + 2, O_NONBLOCK) == 0)) return -1;
    for (int side = 0; side < 2; side++, n++) {
      part[n] = (struct part){b, side, side ? f[2] : f[0], side ? f[1] : f[3]};
      weft_group_spawn(&g, talk, &part[n], NULL);
    }
  }
  for (int i = 0; i < b->hogs; i++, n++) {
    part[n] = (struct part){.b = b, .index = n};
    weft_group_spawn(&g, hog, &part[n], &(weft_spawn_opts){.pinned = i % 3 == 2});
  }
  EXPECT_INT(weft_group_join(&g), 0);
  for (int i = 0; i < b->talkers; i++)
    for (int k = 0; k < 4; k++) close(fds[i][k]);
  EXPECT_INT(atomic_load(&b->used), n);
  for (int i = 0; i < n; i++) stress_ran(&b->marks[i]);
  return 0;
}

static void hogs_round(struct stress_round *r) {
  struct beside *b = stress_alloc(1, sizeof *b);
  b->r = r;
  b->hogs = (int)stress_draw(r->rng, COUNTS_PICK(MOST, MOST, 6));
  b->tickers = 1 + (int)stress_draw(r->rng, MOST);
  b->talkers = (int)stress_draw(r->rng, MOST);
  r->opts.no_reserve = stress_one_in(r->rng, 8);
  EXPECT_INT(stress_run(r, beside_main, b), 0);
  free(b);
}

const struct stress_workload stress_hogs = {
    .name = "hogs",
    .about = "tasks that keep their workers for long beside sleepers and descriptors; leases",
    .round = hogs_round,
    .flags = STRESS_EXACT_TOO,
};
