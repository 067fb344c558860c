/* weft_as_completed and weft_map. */
#include <weft.h>

#include "counts.h"
#include "door.h"
#include "task_test.h"

static weft_future *fresh(void) {
  weft_future *f = NULL;
  CHECK_INT(weft_future_new(&f, 0), 0);
  return f;
}

/* Three futures and their iterator. */
struct three {
  weft_future *f[3];
  weft_awaitable set[3];
  weft_completed *c;
};

static void three_begin(struct three *t, weft_ns limit) {
  for (int i = 0; i < 3; i++) {
    t->f[i] = fresh();
    t->set[i] = weft_future_awaitable(t->f[i]);
  }
  t->c = NULL;
  CHECK_INT(weft_as_completed(&t->c, t->set, 3, limit), 0);
}

static void three_end(struct three *t) {
  weft_completed_free(t->c);
  for (int i = 0; i < 3; i++) weft_future_unref(t->f[i]);
}

/* The index of the next, or the negative code; -1 at the end. */
static int next(weft_completed *c) {
  size_t index = 99;
  int r = weft_completed_next(c, &index, NULL);
  return r == 1 ? (int)index : r == 0 ? -1 : r;
}

TASK_TEST(A1_what_is_over_first_comes_first) {
  struct three t;
  three_begin(&t, WEFT_FOREVER);
  CHECK_INT(weft_future_set(t.f[2], NULL), 0);
  CHECK_INT(weft_future_fail(t.f[0], OWN_ERROR), 0);
  CHECK_INT(next(t.c), 2);
  size_t index = 99;
  int code = 0;
  CHECK_INT(weft_completed_next(t.c, &index, &code), 1);
  CHECK_INT((int)index, 0);
  CHECK_INT(code, OWN_ERROR);
  CHECK_INT(weft_future_cancel(t.f[1]), 1);
  CHECK_INT(weft_completed_next(t.c, &index, &code), 1);
  CHECK_INT(code, WEFT_ECANCELED);
  CHECK_INT(next(t.c), -1);
  CHECK_INT(next(t.c), -1);
  three_end(&t);
}

TASK_TEST(A1_the_index_leads_back_to_the_original_task) {
  enum { N = 50 };
  static int given[N];
  weft_task t[N];
  weft_awaitable set[N];
  for (int i = 0; i < N; i++) {
    given[i] = 100 + i;
    t[i] = weft_spawn(return_given, &given[i], NULL);
    set[i] = weft_task_awaitable(t[i]);
  }
  weft_completed *c = NULL;
  CHECK_INT(weft_as_completed(&c, set, N, WEFT_FOREVER), 0);
  int seen[N] = {0};
  size_t index;
  int code;
  while (weft_completed_next(c, &index, &code) > 0) {
    seen[index]++;
    CHECK_INT(code, 100 + (int)index);
    CHECK_INT(weft_await(t[index]), code);
  }
  for (int i = 0; i < N; i++) CHECK_INT(seen[i], 1);
  weft_completed_free(c);
}

TASK_TEST(A1_of_nothing_there_is_no_next) {
  weft_completed *c = NULL;
  CHECK_INT(weft_as_completed(&c, NULL, 0, WEFT_FOREVER), 0);
  CHECK_INT(next(c), -1);
  weft_completed_free(c);
  weft_completed_free(NULL);
}

TASK_TEST(A2_the_time_running_out_is_told_for_each_that_remains) {
  struct three t;
  three_begin(&t, weft_ms(5));
  CHECK_INT(weft_future_set(t.f[1], NULL), 0);
  CHECK_INT(weft_sleep(weft_ms(10)), 0);
  CHECK_INT(next(t.c), 1);
  CHECK_INT(next(t.c), WEFT_ETIMEDOUT);
  CHECK(!weft_future_done(t.f[0]));
  CHECK_INT(weft_future_set(t.f[0], NULL), 0); /* too late */
  CHECK_INT(next(t.c), WEFT_ETIMEDOUT);
  CHECK_INT(next(t.c), -1);
  three_end(&t);
}

