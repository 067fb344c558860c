/* Programs over simulated streams: tasks on several workers that wait for descriptors, under
 * many seeds. What is checked is what the program was promised, whatever the network does: bytes
 * in order and none invented, no wait that does not end, the same run for the same seed. */
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>

#include "net.h"
#include "task_test.h"

/* Unkind, but nothing gets lost. */
static const struct weft__sim_net_rates rough = {
    .short_read = 2,
    .short_write = 2,
    .split = 2,
    .interrupt = 16,
    .spurious = 16,
    .late = 4,
    .small = 2,
    .capacity = 4096,
    .latency_max = 3000000,
};

/* What an echo needs: a client that does not read until it has sent all, and a server that does not
 * read while it cannot send, wait for each other where the buffers are smaller than a message. And
 * streams may be cut in the middle. */
static struct weft__sim_net_rates for_echoes(uint32_t reset) {
  struct weft__sim_net_rates rates = rough;
  rates.small = 0;
  rates.capacity = 64;
  rates.reset = reset;
  return rates;
}

static int outcome(void) {
  return weft_test_failed() ? WEFT_EUSER : 0;
}

/* ---- bytes in order ---- */

struct flow {
  int fd;
  uint64_t len, done;
  size_t most;
  int result;
  struct latch begun;
};

static int send_all(void *arg) {
  struct flow *f = arg;
  f->result = net_send_range(f->fd, 0, f->len, f->most, &f->done);
  net_close(f->fd);
  return 0;
}

static int receive_all(void *arg) {
  struct flow *f = arg;
  f->result = net_expect_range(f->fd, 0, UINT64_MAX, &f->done);
  net_close(f->fd);
  return 0;
}

static int transfer_both(const int fds[2]) {
  struct flow in = {.fd = fds[0]}, out = {.fd = fds[1]};
  out.len = 1 + weft_sim_random(2000);
  out.most = 1 + weft_sim_random(900);
  weft_task a = weft_spawn(send_all, &out, NULL), b = weft_spawn(receive_all, &in, NULL);
  CHECK_INT(weft_await(a), 0);
  CHECK_INT(weft_await(b), 0);
  CHECK_INT(out.result, 0);
  CHECK_INT(in.result, 0);
  CHECK_UINT(in.done, out.len);
  return outcome();
}

static int over_a_stream(void *arg) {
  int fds[2];
  (void)arg;
  net_pair(fds);
  return transfer_both(fds);
}

static int over_a_pipe(void *arg) {
  int fds[2];
  (void)arg;
  CHECK_INT(weft__sys_pipe2(fds, O_NONBLOCK), 0);
  return transfer_both(fds);
}

static void bytes_arrive_in_order_and_complete(void **state) {
  (void)state;
  net_simulate(over_a_stream, NULL, 300, &rough);
}

static void a_pipe_carries_bytes_too(void **state) {
  (void)state;
  net_simulate(over_a_pipe, NULL, 200, &rough);
}

static void the_defaults_carry_bytes_too(void **state) {
  struct weft__sim_net_rates rates = *weft__sim_net_rates_now();
  (void)state;
  rates.reset = 0;
  net_simulate(over_a_stream, NULL, 200, &rates);
}

/* ---- ping-pong ---- */

enum { ROUNDS = 20 };

struct player {
  int fd;
  bool begins;
  uint64_t got;
};

static int play(void *arg) {
  struct player *p = arg;
  uint64_t sent = 0;
  for (int i = 0; i < ROUNDS; i++) {
    if (p->begins && !CHECK_INT(net_send_range(p->fd, sent, sent + 3, 3, &sent), 0)) break;
    if (!CHECK_INT(net_expect_range(p->fd, p->got, p->got + 3, &p->got), 1)) break;
    if (!p->begins && !CHECK_INT(net_send_range(p->fd, sent, sent + 3, 3, &sent), 0)) break;
  }
  return 0;
}

static int ping_pong(void *arg) {
  int fds[2];
  weft_ns *round_trip = arg;
  net_pair(fds);
  struct player a = {.fd = fds[0], .begins = true}, b = {.fd = fds[1]};
  weft_ns begin = weft_now();
  weft_task ta = weft_spawn(play, &a, NULL), tb = weft_spawn(play, &b, NULL);
  CHECK_INT(weft_await(ta), 0);
  CHECK_INT(weft_await(tb), 0);
  *round_trip = (weft_now() - begin) / ROUNDS;
  net_close_pair(fds);
  return outcome();
}

static weft_ns real_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return weft_sec(t.tv_sec) + t.tv_nsec;
}

