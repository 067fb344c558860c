/* Accepting without descriptors, and other ways not to be served at once. */
#include <fcntl.h>

#include "base/memory.h"
#include "server_test.h"

static atomic_int reports[WEFT_REPORT_HANDLER + 1];

static void count_pauses(void) {
  memset(reports, 0, sizeof reports);
  CHECK_INT(weft_set_error_handler(count_reports, reports), 0);
}

static bool paused_once(void) {
  return CHECK_INT(atomic_load(&reports[WEFT_REPORT_PAUSE]), 1);
}

struct accepted {
  weft_listener *l;
  weft_stream *s;
};

static int accept_into(void *arg) {
  struct accepted *a = arg;
  return weft_accept(a->l, &a->s);
}

/* Both ends. */
static void close_both(weft_stream *a, weft_stream *b) {
  CHECK_INT(weft_stream_close(a), 0);
  CHECK_INT(weft_stream_close(b), 0);
}

/* ---- the pause ---- */

TASK_TEST(SV4_without_descriptors_accepting_pauses_and_goes_on) {
  static const int codes[] = {WEFT_EMFILE, WEFT_ENFILE, WEFT_ENOBUFS, WEFT_ENOMEM};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    struct accepted a = {.l = listen_here(NULL)};
    weft_addr at = addr_of(a.l);
    count_pauses();
    weft_stream *client = dial(&at);
    weft_ns before = weft_now();
    weft__sys_fail_times(WEFT__SYS_accept4, 1, codes[i], 2);
    CHECK_INT(accept_into(&a), 1);
    CHECK(weft__sys_calls(WEFT__SYS_accept4) >= 3); /* and perhaps some that were interrupted */
    CHECK(weft_now() - before >= weft_ms(100));
    CHECK(weft_now() - before < weft_sec(1) || !weft_simulated());
    weft__sys_clear();
    paused_once();
    close_both(client, a.s);
    CHECK_INT(weft_listener_free(a.l), 0);
  }
}

