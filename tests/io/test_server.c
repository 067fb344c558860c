/* Servers: a task for each connection. */
#include "server_test.h"

/* ---- serving ---- */

TASK_TEST(each_connection_has_a_handler) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client[5];
  CHECK(weft_server_listening(v));
  for (int i = 0; i < 5; i++) client[i] = dial(&at);
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < 5; i++) ask(client[i], "any question");
  CHECK_INT(weft_server_connections(v), 5);
  for (int i = 0; i < 5; i++) hang_up(client[i]);
  end_server(v);
}

TASK_TEST(SV1_close_stops_to_listen_and_leaves_connections) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v), later;
  weft_stream *client = dial(&at);
  ask(client, "before");
  CHECK_INT(weft_server_close(v), 0);
  CHECK(!weft_server_listening(v));
  CHECK(is_refused(&at));
  CHECK_INT(weft_server_addr(v, 0, &later), WEFT_ECLOSED);
  ask(client, "after");
  CHECK_INT(weft_server_close(v), 0);
  hang_up(client);
  end_server(v);
}

static int wait_closed(void *server) {
  return weft_server_wait_closed(server);
}

TASK_TEST(SV1_wait_closed_waits_for_the_last_connection) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  ask(client, "here");
  weft_task t = spawn_parked(wait_closed, v);
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_task_done(t), 0);
  CHECK_INT(weft_server_free(v), WEFT_EBUSY);
  hang_up(client);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_server_connections(v), 0);
  end_server(v);
}

TASK_TEST(SV1_wait_closed_waits_for_the_close_though_nobody_is_connected) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  CHECK_INT(weft_wait_for(wait_closed, v, weft_ms(5)), WEFT_ETIMEDOUT);
  weft_task t = spawn_parked(wait_closed, v);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  t = spawn_parked(wait_closed, v);
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_server_free(v), 0);
}

/* The clients whom the system has connected are served, though the server closes before it has looked. */
TASK_TEST(who_was_connected_before_the_close_is_served) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client[4];
  for (int i = 0; i < 4; i++) client[i] = dial(&at);
  CHECK_INT(weft_server_close(v), 0);
  for (int i = 0; i < 4; i++) ask(client[i], "still");
  for (int i = 0; i < 4; i++) hang_up(client[i]);
  end_server(v);
}

/* ---- clients that the server ends ---- */

struct seen {
  struct latch begun;
  ssize_t read;
  int written;
};

static int read_then_write(weft_stream *s, void *arg) {
  struct seen *seen = arg;
  char buf[16];
  latch_hit(&seen->begun);
  while ((seen->read = weft_read(s, buf, sizeof buf)) > 0) {}
  seen->written = weft_write(s, "late", 4);
  return 0;
}

TASK_TEST(SV2_close_clients_ends_every_connection) {
  struct seen seen = {.read = -1};
  weft_server *v = serve_here(read_then_write, &seen, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  char c;
  weft_stream *client = dial(&at);
  latch_wait(&seen.begun, 1);
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_server_close_clients(v), 0);
  CHECK_INT(weft_read(client, &c, 1), 0);
  CHECK_INT(weft_stream_close(client), 0);
  end_server(v);
  CHECK_INT(seen.read, 0);
  CHECK_INT(seen.written, WEFT_ECLOSED);
}

enum { MUCH = 1 << 20 };

/* More than the system takes. */
static int keep_much(weft_stream *s, void *arg) {
  static char buf[MUCH];
  fill_bytes(buf, 0, MUCH);
  CHECK_INT(weft_write_buffered(s, buf, MUCH), 0);
  latch_hit(arg);
  char c;
  CHECK_INT(weft_read(s, &c, 1), 0);
  return 0;
}

TASK_TEST(SV2_close_clients_loses_nothing_that_was_written) {
  struct latch begun = {0};
  weft_server *v = serve_here(keep_much, &begun, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  char buf[4096];
  uint64_t n = 0;
  ssize_t r;
  weft_stream *client = dial(&at);
  latch_wait(&begun, 1);
  CHECK_INT(weft_server_close_clients(v), 0);
  while ((r = weft_read(client, buf, sizeof buf)) > 0 && check_bytes(buf, n, (size_t)r))
    n += (uint64_t)r;
  CHECK_INT(r, 0);
  CHECK_INT(n, MUCH);
  CHECK_INT(weft_stream_close(client), 0);
  end_server(v);
}

TASK_TEST(SV2_abort_clients_drops_every_connection) {
  struct seen seen = {.read = 0};
  weft_server *v = serve_here(read_then_write, &seen, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  char c;
  weft_stream *client = dial(&at);
  latch_wait(&seen.begun, 1);
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_server_abort_clients(v), 0);
  CHECK_INT(weft_read(client, &c, 1), WEFT_ECONNRESET);
  CHECK_INT(weft_stream_close(client), 0);
  end_server(v);
  CHECK_INT(seen.read, WEFT_ECLOSED);
  CHECK_INT(seen.written, WEFT_ECLOSED);
}

/* ---- serving for ever ---- */

static int serve_on(void *server) {
  return weft_server_serve(server);
}

TASK_TEST(SV3_serving_ends_cancelled_after_close_and_the_last_connection) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  ask(client, "here");
  weft_task t = spawn_parked(serve_on, v);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK(!weft_server_listening(v));
  CHECK_INT(weft_server_connections(v), 0);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_server_free(v), 0);
}

