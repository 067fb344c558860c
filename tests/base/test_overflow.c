/* Overflows are named and deadly, touch no neighbour, and leave all other faults alone. */
#include "base/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/context.h"
#include "base/stack_slab.h"
#include "child.h"
#include "counts.h"
#include "weft_test.h"

#define KIB ((size_t)1 << 10)

static struct weft__stack_pool pool;
static struct weft__stack_cache cache;
static struct weft__stack *below; /* the neighbour: its top is next to the guard of victim */
static struct weft__stack *victim;
static weft__context thread;

static void say(const char *text) {
  CHECK(write(STDOUT_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

/* The pattern of a neighbour, from end to end. */
static bool whole(const struct weft__stack *s) {
  const unsigned char *p = s->lo;
  for (size_t i = 0; i < s->size; i++)
    if (p[i] != 0xa5) return false;
  return true;
}

static void hook(const struct weft__overflow *o) {
  say(o->stack == victim ? "<overflow of the victim>" : "<overflow of another>");
  say(o->by_owner ? "<its own>" : "<not its own>");
  say(whole(below) ? "<neighbour whole>" : "<NEIGHBOUR TOUCHED>");
}

/* cmocka has handlers of its own around a test; these were there before: a checker's, or none. */
static struct sigaction at_start[2];

static void prepare_with_handlers(void) {
  assert_int_equal(weft__stack_pool_init(&pool, 0), 0);
  weft__stack_cache_init(&cache, &pool);
  assert_int_equal(weft__stack_get(&cache, 0, &below), 0);
  assert_int_equal(weft__stack_get(&cache, 0, &victim), 0);
  /* Fresh slots of a slab follow each other. */
  assert_true((char *)victim->lo - pool.guard >= (char *)below->lo + below->size);
  assert_true((char *)victim->lo - pool.guard < (char *)below->lo + below->size + KIB);
  memset(below->lo, 0xa5, below->size);
  assert_int_equal(weft__overflow_install(hook), 0);
  assert_int_equal(weft__overflow_thread_init(), 0);
  weft__context_init_thread(&thread);
}

static void prepare(void) {
  sigaction(SIGSEGV, &at_start[0], NULL);
  sigaction(SIGBUS, &at_start[1], NULL);
  prepare_with_handlers();
}

static void run_on_victim(void (*entry)(void *arg)) {
  weft__context_reset(&victim->context, victim->lo, victim->size, entry, NULL);
  weft__context_switch(&thread, &victim->context);
}

/* ---- what overflows ---- */

static volatile int forever = 1;

static __attribute__((noinline)) unsigned recurse(unsigned depth) {
  volatile unsigned here[8] = {depth};
  if (!forever) return depth;
  return recurse(depth + 1) + here[0];
}

static void runs_away(void *arg) {
  (void)arg;
  recurse(0);
  weft__context_exit(&victim->context, &thread);
}

/* ASan would put a smaller one on its fake stack. Pages are touched from the top down, one by one,
 * by -fstack-clash-protection. */
enum { LARGE = (COUNTS_ASAN ? 80 : 16) * 1024 };

static __attribute__((noinline)) int large_frame(void) {
  volatile char frame[LARGE];
  __asm__ volatile("" : : "r"(frame) : "memory");
  frame[0] = 1;
  frame[sizeof frame - 1] = 2;
  return frame[0] + frame[sizeof frame - 1];
}

static __attribute__((noinline)) unsigned descends_to_the_edge(unsigned depth) {
  volatile unsigned here[8] = {depth};
  /* Room for this and a little more, not for the large frame. */
  if (weft__stack_left(victim) < 4 * KIB) return (unsigned)large_frame();
  return descends_to_the_edge(depth + 1) + here[0];
}

static void has_a_large_frame(void *arg) {
  (void)arg;
  descends_to_the_edge(0);
  weft__context_exit(&victim->context, &thread);
}

static int overflows(void *entry) {
  void (*fn)(void *arg);
  memcpy(&fn, &entry, sizeof fn);
  prepare();
  run_on_victim(fn);
  return 0;
}

static struct child_end run_overflow(void (*entry)(void *arg)) {
  void *p;
  memcpy(&p, &entry, sizeof p);
  return child_run(overflows, p);
}

/* By the signal; a sanitizer's handler exits instead, with a report. */
static void check_death(const struct child_end *end) {
  if (COUNTS_ASAN || COUNTS_TSAN)
    CHECK(child_died(end));
  else
    CHECK(WIFSIGNALED(end->status) && WTERMSIG(end->status) == SIGSEGV);
}

static void check_overflow(const struct child_end *end) {
  check_death(end);
  if (strstr(end->output, "<overflow of the victim><its own><neighbour whole>") == NULL)
    CHECK_FAIL("the child said: %s", end->output);
  /* The checkers' own report follows. */
  if (COUNTS_ASAN) CHECK(strstr(end->output, "stack-overflow") != NULL);
  if (COUNTS_TSAN) CHECK(strstr(end->output, "ThreadSanitizer") != NULL);
}

static void a_runaway_recursion_is_named(void **state) {
  (void)state;
  struct child_end end = run_overflow(runs_away);
  check_overflow(&end);
}

static void a_large_frame_at_the_edge_is_named(void **state) {
  (void)state;
  struct child_end end = run_overflow(has_a_large_frame);
  check_overflow(&end);
}

static void *overflows_in_a_thread(void *arg) {
  (void)arg;
  if (weft__overflow_thread_init() != 0) return NULL;
  weft__context_init_thread(&thread);
  run_on_victim(runs_away);
  return NULL;
}

static int overflows_elsewhere(void *arg) {
  (void)arg;
  pthread_t other;
  prepare();
  if (pthread_create(&other, NULL, overflows_in_a_thread, NULL) == 0) pthread_join(other, NULL);
  return 0;
}

static void an_overflow_on_any_thread_is_named(void **state) {
  (void)state;
  struct child_end end = child_run(overflows_elsewhere, NULL);
  check_overflow(&end);
}

static int guards_by_mprotect(void *arg) {
  (void)arg;
  weft__stack_use_mprotect(true);
  prepare();
  run_on_victim(runs_away);
  return 0;
}

static void an_overflow_into_an_mprotect_guard_is_named(void **state) {
  (void)state;
  struct child_end end = child_run(guards_by_mprotect, NULL);
  check_overflow(&end);
}

/* ---- what does not ---- */

static int pokes_a_guard(void *arg) {
  (void)arg;
  prepare();
  *((volatile char *)victim->lo - 100) = 1;
  return 0;
}

static void a_stray_pointer_into_a_guard_is_no_overflow_of_its_stack(void **state) {
  (void)state;
  struct child_end end = child_run(pokes_a_guard, NULL);
  check_death(&end);
  CHECK(strstr(end.output, "<overflow of the victim><not its own>") != NULL);
}

static volatile int *volatile nowhere;

static int derefs_null(void *arg) {
  (void)arg;
  prepare();
  *nowhere = 1;
  return 0;
}

static void dereferences(void *arg) {
  (void)arg;
  *nowhere = 1;
  weft__context_exit(&victim->context, &thread);
}

static int derefs_null_in_a_context(void *arg) {
  (void)arg;
  prepare();
  run_on_victim(dereferences);
  return 0;
}

static void another_fault_is_not_named(void **state) {
  (void)state;
  struct child_end end = child_run(derefs_null, NULL);
  check_death(&end);
  CHECK(strstr(end.output, "<overflow") == NULL);
  end = child_run(derefs_null_in_a_context, NULL);
  check_death(&end);
  CHECK(strstr(end.output, "<overflow") == NULL);
}

static int is_sent_a_signal(void *arg) {
  prepare();
  raise(*(int *)arg);
  return 0;
}

static void a_signal_that_was_sent_kills(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    int sig = i == 0 ? SIGSEGV : SIGBUS;
    struct child_end end = child_run(is_sent_a_signal, &sig);
    CHECK(child_died(&end));
    if (!COUNTS_ASAN && !COUNTS_TSAN) CHECK(WIFSIGNALED(end.status) && WTERMSIG(end.status) == sig);
    CHECK(strstr(end.output, "<overflow") == NULL);
  }
}

/* ---- the program's own handlers ---- */

static void handles_plainly(int sig) {
  say(sig == SIGSEGV ? "<plain handler>" : "<wrong signal>");
}

static void handles_with_info(int sig, siginfo_t *info, void *context) {
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, NULL, &blocked);
  say(sig == SIGSEGV && info->si_addr != NULL && context != NULL ? "<handler with info>"
                                                                 : "<wrong arguments>");
  say(sigismember(&blocked, SIGUSR1) ? "<its mask>" : "<no mask>");
}

static int has_a_plain_handler(void *arg) {
  (void)arg;
  struct sigaction a = {.sa_handler = handles_plainly};
  sigaction(SIGSEGV, &a, NULL);
  prepare_with_handlers();
  run_on_victim(runs_away);
  return 0;
}

static int has_a_handler_with_info(void *arg) {
  (void)arg;
  struct sigaction a = {.sa_sigaction = handles_with_info, .sa_flags = SA_SIGINFO};
  sigaddset(&a.sa_mask, SIGUSR1);
  sigaction(SIGSEGV, &a, NULL);
  prepare_with_handlers();
  run_on_victim(runs_away);
  return 0;
}

static void the_programs_handler_is_called_and_the_process_dies(void **state) {
  (void)state;
  struct child_end end = child_run(has_a_plain_handler, NULL);
  CHECK(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSEGV);
  CHECK(strstr(end.output, "<its own><neighbour whole><plain handler>") != NULL);
  end = child_run(has_a_handler_with_info, NULL);
  CHECK(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSEGV);
  CHECK(strstr(end.output, "<neighbour whole><handler with info><its mask>") != NULL);
}

static void *closed_page;

static void opens_the_page(int sig, siginfo_t *info, void *context) {
  (void)sig;
  (void)context;
  if (info->si_addr == closed_page) mprotect(closed_page, 4096, PROT_READ | PROT_WRITE);
}

static int mends_its_faults(void *arg) {
  (void)arg;
  struct sigaction a = {.sa_sigaction = opens_the_page, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &a, NULL);
  prepare_with_handlers();
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  closed_page = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 3; i++) {
    mprotect(closed_page, page, PROT_NONE);
    *(volatile char *)closed_page = 1;
  }
  return 42;
}

