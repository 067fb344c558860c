/* The call graph: who awaits whom, through everything that waits, and which waits can never end. */
#include "graph_look.h"

#include <pthread.h>

#include "base/context.h"
#include "base/sys.h"
#include "counts.h"
#include "log_capture.h"
#include "task_test.h"

/* Where frames are known, a wait is shown with its place. */
#define PLACES (WEFT__SWITCH_ASM && !COUNTS_TSAN && !COUNTS_ASAN)

#define APART(task_name) (&(weft_spawn_opts){.name = (task_name), .stack_size = (size_t)256 * 1024})

/* ---- edges ---- */

static int await_given(void *arg) {
  return weft_await(*(weft_task *)arg);
}

static void end_all(weft_task *tasks, int n) {
  for (int i = 0; i < n; i++) weft_cancel(tasks[i]);
  for (int i = 0; i < n; i++) weft_await(tasks[i]);
}

TASK_TEST(IN1_await_gives_an_edge_from_each_task_of_the_chain) {
  struct latch parked = {0};
  weft_task t[3];
  t[2] = weft_spawn(hit_and_park, &parked, APART("last"));
  t[1] = weft_spawn(await_given, &t[2], APART("middle"));
  t[0] = weft_spawn(await_given, &t[1], APART("first"));
  wait_for_edge("first", "middle", WEFT_GRAPH_AWAIT);
  wait_for_edge("middle", "last", WEFT_GRAPH_AWAIT);
  CHECK_INT(look_for("first", "last", WEFT_GRAPH_AWAIT).found, 0);
  CHECK_STR(find_named("middle").waits_for, "a task");
  latch_wait(&parked, 1);
  end_all(t, 1);
}

static int await_inline(void *latch) {
  return weft_await(weft_spawn(hit_and_park, latch, &(weft_spawn_opts){.name = "inner"}));
}

TASK_TEST(IN1_a_task_that_runs_on_its_awaiters_stack_is_awaited_by_it) {
  struct latch parked = {0};
  weft_task t = weft_spawn(await_inline, &parked, &(weft_spawn_opts){.name = "outer"});
  wait_for_edge("outer", "inner", WEFT_GRAPH_AWAIT);
  end_all(&t, 1);
}

struct several {
  weft_task t[3];
  struct latch parked;
};

static void spawn_several(struct several *s) {
  static const char *const names[] = {"a", "b", "c"};
  memset(s, 0, sizeof *s);
  for (int i = 0; i < 3; i++) s->t[i] = weft_spawn(hit_and_park, &s->parked, APART(names[i]));
}

static void set_of(const struct several *s, weft_awaitable *set) {
  for (int i = 0; i < 3; i++) set[i] = weft_task_awaitable(s->t[i]);
}

static void wait_for_three_edges(void) {
  wait_for_edge("waiter", "a", WEFT_GRAPH_AWAIT);
  wait_for_edge("waiter", "b", WEFT_GRAPH_AWAIT);
  wait_for_edge("waiter", "c", WEFT_GRAPH_AWAIT);
}

/* Runs fn(s) as the waiter, sees its edges, cancels it; fn consumes the tasks, or they are ended here. */
static void check_edges(weft_fn fn, bool consumes) {
  struct several s;
  spawn_several(&s);
  weft_task waiter = weft_spawn(fn, &s, APART("waiter"));
  wait_for_three_edges();
  CHECK_INT(weft_graph_endless(weft_runtime_current(), NULL, 0), 0);
  end_all(&waiter, 1);
  if (!consumes) end_all(s.t, 3);
}

static int gather_them(void *arg) {
  return weft_gather(((struct several *)arg)->t, 3, NULL);
}

static int gather_and_collect(void *arg) {
  int codes[3];
  return weft_gather(((struct several *)arg)->t, 3, codes);
}

TASK_TEST(IN1_gather_gives_an_edge_to_each) {
  check_edges(gather_them, true);
  check_edges(gather_and_collect, true);
}

