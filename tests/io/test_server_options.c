/* Servers: where they listen, and what they refuse. */
#include "resolver.h"
#include "server_test.h"

static int start(weft_server **ret, const weft_serve_opts *opts) {
  be_roomy();
  return weft_server_start(ret, echo_all, NULL, opts);
}

static void serves(const weft_serve_opts *opts) {
  weft_server *v = NULL;
  if (!CHECK_INT(start(&v, opts), 0)) return;
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  ask(client, "here");
  hang_up(client);
  end_server(v);
}

TASK_TEST(a_host_is_a_number_or_a_name) {
  serves(&(weft_serve_opts){.host = "127.0.0.1"});
  resolver_begin();
  resolver.naddresses = 2; /* of this machine */
  CHECK_INT(weft_addr_parse(&resolver.addresses[0], "127.0.0.2", 0), 0);
  CHECK_INT(weft_addr_parse(&resolver.addresses[1], "127.0.0.3", 0), 0);
  weft_server *v = NULL;
  weft_addr at[2];
  CHECK_INT(start(&v, &(weft_serve_opts){.host = "addresses.test"}), 0);
  resolver_end();
  for (size_t i = 0; i < 2; i++) {
    CHECK_INT(weft_server_addr(v, i, &at[i]), 0);
    weft_stream *client = dial(&at[i]);
    ask(client, "here");
    hang_up(client);
  }
  CHECK_INT(weft_addr_port(&at[0]), weft_addr_port(&at[1]));
  CHECK(!weft_addr_equal(&at[0], &at[1]));
  end_server(v);
}

/* "localhost" as ::1 and 127.0.0.1 where IPv6 is off. */
TASK_TEST(addresses_of_a_name_that_are_not_there_are_left_out) {
  static const int codes[] = {WEFT_EADDRNOTAVAIL, WEFT_EAFNOSUPPORT};
  weft_server *v = NULL;
  weft_addr at;
  resolver_begin();
  resolver.naddresses = 2;
  CHECK_INT(weft_addr_parse(&resolver.addresses[0], "127.0.0.2", 0), 0);
  CHECK_INT(weft_addr_parse(&resolver.addresses[1], "127.0.0.3", 0), 0);
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    for (uint64_t nth = 1; nth <= 2; nth++) {
      weft__sys_fail(WEFT__SYS_bind, nth, codes[i], false);
      CHECK_INT(start(&v, &(weft_serve_opts){.host = "addresses.test"}), 0);
      weft__sys_clear();
      CHECK_INT(weft_server_addr(v, 1, &at), WEFT_EINVAL);
      CHECK_INT(weft_server_addr(v, 0, &at), 0);
      weft_stream *client = dial(&at);
      ask(client, "here");
      hang_up(client);
      end_server(v);
    }
  v = NULL;
  weft__sys_fail(WEFT__SYS_bind, 1, WEFT_EADDRNOTAVAIL, true);
  CHECK_INT(start(&v, &(weft_serve_opts){.host = "addresses.test"}), WEFT_EADDRNOTAVAIL);
  weft__sys_fail(WEFT__SYS_bind, 1, WEFT_EACCES, false); /* not for want of it */
  CHECK_INT(start(&v, &(weft_serve_opts){.host = "addresses.test"}), WEFT_EACCES);
  weft__sys_clear();
  CHECK_PTR(v, NULL);
  resolver_end();
}

static int start_by_name(void *name) {
  weft_server *v = NULL;
  return start(&v, &(weft_serve_opts){.host = name});
}

TASK_TEST(a_name_that_is_not_found_is_refused) {
  resolver_begin();
  CHECK_INT(start_by_name("none.test"), WEFT_EAI_NONAME);
  CHECK_INT(start_by_name("again.test"), WEFT_EAI_AGAIN);
  resolver_end();
}

TASK_TEST(a_deadline_ends_the_search_for_a_name) {
  resolver_begin();
  CHECK_INT(weft_wait_for(start_by_name, "stuck.test", weft_ms(5)), WEFT_ETIMEDOUT);
  resolver_end();
}

