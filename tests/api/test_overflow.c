/* A task that outgrows its stack dies by name, at its own guard. Each case runs in a child process,
 * whose last words are read. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

#include "base/check.h"
#include "base/stack.h"
#include "child.h"
#include "core/self.h"
#include "core/task.h"
#include "task_test.h"

/* Functions whose faults no sanitizer is to find first, and whose frames are as written. */
#ifdef __clang__
#define PLAIN __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define PLAIN __attribute__((noinline, no_sanitize("address"), no_sanitize("undefined")))
#endif

/* Where the fault was, as the program's own handler sees it after weft's: installed before the run,
 * as a program's would be. It may not print through stdio. */
static void say_where(int sig, siginfo_t *info, void *context) {
  bool in_guard = false;
  struct weft__stack *s = weft__stack_find(info->si_addr, &in_guard);
  struct weft__task *t = weft__current_task();
  const char *text = !s                   ? "fault: elsewhere\n"
                     : !in_guard          ? "fault: in a stack\n"
                     : t && s == t->stack ? "fault: in the task's own guard\n"
                                          : "fault: in another stack's guard\n";
  (void)context;
  (void)!write(STDERR_FILENO, text, strlen(text));
  signal(sig, SIG_DFL);
  raise(sig);
}

static void install_handler(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = say_where;
  sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &sa, NULL);
}

/* ---- ways to overflow ---- */

PLAIN static int recurse(volatile int *depth) {
  volatile char frame[200];
  frame[0] = (char)++*depth;
  return *depth < 0 ? 0 : recurse(depth) + frame[0];
}

static int run_away(void *arg) {
  volatile int depth = 0;
  (void)arg;
  return recurse(&depth);
}

/* Indices that the compiler does not know: it may keep only the elements that it sees used. */
static volatile size_t far_end = 0;

PLAIN static int use_big_frame(void) {
  volatile char frame[16 * 1024];
  size_t far = far_end;
  frame[far] = 1; /* the far end first */
  frame[sizeof frame - 1 - far] = 2;
  return frame[far] + frame[sizeof frame - 1 - far];
}

PLAIN static int descend_to_the_edge(const struct weft__stack *s) {
  volatile char frame[256];
  frame[0] = 1;
  if (weft__stack_left(s) < 6 * 1024) return use_big_frame() + frame[0];
  return descend_to_the_edge(s) + frame[0];
}

static int frame_at_the_edge(void *arg) {
  (void)arg;
  return descend_to_the_edge(weft__current_task()->stack);
}

PLAIN static int null_pointer(void *arg) {
  return **(int *volatile *)arg;
}

/* ---- programs ---- */

struct crash {
  weft_fn fn;
  weft_spawn_opts opts;
  bool neighbours; /* tasks parked on stacks all around */
  int workers;
};

static int spawn_crashing(void *arg) {
  static int *null;
  struct crash *c = arg;
  struct latch parked = {0};
  for (int i = 0; c->neighbours && i < 50; i++) weft_spawn(hit_and_park, &parked, NULL);
  if (c->neighbours) latch_wait(&parked, 50);
  weft_task t = weft_spawn(c->fn, &null, &c->opts);
  /* With two workers it is to die on the other one, which takes it while this one is busy. */
  while (c->workers > 1 && !c->opts.pinned) {}
  return weft_await(t);
}

static int program(void *arg) {
  struct crash *c = arg;
  install_handler();
  weft_run(spawn_crashing, c, &(weft_run_opts){.workers = c->workers});
  return 0;
}

static void check_said(const struct child_end *end, const char *text, bool expected) {
  if ((strstr(end->output, text) != NULL) != expected)
    CHECK_FAIL("the child %s \"%s\"; it said:\n%s", expected ? "did not say" : "said", text,
               end->output);
}

static void check_overflow(struct crash c, const char *name, size_t size) {
  char words[64];
  for (c.workers = 1; c.workers <= 2; c.workers++) {
    struct child_end end = child_run(program, &c);
    snprintf(words, sizeof words, "stack size %zu KiB", size * WEFT__STACK_SCALE / 1024);
    CHECK(child_died(&end));
    check_said(&end, "stack overflow", true);
    check_said(&end, name, true);
    check_said(&end, words, true);
    check_said(&end, "fault: in the task's own guard", true);
    if (weft_test_failed()) return;
  }
}

static void a_runaway_recursion_dies_with_the_tasks_name_and_stack_size(void **state) {
  (void)state;
  check_overflow((struct crash){.fn = run_away, .opts = {.name = "the deep one"}}, "the deep one",
                 64 * 1024);
}