static int wait_for_all(void *arg) {
  weft_awaitable set[3];
  set_of(arg, set);
  return weft_wait(set, 3, WEFT_ALL_OVER, WEFT_FOREVER, NULL);
}

static int wait_for_first(void *arg) {
  weft_awaitable set[3];
  set_of(arg, set);
  return weft_wait(set, 3, WEFT_FIRST_OVER, WEFT_FOREVER, NULL);
}

static int select_one(void *arg) {
  weft_awaitable set[3];
  int code;
  set_of(arg, set);
  return weft_select(set, 3, &code);
}

static int complete_one(void *arg) {
  weft_awaitable set[3];
  weft_completed *c;
  size_t i;
  int code;
  set_of(arg, set);
  int r = weft_as_completed(&c, set, 3, WEFT_FOREVER);
  if (r < 0) return r;
  r = weft_completed_next(c, &i, &code);
  weft_completed_free(c);
  return r;
}

TASK_TEST(IN1_wait_select_and_as_completed_give_an_edge_to_each) {
  check_edges(wait_for_all, false);
  check_edges(wait_for_first, false);
  check_edges(select_one, false);
  check_edges(complete_one, false);
}

static int shield_it(void *arg) {
  return weft_shield(weft_task_awaitable(*(weft_task *)arg));
}

TASK_TEST(IN1_shield_gives_an_edge) {
  struct latch parked = {0};
  weft_task t = weft_spawn(hit_and_park, &parked, APART("shielded"));
  weft_task waiter = weft_spawn(shield_it, &t, APART("waiter"));
  wait_for_edge("waiter", "shielded", WEFT_GRAPH_AWAIT);
  weft_task twice = t;
  end_all(&waiter, 1);
  weft_cancel(twice);
}

static int await_future(void *arg) {
  return weft_future_await(arg, NULL);
}

TASK_TEST(IN1_a_shared_task_is_awaited_by_all_who_await_its_future) {
  struct latch parked = {0};
  weft_future *f = NULL;
  weft_task t = weft_spawn(hit_and_park, &parked, APART("shared")), waiter[2];
  weft_task same = t;
  CHECK_INT(weft_task_share(t, &f), 0);
  waiter[0] = weft_spawn(await_future, f, APART("one"));
  waiter[1] = weft_spawn(await_future, f, APART("two"));
  wait_for_edge("one", "shared", WEFT_GRAPH_AWAIT);
  wait_for_edge("two", "shared", WEFT_GRAPH_AWAIT);
  CHECK_INT(weft_cancel(same), 1);
  for (int i = 0; i < 2; i++) CHECK_INT(weft_await(waiter[i]), WEFT_ECANCELED);
  weft_future_unref(f);
}

static int await_with_a_limit(void *arg) {
  return weft_wait_for_task(*(weft_task *)arg, A_LONG_TIME);
}

TASK_TEST(IN1_a_timeout_scope_gives_an_edge_with_a_deadline) {
  struct latch parked = {0};
  weft_task t = weft_spawn(hit_and_park, &parked, APART("slow"));
  weft_task waiter = weft_spawn(await_with_a_limit, &t, APART("waiter"));
  wait_for_edge("waiter", "slow", WEFT_GRAPH_AWAIT);
  struct named n = find_named("waiter");
  CHECK(n.deadline);
  CHECK_STR(n.state, "waiting");
  end_all(&waiter, 1);
}

struct family {
  struct latch parked, join;
};

static int own_a_group(void *arg) {
  struct family *f = arg;
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, hit_and_park, &f->parked, APART("child"));
  latch_wait(&f->join, 1);
  return weft_group_join(&g);
}

TASK_TEST(IN1_a_group_gives_an_edge_to_each_child_before_and_while_it_is_joined) {
  struct family f = {.parked = {0}};
  weft_task owner = weft_spawn(own_a_group, &f, APART("owner"));
  wait_for_edge("owner", "child", WEFT_GRAPH_CHILD);
  latch_hit(&f.join);
  wait_for_edge("owner", "child", WEFT_GRAPH_GROUP);
  CHECK_INT(look_for("owner", "child", WEFT_GRAPH_CHILD).found, 0);
  CHECK_STR(find_named("owner").waits_for, "a group");
  end_all(&owner, 1);
}