TASK_TEST(without_a_host_all_addresses_have_the_same_port) {
  weft_server *v = NULL;
  CHECK_INT(start(&v, NULL), 0);
  weft_addr at = addr_of_server(v), next;
  CHECK(weft_addr_port(&at) > 0);
  for (size_t i = 1; weft_server_addr(v, i, &next) == 0; i++)
    CHECK_INT(weft_addr_port(&next), weft_addr_port(&at));
  weft_addr local;
  CHECK_INT(weft_addr_loopback(&local, weft_addr_family(&at), weft_addr_port(&at)), 0);
  weft_stream *client = dial(&local);
  ask(client, "here");
  hang_up(client);
  end_server(v);
}

TASK_TEST(a_given_listener_is_the_servers) {
  weft_listener *l = listen_here(NULL);
  serves(&(weft_serve_opts){.listener = l});
}

TASK_TEST(a_port_that_is_taken_is_refused_and_nothing_listens) {
  weft_listener *l = listen_here(NULL);
  weft_addr both[] = {any_port(), addr_of(l)};
  weft_server *v = NULL;
  CHECK_INT(start(&v, &(weft_serve_opts){.addrs = both, .naddrs = 2}), WEFT_EADDRINUSE);
  CHECK_PTR(v, NULL);
  CHECK_INT(start(&v, &(weft_serve_opts){.host = "127.0.0.1", .port = weft_addr_port(&both[1])}),
            WEFT_EADDRINUSE);
  CHECK_INT(weft_listener_free(l), 0);
}