static void two_tasks_play_ping_pong_on_several_workers(void **state) {
  weft_ns round_trip;
  (void)state;
  net_simulate(ping_pong, &round_trip, 300, &rough);
}

static void a_round_trip_takes_the_latency_in_virtual_time(void **state) {
  struct weft__sim_net_rates far = kind;
  weft_ns round_trip = 0, begin = real_now();
  (void)state;
  far.latency_min = far.latency_max = 3600 * UINT64_C(1000000000);
  net_simulate(ping_pong, &round_trip, 10, &far);
  CHECK(round_trip >= weft_sec(7200));
  CHECK(round_trip < weft_sec(7300));
  CHECK(real_now() - begin < weft_sec(3600)); /* ten days have passed */
}

/* ---- back-pressure ---- */

struct slow_reader {
  int fd;
  _Atomic(uint64_t) read;
};

static int read_slowly(void *arg) {
  struct slow_reader *s = arg;
  char buf[10];
  for (;;) {
    CHECK_INT(weft_sleep(weft_ms(1)), 0);
    ssize_t n = net_read_some(s->fd, buf, sizeof buf);
    if (n <= 0) return (int)n;
    atomic_fetch_add_explicit(&s->read, (uint64_t)n, memory_order_relaxed);
  }
}

static int write_faster_than_read(void *arg) {
  int fds[2];
  uint64_t done = 0;
  (void)arg;
  net_pair(fds);
  struct slow_reader s = {.fd = fds[0]};
  weft_task t = weft_spawn(read_slowly, &s, NULL);
  for (uint64_t to = 25; to <= 2000; to += 25) {
    CHECK_INT(net_send_range(fds[1], done, to, 25, &done), 0);
    CHECK(done <= atomic_load_explicit(&s.read, memory_order_relaxed) + 64); /* the capacity */
  }
  net_close(fds[1]);
  CHECK_INT(weft_await(t), 0);
  CHECK_UINT(s.read, 2000);
  net_close(fds[0]);
  return outcome();
}

static void a_writer_waits_until_the_reader_has_read(void **state) {
  struct weft__sim_net_rates narrow = rough;
  (void)state;
  narrow.small = 0;
  narrow.capacity = 64;
  net_simulate(write_faster_than_read, NULL, 100, &narrow);
}

/* ---- waits that end otherwise ---- */

static int wait_in_vain(void *arg) {
  int fds[2];
  weft_timeout s;
  (void)arg;
  net_pair(fds);
  weft_ns begin = weft_now();
  CHECK_INT(weft_timeout_begin(&s, weft_sec(60)), 0);
  int r;
  while ((r = weft__fd_wait(fds[0], WEFT__FD_READ)) == 0) {} /* for no reason */
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK(weft_now() - begin >= weft_sec(60));
  net_close_pair(fds);
  return outcome();
}

static void a_timeout_ends_the_wait_for_a_byte_that_never_comes(void **state) {
  (void)state;
  net_simulate(wait_in_vain, NULL, 100, &rough);
}

/* The receiver is cancelled again and again, and goes on where it was. */
static int receive_though_cancelled(void *arg) {
  struct flow *f = arg;
  uint64_t from = 0;
  int r;
  latch_hit(&f->begun);
  while ((r = net_expect_range(f->fd, from, f->len, &f->done)) == WEFT_ECANCELED) {
    CHECK(weft_cancel_catch());
    from = f->done;
  }
  f->result = r;
  return 0;
}

static int cancel_the_receiver(void *arg) {
  int fds[2];
  (void)arg;
  net_pair(fds);
  struct flow out = {.fd = fds[1], .len = 300, .most = 20}, in = {.fd = fds[0], .len = 300};
  weft_task b = weft_spawn(receive_though_cancelled, &in, NULL);
  weft_task a = weft_spawn(send_all, &out, NULL);
  CHECK_INT(latch_wait(&in.begun, 1), 0); /* a cancel would end it before it runs */
  for (int i = 0; i < 20; i++) {
    weft_cancel(b);
    CHECK_INT(weft_sleep(weft_us(1 + weft_sim_random(2000))), 0);
  }
  CHECK_INT(weft_await(a), 0);
  int r = weft_await(b);
  CHECK(r == 0 || r == WEFT_ECANCELED); /* a last request may come when all has been read */
  CHECK_INT(in.result, 1);
  CHECK_UINT(in.done, 300);
  net_close(fds[0]);
  return outcome();
}

static void a_cancelled_wait_loses_no_byte(void **state) {
  (void)state;
  net_simulate(cancel_the_receiver, NULL, 300, &rough);
}