/* Bent: not cancelled, but over. */
TASK_TEST(SV3_close_ends_who_serves) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  ask(client, "here");
  weft_task t = spawn_parked(serve_on, v);
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_task_done(t), 0);
  hang_up(client);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_server_free(v), 0);
}

TASK_TEST(one_task_serves_at_a_time) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_task t = spawn_parked(serve_on, v);
  CHECK_INT(serve_on(v), WEFT_EBUSY);
  CHECK_INT(weft_server_free(v), WEFT_EBUSY);
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_server_free(v), 0);
}

/* ---- what becomes of handlers ---- */

static atomic_int reports[WEFT_REPORT_HANDLER + 1];

static int fail_it(weft_stream *s, void *arg) {
  (void)arg;
  CHECK_INT(write_text(s, "sorry"), 0);
  return OWN_ERROR;
}

static int serve_and_read_the_end(weft_handler_fn handler, const char *text) {
  weft_server *v = serve_here(handler, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  char c;
  expect_bytes(client, text);
  CHECK_INT(weft_read(client, &c, 1), 0);
  CHECK_INT(weft_stream_close(client), 0);
  end_server(v);
  return 0;
}

TASK_TEST(IO9_a_handler_that_fails_is_reported_and_its_connection_closed) {
  memset(reports, 0, sizeof reports);
  CHECK_INT(weft_set_error_handler(count_reports, reports), 0);
  serve_and_read_the_end(fail_it, "sorry");
  CHECK_INT(atomic_load(&reports[WEFT_REPORT_HANDLER]), 1);
  CHECK_INT(atomic_load(&reports[WEFT_REPORT_TASK]), 0);
}

static int cancel_oneself(weft_stream *s, void *arg) {
  (void)arg;
  CHECK_INT(write_text(s, "bye"), 0);
  weft_cancel(weft_current());
  return weft_sleep(A_LONG_TIME);
}

TASK_TEST(IO9_a_cancelled_handlers_connection_is_closed_quietly) {
  memset(reports, 0, sizeof reports);
  CHECK_INT(weft_set_error_handler(count_reports, reports), 0);
  serve_and_read_the_end(cancel_oneself, "bye");
  for (int i = 0; i <= WEFT_REPORT_HANDLER; i++) CHECK_INT(atomic_load(&reports[i]), 0);
}

static int write_and_leave(weft_stream *s, void *arg) {
  (void)arg;
  return weft_write_buffered(s, "done", 4);
}

TASK_TEST(what_a_handler_has_kept_goes_out_when_it_returns) {
  serve_and_read_the_end(write_and_leave, "done");
}

static int wait_for_oneself(weft_stream *s, void *arg) {
  weft_server **v = arg;
  (void)s;
  CHECK_INT(weft_server_wait_closed(*v), WEFT_ESELF);
  CHECK_INT(weft_server_serve(*v), WEFT_ESELF);
  CHECK_INT(weft_server_shutdown(*v, NULL, NULL), WEFT_ESELF);
  CHECK_INT(weft_server_free(*v), WEFT_EBUSY);
  return weft_server_close(*v);
}

TASK_TEST(a_handler_may_close_its_server_and_not_wait_for_it) {
  static weft_server *v;
  v = serve_here(wait_for_oneself, &v, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  CHECK_INT(weft_server_wait_closed(v), 0);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_server_free(v), 0);
}

/* ---- limits ---- */

struct crowd {
  atomic_int here, most;
};

static int count_and_echo(weft_stream *s, void *arg) {
  struct crowd *c = arg;
  int now = atomic_fetch_add(&c->here, 1) + 1, most = atomic_load(&c->most);
  while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now)) {}
  int r = echo_all(s, NULL);
  atomic_fetch_sub(&c->here, 1);
  return r;
}

static int be_a_client(void *arg) {
  weft_stream *s = dial(arg);
  if (!s) return WEFT_EUSER;
  ask(s, "one");
  weft_yield();
  ask(s, "two");
  hang_up(s);
  return 0;
}

TASK_TEST(no_more_than_max_conns_are_served_at_a_time_and_all_in_the_end) {
  enum { CLIENTS = 12, MOST = 3 };
  struct crowd crowd = {0};
  weft_server *v = serve_here(count_and_echo, &crowd, (weft_serve_opts){.max_conns = MOST});
  weft_addr at = addr_of_server(v);
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < CLIENTS; i++) weft_group_spawn(&g, be_a_client, &at, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK(atomic_load(&crowd.most) <= MOST);
  end_server(v);
}

