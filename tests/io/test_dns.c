/* Names: numbers at once, the others on threads of their own, and what becomes of a lookup that nobody
 * waits for any more. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "parked.h"
#include "resolver.h"
#include "task_test.h"

enum { AT_ONCE = 8, MOST_THREADS = 64 };

static void expect_text(const weft_addr *a, const char *want) {
  char text[WEFT_ADDR_TEXT];
  weft_addr_format(a, text, sizeof text);
  CHECK_STR(text, want);
}

static weft_dns_stats stats(void) {
  weft_dns_stats s = {0};
  CHECK_INT(weft_dns_stats_read(&s), 0);
  return s;
}

/* Yields until that many are stuck in the resolver. */
static void wait_inside(int n) {
  int rounds = 0;
  while (atomic_load(&resolver.inside) < n && latch_turn(&rounds) == 0) {}
}

/* Yields until no abandoned lookup runs any more. */
static void wait_unstuck(void) {
  int rounds = 0;
  while (stats().stuck > 0 && latch_turn(&rounds) == 0) {}
}

struct asking {
  const char *host;
  weft_addr found;
  int code;
};

static int ask(void *arg) {
  struct asking *a = arg;
  return a->code = weft_getaddrinfo(&a->found, 1, a->host, "80", NULL);
}

TASK_TEST(numbers_are_answered_without_a_thread) {
  weft_addr at[3];
  CHECK_INT(weft_getaddrinfo(at, 3, "127.0.0.1", "80", NULL), 1);
  expect_text(&at[0], "127.0.0.1:80");
  CHECK_INT(weft_getaddrinfo(at, 3, "::1", NULL, &(weft_dns_hints){.family = AF_INET6}), 1);
  expect_text(&at[0], "[::1]:0");
  CHECK_INT(weft_getaddrinfo(at, 3, NULL, "80", NULL), 2);
  expect_text(&at[0], "[::1]:80");
  expect_text(&at[1], "127.0.0.1:80");
  CHECK_INT(weft_getaddrinfo(at, 3, NULL, "65535", &(weft_dns_hints){.flags = AI_PASSIVE}), 2);
  expect_text(&at[0], "[::]:65535");
  expect_text(&at[1], "0.0.0.0:65535");
  CHECK_INT(weft_getaddrinfo(at, 3, NULL, "1", &(weft_dns_hints){.family = AF_INET}), 1);
  expect_text(&at[0], "127.0.0.1:1");
  CHECK_UINT(stats().asked, 0);
  CHECK_UINT(stats().threads, 0);
}

TASK_TEST(the_system_resolver_knows_this_machine) {
  weft_addr at[8];
  int n = weft_getaddrinfo(at, 8, "localhost", "80", NULL);
  if (!CHECK(n > 0)) return;
  for (int i = 0; i < n && i < 8; i++) {
    CHECK(weft_addr_is_loopback(&at[i]));
    CHECK_INT(weft_addr_port(&at[i]), 80);
  }
  CHECK_UINT(stats().asked, 1);
  CHECK_UINT(stats().answered, 1);
}

TASK_TEST(names_of_services_are_looked_up) {
  weft_addr at;
  int n = weft_getaddrinfo(&at, 1, "127.0.0.1", "http", NULL);
  CHECK(n == 1 || n == WEFT_EAI_SERVICE); /* where there is no /etc/services */
  if (n == 1) expect_text(&at, "127.0.0.1:80");
  CHECK_INT(weft_getaddrinfo(&at, 1, "127.0.0.1", "no-such-service", NULL), WEFT_EAI_SERVICE);
  CHECK_INT(weft_getaddrinfo(&at, 1, "127.0.0.1", "65536", NULL), WEFT_EAI_SERVICE);
}

