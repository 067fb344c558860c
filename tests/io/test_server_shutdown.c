/* The end of a server, in phases. */
#include "server_test.h"

static weft_server_report report;

static int shut_down(weft_server *v, const weft_shutdown_opts *o) {
  memset(&report, 0xff, sizeof report);
  return weft_server_shutdown(v, o, &report);
}

static bool is_report(unsigned ended, unsigned cancelled, unsigned aborted, unsigned left) {
  return CHECK_UINT(report.ended, ended) && CHECK_UINT(report.cancelled, cancelled) &&
         CHECK_UINT(report.aborted, aborted) && CHECK_UINT(report.left, left) &&
         CHECK_UINT(report.ncuts, cancelled + aborted + left);
}

/* The next that comes is the end, and not a reset. */
static bool reads_the_end(weft_stream *s) {
  char c;
  bool ended = CHECK_INT(weft_read(s, &c, 1), 0);
  return CHECK_INT(weft_stream_close(s), 0) && ended;
}

/* ---- who ends by itself ---- */

TASK_TEST(idle_connections_end_by_themselves) {
  enum { CLIENTS = 4 };
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client[CLIENTS];
  for (int i = 0; i < CLIENTS; i++) client[i] = dial(&at);
  for (int i = 0; i < CLIENTS - 1; i++) ask(client[i], "once"); /* the last one says nothing */
  CHECK_INT(shut_down(v, NULL), 0);
  CHECK(is_report(CLIENTS, 0, 0, 0));
  CHECK_UINT(report.accepted, CLIENTS);
  for (int i = 0; i < CLIENTS; i++) reads_the_end(client[i]);
  CHECK_INT(shut_down(v, NULL), 0);
  CHECK(is_report(0, 0, 0, 0));
  CHECK_INT(weft_server_free(v), 0);
}

static int end_server_of(void *server) {
  return shut_down(server, NULL);
}

static struct latch reading;

/* Questions of eight bytes, which take their time. */
static int answer_slowly(weft_stream *s, void *arg) {
  char question[8];
  ssize_t n;
  int r = 0;
  (void)arg;
  while (r == 0 && (n = weft_read_exactly(s, question, sizeof question)) > 0) {
    latch_hit(&reading);
    r = weft_sleep(weft_ms(20));
    if (r == 0) r = weft_write(s, question, sizeof question);
  }
  return r < 0 ? r : (int)n;
}

TASK_TEST(a_question_that_is_being_answered_is_answered) {
  reading = (struct latch){0};
  weft_server *v = serve_here(answer_slowly, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  CHECK_INT(write_text(client, "question"), 0);
  latch_wait(&reading, 1);
  weft_task t = weft_spawn(end_server_of, v, NULL);
  expect_bytes(client, "question");
  reads_the_end(client);
  CHECK_INT(weft_await(t), 0);
  CHECK(is_report(1, 0, 0, 0));
  CHECK_INT(weft_server_free(v), 0);
}

/* A question in two reads. */
static int read_in_parts(weft_stream *s, void *arg) {
  char part[4];
  ssize_t n;
  (void)arg;
  while ((n = weft_read_exactly(s, part, 4)) > 0) {
    latch_hit(&reading);
    n = weft_read_exactly(s, part, 4);
    if (!CHECK_INT(n, 4)) break;
    n = weft_write(s, "full", 4);
    if (n < 0) break;
  }
  return (int)n;
}

TASK_TEST(a_question_of_which_a_part_has_come_is_waited_for) {
  reading = (struct latch){0};
  weft_server *v = serve_here(read_in_parts, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  CHECK_INT(write_text(client, "half"), 0);
  latch_wait(&reading, 1);
  weft_task t = spawn_parked(end_server_of, v);
  for (int i = 0; i < 20; i++) weft_yield(); /* the handler has been told */
  CHECK_INT(write_text(client, "rest"), 0);
  expect_bytes(client, "full");
  reads_the_end(client);
  CHECK_INT(weft_await(t), 0);
  CHECK(is_report(1, 0, 0, 0));
  CHECK_INT(weft_server_free(v), 0);
}

TASK_TEST(who_has_just_come_may_ask_once) {
  struct latch begun = {0};
  weft_server *v = serve_here(echo_all, &begun, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  latch_wait(&begun, 1);
  weft_task t = spawn_parked(end_server_of, v);
  ask(client, "?"); /* of one byte: an echo is done with any part of a question */
  reads_the_end(client);
  CHECK_INT(weft_await(t), 0);
  CHECK(is_report(1, 0, 0, 0));
  CHECK_INT(weft_server_free(v), 0);
}

/* What a client sends just as its connection ends is lost, but it is not reset. */
TASK_TEST(a_client_that_sends_when_all_is_over_is_not_reset) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  ask(client, "first");
  weft_task t = spawn_parked(end_server_of, v);
  char c;
  CHECK_INT(weft_read(client, &c, 1), 0);
  CHECK_INT(write_text(client, "second"), 0);
  CHECK_INT(weft_read(client, &c, 1), 0);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK(is_report(1, 0, 0, 0));
  CHECK_INT(weft_server_free(v), 0);
}

TASK_TEST(who_waits_in_the_kernels_queue_is_served_though_there_was_no_place) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){.max_conns = 1});
  weft_addr at = addr_of_server(v);
  weft_stream *served = dial(&at);
  ask(served, "first");
  weft_stream *waits[3];
  for (int i = 0; i < 3; i++) {
    waits[i] = dial(&at);
    CHECK_INT(write_text(waits[i], "next"), 0);
  }
  weft_sleep(weft_ms(100)); /* of the simulated network */
  weft_task t = weft_spawn(end_server_of, v, NULL);
  reads_the_end(served);
  for (int i = 0; i < 3; i++) {
    expect_bytes(waits[i], "next");
    reads_the_end(waits[i]);
  }
  CHECK_INT(weft_await(t), 0);
  CHECK(is_report(4, 0, 0, 0));
  CHECK_INT(weft_server_free(v), 0);
}