TASK_TEST(a_place_is_not_kept_by_a_socket_that_nobody_comes_to) {
  weft_server *v = NULL;
  weft_addr both[] = {any_port(), any_port()}, at;
  be_roomy();
  const weft_serve_opts opts = {.addrs = both, .naddrs = 2, .max_conns = 1};
  CHECK_INT(weft_server_start(&v, echo_all, NULL, &opts), 0);
  for (size_t i = 0; i < 6; i++) {
    CHECK_INT(weft_server_addr(v, i % 2, &at), 0);
    weft_stream *client = dial(&at);
    ask(client, "which");
    hang_up(client);
  }
  CHECK_INT(weft_server_addr(v, 2, &at), WEFT_EINVAL);
  end_server(v);
}

TASK_TEST(close_does_not_wait_for_a_place) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){.max_conns = 1});
  weft_addr at = addr_of_server(v);
  char c;
  weft_stream *served = dial(&at), *waits = dial(&at);
  ask(served, "me");
  CHECK_INT(weft_server_close(v), 0);
  CHECK(weft_read(waits, &c, 1) < 0);
  ask(served, "still me");
  hang_up(served);
  CHECK_INT(weft_stream_close(waits), 0);
  end_server(v);
}

static int answer_and_close(weft_stream *s, void *arg) {
  char c;
  (void)arg;
  CHECK_INT(weft_read(s, &c, 1), 1);
  CHECK_INT(weft_write_buffered(s, "bye", 3), 0);
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(weft_write(s, "more", 4), WEFT_ECLOSED);
  CHECK_INT(weft_read(s, &c, 1), WEFT_ECLOSED);
  CHECK(weft_stream_is_closing(s));
  CHECK_INT(weft_stream_close(s), WEFT_ESTALE);
  return 0;
}

TASK_TEST(a_handler_may_close_its_connection_itself) {
  weft_server *v = serve_here(answer_and_close, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  char c;
  CHECK_INT(weft_write(client, "?", 1), 0);
  CHECK(expect_bytes(client, "bye"));
  CHECK_INT(weft_read(client, &c, 1), 0);
  CHECK_INT(weft_stream_close(client), 0);
  end_server(v);
}

TASK_TEST(of_no_server_there_is_nothing_to_see) {
  weft_addr a;
  CHECK(!weft_server_listening(NULL));
  CHECK_UINT(weft_server_connections(NULL), 0);
  CHECK_INT(weft_server_addr(NULL, 0, &a), WEFT_EINVAL);
}

static int drop_and_close(weft_stream *s, void *arg) {
  char c;
  (void)arg;
  CHECK_INT(weft_read(s, &c, 1), 1);
  CHECK_INT(weft_stream_abort(s), 0);
  CHECK_INT(weft_stream_close(s), 0);
  return 0;
}

TASK_TEST(a_handler_may_abort_and_close_its_connection) {
  weft_server *v = serve_here(drop_and_close, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  char c;
  CHECK_INT(weft_write(client, "?", 1), 0);
  CHECK(weft_read(client, &c, 1) <= 0);
  CHECK_INT(weft_stream_close(client), 0);
  end_server(v);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_connection_has_a_handler),
      cmocka_unit_test(SV1_close_stops_to_listen_and_leaves_connections),
      cmocka_unit_test(SV1_wait_closed_waits_for_the_last_connection),
      cmocka_unit_test(SV1_wait_closed_waits_for_the_close_though_nobody_is_connected),
      cmocka_unit_test(who_was_connected_before_the_close_is_served),
      cmocka_unit_test(SV2_close_clients_ends_every_connection),
      cmocka_unit_test(SV2_close_clients_loses_nothing_that_was_written),
      cmocka_unit_test(SV2_abort_clients_drops_every_connection),
      cmocka_unit_test(SV3_serving_ends_cancelled_after_close_and_the_last_connection),
      cmocka_unit_test(SV3_close_ends_who_serves),
      cmocka_unit_test(one_task_serves_at_a_time),
      cmocka_unit_test(IO9_a_handler_that_fails_is_reported_and_its_connection_closed),
      cmocka_unit_test(IO9_a_cancelled_handlers_connection_is_closed_quietly),
      cmocka_unit_test(what_a_handler_has_kept_goes_out_when_it_returns),
      cmocka_unit_test(a_handler_may_close_its_server_and_not_wait_for_it),
      cmocka_unit_test(no_more_than_max_conns_are_served_at_a_time_and_all_in_the_end),
      cmocka_unit_test(a_handler_may_close_its_connection_itself),
      cmocka_unit_test(of_no_server_there_is_nothing_to_see),
      cmocka_unit_test(a_handler_may_abort_and_close_its_connection),
      cmocka_unit_test(a_place_is_not_kept_by_a_socket_that_nobody_comes_to),
      cmocka_unit_test(close_does_not_wait_for_a_place),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