TASK_TEST(each_address_is_given_once_and_the_rest_is_counted) {
  weft_addr at[4] = {0};
  resolver_begin();
  CHECK_INT(weft_getaddrinfo(at, 4, "twice.test", "80", NULL), 2);
  expect_text(&at[0], "127.0.0.1:80");
  expect_text(&at[1], "[::1]:80");
  at[1] = (weft_addr){0};
  CHECK_INT(weft_getaddrinfo(at, 1, "two.test", "81", NULL), 2);
  expect_text(&at[0], "[::1]:81");
  expect_text(&at[1], "none");
  CHECK_INT(weft_getaddrinfo(NULL, 0, "two.test", NULL, NULL), 2);
  resolver_end();
}

TASK_TEST(what_the_resolver_answers_has_a_code) {
  weft_addr at = {0};
  resolver_begin();
  CHECK_INT(weft_getaddrinfo(&at, 1, "none.test", "80", NULL), WEFT_EAI_NONAME);
  CHECK_INT(weft_getaddrinfo(&at, 1, "again.test", "80", NULL), WEFT_EAI_AGAIN);
  resolver_end();
  const weft_dns_hints bad[] = {{.family = 99}, {.socktype = 99}, {.flags = 1 << 30}};
  const int codes[] = {WEFT_EAI_FAMILY, WEFT_EAI_SOCKTYPE, WEFT_EAI_BADFLAGS};
  for (int i = 0; i < 3; i++)
    CHECK_INT(weft_getaddrinfo(&at, 1, "a-name", "80", &bad[i]), codes[i]);
  const weft_dns_hints number = {.flags = AI_NUMERICHOST};
  CHECK_INT(weft_getaddrinfo(&at, 1, "a-name", "80", &number), WEFT_EAI_NONAME);
  CHECK_INT(weft_getaddrinfo(&at, 1, "", "80", &number), WEFT_EAI_NONAME);
  CHECK_INT(weft_getaddrinfo(&at, 1, "::1", "80", &(weft_dns_hints){.family = AF_INET}),
            WEFT_EAI_ADDRFAMILY);
  expect_text(&at, "none");
}