TASK_TEST(options_that_make_no_sense_are_refused) {
  weft_server *v = NULL;
  weft_addr a = any_port();
  CHECK_INT(weft_server_start(&v, NULL, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_server_start(NULL, echo_all, NULL, NULL), WEFT_EINVAL);
  const weft_serve_opts bad[] = {
      {.host = "127.0.0.1", .path = "/tmp/x"},
      {.path = "/tmp/x", .addrs = &a, .naddrs = 1},
      {.addrs = &a},
      {.naddrs = 1},
      {.host = "127.0.0.1", .port = -1},
      {.host = "127.0.0.1", .port = 65536},
      {.host = "127.0.0.1", .stack_size = 1},
      {.host = "127.0.0.1", .listen = {.backlog = -1}},
      {.path = ""},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK_INT(start(&v, &bad[i]), WEFT_EINVAL);
  CHECK_PTR(v, NULL);
  CHECK_INT(weft_server_close(NULL), WEFT_EINVAL);
  CHECK_INT(weft_server_wait_closed(NULL), WEFT_EINVAL);
  CHECK_INT(weft_server_serve(NULL), WEFT_EINVAL);
  CHECK_INT(weft_server_shutdown(NULL, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_server_close_clients(NULL), WEFT_EINVAL);
  CHECK_INT(weft_server_abort_clients(NULL), WEFT_EINVAL);
  CHECK_INT(weft_server_free(NULL), 0);
}

static void outside_a_task_nothing_is_served(void **state) {
  weft_server *v = NULL;
  (void)state;
  CHECK_INT(weft_server_start(&v, echo_all, NULL, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_serve(echo_all, NULL, NULL), WEFT_ENOTASK);
}

/* A run that ends takes its servers with it; what is left is the memory. */
static weft_server *left;

static int leave_it(void *arg) {
  weft_addr *at = arg;
  left = serve_here(echo_all, NULL, (weft_serve_opts){0});
  *at = addr_of_server(left);
  weft_stream *client = dial(at);
  ask(client, "here");
  CHECK_INT(weft_stream_close(client), 0);
  return 0;
}

static void a_server_ends_with_its_run(void **state) {
  weft_addr at;
  (void)state;
  CHECK_INT(weft_run(leave_it, &at, NULL), 0);
  CHECK(!weft_server_listening(left));
  CHECK_UINT(weft_server_connections(left), 0);
  CHECK_INT(weft_server_free(left), 0);
}

static int is_open_report(const weft_report *r, void *arg) {
  if (r->kind == WEFT_REPORT_OPEN && CHECK_STR(r->object_kind, "a server")) latch_hit(arg);
  return 0;
}

static void debug_mode_tells_of_a_server_that_was_left_open(void **state) {
  struct latch told = {0};
  weft_addr at;
  (void)state;
  const weft_run_opts opts = {.debug = true, .on_error = is_open_report, .on_error_arg = &told};
  CHECK_INT(weft_run(leave_it, &at, &opts), 0);
  CHECK_INT(latch_hits(&told), 1);
  CHECK_INT(weft_server_free(left), 0);
}

/* ---- the handlers' tasks ---- */

static int say_my_name(weft_stream *s, void *arg) {
  (void)arg;
  const char *name = weft_task_name(weft_current());
  return write_text(s, name ? name : "nobody");
}

static void hears(const weft_serve_opts *opts, const char *text) {
  weft_server *v = serve_here(say_my_name, NULL, *opts);
  weft_addr at = addr_of_server(v);
  weft_stream *client = dial(&at);
  expect_bytes(client, text);
  CHECK_INT(weft_stream_close(client), 0);
  end_server(v);
}

TASK_TEST(handlers_have_a_name_and_a_stack) {
  hears(&(weft_serve_opts){.stack_size = (size_t)1 << 20}, "a handler");
  hears(&(weft_serve_opts){.name = "the echo"}, "the echo");
}

EXACT_TEST(a_server_in_exact_mode) {
  serves(&(weft_serve_opts){.host = "127.0.0.1"});
}

/* ---- many workers ---- */

static atomic_uint workers_seen;

static int work(weft_stream *s, void *arg) {
  (void)s, (void)arg;
  weft_ns until = weft_now() + weft_ms(3);
  atomic_fetch_or(&workers_seen, 1U << (weft_worker_id() & 31));
  while (weft_now() < until) weft_sim_work(weft_us(100));
  return 0;
}

static int serve_the_busy(void *arg) {
  enum { MANY = 32 };
  weft_server *v = serve_here(work, NULL, (weft_serve_opts){0});
  weft_addr at = addr_of_server(v);
  weft_stream *client[MANY];
  (void)arg;
  for (int i = 0; i < MANY; i++) client[i] = dial(&at);
  for (int i = 0; i < MANY; i++) {
    char c;
    CHECK_INT(weft_read(client[i], &c, 1), 0);
    CHECK_INT(weft_stream_close(client[i]), 0);
  }
  end_server(v);
  return 0;
}

static void handlers_that_work_run_on_every_worker(void **state) {
  (void)state;
  atomic_store(&workers_seen, 0);
  CHECK_INT(weft_run(serve_the_busy, NULL, &(weft_run_opts){.workers = 2}), 0);
  CHECK_UINT(atomic_load(&workers_seen), 3);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_host_is_a_number_or_a_name),
      cmocka_unit_test(addresses_of_a_name_that_are_not_there_are_left_out),
      cmocka_unit_test(a_name_that_is_not_found_is_refused),
      cmocka_unit_test(a_deadline_ends_the_search_for_a_name),
      cmocka_unit_test(without_a_host_all_addresses_have_the_same_port),
      cmocka_unit_test(a_given_listener_is_the_servers),
      cmocka_unit_test(a_port_that_is_taken_is_refused_and_nothing_listens),
      cmocka_unit_test(options_that_make_no_sense_are_refused),
      cmocka_unit_test(outside_a_task_nothing_is_served),
      cmocka_unit_test(a_server_ends_with_its_run),
      cmocka_unit_test(debug_mode_tells_of_a_server_that_was_left_open),
      cmocka_unit_test(handlers_have_a_name_and_a_stack),
      cmocka_unit_test(a_server_in_exact_mode),
      cmocka_unit_test(handlers_that_work_run_on_every_worker),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