/* ---- endless waits ---- */

struct crossing {
  weft_lock l[2];
  struct latch taken;
};

static int take_two(struct crossing *c, int first) {
  int r = weft_lock_acquire(&c->l[first]);
  if (r < 0) return r;
  latch_hit(&c->taken);
  weft_shield_begin();
  latch_wait(&c->taken, 2);
  weft_shield_end();
  r = weft_lock_acquire(&c->l[1 - first]);
  if (r == 0) weft_lock_release(&c->l[1 - first]);
  weft_lock_release(&c->l[first]);
  return r;
}
static int left_first(void *c) {
  return take_two(c, 0);
}
static int right_first(void *c) {
  return take_two(c, 1);
}

TASK_TEST(IN1_two_tasks_with_two_locks_wait_for_each_other_for_ever) {
  struct crossing c = {.taken = {0}};
  static struct page p;
  p.at = 0;
  weft_task t[2], stuck[3];
  t[0] = weft_spawn(left_first, &c, APART("left"));
  t[1] = weft_spawn(right_first, &c, APART("right"));
  weft_task waiter = weft_spawn(await_given, &t[0], APART("waiter"));
  wait_for_endless(3);
  CHECK_INT(look_for("left", "right", WEFT_GRAPH_LOCK).endless, 1);
  CHECK_INT(look_for("right", "left", WEFT_GRAPH_LOCK).endless, 1);
  CHECK_INT(look_for("waiter", "left", WEFT_GRAPH_AWAIT).endless, 1);
  CHECK_INT(weft_graph_endless(weft_runtime_current(), stuck, 3), 3);
  CHECK(is_named(stuck[2], "waiter")); /* the circle comes first */
  CHECK_INT(weft_graph_lines(weft_runtime_current(), WEFT_GRAPH_ENDLESS, page_line, &p), 3);
  CHECK(!PLACES || strstr(p.text, ", at take_two+"));
  CHECK(strstr(p.text,
               "2 tasks wait for each other for ever, unless somebody else releases the lock:"));
  CHECK(strstr(p.text, "'left', spawned at "));
  CHECK(stands_before(&p, "waits for a lock held by #", "and these waits end only if those do:"));
  CHECK(stands_before(&p, "and these waits end only if those do:", "awaits #"));
  CHECK(!find_named("left").certain && !find_named("right").certain);
  CHECK(find_named("waiter").endless && !find_named("waiter").certain);
  weft_cancel(t[1]);
  CHECK_INT(weft_await(t[1]), WEFT_ECANCELED);
  CHECK_INT(weft_await(waiter), 0); /* a cancel ends it after all */
  CHECK_INT(weft_graph_endless(weft_runtime_current(), NULL, 0), 0);
}

struct written {
  weft_rwlock l;
  struct latch taken;
};

static int write_and_park(void *arg) {
  struct written *w = arg;
  int r = weft_rwlock_acquire_write(&w->l);
  if (r == 0) r = hit_and_park(&w->taken);
  weft_rwlock_release_write(&w->l);
  return r;
}
static int read_once(void *arg) {
  struct written *w = arg;
  int r = weft_rwlock_acquire_read(&w->l);
  if (r == 0) weft_rwlock_release_read(&w->l);
  return r;
}

TASK_TEST(IN1_a_lock_that_is_held_for_writing_has_a_holder) {
  struct written w = {.taken = {0}};
  weft_task t[2];
  t[0] = weft_spawn(write_and_park, &w, APART("writer"));
  latch_wait(&w.taken, 1);
  t[1] = weft_spawn(read_once, &w, APART("reader"));
  wait_for_edge("reader", "writer", WEFT_GRAPH_LOCK);
  CHECK_STR(find_named("reader").waits_for, "a lock, to read");
  CHECK_INT(weft_graph_endless(weft_runtime_current(), NULL, 0), 0);
  end_all(t, 1);
  CHECK_INT(weft_await(t[1]), 0);
}