TASK_TEST(wrong_use_has_a_code) {
  weft_addr at;
  char text[8];
  CHECK_INT(weft_getaddrinfo(&at, 1, NULL, NULL, NULL), WEFT_EAI_NONAME);
  CHECK_INT(weft_getaddrinfo(NULL, 1, "127.0.0.1", NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_dns_stats_read(NULL), WEFT_EINVAL);
  CHECK_INT(weft_getnameinfo(NULL, text, sizeof text, NULL, 0, 0), WEFT_EAI_FAMILY);
  CHECK_INT(weft_getnameinfo(&(weft_addr){0}, text, sizeof text, NULL, 0, 0), WEFT_EAI_FAMILY);
  CHECK_INT(weft_addr_loopback(&at, AF_INET, 1), 0);
  CHECK_INT(weft_getnameinfo(&at, NULL, 0, NULL, 0, 0), WEFT_EAI_NONAME);
  CHECK_INT(weft_getnameinfo(&at, text, 0, NULL, 8, 0), WEFT_EAI_NONAME);
}

static void outside_a_task_there_is_no_lookup(void **state) {
  (void)state;
  weft_addr at;
  char text[8];
  weft_dns_stats s;
  CHECK_INT(weft_getaddrinfo(&at, 1, "127.0.0.1", "80", NULL), WEFT_ENOTASK);
  CHECK_INT(weft_getnameinfo(&at, text, sizeof text, NULL, 0, NI_NUMERICHOST), WEFT_ENOTASK);
  CHECK_INT(weft_dns_stats_read(&s), WEFT_ENOTASK);
}

/* ---- the way back ---- */

TASK_TEST(numbers_are_written_without_a_thread) {
  weft_addr at;
  char host[64] = "", service[16] = "";
  CHECK_INT(weft_addr_loopback(&at, AF_INET6, 80), 0);
  int numbers = NI_NUMERICHOST | NI_NUMERICSERV;
  CHECK_INT(weft_getnameinfo(&at, host, sizeof host, service, sizeof service, numbers), 0);
  CHECK_STR(host, "::1");
  CHECK_STR(service, "80");
  CHECK_INT(weft_getnameinfo(&at, NULL, 0, service, sizeof service, NI_NUMERICSERV), 0);
  CHECK_UINT(stats().asked, 0);
}

TASK_TEST(names_of_addresses_are_looked_up) {
  weft_addr at;
  char host[64] = "", service[16] = "";
  resolver_begin();
  CHECK_INT(weft_addr_loopback(&at, AF_INET, 7), 0);
  CHECK_INT(weft_getnameinfo(&at, host, sizeof host, service, sizeof service, 0), 0);
  CHECK_STR(host, "host-of-7.test");
  CHECK_STR(service, "echo");
  CHECK_INT(weft_getnameinfo(&at, NULL, 0, service, sizeof service, 0), 0);
  CHECK_UINT(stats().asked, 2);
  resolver_end();
}

TASK_TEST(a_name_that_does_not_fit_is_not_written) {
  weft_addr at;
  char host[64] = "before", service[16] = "before";
  resolver_begin();
  CHECK_INT(weft_addr_loopback(&at, AF_INET, 7), 0);
  CHECK_INT(weft_getnameinfo(&at, host, 14, service, sizeof service, 0), WEFT_EAI_OVERFLOW);
  CHECK_INT(weft_getnameinfo(&at, host, sizeof host, service, 4, 0), WEFT_EAI_OVERFLOW);
  CHECK_STR(host, "before");
  CHECK_STR(service, "before");
  CHECK_INT(weft_getnameinfo(&at, host, 15, service, 5, 0), 0);
  resolver_end();
}

/* ---- stuck lookups ---- */

TASK_TEST(a_deadline_is_answered_while_the_resolver_is_stuck) {
  struct asking a = {.host = "stuck.test"};
  resolver_begin();
  CHECK_INT(weft_wait_for(ask, &a, weft_ms(5)), WEFT_ETIMEDOUT);
  CHECK_INT(a.code, WEFT_ECANCELED);
  weft_dns_stats s = stats();
  if (s.abandoned == 1) { /* the time was enough to begin it */
    CHECK_UINT(s.stuck, 1);
    CHECK_UINT(s.running, 1);
  }
  CHECK_UINT(s.answered, 0);
  CHECK_INT(atomic_load(&resolver.left), 0);
  resolver_open_gate();
  wait_unstuck();
  CHECK_UINT(stats().running, 0);
  resolver_end();
}

TASK_TEST(a_cancel_is_answered_while_the_resolver_is_stuck) {
  struct asking a = {.host = "stuck.test"};
  resolver_begin();
  weft_task t = weft_spawn(ask, &a, NULL);
  wait_inside(1);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_UINT(stats().abandoned, 1);
  CHECK_UINT(stats().stuck, 1);
  CHECK_INT(atomic_load(&resolver.left), 0);
  resolver_open_gate();
  wait_unstuck();
  CHECK_INT(atomic_load(&resolver.left), 1);
  CHECK_INT(weft_getaddrinfo(&a.found, 1, "two.test", "80", NULL), 2);
  resolver_end();
}

TASK_TEST(what_a_lookup_waits_for_has_a_name) {
  struct asking a = {.host = "stuck.test"};
  char line[512] = "";
  resolver_begin();
  weft_task t = weft_spawn(ask, &a, NULL);
  wait_inside(1);
  wait_until_parked(t);
  CHECK(weft_task_describe(t, line, sizeof line) > 0);
  CHECK(strstr(line, "a name lookup") != NULL);
  resolver_open_gate();
  CHECK_INT(weft_await(t), 2);
  resolver_end();
}

TASK_TEST(an_abandoned_lookup_has_copies_of_its_arguments) {
  char host[] = "stuck.test";
  struct asking a = {.host = host};
  resolver_begin();
  weft_task t = weft_spawn(ask, &a, NULL);
  wait_inside(1);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  memset(host, 'x', sizeof host - 1);
  resolver_open_gate();
  wait_unstuck();
  CHECK_INT(atomic_load(&resolver.left), 1);
  CHECK_INT(atomic_load(&resolver.wrong), 0);
  resolver_end();
}

/* Starts n lookups that are in the resolver when it returns. */
static void begin_stuck(int n, weft_task tasks[], struct asking asking[]) {
  int before = atomic_load(&resolver.inside);
  for (int i = 0; i < n; i++) {
    asking[i] = (struct asking){.host = "stuck.test"};
    tasks[i] = weft_spawn(ask, &asking[i], NULL);
  }
  wait_inside(before + n);
}

static void cancel_all(int n, weft_task tasks[]) {
  for (int i = 0; i < n; i++) weft_cancel(tasks[i]);
  for (int i = 0; i < n; i++) CHECK_INT(weft_await(tasks[i]), WEFT_ECANCELED);
}

TASK_TEST(one_that_has_no_thread_yet_is_withdrawn) {
  weft_task tasks[AT_ONCE];
  struct asking stuck[AT_ONCE], late = {.host = "two.test"};
  resolver_begin();
  begin_stuck(AT_ONCE, tasks, stuck);
  weft_task t = weft_spawn(ask, &late, NULL);
  wait_until_parked(t);
  CHECK_UINT(stats().waiting, 1);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_UINT(stats().waiting, 0);
  CHECK_UINT(stats().abandoned, 0);
  resolver_open_gate();
  for (int i = 0; i < AT_ONCE; i++) CHECK_INT(weft_await(tasks[i]), 2);
  CHECK_INT(atomic_load(&resolver.asked), AT_ONCE);
  CHECK_UINT(stats().answered, AT_ONCE);
  resolver_end();
}

TASK_TEST(abandoned_lookups_keep_no_other_waiting) {
  weft_task tasks[AT_ONCE];
  struct asking stuck[AT_ONCE];
  weft_addr at;
  resolver_begin();
  for (int round = 0; round < 3; round++) {
    begin_stuck(AT_ONCE, tasks, stuck);
    cancel_all(AT_ONCE, tasks);
    CHECK_INT(weft_getaddrinfo(&at, 1, "two.test", "80", NULL), 2);
  }
  CHECK_INT(weft_to_thread(return_seven, NULL), 7); /* the blocking pool has other threads */
  CHECK_UINT(stats().stuck, 3 * AT_ONCE);
  resolver_open_gate();
  wait_unstuck();
  CHECK_INT(weft_getaddrinfo(&at, 1, "two.test", "80", NULL), 2);
  resolver_end();
}

TASK_TEST(one_that_waits_gets_the_thread_of_one_that_is_abandoned) {
  weft_task tasks[AT_ONCE];
  struct asking stuck[AT_ONCE], late = {.host = "two.test"};
  resolver_begin();
  begin_stuck(AT_ONCE, tasks, stuck);
  weft_task t = weft_spawn(ask, &late, NULL);
  wait_until_parked(t);
  cancel_all(1, tasks);
  CHECK_INT(weft_await(t), 2);
  cancel_all(AT_ONCE - 1, tasks + 1);
  resolver_end();
}

TASK_TEST(there_is_a_limit_to_stuck_threads) {
  weft_task tasks[AT_ONCE];
  struct asking stuck[AT_ONCE], late = {.host = "two.test"};
  resolver_begin();
  for (int i = 0; i < MOST_THREADS / AT_ONCE; i++) {
    begin_stuck(AT_ONCE, tasks, stuck);
    cancel_all(AT_ONCE, tasks);
  }
  CHECK_UINT(stats().threads, MOST_THREADS);
  CHECK_INT(weft_wait_for(ask, &late, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_UINT(stats().threads, MOST_THREADS);
  CHECK_UINT(stats().waiting, 0);
  weft_task t = weft_spawn(ask, &late, NULL);
  wait_until_parked(t);
  resolver_open_gate();
  CHECK_INT(weft_await(t), 2);
  wait_unstuck();
  resolver_end();
}

TASK_TEST(eight_run_at_a_time_and_all_are_answered) {
  enum { MANY = 40 };
  static struct asking asking[MANY];
  weft_task tasks[MANY];
  resolver_begin();
  for (int i = 0; i < MANY; i++) {
    asking[i] = (struct asking){.host = "stuck.test"};
    tasks[i] = weft_spawn(ask, &asking[i], NULL);
  }
  wait_inside(AT_ONCE);
  resolver_open_gate();
  for (int i = 0; i < MANY; i++) {
    CHECK_INT(weft_await(tasks[i]), 2);
    expect_text(&asking[i].found, "[::1]:80");
  }
  CHECK_INT(atomic_load(&resolver.most), AT_ONCE);
  CHECK_UINT(stats().answered, MANY);
  CHECK(stats().threads <= AT_ONCE);
  resolver_end();
}

TASK_TEST(a_cancel_and_an_answer_may_meet) {
  struct asking a;
  resolver_begin();
  for (int i = 0; i < count(200) && !weft_test_failed(); i++) {
    a = (struct asking){.host = "two.test"};
    weft_task t = weft_spawn(ask, &a, NULL);
    for (int turn = 0; turn < i % 5; turn++) weft_yield();
    weft_cancel(t);
    int r = weft_await(t);
    CHECK(r == 2 || r == WEFT_ECANCELED);
  }
  wait_unstuck();
  CHECK_INT(weft_getaddrinfo(&a.found, 1, "two.test", "80", NULL), 2);
  resolver_end();
}

/* ---- faults ---- */

TASK_TEST(without_memory_a_lookup_says_so) {
  weft_addr at[2];
  int n = 1, r = WEFT_ENOMEM;
  resolver_begin();
  for (; r == WEFT_ENOMEM && n < 50; n++) {
    weft__memory_fail(WEFT__MEMORY_OWN, (uint64_t)n, false);
    r = weft_getaddrinfo(at, 2, "two.test", "80", NULL);
    weft__memory_fail_end();
  }
  CHECK_INT(r, 2);
  CHECK(n > 3);
  resolver_end();
}

TASK_TEST(without_a_thread_a_lookup_says_so) {
  weft_addr at[2];
  resolver_begin();
  weft__sys_fail(WEFT__SYS_thread_create, 1, WEFT_EAGAIN, true);
  CHECK_INT(weft_getaddrinfo(at, 2, "two.test", "80", NULL), WEFT_EAGAIN);
  weft__sys_clear();
  CHECK_UINT(stats().waiting, 0);
  CHECK_INT(weft_getaddrinfo(at, 2, "two.test", "80", NULL), 2);
  resolver_end();
}

/* ---- the end of the run ---- */

static int ask_and_fail(void *arg) {
  struct asking *a = arg;
  a->code = weft_getaddrinfo(&a->found, 1, a->host, "80", NULL);
  return 0;
}

static int leave_one_waiting(void *arg) {
  resolver_begin();
  weft_detach(weft_spawn(ask_and_fail, arg, NULL));
  wait_inside(1);
  return 0;
}

/* How many threads there are that look names up. */
static int count_threads(void) {
  DIR *d = opendir("/proc/self/task");
  int n = 0;
  if (!d) return -1;
  for (struct dirent *e; (e = readdir(d));) {
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", e->d_name);
    FILE *f = fopen(path, "r");
    if (!f) continue;
    if (fgets(name, sizeof name, f)) n += strcmp(name, "weft-lookup\n") == 0;
    fclose(f);
  }
  closedir(d);
  return n;
}

static void a_run_ends_although_a_lookup_is_stuck(void **state) {
  (void)state;
  struct asking a = {.host = "stuck.test"};
  CHECK_INT(weft_run(leave_one_waiting, &a, NULL), 0);
  CHECK_INT(a.code, WEFT_ECANCELED);
  CHECK_INT(atomic_load(&resolver.left), 0);
  CHECK_INT(count_threads(), 1); /* it is still there */
  resolver_open_gate();
  while (atomic_load(&resolver.left) < 1 || count_threads() > 0) latch_turn_thread();
  resolver_end();
}

static int gen_body(weft_gen *g, void *arg) {
  weft_addr at;
  int item = 1;
  (void)weft_gen_yield(g, &item);
  weft_shield_begin();
  *(int *)arg = weft_getaddrinfo(&at, 1, "two.test", "80", NULL);
  weft_shield_end();
  return 0;
}

static int leave_a_generator(void *arg) {
  weft_gen *g;
  int item;
  weft_addr at;
  resolver_begin();
  CHECK_INT(weft_getaddrinfo(&at, 1, "two.test", "80", NULL), 2);
  CHECK_INT(weft_gen_open(&g, gen_body, arg, sizeof item, NULL), 0);
  CHECK_INT(weft_gen_next(g, &item), 1);
  return 0;
}

static void cleanup_at_the_end_of_a_run_may_look_names_up(void **state) {
  (void)state;
  int found = 0;
  CHECK_INT(weft_run(leave_a_generator, &found, NULL), 0);
  CHECK_INT(found, 2);
  resolver_end();
}

static int ask_once(void *arg) {
  weft_addr at;
  resolver_begin();
  CHECK_INT(weft_getaddrinfo(&at, 1, "two.test", "80", NULL), 2);
  *(weft_dns_stats *)arg = stats();
  resolver_end();
  return 0;
}

static void runs_of_one_runner_share_the_threads(void **state) {
  (void)state;
  weft_runner runner;
  weft_dns_stats s = {0};
  if (!CHECK_INT(weft_runner_open(&runner, NULL), 0)) return;
  for (int i = 0; i < 3; i++) CHECK_INT(weft_runner_run(&runner, ask_once, &s), 0);
  CHECK_UINT(s.asked, 3);
  CHECK(s.threads >= 1 && s.threads <= 3);
  CHECK_INT(weft_runner_close(&runner), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_are_answered_without_a_thread),
    cmocka_unit_test(the_system_resolver_knows_this_machine),
    cmocka_unit_test(names_of_services_are_looked_up),
    cmocka_unit_test(each_address_is_given_once_and_the_rest_is_counted),
    cmocka_unit_test(what_the_resolver_answers_has_a_code),
    cmocka_unit_test(wrong_use_has_a_code),
    cmocka_unit_test(outside_a_task_there_is_no_lookup),
    cmocka_unit_test(numbers_are_written_without_a_thread),
    cmocka_unit_test(names_of_addresses_are_looked_up),
    cmocka_unit_test(a_name_that_does_not_fit_is_not_written),
    cmocka_unit_test(a_deadline_is_answered_while_the_resolver_is_stuck),
    cmocka_unit_test(a_cancel_is_answered_while_the_resolver_is_stuck),
    cmocka_unit_test(what_a_lookup_waits_for_has_a_name),
    cmocka_unit_test(an_abandoned_lookup_has_copies_of_its_arguments),
    cmocka_unit_test(one_that_has_no_thread_yet_is_withdrawn),
    cmocka_unit_test(abandoned_lookups_keep_no_other_waiting),
    cmocka_unit_test(one_that_waits_gets_the_thread_of_one_that_is_abandoned),
    cmocka_unit_test(there_is_a_limit_to_stuck_threads),
    cmocka_unit_test(eight_run_at_a_time_and_all_are_answered),
    cmocka_unit_test(a_cancel_and_an_answer_may_meet),
    cmocka_unit_test(without_memory_a_lookup_says_so),
    cmocka_unit_test(without_a_thread_a_lookup_says_so),
    cmocka_unit_test(a_run_ends_although_a_lookup_is_stuck),
    cmocka_unit_test(cleanup_at_the_end_of_a_run_may_look_names_up),
    cmocka_unit_test(runs_of_one_runner_share_the_threads),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