/* A descriptor that is closed ends the pause: in virtual time nothing else does before its time. */
TASK_TEST(SV4_a_descriptor_that_is_closed_ends_the_pause) {
  count_pauses();
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  struct pair other = pair_open();
  weft_stream *client = dial(&at);
  weft__sys_fail(WEFT__SYS_accept4, 1, WEFT_EMFILE, true);
  weft_task t = spawn_parked(accept_into, &a);
  weft_ns before = weft_now();
  weft__sys_clear();
  pair_close(&other);
  CHECK_INT(weft_await(t), 1);
  if (weft_simulated()) CHECK(weft_now() - before < weft_ms(100));
  close_both(client, a.s);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(SV4_a_file_that_is_closed_ends_the_pause) {
  count_pauses();
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  weft_file *f = NULL;
  CHECK_INT(weft_file_open(&f, "/dev/null", O_RDONLY, 0), 0);
  weft_stream *client = dial(&at);
  weft__sys_fail(WEFT__SYS_accept4, 1, WEFT_EMFILE, true);
  weft_task t = spawn_parked(accept_into, &a);
  weft_ns before = weft_now();
  weft__sys_clear();
  CHECK_INT(weft_file_close(f), 0);
  CHECK_INT(weft_await(t), 1);
  if (weft_simulated()) CHECK(weft_now() - before < weft_ms(90));
  close_both(client, a.s);
  CHECK_INT(weft_listener_free(a.l), 0);
}

/* While nothing changes it looks ten times a second, and no more. */
TASK_TEST(SV4_a_pause_is_no_spin) {
  count_pauses();
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  weft_stream *client = dial(&at);
  weft_ns before = weft_now();
  weft__sys_fail(WEFT__SYS_accept4, 1, WEFT_EMFILE, true);
  weft_task t = weft_spawn(accept_into, &a, NULL);
  CHECK_INT(weft_sleep(weft_ms(350)), 0);
  uint64_t tries = weft__sys_calls(WEFT__SYS_accept4);
  weft_ns passed = weft_now() - before;
  weft__sys_clear();
  CHECK(tries >= 1);
  CHECK(tries <= (uint64_t)(passed / weft_ms(100)) + 2);
  CHECK_INT(weft_await(t), 1);
  close_both(client, a.s);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(a_pause_ends_with_a_cancel_or_the_close) {
  count_pauses();
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  weft_stream *client = dial(&at);
  weft__sys_fail(WEFT__SYS_accept4, 1, WEFT_EMFILE, true);
  weft_task t = spawn_parked(accept_into, &a);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  t = spawn_parked(accept_into, &a);
  CHECK_INT(weft_listener_close(a.l), 0);
  CHECK_INT(weft_await(t), 0);
  weft__sys_clear();
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(what_pauses_is_the_listener_and_not_the_connections) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *first = dial(&at);
  ask(first, "one");
  count_pauses();
  weft__sys_fail(WEFT__SYS_accept4, 1, WEFT_EMFILE, true);
  weft_stream *second = dial(&at);
  for (int i = 0; i < 5; i++) ask(first, "more");
  CHECK_INT(write_text(second, "later"), 0);
  for (int rounds = 0; atomic_load(&reports[WEFT_REPORT_PAUSE]) == 0;) latch_turn(&rounds);
  weft__sys_clear();
  hang_up(first); /* which makes room */
  expect_bytes(second, "later");
  paused_once();
  hang_up(second);
  end_server(v);
}

static int close_it(void *server) {
  return weft_server_close(server);
}

TASK_TEST(a_server_is_closed_though_it_pauses) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  count_pauses();
  weft__sys_fail(WEFT__SYS_accept4, 1, WEFT_EMFILE, true);
  weft_stream *client = dial(&at);
  for (int rounds = 0; atomic_load(&reports[WEFT_REPORT_PAUSE]) == 0;) latch_turn(&rounds);
  CHECK_INT(weft_wait_for(close_it, v, A_LONG_TIME), 0);
  weft__sys_clear();
  CHECK_INT(weft_stream_close(client), 0);
  end_server(v);
}

/* ---- memory ---- */

/* Asks without any memory of its own. */
static bool is_answered(weft_stream *s) {
  char c = 0;
  return CHECK_INT(weft_write(s, "?", 1), 0) && CHECK_INT(weft_read(s, &c, 1), 1) &&
         CHECK_INT(c, '?');
}

TASK_TEST(a_connection_for_which_there_is_no_memory_is_not_dropped) {
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  CHECK_INT(weft_set_error_handler(count_reports, reports), 0);
  /* The connection, its stream, its task: the n-th that is allocated for it is one of them. */
  for (uint64_t n = 1; n <= 4; n++) {
    weft_stream *client = dial(&at);
    weft__memory_fail(WEFT__MEMORY_OWN, n, false);
    bool served = is_answered(client);
    weft__memory_fail_end();
    hang_up(client);
    if (!served) break;
  }
  end_server(v);
}

/* ---- stacks ---- */

/* A size of its own mapping, which nobody else has had. */
enum { LARGE_STACK = 16 << 20 };

TASK_TEST(a_connection_whose_handler_gets_no_stack_is_served_when_there_is_one) {
  enum { CLIENTS = 3 };
  struct latch begun = {0};
  count_pauses();
  weft_server *v = serve_here(echo_all, &begun, (weft_serve_opts){.stack_size = LARGE_STACK});
  weft_addr at = addr_of_server(v);
  weft_stream *client[CLIENTS];
  weft__sys_fail(WEFT__SYS_mmap, 1, WEFT_ENOMEM, true);
  for (int i = 0; i < CLIENTS; i++) {
    client[i] = dial(&at);
    CHECK_INT(write_text(client[i], "here"), 0);
  }
  /* Each is tried, and again after a while; that is no spin. */
  weft_ns before = weft_now();
  for (int rounds = 0; weft__sys_calls(WEFT__SYS_mmap) < 2 * CLIENTS && rounds < 200; rounds++)
    CHECK_INT(weft_sleep(weft_ms(10)), 0);
  uint64_t tries = weft__sys_calls(WEFT__SYS_mmap);
  CHECK(tries >= 2 * CLIENTS);
  CHECK(tries <= CLIENTS * ((uint64_t)((weft_now() - before) / weft_ms(100)) + 3));
  CHECK_INT(latch_hits(&begun), 0);
  paused_once();
  CHECK_UINT(weft_server_connections(v), CLIENTS);
  weft__sys_clear();
  for (int i = 0; i < CLIENTS; i++) {
    expect_bytes(client[i], "here");
    hang_up(client[i]);
  }
  CHECK_INT(latch_hits(&begun), CLIENTS);
  CHECK_INT(atomic_load(&reports[WEFT_REPORT_HANDLER]), 0);
  end_server(v);
}

TASK_TEST(a_connection_that_waits_for_a_stack_is_cancelled_by_a_shutdown) {
  weft_server_report told;
  count_pauses();
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){.stack_size = LARGE_STACK});
  weft_addr at = addr_of_server(v);
  weft__sys_fail(WEFT__SYS_mmap, 1, WEFT_ENOMEM, true);
  weft_stream *client = dial(&at);
  for (int rounds = 0; atomic_load(&reports[WEFT_REPORT_PAUSE]) == 0;) latch_turn(&rounds);
  CHECK_INT(weft_server_shutdown(v, &(weft_shutdown_opts){.grace = -1}, &told), WEFT_ETIMEDOUT);
  weft__sys_clear();
  CHECK_UINT(told.cancelled, 1);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_server_free(v), 0);
}