TASK_TEST(A3_the_same_awaitable_counts_once) {
  weft_future *f = fresh(), *g = fresh();
  weft_awaitable set[] = {weft_future_awaitable(f), weft_future_awaitable(g),
                          weft_future_awaitable(f)};
  weft_completed *c = NULL;
  CHECK_INT(weft_as_completed(&c, set, 3, WEFT_FOREVER), 0);
  CHECK_INT(weft_future_set(g, NULL), 0);
  CHECK_INT(weft_future_set(f, NULL), 0);
  CHECK_INT(next(c), 1);
  CHECK_INT(next(c), 0);
  CHECK_INT(next(c), -1);
  weft_completed_free(c);
  weft_future_unref(f);
  weft_future_unref(g);
}

struct consumer {
  weft_completed *c;
  weft__atomic_u32 *taken;
  int n;
};

static int consume(void *arg) {
  struct consumer *k = arg;
  size_t index;
  int r;
  while ((r = weft_completed_next(k->c, &index, NULL)) > 0) {
    weft__add_u32(&k->taken[index], 1);
    k->n++;
  }
  return r;
}

TASK_TEST(A3_several_consumers_share_one_iterator) {
  enum { N = 60, CONSUMERS = 4 };
  static weft__atomic_u32 taken[N];
  static int given;
  weft_task t[N];
  weft_awaitable set[N];
  given = 0;
  for (int i = 0; i < N; i++) {
    weft__store_relaxed_u32(&taken[i], 0);
    t[i] = weft_spawn(return_given, &given, NULL);
    set[i] = weft_task_awaitable(t[i]);
  }
  weft_completed *c = NULL;
  CHECK_INT(weft_as_completed(&c, set, N, WEFT_FOREVER), 0);
  struct consumer k[CONSUMERS];
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < CONSUMERS; i++) {
    k[i] = (struct consumer){c, taken, 0};
    CHECK_INT(weft_group_spawn(&g, consume, &k[i], NULL), 0);
  }
  CHECK_INT(weft_group_join(&g), 0);
  int n = 0;
  for (int i = 0; i < CONSUMERS; i++) n += k[i].n;
  CHECK_INT(n, N);
  for (int i = 0; i < N; i++) {
    CHECK_UINT(weft__load_relaxed_u32(&taken[i]), 1);
    CHECK_INT(weft_await(t[i]), 0);
  }
  weft_completed_free(c);
}

TASK_TEST(a_cancelled_consumer_has_taken_nothing) {
  struct three t;
  three_begin(&t, WEFT_FOREVER);
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s, next(t.c)), WEFT_ETIMEDOUT);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_future_set(t.f[i], NULL), 0);
  for (int i = 0; i < 3; i++) CHECK_INT(next(t.c), i);
  CHECK_INT(next(t.c), -1);
  three_end(&t);
}

TASK_TEST(as_completed_names_bad_awaitables) {
  weft_completed *c = NULL;
  weft_future *f = fresh();
  weft_awaitable set[] = {weft_future_awaitable(f), weft_task_awaitable(weft_current())};
  CHECK_INT(weft_as_completed(&c, set, 2, WEFT_FOREVER), WEFT_ESELF);
  CHECK_INT(weft_as_completed(&c, NULL, 2, WEFT_FOREVER), WEFT_EINVAL);
  weft_task t = weft_spawn(return_zero, NULL, NULL);
  CHECK_INT(weft_await(t), 0);
  set[1] = weft_task_awaitable(t);
  CHECK_INT(weft_as_completed(&c, set, 2, WEFT_FOREVER), WEFT_ESTALE);
  CHECK_PTR(c, NULL);
  weft_future_unref(f);
}

/* ---- map ---- */

struct item {
  int in, out;
  weft__atomic_u32 *now, *most; /* calls in progress */
};

static int square(void *arg) {
  struct item *it = arg;
  uint32_t now = weft__add_u32(it->now, 1) + 1, most = weft__load_relaxed_u32(it->most);
  while (now > most && !weft__cas_u32(it->most, &most, now)) {}
  int r = weft_yield();
  it->out = it->in * it->in;
  weft__sub_u32(it->now, 1);
  return r;
}

