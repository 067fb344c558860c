/* libuv's own handles on the loops of the workers, and the tasks that wait for what they bring. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>
#include <weft/uv.h>

#include "counts.h"
#include "log_capture.h"
#include "parked.h"
#include "scratch.h"
#include "task_test.h"

/* A handle with a future that its callbacks set, and one that its close sets. */
struct thing {
  union {
    uv_handle_t handle;
    uv_timer_t timer;
    uv_idle_t idle;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
    uv_fs_event_t watch;
  };
  weft_future *done, *closed;         /* the task's references */
  weft_future *done_ref, *closed_ref; /* the callbacks'; NULL once they are used */
  atomic_int calls;
  weft_uv seen; /* where the callback was */
  int in_callback;
  uint64_t ms;
  const char *path;
};

static void thing_init(struct thing *t) {
  memset(t, 0, sizeof *t);
  CHECK_INT(weft_future_new(&t->done, 0), 0);
  CHECK_INT(weft_future_new(&t->closed, 0), 0);
  t->done_ref = weft_future_ref(t->done);
  t->closed_ref = weft_future_ref(t->closed);
}

/* The thing may be gone as soon as the future is set. */
static void tell(weft_future **ref) {
  weft_future *f = *ref;
  *ref = NULL;
  if (!CHECK(f != NULL)) return;
  weft_future_set(f, NULL);
  weft_future_unref(f);
}

static void on_closed(uv_handle_t *h) {
  struct thing *t = h->data;
  tell(&t->closed_ref);
}

static int close_thing(uv_loop_t *loop, void *arg) {
  struct thing *t = arg;
  (void)loop;
  uv_close(&t->handle, on_closed);
  return 0;
}

/* Until libuv has done with its memory. */
static void thing_end(struct thing *t, weft_uv home) {
  CHECK_INT(weft_uv_call(home, close_thing, t), 0);
  CHECK_INT(weft_future_await(t->closed, NULL), 0);
  if (t->done_ref) weft_future_unref(t->done_ref);
  weft_future_unref(t->done);
  weft_future_unref(t->closed);
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *timer) {
  struct thing *t = timer->data;
  t->seen = weft_uv_here();
  t->in_callback = weft_sleep(1);
  if (atomic_fetch_add(&t->calls, 1) == 0) tell(&t->done_ref);
}

static int start_timer(uv_loop_t *loop, void *arg) {
  struct thing *t = arg;
  int r = uv_timer_init(loop, &t->timer);
  t->timer.data = t;
  return r < 0 ? r : uv_timer_start(&t->timer, on_timer, t->ms, 0);
}

static bool same(weft_uv a, weft_uv b) {
  return a.runtime_ == b.runtime_ && a.worker_ == b.worker_;
}

TASK_TEST(a_timer_of_libuv_wakes_a_task) {
  struct thing t;
  thing_init(&t);
  t.ms = 5;
  weft_uv home = weft_uv_here();
  CHECK(weft_sleep(weft_ms(20)) == 0); /* the loop's own time must not be from before */
  weft_ns from = weft_now();
  CHECK_INT(weft_uv_call(home, start_timer, &t), 0);
  CHECK_INT(weft_future_await(t.done, NULL), 0);
  CHECK(weft_now() - from >= weft_ms(4)); /* libuv counts whole milliseconds */
  CHECK(same(t.seen, home));
  CHECK_INT(t.in_callback, WEFT_ENOTASK);
  thing_end(&t, home);
}

TASK_TEST(every_worker_has_a_loop) {
  weft_stats s;
  CHECK_INT(weft_stats_read(&s), 0);
  for (unsigned i = 0; i < s.workers; i++) {
    struct thing t;
    thing_init(&t);
    t.ms = 1;
    weft_uv home = weft_uv_of(i);
    CHECK_INT(weft_uv_call(home, start_timer, &t), 0);
    CHECK_INT(weft_future_await(t.done, NULL), 0);
    CHECK(same(t.seen, home));
    thing_end(&t, home);
  }
  CHECK(same(weft_uv_of(s.workers), (weft_uv){0}));
}

/* ---- beside a hog ---- */

struct hog {
  struct latch begun;
  atomic_bool over;
};