static void a_16_kib_frame_at_the_edge_dies_at_the_tasks_own_guard(void **state) {
  (void)state;
  check_overflow(
      (struct crash){.fn = frame_at_the_edge, .opts = {.name = "the wide one"}, .neighbours = true},
      "the wide one", 64 * 1024);
}

static void the_size_that_is_named_is_the_tasks_own(void **state) {
  (void)state;
  check_overflow(
      (struct crash){.fn = run_away, .opts = {.name = "sized", .stack_size = 256 * 1024}}, "sized",
      256 * 1024);
}

static void the_smallest_stack_overflows_like_any_other(void **state) {
  (void)state;
  check_overflow((struct crash){.fn = run_away,
                                .opts = {.name = "tiny", .stack_size = WEFT_STACK_MIN},
                                .neighbours = true},
                 "tiny", WEFT_STACK_MIN);
}

static void a_large_stack_overflows_like_any_other(void **state) {
  (void)state;
  check_overflow(
      (struct crash){.fn = run_away, .opts = {.name = "large", .stack_size = 8u * 1024 * 1024}},
      "large", 8u * 1024 * 1024);
}

static void a_pinned_task_overflows_like_any_other(void **state) {
  (void)state;
  check_overflow(
      (struct crash){.fn = frame_at_the_edge, .opts = {.name = "pinned", .pinned = true}}, "pinned",
      64 * 1024);
}

static void with_guards_by_mprotect_it_is_the_same(void **state) {
  (void)state;
  weft__stack_use_mprotect(true);
  check_overflow(
      (struct crash){.fn = frame_at_the_edge, .opts = {.name = "fallback"}, .neighbours = true},
      "fallback", 64 * 1024);
}

static void a_task_without_a_name_is_told_by_its_function(void **state) {
  char words[64];
  (void)state;
  snprintf(words, sizeof words, "task running 0x%jx (stack", (uintmax_t)(uintptr_t)run_away);
  check_overflow((struct crash){.fn = run_away}, words, 64 * 1024);
}

static int run_away_in_a_generator(weft_gen *g, void *arg) {
  (void)g;
  return run_away(arg);
}

/* The argument of the task is not used. */
static int ask_a_generator(void *arg) {
  weft_gen *g;
  int r = weft_gen_open(&g, run_away_in_a_generator, arg, 0,
                        &(weft_gen_opts){.name = "the source", .stack_size = 128 * 1024});
  return r < 0 ? r : weft_gen_next(g, NULL);
}

static void a_generators_stack_overflows_by_its_name_and_its_tasks(void **state) {
  (void)state;
  check_overflow((struct crash){.fn = ask_a_generator, .opts = {.name = "the consumer"}},
                 "generator 'the source' of task 'the consumer'", 128 * 1024);
}

static int break_an_invariant(void *arg) {
  WEFT__ASSERT(arg == NULL);
  return 0;
}

static void a_broken_invariant_names_the_task_in_which_it_broke(void **state) {
  struct crash c = {.fn = break_an_invariant, .opts = {.name = "the odd one"}, .workers = 1};
  (void)state;
  struct child_end end = child_run(program, &c);
  CHECK(child_died(&end));
  check_said(&end, "arg == NULL", true);
  check_said(&end, " in task 'the odd one'", true);
}

static void another_fault_is_not_called_an_overflow(void **state) {
  struct crash c = {.fn = null_pointer, .opts = {.name = "null"}, .workers = 2};
  (void)state;
  struct child_end end = child_run(program, &c);
  CHECK(child_died(&end));
  check_said(&end, "stack overflow", false);
  check_said(&end, "fault: elsewhere", true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_runaway_recursion_dies_with_the_tasks_name_and_stack_size),
    cmocka_unit_test(a_16_kib_frame_at_the_edge_dies_at_the_tasks_own_guard),
    cmocka_unit_test(the_size_that_is_named_is_the_tasks_own),
    cmocka_unit_test(the_smallest_stack_overflows_like_any_other),
    cmocka_unit_test(a_large_stack_overflows_like_any_other),
    cmocka_unit_test(a_pinned_task_overflows_like_any_other),
    cmocka_unit_test(with_guards_by_mprotect_it_is_the_same),
    cmocka_unit_test(a_task_without_a_name_is_told_by_its_function),
    cmocka_unit_test(a_generators_stack_overflows_by_its_name_and_its_tasks),
    cmocka_unit_test(a_broken_invariant_names_the_task_in_which_it_broke),
    cmocka_unit_test(another_fault_is_not_called_an_overflow),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
