/* Queues and channels on plain threads: a queue fed by a thread, and the other way round. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "task_test.h"
#include "threads.h"

static weft_queue *new_queue(size_t capacity) {
  weft_queue *q = NULL;
  CHECK_INT(weft_queue_new(&q, sizeof(int), &(weft_queue_opts){.capacity = capacity}), 0);
  return q;
}

struct side {
  weft_queue *q;
  int n;
  int code;
  long sum;
  struct latch ended;
};

static int put_many(void *arg) {
  struct side *s = arg;
  for (int i = 1; i <= s->n && s->code == 0; i++) s->code = weft_queue_put(s->q, &i);
  latch_hit(&s->ended);
  return s->code;
}

static int get_many(void *arg) {
  struct side *s = arg;
  int item;
  while ((s->code = weft_queue_get(s->q, &item)) > 0) {
    s->sum += item;
    weft_queue_task_done(s->q);
  }
  latch_hit(&s->ended);
  return s->code;
}

static void *put_on_thread(void *arg) {
  put_many(arg);
  return NULL;
}

static void *get_on_thread(void *arg) {
  get_many(arg);
  return NULL;
}

static pthread_t on_thread(void *(*fn)(void *), void *arg) {
  pthread_t thread = 0;
  CHECK_INT(weft__sys_thread_create(&thread, NULL, fn, arg), 0);
  return thread;
}

/* In a task: joining would block its worker. */
static void join_thread(pthread_t thread, struct side *s) {
  CHECK_INT(latch_wait(&s->ended, 1), 0);
  weft__sys_thread_join(thread);
}

static long sum_to(int n) {
  return (long)n * (n + 1) / 2;
}

