/* Queues: who gets which item, who waits, and when all is done. */
#include "scene.h"

/* A task's share in a queue. */
struct part {
  const char *name;
  weft_queue *queue;
  int n, items[8]; /* to put; to get, their number alone */
};

static weft_task join(weft_fn fn, struct part part) {
  return weft_spawn(fn, &part, &(weft_spawn_opts){.arg_size = sizeof part});
}

static void await_all(weft_task *t, int n) {
  for (int i = 0; i < n; i++) weft_await(t[i]);
}

static int put_in(void *arg) {
  struct part *p = arg;
  for (int i = 0; i < p->n; i++) {
    int r = weft_queue_put(p->queue, &p->items[i]);
    if (r < 0) return r;
    trace("%s put %d", p->name, p->items[i]);
  }
  return 0;
}

static int get_some(void *arg) {
  struct part *p = arg;
  for (int i = 0, item; i < p->n; i++) {
    int r = weft_queue_get(p->queue, &item);
    if (r < 0) {
      trace("%s %s", p->name, word(r));
      return r;
    }
    trace("%s got %d", p->name, item);
  }
  return 0;
}

static int get_slowly(void *arg) {
  struct part *p = arg;
  for (int i = 0, item; i < p->n; i++) {
    nap(1);
    weft_queue_get(p->queue, &item);
    trace("%s got %d", p->name, item);
  }
  return 0;
}

static bool less(const void *a, const void *b, void *arg) {
  (void)arg;
  return *(const int *)a < *(const int *)b;
}

static weft_queue *new_queue(size_t capacity, weft_queue_order order) {
  weft_queue *q = NULL;
  weft_queue_new(&q, sizeof(int),
                 &(weft_queue_opts){.capacity = capacity, .order = order, .less = less});
  return q;
}

SCENARIO(items_come_in_the_order_they_were_put) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  weft_task producer = join(put_in, (struct part){"producer", q, 4, {1, 2, 3, 4}});
  get_some(&(struct part){"main", q, 4, {0}});
  weft_await(producer);
  trace("size %zu, empty %d, full %d", weft_queue_size(q), weft_queue_empty(q), weft_queue_full(q));
  weft_queue_free(q);
}

SCENARIO(consumers_are_served_first_come_first_served) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  weft_task t[] = {join(get_some, (struct part){"a", q, 1, {0}}),
                   join(get_some, (struct part){"b", q, 1, {0}}),
                   join(get_some, (struct part){"c", q, 1, {0}})};
  nap(1);
  put_in(&(struct part){"main", q, 3, {1, 2, 3}});
  await_all(t, 3);
  weft_queue_free(q);
}

SCENARIO(producers_wait_while_the_queue_is_full) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_FIFO);
  weft_task t[] = {join(put_in, (struct part){"a", q, 4, {1, 2, 3, 4}}),
                   join(put_in, (struct part){"b", q, 2, {11, 12}})};
  nap(1);
  trace("size %zu, full %d", weft_queue_size(q), weft_queue_full(q));
  get_slowly(&(struct part){"main", q, 6, {0}});
  await_all(t, 2);
  weft_queue_free(q);
}

SCENARIO(a_producer_and_a_consumer_at_full_speed) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_FIFO);
  weft_task t[] = {join(put_in, (struct part){"producer", q, 8, {0, 1, 2, 3, 4, 5, 6, 7}}),
                   join(get_some, (struct part){"consumer", q, 8, {0}}), start(tick, "other")};
  await_all(t, 3);
  weft_queue_free(q);
}

SCENARIO(several_producers_and_consumers) {
  weft_queue *q = new_queue(3, WEFT_QUEUE_FIFO);
  weft_task t[] = {join(put_in, (struct part){"p", q, 4, {0, 1, 2, 3}}),
                   join(put_in, (struct part){"q", q, 4, {10, 11, 12, 13}}),
                   join(put_in, (struct part){"r", q, 4, {20, 21, 22, 23}}),
                   join(get_slowly, (struct part){"x", q, 5, {0}}),
                   {0}};
  nap(5);
  t[4] = join(get_slowly, (struct part){"y", q, 7, {0}});
  await_all(t, 5);
  trace("size %zu", weft_queue_size(q));
  weft_queue_free(q);
}

SCENARIO(a_cancelled_consumer_takes_nothing) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  weft_task t[] = {join(get_some, (struct part){"a", q, 1, {0}}),
                   join(get_some, (struct part){"b", q, 1, {0}}),
                   join(get_some, (struct part){"c", q, 1, {0}})};
  nap(1);
  weft_cancel(t[0]);
  nap(1);
  put_in(&(struct part){"main", q, 2, {1, 2}});
  for (int i = 0; i < 3; i++) trace("%s", word(weft_await(t[i])));
  trace("size %zu", weft_queue_size(q));
  weft_queue_free(q);
}

SCENARIO(a_cancelled_producer_puts_nothing) {
  weft_queue *q = new_queue(1, WEFT_QUEUE_FIFO);
  int first = 0;
  weft_queue_put(q, &first);
  weft_task a = join(put_in, (struct part){"a", q, 1, {1}});
  weft_task b = join(put_in, (struct part){"b", q, 1, {2}});
  nap(1);
  weft_cancel(a);
  trace("%s", word(weft_await(a)));
  get_slowly(&(struct part){"main", q, 2, {0}});
  trace("%s", word(weft_await(b)));
  trace("size %zu", weft_queue_size(q));
  weft_queue_free(q);
}