static int hog(void *arg) {
  struct hog *h = arg;
  latch_hit(&h->begun);
  while (!atomic_load(&h->over)) {}
  return 0;
}

static int hog_home(uv_loop_t *loop, void *arg) {
  (void)loop, (void)arg;
  return 0;
}

static void on_timer_end_hog(uv_timer_t *timer) {
  struct thing *t = timer->data;
  atomic_store((atomic_bool *)(uintptr_t)t->path, true);
  tell(&t->done_ref);
}

static int start_timer_against_hog(uv_loop_t *loop, void *arg) {
  struct thing *t = arg;
  int r = uv_timer_init(loop, &t->timer);
  t->timer.data = t;
  return r < 0 ? r : uv_timer_start(&t->timer, on_timer_end_hog, t->ms, 0);
}

/* The one worker is in a task that goes on until the timer has gone off: only who stands in for it can drive
 * its loop. */
TASK_TEST_WITH(a_hog_does_not_stop_its_worker_s_loop, (&(weft_run_opts){.workers = 1})) {
  struct thing t;
  struct hog h = {0};
  thing_init(&t);
  t.ms = 20;
  t.path = (const char *)&h.over;
  weft_uv home = weft_uv_here();
  CHECK_INT(weft_uv_call(home, start_timer_against_hog, &t), 0);
  weft_task task = weft_spawn(hog, &h, NULL);
  CHECK_INT(weft_await(task), 0);
  CHECK_INT(weft_future_await(t.done, NULL), 0);
  CHECK_INT(weft_uv_call(home, hog_home, NULL), 0);
  thing_end(&t, home);
}

/* ---- idle handles ---- */

static void on_idle(uv_idle_t *idle) {
  struct thing *t = idle->data;
  if (atomic_fetch_add(&t->calls, 1) != 9) return;
  uv_idle_stop(idle);
  tell(&t->done_ref);
}

static int start_idle(uv_loop_t *loop, void *arg) {
  struct thing *t = arg;
  int r = uv_idle_init(loop, &t->idle);
  t->idle.data = t;
  return r < 0 ? r : uv_idle_start(&t->idle, on_idle);
}

TASK_TEST(an_idle_handle_is_called_in_every_turn) {
  struct thing t;
  thing_init(&t);
  weft_uv home = weft_uv_here();
  CHECK_INT(weft_uv_call(home, start_idle, &t), 0);
  CHECK_INT(weft_future_await(t.done, NULL), 0);
  CHECK_INT(atomic_load(&t.calls), 10);
  thing_end(&t, home);
}

/* ---- sockets ---- */

/* An echo server of libuv's, for one connection. */
struct echo {
  struct thing listener, connection;
  int port;
  char buf[256];
  uv_write_t write;
};

static void give_buffer(uv_handle_t *h, size_t wanted, uv_buf_t *ret) {
  struct thing *t = h->data;
  struct echo *e = (struct echo *)(void *)((char *)t - offsetof(struct echo, connection));
  (void)wanted;
  *ret = uv_buf_init(e->buf, sizeof e->buf);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
  struct thing *t = s->data;
  struct echo *e = (struct echo *)(void *)((char *)t - offsetof(struct echo, connection));
  if (n < 0) {
    uv_read_stop(s);
    tell(&t->done_ref);
    return;
  }
  uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
  CHECK_INT(uv_write(&e->write, s, &out, 1, NULL), 0);
}

static void on_connection(uv_stream_t *s, int status) {
  struct thing *t = s->data;
  struct echo *e = (struct echo *)(void *)((char *)t - offsetof(struct echo, listener));
  CHECK_INT(status, 0);
  CHECK_INT(uv_tcp_init(s->loop, &e->connection.tcp), 0);
  e->connection.tcp.data = &e->connection;
  CHECK_INT(uv_accept(s, (uv_stream_t *)&e->connection.tcp), 0);
  CHECK_INT(uv_read_start((uv_stream_t *)&e->connection.tcp, give_buffer, on_read), 0);
}