static void a_handler_that_mends_faults_goes_on_doing_so(void **state) {
  (void)state;
  struct child_end end = child_run(mends_its_faults, NULL);
  CHECK_INT(child_exit_code(&end), 42);
}

static void uninstall_brings_back_what_was_there(void **state) {
  (void)state;
  struct sigaction before[2], now[2];
  sigaction(SIGSEGV, NULL, &before[0]);
  sigaction(SIGBUS, NULL, &before[1]);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(weft__overflow_install(hook), 0);
    sigaction(SIGSEGV, NULL, &now[0]);
    CHECK(now[0].sa_sigaction != before[0].sa_sigaction);
    weft__overflow_uninstall();
    sigaction(SIGSEGV, NULL, &now[0]);
    sigaction(SIGBUS, NULL, &now[1]);
    for (int k = 0; k < 2; k++) CHECK(now[k].sa_sigaction == before[k].sa_sigaction);
  }
}

static void a_handler_installed_later_stays(void **state) {
  (void)state;
  struct sigaction before, mine = {.sa_handler = handles_plainly}, now;
  CHECK_INT(sigaction(SIGSEGV, NULL, &before), 0);
  CHECK_INT(weft__overflow_install(hook), 0);
  CHECK_INT(sigaction(SIGSEGV, &mine, NULL), 0);
  weft__overflow_uninstall();
  CHECK_INT(sigaction(SIGSEGV, &before, &now), 0);
  CHECK(now.sa_handler == handles_plainly);
}