static int wait_for_given(void *arg) {
  return weft_task_wait(*(weft_task *)arg, NULL);
}

TASK_TEST(IN1_two_tasks_that_await_each_other_wait_for_ever) {
  static struct page p;
  p.at = 0;
  weft_task t[2];
  t[0] = weft_spawn(wait_for_given, &t[1], &(weft_spawn_opts){.name = "one", .pinned = true});
  t[1] = weft_spawn(wait_for_given, &t[0], &(weft_spawn_opts){.name = "two", .pinned = true});
  wait_for_endless(2);
  CHECK_INT(look_for("one", "two", WEFT_GRAPH_AWAIT).endless, 1);
  CHECK(find_named("one").certain && find_named("two").certain);
  weft_task waiter = weft_spawn(wait_for_given, &t[0], APART("waiter"));
  wait_for_endless(3);
  CHECK(find_named("waiter").certain);
  CHECK_INT(weft_graph_lines(weft_runtime_current(), WEFT_GRAPH_ENDLESS, page_line, &p), 3);
  CHECK(strstr(p.text, "2 tasks wait for each other for ever:"));
  CHECK(stands_before(&p, "awaits #", "and so nor can these waits:"));
  CHECK(!strstr(p.text, "unless"));
  end_all(t, 2);
  CHECK_INT(weft_await(waiter), 0);
}

static int release_given(void *lock) {
  return weft_lock_release(lock);
}

/* So a circle through locks is not certain: any task may do that. */
TASK_TEST(IN1_a_circle_through_locks_ends_when_somebody_else_releases_one) {
  struct crossing c = {.taken = {0}};
  weft_task t[2];
  t[0] = weft_spawn(left_first, &c, APART("left"));
  t[1] = weft_spawn(right_first, &c, APART("right"));
  wait_for_endless(2);
  CHECK_INT(weft_await(weft_spawn(release_given, &c.l[0], NULL)), 0);
  CHECK_INT(weft_await(t[1]), 0);
  CHECK_INT(weft_await(t[0]), 0);
}

struct crossed {
  weft_future *f[2]; /* of each other */
  struct latch go;
};

static int await_crossed(struct crossed *c, int of) {
  int r = latch_wait(&c->go, 1);
  return r < 0 ? r
               : weft_shield(weft_future_awaitable(c->f[of])); /* lets go when it is cancelled */
}
static int await_second(void *c) {
  return await_crossed(c, 1);
}
static int await_first(void *c) {
  return await_crossed(c, 0);
}

TASK_TEST(IN1_tasks_that_wait_for_each_others_shared_futures_wait_for_ever) {
  struct crossed c = {.f = {NULL, NULL}};
  static struct page p;
  p.at = 0;
  weft_task t[2];
  t[0] = weft_spawn(await_second, &c, APART("first"));
  t[1] = weft_spawn(await_first, &c, APART("second"));
  for (int i = 0; i < 2; i++) CHECK_INT(weft_task_share(t[i], &c.f[i]), 0);
  latch_hit(&c.go);
  wait_for_endless(2);
  CHECK(find_named("first").certain && find_named("second").certain);
  CHECK_INT(weft_graph_lines(weft_runtime_current(), WEFT_GRAPH_ENDLESS, page_line, &p), 2);
  CHECK(strstr(p.text, "2 tasks wait for each other for ever:"));
  CHECK_INT(weft_cancel(t[0]), 1);
  /* Each is the other's to wait for until that one has ended. */
  for (int i = 0; i < 2; i++) CHECK_INT(weft_future_await(c.f[i], NULL), WEFT_ECANCELED);
  for (int i = 0; i < 2; i++) weft_future_unref(c.f[i]);
}

static int take_and_end(void *lock) {
  return weft_lock_acquire(lock);
}
static int take_lock(void *lock) {
  int r = weft_lock_acquire(lock);
  if (r == 0) weft_lock_release(lock);
  return r;
}

