/* Queues between tasks and plain threads, with producers and consumers that are cancelled in the middle of
 * a put or a get: every item that was put comes out once. */
#include "base/choice.h"
#include "stress.h"

struct traffic {
  weft_queue *q;
  struct worker *workers;
  int producers, consumers, threads;
  int items;            /* of each producer and thread */
  atomic_int *came_out; /* by item; relaxed */
  bool immediate;       /* the end drops what is left */
};

struct worker {
  struct weft__rng rng;
  struct traffic *all;
  struct stress_mark mark;
  weft_task task;
  pthread_t thread;
  int first; /* its items are first, first + 1, ... */
  int put;   /* how many of them were taken by the queue */
};

static int put_items(struct worker *w) {
  int r = 0;
  while (w->put < w->all->items) {
    int item = w->first + w->put;
    bool try = stress_one_in(&w->rng, 4);
    r = try ? weft_queue_try_put(w->all->q, &item) : weft_queue_put(w->all->q, &item);
    if (r == 0)
      w->put++;
    else if (r != WEFT_EAGAIN)
      break;
  }
  return r == WEFT_EAGAIN ? 0 : r;
}

static int produce(void *arg) {
  struct worker *w = arg;
  stress_begin(&w->mark);
  int r = put_items(w);
  EXPECT(r == 0 || r == WEFT_ECANCELED);
  return stress_end(&w->mark, r);
}

static void *produce_outside(void *arg) {
  struct worker *w = arg;
  stress_begin(&w->mark);
  EXPECT_INT(put_items(w), 0);
  stress_end(&w->mark, 0);
  return NULL;
}

static int consume(void *arg) {
  struct worker *w = arg;
  stress_begin(&w->mark);
  int item = -1, r;
  while ((r = weft_queue_get(w->all->q, &item)) > 0) {
    atomic_fetch_add_explicit(&w->all->came_out[item], 1, memory_order_relaxed);
    EXPECT_INT(weft_queue_task_done(w->all->q), 0);
    if (stress_one_in(&w->rng, 8) && (r = weft_yield()) < 0) break;
  }
  EXPECT(r == 0 || r == WEFT_ECANCELED);
  return stress_end(&w->mark, r);
}

static int count_workers(const struct traffic *t) {
  return t->producers + t->threads + t->consumers;
}

static void start(struct traffic *t) {
  for (int i = 0; i < count_workers(t); i++) {
    struct worker *w = &t->workers[i];
    if (i < t->producers)
      w->task = weft_spawn(produce, w, NULL);
    else if (i < t->producers + t->threads)
      w->thread = stress_thread(produce_outside, w);
    else
      w->task = weft_spawn(consume, w, NULL);
  }
}

/* The first consumer is never cancelled: so the producers come to their end. */
static void cancel_some(struct traffic *t) {
  int first = t->producers + t->threads;
  for (int i = 0; i < count_workers(t); i++) {
    bool task = i < t->producers || i > first;
    if (!task || i % 3 != 0) continue;
    EXPECT_INT(weft_yield(), 0);
    stress_count(STRESS_CANCELS, weft_cancel(t->workers[i].task) == 1);
  }
}

/* A job: blocking here would keep its worker from what the thread waits for. */
static int join_thread(void *arg) {
  struct worker *w = arg;
  return pthread_join(w->thread, NULL);
}

static int traffic_main(void *arg) {
  struct traffic *t = arg;
  static const weft_queue_opts opts[] = {
      {.capacity = 1}, {.capacity = 7}, {0}, {.order = WEFT_QUEUE_LIFO, .capacity = 5}};
  EXPECT_INT(weft_queue_new(&t->q, sizeof(int), &opts[stress_draw(&t->workers[0].rng, 4)]), 0);
  start(t);
  cancel_some(t);
  for (int i = 0; i < t->producers; i++) {
    int r = weft_await(t->workers[i].task);
    EXPECT(r == 0 || r == WEFT_ECANCELED);
  }
  for (int i = t->producers; i < t->producers + t->threads; i++)
    EXPECT_INT(weft_to_thread(join_thread, &t->workers[i]), 0);
  if (!t->immediate) EXPECT_INT(weft_queue_join(t->q), 0);
  EXPECT_INT(weft_queue_shutdown(t->q, t->immediate), 0);
  for (int i = t->producers + t->threads; i < count_workers(t); i++) {
    int r = weft_await(t->workers[i].task);
    EXPECT(r == 0 || r == WEFT_ECANCELED);
  }
  EXPECT_INT(weft_queue_join(t->q), 0);
  EXPECT_INT(weft_queue_free(t->q), 0);
  return 0;
}

static void check_items(struct traffic *t) {
  for (int i = 0; i < t->producers + t->threads; i++) {
    struct worker *w = &t->workers[i];
    for (int k = 0; k < t->items; k++) {
      int n = atomic_load_explicit(&t->came_out[w->first + k], memory_order_relaxed);
      EXPECT(t->immediate && k < w->put ? n <= 1 : n == (k < w->put));
    }
  }
}

static void queues_round(struct stress_round *r) {
  struct traffic t = {.producers = 1 + (int)stress_draw(r->rng, 12),
                      .consumers = 1 + (int)stress_draw(r->rng, 12),
                      .threads = r->opts.exact ? 0 : (int)stress_draw(r->rng, 3),
                      .items = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(400)),
                      .immediate = stress_one_in(r->rng, 3)};
  int n = count_workers(&t);
  t.workers = stress_alloc((size_t)n, sizeof *t.workers);
  t.came_out = stress_alloc((size_t)(n * t.items), sizeof *t.came_out);
  for (int i = 0; i < n; i++) {
    t.workers[i].all = &t;
    t.workers[i].first = i * t.items;
    stress_rng(&t.workers[i].rng, r, (uint64_t)i);
  }
  EXPECT_INT(stress_run(r, traffic_main, &t), 0);
  check_items(&t);
  free(t.came_out);
  free(t.workers);
}

const struct stress_workload stress_queues = {
    .name = "queues",
    .about = "queues between tasks and threads, with cancels in the middle of put and get",
    .round = queues_round,
    .flags = STRESS_EXACT_TOO,
};