static int wait_to_be_told(weft_stream *s, void *arg) {
  latch_hit(arg);
  int r = weft_stop_wait();
  CHECK(weft_stopping());
  return r < 0 ? r : write_text(s, "bye");
}

TASK_TEST(handlers_are_told) {
  struct latch begun = {0};
  weft_server *v = serve_here(wait_to_be_told, &begun, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  latch_wait(&begun, 1);
  weft_task t = weft_spawn(end_server_of, v, NULL);
  expect_bytes(client, "bye");
  reads_the_end(client);
  CHECK_INT(weft_await(t), 0);
  CHECK(is_report(1, 0, 0, 0));
  CHECK(!weft_stopping());
  CHECK_INT(weft_server_free(v), 0);
}

/* ---- who does not ---- */

static int sleep_on(weft_stream *s, void *arg) {
  (void)s;
  latch_hit(arg);
  return weft_sleep(A_LONG_TIME);
}

TASK_TEST(who_does_not_end_is_cancelled_and_named) {
  enum { CLIENTS = WEFT_SERVER_CUTS + 2 };
  struct latch begun = {0};
  weft_server *v = serve_here(sleep_on, &begun, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v), local;
  weft_stream *client[CLIENTS];
  for (int i = 0; i < CLIENTS; i++) client[i] = dial(&at);
  latch_wait(&begun, CLIENTS);
  weft_ns before = weft_now();
  CHECK_INT(shut_down(v, &(weft_shutdown_opts){.grace = weft_ms(30)}), WEFT_ETIMEDOUT);
  CHECK(weft_now() - before >= weft_ms(30));
  CHECK(is_report(0, CLIENTS, 0, 0));
  int named = 0;
  for (int i = 0; i < CLIENTS; i++) {
    CHECK_INT(weft_stream_local(client[i], &local), 0);
    for (int k = 0; k < WEFT_SERVER_CUTS; k++)
      named += weft_addr_equal(&report.cuts[k].peer, &local) &&
               report.cuts[k].end == WEFT_SERVER_CANCELLED;
    reads_the_end(client[i]);
  }
  CHECK(named >= WEFT_SERVER_CUTS); /* simulated clients may have the same port */
  CHECK_INT(weft_server_free(v), 0);
}

/* Neither a request nor a cancel moves it. */
static int read_on(weft_stream *s, void *arg) {
  char buf[16];
  weft_shield_begin();
  ssize_t n = weft_read(s, buf, 1);
  latch_hit(arg);
  if (n > 0) n = weft_read(s, buf, sizeof buf);
  weft_shield_end();
  return (int)n;
}

static const weft_shutdown_opts short_times = {
    .grace = 1000, .cancel_grace = 5000000, .abort_grace = 0};

TASK_TEST(who_does_not_let_itself_be_cancelled_loses_its_connection) {
  struct latch begun = {0};
  weft_server *v = serve_here(read_on, &begun, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  CHECK_INT(write_text(client, "x"), 0);
  latch_wait(&begun, 1);
  CHECK_INT(shut_down(v, &short_times), WEFT_ETIMEDOUT);
  CHECK(is_report(0, 0, 1, 0));
  CHECK_INT(report.cuts[0].end, WEFT_SERVER_ABORTED);
  char c;
  CHECK_INT(weft_read(client, &c, 1), WEFT_ECONNRESET);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_server_free(v), 0);
}

static struct latch released;

static int hold_out(weft_stream *s, void *arg) {
  (void)s;
  latch_hit(arg);
  weft_shield_begin();
  latch_wait(&released, 1);
  weft_shield_end();
  return 0;
}

TASK_TEST(who_does_not_end_at_all_is_reported_as_left) {
  struct latch begun = {0};
  released = (struct latch){0};
  weft_server *v = serve_here(hold_out, &begun, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  latch_wait(&begun, 1);
  const weft_shutdown_opts none = {.grace = -1, .cancel_grace = -1, .abort_grace = -1};
  CHECK_INT(shut_down(v, &none), WEFT_ETIMEDOUT);
  CHECK(is_report(0, 0, 0, 1));
  CHECK_INT(report.cuts[0].end, WEFT_SERVER_LEFT);
  CHECK_INT(weft_server_free(v), WEFT_EBUSY);
  CHECK_INT(weft_server_connections(v), 1);
  latch_hit(&released);
  CHECK_INT(weft_server_wait_closed(v), 0);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_server_free(v), 0);
}

TASK_TEST(a_cancelled_shutdown_cuts_off_at_once) {
  struct latch begun = {0};
  weft_server *v = serve_here(sleep_on, &begun, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  latch_wait(&begun, 1);
  weft_task t = spawn_parked(end_server_of, v);
  CHECK_INT(weft_server_shutdown(v, NULL, NULL), WEFT_EBUSY);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_server_wait_closed(v), 0);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_server_free(v), 0);
}