static int start_echo(uv_loop_t *loop, void *arg) {
  struct echo *e = arg;
  struct sockaddr_in addr;
  int len = sizeof addr;
  uv_ip4_addr("127.0.0.1", 0, &addr);
  int r = uv_tcp_init(loop, &e->listener.tcp);
  e->listener.tcp.data = &e->listener;
  if (r == 0) r = uv_tcp_bind(&e->listener.tcp, (struct sockaddr *)&addr, 0);
  if (r == 0) r = uv_listen((uv_stream_t *)&e->listener.tcp, 8, on_connection);
  if (r == 0) r = uv_tcp_getsockname(&e->listener.tcp, (struct sockaddr *)&addr, &len);
  e->port = ntohs(addr.sin_port);
  return r;
}

TASK_TEST(a_server_of_libuv_talks_to_a_stream_of_weft) {
  struct echo *e = calloc(1, sizeof *e);
  weft_stream *s = NULL;
  char buf[16] = "";
  if (!CHECK(e != NULL)) return;
  thing_init(&e->listener);
  thing_init(&e->connection);
  weft_uv home = weft_uv_here();
  CHECK_INT(weft_uv_call(home, start_echo, e), 0);
  CHECK_INT(weft_connect(&s, "127.0.0.1", e->port, NULL), 0);
  for (int i = 0; i < 20; i++) {
    CHECK_INT(weft_write(s, "hello", 5), 0);
    CHECK_INT(weft_read_exactly(s, buf, 5), 5);
    CHECK_STR(buf, "hello");
  }
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(weft_future_await(e->connection.done, NULL), 0);
  thing_end(&e->connection, home);
  thing_end(&e->listener, home);
  free(e);
}

/* ---- files that change ---- */

static void on_change(uv_fs_event_t *w, const char *name, int events, int status) {
  struct thing *t = w->data;
  (void)events;
  CHECK_INT(status, 0);
  if (name && strcmp(name, "new") == 0 && atomic_fetch_add(&t->calls, 1) == 0) tell(&t->done_ref);
}

static int start_watch(uv_loop_t *loop, void *arg) {
  struct thing *t = arg;
  int r = uv_fs_event_init(loop, &t->watch);
  t->watch.data = t;
  return r < 0 ? r : uv_fs_event_start(&t->watch, on_change, t->path, 0);
}

TASK_TEST(a_watched_directory_tells_of_a_new_file) {
  struct scratch s;
  struct thing t;
  if (!scratch_begin(&s)) return;
  thing_init(&t);
  t.path = s.dir;
  weft_uv home = weft_uv_here();
  CHECK_INT(weft_uv_call(home, start_watch, &t), 0);
  CHECK_INT(weft_write_file(scratch_path(&s, "new"), "x", 1, NULL), 0);
  CHECK_INT(weft_future_await(t.done, NULL), 0);
  thing_end(&t, home);
  scratch_end(&s);
}

/* ---- the calls ---- */

static int return_code(uv_loop_t *loop, void *arg) {
  CHECK(loop != NULL);
  CHECK_INT(weft_yield(), WEFT_ENOTASK);
  return *(int *)arg;
}

struct many {
  int n; /* the driver's: no two calls of one loop at a time */
  weft_uv home;
};

static int count_up(uv_loop_t *loop, void *arg) {
  (void)loop;
  return ++((struct many *)arg)->n;
}

static int call_often(void *arg) {
  struct many *m = arg;
  for (int i = 0; i < count(500); i++) {
    int r = weft_uv_call(m->home, count_up, m);
    if (!CHECK(r > 0)) return r;
  }
  return 0;
}

TASK_TEST(calls_from_all_workers_come_one_by_one) {
  weft_task tasks[8];
  int code = 42;
  struct many m = {.home = weft_uv_here()};
  CHECK_INT(weft_uv_call(m.home, return_code, &code), 42);
  code = OWN_ERROR;
  CHECK_INT(weft_uv_call(m.home, return_code, &code), OWN_ERROR);
  for (int i = 0; i < 8; i++) tasks[i] = weft_spawn(call_often, &m, NULL);
  CHECK_INT(weft_gather(tasks, 8, NULL), 0);
  CHECK_INT(m.n, 8 * count(500));
}

TASK_TEST(a_cancelled_call_is_not_made) {
  struct many m = {.home = weft_uv_here()};
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_uv_call(m.home, count_up, &m), WEFT_ECANCELED);
  weft_cancel_catch();
  weft_uncancel(weft_current());
  CHECK_INT(m.n, 0);
  CHECK_INT(weft_uv_call(m.home, count_up, &m), 1);
}