static int hold_a_stack(void *arg) {
  (void)arg;
  return weft_sleep(A_LONG_TIME);
}

TASK_TEST(a_server_that_gets_no_stack_to_accept_says_so) {
  enum { MOST = 500 };
  static weft_task holders[MOST];
  weft_server *v = NULL;
  int n = 0, code = 0;
  be_roomy();
  count_pauses();
  weft__sys_fail(WEFT__SYS_mmap, 1, WEFT_ENOMEM, true);
  while (code == 0 && n < MOST) {
    weft_task t = weft_spawn(hold_a_stack, NULL, NULL);
    int rounds = 0;
    while (!is_parked(t) && !weft_task_done(t)) latch_turn(&rounds);
    if (weft_task_done(t))
      code = weft_await(t);
    else
      holders[n++] = t;
  }
  CHECK_INT(code, WEFT_ENOMEM);
  CHECK_INT(weft_server_start(&v, echo_all, NULL, &(weft_serve_opts){.host = "127.0.0.1"}), 0);
  CHECK_INT(weft_server_serve(v), WEFT_ENOMEM);
  CHECK(!weft_server_listening(v));
  CHECK_INT(atomic_load(&reports[WEFT_REPORT_HANDLER]), 1);
  weft__sys_clear();
  while (n > 0) {
    CHECK_INT(weft_cancel(holders[--n]), 1);
    CHECK_INT(weft_await(holders[n]), WEFT_ECANCELED);
  }
  CHECK_INT(weft_server_free(v), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(SV4_without_descriptors_accepting_pauses_and_goes_on),
      cmocka_unit_test(SV4_a_descriptor_that_is_closed_ends_the_pause),
      cmocka_unit_test(SV4_a_file_that_is_closed_ends_the_pause),
      cmocka_unit_test(SV4_a_pause_is_no_spin),
      cmocka_unit_test(a_pause_ends_with_a_cancel_or_the_close),
      cmocka_unit_test(what_pauses_is_the_listener_and_not_the_connections),
      cmocka_unit_test(a_server_is_closed_though_it_pauses),
      cmocka_unit_test(a_connection_for_which_there_is_no_memory_is_not_dropped),
      cmocka_unit_test(a_connection_whose_handler_gets_no_stack_is_served_when_there_is_one),
      cmocka_unit_test(a_connection_that_waits_for_a_stack_is_cancelled_by_a_shutdown),
      cmocka_unit_test(a_server_that_gets_no_stack_to_accept_says_so),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