TASK_TEST(IN1_a_lock_whose_holder_has_ended_is_waited_for_for_ever) {
  weft_lock l = {0};
  static struct page p;
  p.at = 0;
  weft_task gone =
      weft_spawn(take_and_end, &l, APART("gone")); /* its memory is in use until the end */
  CHECK_INT(weft_task_wait(gone, NULL), 0);
  weft_task t = weft_spawn(take_lock, &l, APART("waiter"));
  wait_for_state("waiter", "a lock");
  CHECK_INT(weft_graph_lines(weft_runtime_current(), WEFT_GRAPH_ENDLESS, page_line, &p), 1);
  CHECK(strstr(p.text, "these waits can never end, unless somebody else releases the lock:"));
  CHECK(strstr(p.text, "waits for a lock that was held by a task that has ended"));
  CHECK(!find_named("waiter").certain);
  CHECK_INT(weft_lock_release(&l), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_await(gone), 0);
}

struct choice {
  struct crossing c;
  weft_task t[3];
  struct latch parked;
};

static int first_of_two(void *arg) {
  struct choice *s = arg;
  weft_awaitable set[2] = {weft_task_awaitable(s->t[0]), weft_task_awaitable(s->t[2])};
  return weft_wait(set, 2, WEFT_FIRST_OVER, WEFT_FOREVER, NULL);
}
static int all_of_two(void *arg) {
  struct choice *s = arg;
  weft_awaitable set[2] = {weft_task_awaitable(s->t[0]), weft_task_awaitable(s->t[2])};
  return weft_wait(set, 2, WEFT_ALL_OVER, WEFT_FOREVER, NULL);
}

TASK_TEST(IN1_who_waits_for_one_of_several_can_go_on_who_waits_for_all_cannot) {
  struct choice s = {.parked = {0}};
  s.t[0] = weft_spawn(left_first, &s.c, APART("left"));
  s.t[1] = weft_spawn(right_first, &s.c, APART("right"));
  s.t[2] = weft_spawn(hit_and_park, &s.parked, APART("sleeper"));
  latch_wait(&s.parked, 1);
  wait_for_endless(2);
  weft_task any = weft_spawn(first_of_two, &s, APART("any"));
  wait_for_edge("any", "left", WEFT_GRAPH_AWAIT);
  CHECK_INT(weft_graph_endless(weft_runtime_current(), NULL, 0), 2);
  weft_task all = weft_spawn(all_of_two, &s, APART("all"));
  wait_for_endless(3);
  CHECK(find_named("all").endless);
  CHECK(!find_named("any").endless);
  end_all(&any, 1);
  end_all(&all, 1);
  end_all(s.t, 3);
}

/* ---- nothing where there is nothing ---- */

struct busy {
  weft_lock l[3];
  struct latch stop;
};

static int take_in_order(void *arg) {
  struct busy *b = arg;
  int r = 0;
  while (r == 0 && latch_hits(&b->stop) == 0) {
    for (int i = 0; i < 3 && r == 0; i++) r = weft_lock_acquire(&b->l[i]);
    if (r == 0) r = weft_yield();
    for (int i = 2; i >= 0; i--) weft_lock_release(&b->l[i]);
    if (r == 0) r = weft_yield();
  }
  return r;
}

TASK_TEST(IN1_tasks_that_take_locks_in_one_order_are_never_called_stuck) {
  struct busy b = {.stop = {0}};
  weft_task t[6];
  for (int i = 0; i < 6; i++) t[i] = weft_spawn(take_in_order, &b, NULL);
  for (int i = 0; i < count(2000); i++) {
    CHECK_INT(weft_graph_endless(weft_runtime_current(), NULL, 0), 0);
    weft_yield();
  }
  latch_hit(&b.stop);
  for (int i = 0; i < 6; i++) CHECK_INT(weft_await(t[i]), 0);
}

/* ---- text ---- */