TASK_TEST(map_calls_for_every_item_and_keeps_the_limit) {
  enum { N = 100 };
  weft__atomic_u32 now = {0}, most = {0};
  struct item items[N];
  for (int i = 0; i < N; i++) items[i] = (struct item){i, -1, &now, &most};
  weft_map_opts opts = {.limit = 3};
  CHECK_INT(weft_map(square, items, N, sizeof items[0], &opts), 0);
  for (int i = 0; i < N; i++) CHECK_INT(items[i].out, i * i);
  CHECK(weft__load_relaxed_u32(&most) <= 3);
  CHECK_INT(weft_map(square, items, N, sizeof items[0], NULL), 0);
  CHECK_INT(weft_map(square, NULL, 0, 0, NULL), 0);
}

static int fail_at_13(void *arg) {
  int *n = arg;
  int r = weft_yield();
  if (r < 0) return r;
  if (*n == 13) return OWN_ERROR;
  *n = -*n;
  return 0;
}

TASK_TEST(the_first_error_ends_a_map) {
  enum { N = 1000 };
  static int items[N];
  for (int i = 0; i < N; i++) items[i] = i;
  weft_map_opts opts = {.limit = 2};
  CHECK_INT(weft_map(fail_at_13, items, N, sizeof items[0], &opts), OWN_ERROR);
  CHECK_INT(items[N - 1], N - 1);
}

TASK_TEST(with_codes_a_map_goes_on_after_errors) {
  enum { N = 40 };
  int items[N], codes[N];
  for (int i = 0; i < N; i++) items[i] = i;
  weft_map_opts opts = {.limit = 4, .codes = codes};
  CHECK_INT(weft_map(fail_at_13, items, N, sizeof items[0], &opts), 0);
  for (int i = 0; i < N; i++) CHECK_INT(codes[i], i == 13 ? OWN_ERROR : 0);
}

static int park_item(void *arg) {
  latch_hit(*(struct latch **)arg);
  return weft_sleep(A_LONG_TIME);
}

struct mapping {
  struct latch *begun[3];
  int codes[3];
};

static int map_parked(void *arg) {
  struct mapping *m = arg;
  weft_map_opts opts = {.limit = 2, .codes = m->codes};
  return weft_map(park_item, m->begun, 3, sizeof m->begun[0], &opts);
}

TASK_TEST(a_cancelled_map_cancels_its_calls_and_begins_no_more) {
  struct latch begun = {0};
  struct mapping m = {{&begun, &begun, &begun}, {1, 1, 1}};
  weft_task t = weft_spawn(map_parked, &m, NULL);
  CHECK_INT(latch_wait(&begun, 2), 0);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(latch_hits(&begun), 2);
  for (int i = 0; i < 3; i++) CHECK_INT(m.codes[i], WEFT_ECANCELED);
}

TASK_TEST(map_refuses_what_it_cannot_call) {
  int item = 0;
  CHECK_INT(weft_map(NULL, &item, 1, sizeof item, NULL), WEFT_EINVAL);
  CHECK_INT(weft_map(square, NULL, 1, sizeof item, NULL), WEFT_EINVAL);
  CHECK_INT(weft_map(square, &item, 1, 0, NULL), WEFT_EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(A1_what_is_over_first_comes_first),
    cmocka_unit_test(A1_the_index_leads_back_to_the_original_task),
    cmocka_unit_test(A1_of_nothing_there_is_no_next),
    cmocka_unit_test(A2_the_time_running_out_is_told_for_each_that_remains),
    cmocka_unit_test(A3_the_same_awaitable_counts_once),
    cmocka_unit_test(A3_several_consumers_share_one_iterator),
    cmocka_unit_test(a_cancelled_consumer_has_taken_nothing),
    cmocka_unit_test(as_completed_names_bad_awaitables),
    cmocka_unit_test(map_calls_for_every_item_and_keeps_the_limit),
    cmocka_unit_test(the_first_error_ends_a_map),
    cmocka_unit_test(with_codes_a_map_goes_on_after_errors),
    cmocka_unit_test(a_cancelled_map_cancels_its_calls_and_begins_no_more),
    cmocka_unit_test(map_refuses_what_it_cannot_call),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