/* ---- weft_serve ---- */

struct whole {
  weft_handler_fn handler;
  weft_serve_opts opts;
  weft_addr at;
  struct latch listens;
};

static int serve_whole(void *arg) {
  struct whole *w = arg;
  int r = weft_listen(&w->opts.listener, &w->at, NULL);
  if (r < 0) return r;
  w->at = addr_of(w->opts.listener);
  latch_hit(&w->listens);
  return weft_serve(w->handler, NULL, &w->opts);
}

TASK_TEST(a_server_ends_with_its_group) {
  weft_group g;
  be_roomy();
  weft_group_init(&g, &(weft_group_opts){.stoppable = true});
  struct whole w = {.handler = answer_slowly, .at = any_port(), .opts = {.report = &report}};
  reading = (struct latch){0};
  memset(&report, 0, sizeof report);
  CHECK_INT(weft_group_spawn(&g, serve_whole, &w, NULL), 0);
  latch_wait(&w.listens, 1);
  weft_stream *client = dial(&w.at);
  CHECK_INT(write_text(client, "question"), 0);
  latch_wait(&reading, 1);
  CHECK_INT(weft_group_stop(&g, WEFT_FOREVER, NULL), 0);
  expect_bytes(client, "question");
  reads_the_end(client);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK(is_report(1, 0, 0, 0));
}

TASK_TEST(a_server_that_is_cancelled_ends_what_is_under_way) {
  be_roomy();
  struct whole w = {.handler = answer_slowly, .at = any_port(), .opts = {.report = &report}};
  reading = (struct latch){0};
  memset(&report, 0, sizeof report);
  weft_task t = weft_spawn(serve_whole, &w, NULL);
  latch_wait(&w.listens, 1);
  weft_stream *client = dial(&w.at);
  CHECK_INT(write_text(client, "question"), 0);
  latch_wait(&reading, 1);
  CHECK_INT(weft_cancel(t), 1);
  expect_bytes(client, "question");
  reads_the_end(client);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK(is_report(1, 0, 0, 0));
}

static int hold_out_here(weft_stream *s, void *arg) {
  static struct latch begun;
  (void)arg;
  latch_hit(&reading);
  return hold_out(s, &begun);
}

TASK_TEST(a_handler_that_survives_its_server_is_told_of) {
  be_roomy();
  reading = released = (struct latch){0};
  struct whole w = {.handler = hold_out_here, .at = any_port()};
  w.opts.shutdown = (weft_shutdown_opts){.grace = -1, .cancel_grace = -1, .abort_grace = -1};
  weft_group g;
  weft_group_init(&g, &(weft_group_opts){.stoppable = true});
  CHECK_INT(weft_group_spawn(&g, serve_whole, &w, NULL), 0);
  latch_wait(&w.listens, 1);
  weft_stream *client = dial(&w.at);
  latch_wait(&reading, 1);
  CHECK_INT(weft_group_stop(&g, WEFT_FOREVER, NULL), 0);
  CHECK_INT(weft_group_join(&g), WEFT_ETIMEDOUT);
  latch_hit(&released);
  CHECK_INT(wait_until_live(1), 0);
  CHECK_INT(weft_stream_close(client), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(idle_connections_end_by_themselves),
      cmocka_unit_test(a_question_that_is_being_answered_is_answered),
      cmocka_unit_test(a_question_of_which_a_part_has_come_is_waited_for),
      cmocka_unit_test(who_has_just_come_may_ask_once),
      cmocka_unit_test(a_client_that_sends_when_all_is_over_is_not_reset),
      cmocka_unit_test(who_waits_in_the_kernels_queue_is_served_though_there_was_no_place),
      cmocka_unit_test(handlers_are_told),
      cmocka_unit_test(who_does_not_end_is_cancelled_and_named),
      cmocka_unit_test(who_does_not_let_itself_be_cancelled_loses_its_connection),
      cmocka_unit_test(who_does_not_end_at_all_is_reported_as_left),
      cmocka_unit_test(a_cancelled_shutdown_cuts_off_at_once),
      cmocka_unit_test(a_server_ends_with_its_group),
      cmocka_unit_test(a_server_that_is_cancelled_ends_what_is_under_way),
      cmocka_unit_test(a_handler_that_survives_its_server_is_told_of),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