TASK_TEST(the_tree_shows_who_awaits_above_whom_it_awaits) {
  struct several s;
  static struct page p;
  p.at = 0;
  spawn_several(&s);
  weft_task waiter = weft_spawn(gather_them, &s, APART("waiter"));
  wait_for_three_edges();
  wait_for_state("a", "a timer");
  CHECK_INT(weft_graph_lines(weft_runtime_current(), WEFT_GRAPH_TREE, page_line, &p), 5);
  CHECK(strstr(p.text, "'main': running, spawned at "));
  CHECK(stands_before(&p, "'waiter': waiting for several awaitables", "\n|-- #"));
  CHECK(!PLACES || strstr(p.text, "waiting for several awaitables at gather_them"));
  CHECK(stands_before(&p, "\n|-- #", "\n`-- #"));
  CHECK(strstr(p.text, "waiting for a timer"));
  end_all(&waiter, 1);
}

TASK_TEST(the_table_has_a_line_for_each_task) {
  struct several s;
  static struct page p;
  p.at = 0;
  spawn_several(&s);
  weft_task waiter = weft_spawn(gather_them, &s, APART("waiter"));
  wait_for_three_edges();
  CHECK_INT(weft_graph_lines(weft_runtime_current(), WEFT_GRAPH_TABLE, page_line, &p), 5);
  CHECK(stands_before(&p, "task ", "awaited by"));
  CHECK(stands_before(&p, "'a' ", "#"));
  int lines = 0;
  for (const char *at = p.text; (at = strchr(at, '\n')) != NULL; at++) lines++;
  CHECK_INT(lines, 6);
  end_all(&waiter, 1);
}

TASK_TEST(the_way_up_from_a_task_names_all_that_await_it) {
  static struct page p;
  p.at = 0;
  struct latch parked = {0};
  weft_task t[3];
  t[2] = weft_spawn(hit_and_park, &parked, APART("last"));
  t[1] = weft_spawn(await_given, &t[2], APART("middle"));
  t[0] = weft_spawn(await_given, &t[1], APART("first"));
  wait_for_edge("first", "middle", WEFT_GRAPH_AWAIT);
  wait_for_edge("middle", "last", WEFT_GRAPH_AWAIT);
  CHECK_INT(weft_graph_awaiters(t[2], page_line, &p), 3);
  CHECK(stands_before(&p, "'last'", "awaited by #"));
  CHECK(stands_before(&p, "'middle'", "'first'"));
  weft_task gone = t[0];
  end_all(t, 1);
  CHECK_INT(weft_graph_awaiters(gone, page_line, &p), WEFT_ESTALE);
}

/* ---- a simulation that is stuck ---- */

static int cross_for_ever(void *arg) {
  (void)arg;
  struct crossing c = {.taken = {0}};
  weft_task t[2];
  t[0] = weft_spawn(left_first, &c, APART("left"));
  t[1] = weft_spawn(right_first, &c, APART("right"));
  return weft_gather(t, 2, NULL);
}

static void a_simulated_deadlock_is_reported_with_its_circle(void **state) {
  (void)state;
  static struct log_capture log = LOG_CAPTURE_INIT;
  weft_run_opts o = {.seed = 7, .log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(cross_for_ever, NULL, &o), WEFT_EDEADLK);
  CHECK_INT(log_capture_count(&log, "2 tasks wait for each other for ever, unless"), 1);
  CHECK_INT(log_capture_count(&log, "waits for a lock held by #"), 2);
}

/* ---- from elsewhere, and wrongly ---- */

struct foreign {
  weft_runtime rt;
  int tasks, walked;
};

static int count_task(const weft_graph_task *t, void *arg) {
  (void)t;
  return ++*(int *)arg < 0;
}

static void *look_from_outside(void *arg) {
  struct foreign *f = arg;
  int n = 0;
  FILE *null = fopen("/dev/null", "w");
  f->tasks = weft_graph_print(f->rt, WEFT_GRAPH_TREE, null);
  f->walked = weft_graph_walk(f->rt, &(weft_graph_visitor){.task = count_task}, &n);
  if (f->walked == 0) f->walked = n;
  fclose(null);
  return NULL;
}