struct hogged {
  struct many m;
  struct hog h;
};

static int hog_own_loop(void *arg) {
  struct hogged *x = arg;
  x->m.home = weft_uv_here();
  return hog(&x->h);
}

/* The loop's worker is in a task, and nobody stands in for it. */
TASK_TEST_WITH(a_call_that_has_not_begun_ends_with_its_deadline,
               (&(weft_run_opts){.workers = 2, .no_reserve = true})) {
  struct hogged x = {.m = {.n = 0}};
  weft_timeout limit;
  if (getenv("WEFT_MIGRATE")) return; /* sends this task to the busy worker, too */
  weft_task t = weft_spawn(hog_own_loop, &x, NULL);
  CHECK_INT(latch_wait(&x.h.begun, 1), 0);
  CHECK_INT(weft_timeout_begin(&limit, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&limit, weft_uv_call(x.m.home, count_up, &x.m)), WEFT_ETIMEDOUT);
  CHECK_INT(x.m.n, 0);
  atomic_store(&x.h.over, true);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_uv_call(x.m.home, count_up, &x.m), 1);
}

TASK_TEST(a_loop_that_is_none_is_refused) {
  weft_uv home = weft_uv_here(), other = home;
  int code = 1;
  CHECK_INT(weft_uv_call((weft_uv){0}, return_code, &code), WEFT_EINVAL);
  CHECK_INT(weft_uv_call(home, NULL, &code), WEFT_EINVAL);
  other.runtime_ += 1;
  CHECK_INT(weft_uv_call(other, return_code, &code), WEFT_EINVAL);
  other = home;
  other.worker_ = 10000;
  CHECK_INT(weft_uv_call(other, return_code, &code), WEFT_EINVAL);
}

static void outside_a_task_it_is_enotask(void **state) {
  (void)state;
  CHECK(same(weft_uv_here(), (weft_uv){0}));
  CHECK(same(weft_uv_of(0), (weft_uv){0}));
  CHECK_INT(weft_uv_call((weft_uv){0}, return_code, NULL), WEFT_ENOTASK);
}

static int simulated(void *arg) {
  (void)arg;
  return weft_uv_call(weft_uv_here(), return_code, NULL);
}

static void in_a_simulation_it_is_enotsup(void **state) {
  (void)state;
  weft_sim_opts opts = {.seeds = 1};
  CHECK_INT(weft_simulate(simulated, NULL, &opts, NULL), WEFT_ENOTSUP);
}

/* ---- what is left open ---- */

static struct thing left;

static int leave_open(void *arg) {
  (void)arg;
  memset(&left, 0, sizeof left);
  left.ms = 3600000;
  return weft_uv_call(weft_uv_here(), start_timer, &left);
}

static void what_is_left_open_is_told_and_closed(void **state) {
  (void)state;
  static struct log_capture log = LOG_CAPTURE_INIT;
  log.total = 0;
  weft_run_opts opts = {.log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(leave_open, NULL, &opts), 0);
  if (!CHECK_INT(log_capture_count(&log, "uv_timer_t"), 1)) log_capture_print(&log);
  CHECK_INT(log.total, 1);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_timer_of_libuv_wakes_a_task),
      cmocka_unit_test(every_worker_has_a_loop),
      cmocka_unit_test(a_hog_does_not_stop_its_worker_s_loop),
      cmocka_unit_test(an_idle_handle_is_called_in_every_turn),
      cmocka_unit_test(a_server_of_libuv_talks_to_a_stream_of_weft),
      cmocka_unit_test(a_watched_directory_tells_of_a_new_file),
      cmocka_unit_test(calls_from_all_workers_come_one_by_one),
      cmocka_unit_test(a_cancelled_call_is_not_made),
      cmocka_unit_test(a_call_that_has_not_begun_ends_with_its_deadline),
      cmocka_unit_test(a_loop_that_is_none_is_refused),
      cmocka_unit_test(outside_a_task_it_is_enotask),
      cmocka_unit_test(in_a_simulation_it_is_enotsup),
      cmocka_unit_test(what_is_left_open_is_told_and_closed),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