static int wait_for_ever(void *arg) {
  int fd = *(int *)arg;
  char c;
  ssize_t n = net_read_some(fd, &c, 1);
  return n < 0 ? (int)n : 0;
}

static int deadlock(void *arg) {
  int fds[2];
  (void)arg;
  net_pair(fds);
  weft_task a = weft_spawn(wait_for_ever, &fds[0], NULL);
  weft_task b = weft_spawn(wait_for_ever, &fds[1], NULL);
  CHECK_INT(weft_await(a), WEFT_ECANCELED);
  CHECK_INT(weft_await(b), WEFT_ECANCELED);
  net_close_pair(fds);
  return 0;
}

static void ignore_line(const char *line, void *arg) {
  (void)line;
  (void)arg;
}

static void ends_that_wait_for_each_other_are_a_deadlock(void **state) {
  weft_run_opts run = {.log = ignore_line};
  (void)state;
  weft__sim_net_rates(&rough);
  for (uint64_t seed = 1; seed <= 20; seed++)
    CHECK_INT(weft_simulate(deadlock, NULL,
                            &(weft_sim_opts){.first_seed = seed, .seeds = 1, .run = &run}, NULL),
              WEFT_EDEADLK);
  weft__sim_net_rates(NULL);
}

/* ---- a server of echoes and its clients ---- */

enum { CLIENTS = 4, MESSAGE = 40, MESSAGES = 6 };

struct client {
  int fd, served;      /* its end, and the server's */
  uint64_t sent, back; /* bytes that were accepted, and that came back */
  uint64_t seen;       /* by the server */
  int result;
  uint64_t hash[2]; /* of what each side saw, and when */
};

struct world {
  struct client client[CLIENTS];
  uint64_t hash;
  uint64_t resets, finished;
};

static void mix(uint64_t *hash, uint64_t x) {
  *hash = (*hash ^ x) * UINT64_C(0x100000001b3);
}

/* Sends back what it reads, until the end or an error. */
static int serve(void *arg) {
  struct client *c = arg;
  char buf[64];
  int r = 0;
  while (r >= 0) {
    ssize_t n = net_read_some(c->served, buf, sizeof buf);
    mix(&c->hash[0], (uint64_t)n);
    mix(&c->hash[0], (uint64_t)weft_now());
    if (n <= 0) break;
    for (ssize_t i = 0; i < n; i++) CHECK_INT(buf[i], net_byte(c->seen + (uint64_t)i));
    uint64_t done;
    r = net_send_range(c->served, c->seen, c->seen + (uint64_t)n, sizeof buf, &done);
    c->seen += (uint64_t)n;
  }
  net_close(c->served);
  return 0;
}

static int ask(void *arg) {
  struct client *c = arg;
  for (int i = 0; i < MESSAGES; i++) {
    c->result = net_send_range(c->fd, c->sent, c->sent + MESSAGE, MESSAGE, &c->sent);
    if (c->result < 0) break;
    c->result = net_expect_range(c->fd, c->back, c->sent, &c->back);
    mix(&c->hash[1], c->back);
    mix(&c->hash[1], (uint64_t)weft_now());
    if (c->result <= 0) break;
    if (weft_sim_random(4) == 0) CHECK_INT(weft_sleep(weft_us(weft_sim_random(500))), 0);
  }
  CHECK(c->result >= 0 || c->result == WEFT_ECONNRESET || c->result == WEFT_EPIPE);
  net_close(c->fd);
  return 0;
}

static int echo(void *arg) {
  struct world *w = arg;
  weft_task task[2 * CLIENTS];
  *w = (struct world){.hash = UINT64_C(0xcbf29ce484222325)};
  for (int i = 0; i < CLIENTS; i++) {
    struct client *c = &w->client[i];
    int fds[2];
    net_pair(fds);
    c->fd = fds[0];
    c->served = fds[1];
    task[2 * i] = weft_spawn(serve, c, NULL);
    task[2 * i + 1] = weft_spawn(ask, c, NULL);
  }
  for (int i = 0; i < 2 * CLIENTS; i++) CHECK_INT(weft_await(task[i]), 0);
  for (int i = 0; i < CLIENTS; i++) {
    const struct client *c = &w->client[i];
    CHECK(c->back <= c->seen && c->seen <= c->sent); /* nothing is invented */
    if (c->result == 1) CHECK_UINT(c->back, MESSAGES * MESSAGE);
    mix(&w->hash, c->hash[0]);
    mix(&w->hash, c->hash[1]);
    w->finished += c->result == 1;
    w->resets += c->result != 1;
  }
  return outcome();
}