SCENARIO(without_waiting_it_is_full_or_empty) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_FIFO);
  int item;
  for (int i = 1; i <= 3; i++) {
    if (weft_queue_try_put(q, &i) == WEFT_EAGAIN)
      trace("full");
    else
      trace("put %d", i);
  }
  for (int i = 0; i < 3; i++) {
    if (weft_queue_try_get(q, &item) == WEFT_EAGAIN)
      trace("empty");
    else
      trace("got %d", item);
  }
  weft_queue_free(q);
}

static int work_off(void *arg) {
  struct part *p = arg;
  int item, r;
  while ((r = weft_queue_get(p->queue, &item)) > 0) {
    trace("%s begins %d", p->name, item);
    nap(item);
    trace("%s ends %d", p->name, item);
    weft_queue_task_done(p->queue);
  }
  return r;
}

SCENARIO(join_waits_until_all_is_done) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  weft_queue_join(q);
  trace("nothing to wait for");
  put_in(&(struct part){"main", q, 4, {3, 1, 5, 1}});
  weft_task t[] = {join(work_off, (struct part){"a", q, 0, {0}}),
                   join(work_off, (struct part){"b", q, 0, {0}})};
  weft_queue_join(q);
  trace("all done");
  if (weft_queue_task_done(q) == WEFT_ESTATE) trace("done too often");
  for (int i = 0; i < 2; i++) {
    weft_cancel(t[i]);
    trace("%s", word(weft_await(t[i])));
  }
  weft_queue_free(q);
}

SCENARIO(the_last_in_is_the_first_out) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_LIFO);
  put_in(&(struct part){"main", q, 3, {1, 2, 3}});
  get_some(&(struct part){"main", q, 2, {0}});
  put_in(&(struct part){"main", q, 1, {4}});
  get_some(&(struct part){"main", q, 2, {0}});
  weft_queue_free(q);
}

SCENARIO(the_least_comes_first) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_PRIORITY);
  put_in(&(struct part){"main", q, 3, {5, 1, 4}});
  get_some(&(struct part){"main", q, 1, {0}});
  put_in(&(struct part){"main", q, 3, {3, 9, 2}});
  get_some(&(struct part){"main", q, 5, {0}});
  weft_queue_free(q);
}

SCENARIO(a_bounded_priority_queue_lets_producers_wait) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_PRIORITY);
  weft_task producer = join(put_in, (struct part){"producer", q, 4, {7, 3, 5, 1}});
  nap(1);
  get_slowly(&(struct part){"main", q, 4, {0}});
  weft_await(producer);
  weft_queue_free(q);
}

static int get_with_limit(void *arg) {
  struct part *p = arg;
  weft_timeout s;
  int item;
  weft_timeout_begin(&s, weft_sec(p->n));
  int r = weft_queue_get(p->queue, &item);
  if (r > 0) trace("%s got %d", p->name, item);
  r = weft_timeout_end(&s, r);
  if (r < 0) trace("%s %s", p->name, word(r));
  return 0;
}

SCENARIO(a_get_may_run_out_of_time) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  weft_task t[] = {join(get_with_limit, (struct part){"a", q, 1, {0}}),
                   join(get_with_limit, (struct part){"b", q, 3, {0}}),
                   join(get_with_limit, (struct part){"c", q, 9, {0}})};
  nap(2);
  put_in(&(struct part){"main", q, 1, {1}});
  nap(2);
  put_in(&(struct part){"main", q, 1, {2}});
  await_all(t, 3);
  weft_queue_free(q);
}

struct stage {
  int i;
  weft_queue *source, *target;
};

static int stage(void *arg) {
  struct stage *s = arg;
  int item;
  while (weft_queue_get(s->source, &item) > 0 && item >= 0) {
    weft_yield();
    trace("stage %d passes %d", s->i, item);
    item += 100;
    weft_queue_put(s->target, &item);
  }
  trace("stage %d ends", s->i);
  return weft_queue_put(s->target, &item);
}

SCENARIO(a_pipeline_of_three_stages) {
  weft_queue *q[4];
  weft_task t[4];
  struct stage stages[3];
  int item;
  for (int i = 0; i < 4; i++) q[i] = new_queue(1, WEFT_QUEUE_FIFO);
  for (int i = 0; i < 3; i++) {
    stages[i] = (struct stage){i, q[i], q[i + 1]};
    t[i] = weft_spawn(stage, &stages[i], NULL);
  }
  t[3] = join(put_in, (struct part){"source", q[0], 4, {1, 2, 3, -1}});
  while (weft_queue_get(q[3], &item) > 0 && item >= 0) trace("out comes %d", item);
  await_all(t, 4);
  for (int i = 0; i < 4; i++) weft_queue_free(q[i]);
}

const struct scenario scenarios_queues[] = {
    ENTRY(items_come_in_the_order_they_were_put),
    ENTRY(consumers_are_served_first_come_first_served),
    ENTRY(producers_wait_while_the_queue_is_full),
    ENTRY(a_producer_and_a_consumer_at_full_speed),
    ENTRY(several_producers_and_consumers),
    ENTRY(a_cancelled_consumer_takes_nothing),
    ENTRY(a_cancelled_producer_puts_nothing),
    ENTRY(without_waiting_it_is_full_or_empty),
    ENTRY(join_waits_until_all_is_done),
    ENTRY(the_last_in_is_the_first_out),
    ENTRY(the_least_comes_first),
    ENTRY(a_bounded_priority_queue_lets_producers_wait),
    ENTRY(a_get_may_run_out_of_time),
    ENTRY(a_pipeline_of_three_stages),
    {NULL, NULL},
};