/* ---- alternate stacks ---- */

static void *checks_alternate_stacks(void *arg) {
  (void)arg;
  stack_t before, during, after;
  sigaltstack(NULL, &before);
  CHECK_INT(weft__overflow_thread_init(), 0);
  sigaltstack(NULL, &during);
  CHECK((during.ss_flags & SS_DISABLE) == 0);
  CHECK(during.ss_size >= 32 * KIB);
  weft__overflow_thread_fini();
  sigaltstack(NULL, &after);
  CHECK_PTR(after.ss_sp, before.ss_flags & SS_DISABLE ? after.ss_sp : before.ss_sp);
  CHECK_INT(after.ss_flags & SS_DISABLE, before.ss_flags & SS_DISABLE);

  /* One that the program has is kept. */
  static char own[256 * 1024];
  stack_t mine = {.ss_sp = own, .ss_size = sizeof own};
  sigaltstack(&mine, NULL);
  CHECK_INT(weft__overflow_thread_init(), 0);
  sigaltstack(NULL, &during);
  CHECK_PTR(during.ss_sp, own);
  weft__overflow_thread_fini();
  sigaltstack(NULL, &after);
  CHECK_PTR(after.ss_sp, own);
  sigaltstack(&before, NULL);
  return NULL;
}

static void an_alternate_stack_is_made_only_where_there_is_none(void **state) {
  (void)state;
  pthread_t other;
  assert_int_equal(pthread_create(&other, NULL, checks_alternate_stacks, NULL), 0);
  pthread_join(other, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_runaway_recursion_is_named),
    cmocka_unit_test(a_large_frame_at_the_edge_is_named),
    cmocka_unit_test(an_overflow_on_any_thread_is_named),
    cmocka_unit_test(an_overflow_into_an_mprotect_guard_is_named),
    cmocka_unit_test(a_stray_pointer_into_a_guard_is_no_overflow_of_its_stack),
    cmocka_unit_test(another_fault_is_not_named),
    cmocka_unit_test(a_signal_that_was_sent_kills),
    cmocka_unit_test(the_programs_handler_is_called_and_the_process_dies),
    cmocka_unit_test(a_handler_that_mends_faults_goes_on_doing_so),
    cmocka_unit_test(uninstall_brings_back_what_was_there),
    cmocka_unit_test(a_handler_installed_later_stays),
    cmocka_unit_test(an_alternate_stack_is_made_only_where_there_is_none),
};

int main(int argc, char **argv) {
  sigaction(SIGSEGV, NULL, &at_start[0]);
  sigaction(SIGBUS, NULL, &at_start[1]);
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