static void an_echo_server_keeps_its_promise(void **state) {
  struct weft__sim_net_rates rates = for_echoes(0);
  struct world w;
  (void)state;
  net_simulate(echo, &w, 100, &rates);
  CHECK_UINT(w.finished, CLIENTS);
}

/* The longest: with streams that are cut, some ends in every third run. */
static void an_echo_server_survives_resets(void **state) {
  struct weft__sim_net_rates rates = for_echoes(60);
  uint64_t finished = 0, resets = 0, n = 0;
  (void)state;
  weft__sim_net_rates(&rates);
  for (; n < 2000 && !weft_test_failed(); n++) {
    struct world w;
    if (!CHECK_INT(weft_simulate(echo, &w, &(weft_sim_opts){.first_seed = n + 1, .seeds = 1}, NULL),
                   0))
      print_message("with WEFT_SEED=%llu\n", (unsigned long long)n + 1);
    finished += w.finished;
    resets += w.resets;
  }
  weft__sim_net_rates(NULL);
  CHECK(finished > n / 10);
  CHECK(resets > n / 10);
}

static uint64_t hash_of(uint64_t seed) {
  struct world w;
  CHECK_INT(weft_simulate(echo, &w, &(weft_sim_opts){.first_seed = seed, .seeds = 1}, NULL), 0);
  return w.hash;
}

static void the_same_seed_gives_the_same_run(void **state) {
  struct weft__sim_net_rates rates = for_echoes(60);
  uint64_t hash[50];
  int equal = 0;
  (void)state;
  weft__sim_net_rates(&rates);
  for (uint64_t i = 0; i < 50; i++) {
    hash[i] = hash_of(i + 1);
    CHECK_UINT(hash_of(i + 1), hash[i]);
    for (uint64_t k = 0; k < i; k++) equal += hash[k] == hash[i];
  }
  CHECK(equal < 3);
  weft__sim_net_rates(NULL);
}

/* ---- a worker that is busy ---- */

struct busy {
  int fd;
  weft_ns heard;
  int runs, early;
};

static int hear(void *arg) {
  struct busy *b = arg;
  char c;
  CHECK_INT(net_read_some(b->fd, &c, 1), 1);
  b->heard = weft_now();
  return 0;
}

static void compute(int ms) {
  for (int i = 0; i < ms; i++) weft_sim_work(weft_ms(1));
}

static int compute_beside_a_wait(void *arg) {
  struct busy *b = arg;
  int fds[2];
  net_pair(fds);
  b->fd = fds[0];
  weft_task t = weft_spawn(hear, b, NULL);
  compute(50);
  CHECK_INT(weft_sleep(weft_ms(1)), 0);
  CHECK_INT(weft__sys_write(fds[1], "x", 1), 1);
  compute(1000);
  weft_ns done = weft_now();
  CHECK_INT(weft_await(t), 0);
  b->early += b->heard < done;
  b->runs++;
  net_close_pair(fds);
  return outcome();
}

/* The loop that has the watch belongs to the only worker, which computes for a second: its
 * reserve must take the loop over. (Not in every run: a task that is kept off its CPU on the
 * reserve looks like one that computes for long, and those have to wait for the worker.) */
static void a_busy_worker_does_not_keep_a_byte_from_its_task(void **state) {
  weft_run_opts run = {.workers = 1};
  struct busy b = {.runs = 0};
  (void)state;
  weft__sim_net_rates(&kind);
  CHECK_INT(weft_simulate(compute_beside_a_wait, &b, &(weft_sim_opts){.seeds = 100, .run = &run},
                          NULL),
            0);
  weft__sim_net_rates(NULL);
  CHECK_INT(b.runs, 100);
  CHECK(b.early >= 80);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(bytes_arrive_in_order_and_complete),
    cmocka_unit_test(a_pipe_carries_bytes_too),
    cmocka_unit_test(the_defaults_carry_bytes_too),
    cmocka_unit_test(two_tasks_play_ping_pong_on_several_workers),
    cmocka_unit_test(a_round_trip_takes_the_latency_in_virtual_time),
    cmocka_unit_test(a_writer_waits_until_the_reader_has_read),
    cmocka_unit_test(a_timeout_ends_the_wait_for_a_byte_that_never_comes),
    cmocka_unit_test(a_cancelled_wait_loses_no_byte),
    cmocka_unit_test(ends_that_wait_for_each_other_are_a_deadlock),
    cmocka_unit_test(an_echo_server_keeps_its_promise),
    cmocka_unit_test(an_echo_server_survives_resets),
    cmocka_unit_test(the_same_seed_gives_the_same_run),
    cmocka_unit_test(a_busy_worker_does_not_keep_a_byte_from_its_task),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