TASK_TEST(the_graph_is_seen_from_a_foreign_thread) {
  struct several s;
  spawn_several(&s);
  latch_wait(&s.parked, 3);
  struct foreign f = {.rt = weft_runtime_current()};
  pthread_t thread;
  if (CHECK_INT(weft__sys_thread_create(&thread, NULL, look_from_outside, &f), 0))
    weft__sys_thread_join(thread);
  CHECK_INT(f.tasks, 4);
  CHECK_INT(f.walked, 4);
  end_all(s.t, 3);
}

static int stop_at_second(const weft_graph_task *t, void *arg) {
  (void)t;
  return ++*(int *)arg == 2 ? 42 : 0;
}

TASK_TEST(a_visit_can_end_the_walk) {
  struct several s;
  spawn_several(&s);
  int n = 0;
  weft_runtime rt = weft_runtime_current();
  CHECK_INT(weft_graph_walk(rt, &(weft_graph_visitor){.task = stop_at_second}, &n), 42);
  CHECK_INT(n, 2);
  end_all(s.t, 3);
}

static int keep_name(void *arg) {
  *(weft_runtime *)arg = weft_runtime_current();
  return 0;
}

static void wrong_use_is_answered(void **state) {
  (void)state;
  weft_runtime rt = {0};
  struct page *none = NULL;
  CHECK_INT(weft_graph_lines(rt, WEFT_GRAPH_TREE, page_line, none), WEFT_ECLOSED);
  CHECK_INT(weft_run(keep_name, &rt, NULL), 0);
  CHECK_INT(weft_graph_lines(rt, WEFT_GRAPH_TREE, page_line, none), WEFT_ECLOSED);
  CHECK_INT(weft_graph_endless(rt, NULL, 0), WEFT_ECLOSED);
  CHECK_INT(weft_graph_walk(rt, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_graph_lines(rt, WEFT_GRAPH_TREE, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_graph_print(rt, WEFT_GRAPH_TREE, NULL), WEFT_EINVAL);
  CHECK_INT(weft_graph_awaiters((weft_task){0}, page_line, none), WEFT_EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(IN1_await_gives_an_edge_from_each_task_of_the_chain),
    cmocka_unit_test(IN1_a_task_that_runs_on_its_awaiters_stack_is_awaited_by_it),
    cmocka_unit_test(IN1_gather_gives_an_edge_to_each),
    cmocka_unit_test(IN1_wait_select_and_as_completed_give_an_edge_to_each),
    cmocka_unit_test(IN1_shield_gives_an_edge),
    cmocka_unit_test(IN1_a_shared_task_is_awaited_by_all_who_await_its_future),
    cmocka_unit_test(IN1_a_timeout_scope_gives_an_edge_with_a_deadline),
    cmocka_unit_test(IN1_a_group_gives_an_edge_to_each_child_before_and_while_it_is_joined),
    cmocka_unit_test(IN1_two_tasks_with_two_locks_wait_for_each_other_for_ever),
    cmocka_unit_test(IN1_a_lock_that_is_held_for_writing_has_a_holder),
    cmocka_unit_test(IN1_two_tasks_that_await_each_other_wait_for_ever),
    cmocka_unit_test(IN1_a_circle_through_locks_ends_when_somebody_else_releases_one),
    cmocka_unit_test(IN1_tasks_that_wait_for_each_others_shared_futures_wait_for_ever),
    cmocka_unit_test(IN1_a_lock_whose_holder_has_ended_is_waited_for_for_ever),
    cmocka_unit_test(IN1_who_waits_for_one_of_several_can_go_on_who_waits_for_all_cannot),
    cmocka_unit_test(IN1_tasks_that_take_locks_in_one_order_are_never_called_stuck),
    cmocka_unit_test(the_tree_shows_who_awaits_above_whom_it_awaits),
    cmocka_unit_test(the_table_has_a_line_for_each_task),
    cmocka_unit_test(the_way_up_from_a_task_names_all_that_await_it),
    cmocka_unit_test(a_simulated_deadlock_is_reported_with_its_circle),
    cmocka_unit_test(the_graph_is_seen_from_a_foreign_thread),
    cmocka_unit_test(a_visit_can_end_the_walk),
    cmocka_unit_test(wrong_use_is_answered),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