TASK_TEST(a_thread_feeds_tasks) {
  weft_queue *q = new_queue(3);
  struct side in = {.q = q, .n = count(COUNT_TASKS)}, out[2] = {{.q = q}, {.q = q}};
  weft_task tasks[] = {weft_spawn(get_many, &out[0], NULL), weft_spawn(get_many, &out[1], NULL)};
  pthread_t thread = on_thread(put_on_thread, &in);
  join_thread(thread, &in);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  CHECK_INT(weft_gather(tasks, 2, NULL), 0);
  CHECK_INT(in.code, 0);
  CHECK_INT(out[0].sum + out[1].sum, sum_to(in.n));
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(tasks_feed_a_thread) {
  weft_queue *q = new_queue(3);
  struct side in = {.q = q, .n = count(COUNT_TASKS)}, out = {.q = q};
  pthread_t thread = on_thread(get_on_thread, &out);
  CHECK_INT(weft_await(weft_spawn(put_many, &in, NULL)), 0);
  CHECK_INT(weft_queue_join(q), 0);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  join_thread(thread, &out);
  CHECK_INT(out.code, 0);
  CHECK_INT(out.sum, sum_to(in.n));
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(a_shutdown_wakes_threads_that_wait) {
  enum { THREADS = 3 };
  weft_queue *empty = new_queue(0), *full = new_queue(1);
  struct side getters[THREADS], putters[THREADS];
  pthread_t threads[2 * THREADS];
  CHECK_INT(weft_queue_try_put(full, &(int){0}), 0);
  for (int i = 0; i < THREADS; i++) {
    getters[i] = (struct side){.q = empty};
    putters[i] = (struct side){.q = full, .n = 1};
    threads[2 * i] = on_thread(get_on_thread, &getters[i]);
    threads[2 * i + 1] = on_thread(put_on_thread, &putters[i]);
  }
  for (int i = 0, rounds = 0; i < 100; i++)
    CHECK_INT(latch_turn(&rounds), 0); /* most wait by now */
  CHECK_INT(weft_queue_shutdown(empty, false), 0);
  CHECK_INT(weft_queue_shutdown(full, true), 0);
  for (int i = 0; i < THREADS; i++) {
    join_thread(threads[2 * i], &getters[i]);
    join_thread(threads[2 * i + 1], &putters[i]);
    CHECK_INT(getters[i].code, 0);
    CHECK_INT(putters[i].code, WEFT_ECLOSED);
  }
  CHECK_INT(weft_queue_free(empty), 0);
  CHECK_INT(weft_queue_free(full), 0);
}

TASK_TEST(jobs_of_the_pool_use_a_queue) {
  weft_queue *q = new_queue(2);
  struct side in = {.q = q, .n = count(1000)}, out = {.q = q};
  weft_task t = weft_spawn(get_many, &out, NULL);
  CHECK_INT(weft_to_thread(put_many, &in), 0);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(out.sum, sum_to(in.n));
  CHECK_INT(weft_queue_free(q), 0);
}

static void threads_alone_use_a_queue(void **state) {
  (void)state;
  weft_queue *q = new_queue(2);
  struct side in = {.q = q, .n = count(COUNT_TASKS)}, out = {.q = q};
  pthread_t a = on_thread(put_on_thread, &in), b = on_thread(get_on_thread, &out);
  pthread_join(a, NULL);
  CHECK_INT(weft_queue_join(q), 0);
  int item = 1;
  CHECK_INT(weft_queue_put(q, &item), 0);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  pthread_join(b, NULL);
  CHECK_INT(weft_queue_try_get(q, &item), 0);
  CHECK_INT(weft_queue_try_put(q, &item), WEFT_ECLOSED);
  CHECK_INT(out.sum, sum_to(in.n) + 1);
  CHECK_INT(weft_queue_free(q), 0);
}

/* The run ends as soon as its task has the item, while the thread may still be about to wake a worker. */
static int get_one_and_end(void *arg) {
  int item;
  return weft_queue_get(arg, &item);
}

static void a_thread_may_wake_a_task_at_the_very_end_of_its_run(void **state) {
  (void)state;
  int n = count(COUNT_RUNS);
  for (int i = 0; i < n; i++) {
    weft_queue *q = new_queue(0);
    struct side in = {.q = q, .n = 1};
    pthread_t thread = on_thread(put_on_thread, &in);
    int r = weft_run(get_one_and_end, q, NULL);
    pthread_join(thread, NULL);
    CHECK_INT(r, 1);
    CHECK_INT(weft_queue_free(q), 0);
  }
}

/* ---- channels ---- */

struct listener {
  weft_broadcast_receiver receiver;
  weft_latest_reader reader;
  int last;
  struct latch ended;
};

static void *listen_on_thread(void *arg) {
  struct listener *l = arg;
  int item, r;
  while ((r = weft_broadcast_next(&l->receiver, &item)) != 0) {
    if (r != WEFT_ELAGGED) CHECK_INT(r, 1);
  }
  while ((r = weft_latest_next(&l->reader, &item)) > 0) l->last = item;
  CHECK_INT(r, 0);
  latch_hit(&l->ended);
  return NULL;
}

TASK_TEST(a_thread_listens_to_channels) {
  weft_broadcast *b;
  weft_latest *c;
  int n = count(1000);
  CHECK_INT(weft_broadcast_new(&b, sizeof(int), 4), 0);
  CHECK_INT(weft_latest_new(&c, sizeof(int), &(int){0}), 0);
  struct listener l = {.receiver = weft_broadcast_receive(b), .reader = weft_latest_read(c, false)};
  pthread_t thread = on_thread(listen_on_thread, &l);
  for (int i = 1; i <= n; i++) {
    CHECK_INT(weft_broadcast_send(b, &i), 0);
    CHECK_INT(weft_latest_set(c, &i), 0);
    if (i % 8 == 0) weft_yield();
  }
  CHECK_INT(weft_broadcast_close(b), 0);
  CHECK_INT(weft_latest_close(c), 0);
  CHECK_INT(latch_wait(&l.ended, 1), 0);
  weft__sys_thread_join(thread);
  CHECK_INT(l.last, n);
  CHECK_INT(weft_broadcast_free(b), 0);
  CHECK_INT(weft_latest_free(c), 0);
}

/* ---- where it is refused ---- */

static void *use_once(void *arg) {
  struct side *s = arg;
  int item = 1;
  s->code = weft_queue_try_put(s->q, &item);
  CHECK_INT(weft_queue_put(s->q, &item), s->code);
  CHECK_INT(weft_queue_try_get(s->q, &item), s->code);
  CHECK_INT(weft_queue_get(s->q, &item), s->code);
  CHECK_INT(weft_queue_task_done(s->q), s->code);
  CHECK_INT(weft_queue_join(s->q), s->code);
  CHECK_INT(weft_queue_shutdown(s->q, false), s->code);
  return NULL;
}

/* A thread of the system beside those that are played. */
static int use_beside(void *arg) {
  struct side *s = arg;
  pthread_t thread;
  s->q = new_queue(0);
  CHECK_INT(pthread_create(&thread, NULL, use_once, s), 0);
  pthread_join(thread, NULL);
  CHECK_UINT(weft_queue_size(s->q), 0);
  return weft_queue_free(s->q);
}

static void threads_outside_a_simulation_are_refused(void **state) {
  (void)state;
  struct side s = {0};
  CHECK_INT(weft_run(use_beside, &s, &(weft_run_opts){.seed = 1}), 0);
  CHECK_INT(s.code, WEFT_EBUSY);
}

static int use_in_child(weft_queue *q) {
  struct side s = {.q = q};
  weft_queue *other = NULL;
  use_once(&s);
  CHECK_INT(s.code, WEFT_ECHILD);
  CHECK_INT(weft_queue_new(&other, 4, NULL), WEFT_ECHILD);
  CHECK_INT(weft_queue_free(q), WEFT_ECHILD);
  return weft_test_failed();
}

TASK_TEST(in_a_child_of_fork_every_call_is_echild) {
  weft_queue *q = new_queue(0);
  pid_t pid = fork();
  if (pid == 0) _exit(use_in_child(q));
  int status = -1;
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK_INT(status, 0);
  CHECK_INT(weft_queue_free(q), 0);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_thread_feeds_tasks),
      cmocka_unit_test(tasks_feed_a_thread),
      cmocka_unit_test(a_shutdown_wakes_threads_that_wait),
      cmocka_unit_test(jobs_of_the_pool_use_a_queue),
      cmocka_unit_test(threads_alone_use_a_queue),
      cmocka_unit_test(a_thread_may_wake_a_task_at_the_very_end_of_its_run),
      cmocka_unit_test(a_thread_listens_to_channels),
      cmocka_unit_test(threads_outside_a_simulation_are_refused),
      cmocka_unit_test(in_a_child_of_fork_every_call_is_echild),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
