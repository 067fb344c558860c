/* What debuggers and memory and race checkers see of contexts: frames down to the entry function;
 * errors on a context's stack, and nothing that is none. */
#include "base/context.h"

#include <execinfo.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "counts.h"
#include "side.h"
#include "weft_test.h"

#if COUNTS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/* ---- debuggers ---- */

static void *frames[64];
static int n_frames;

static void takes_a_backtrace(struct side *side) {
  (void)side;
  n_frames = backtrace(frames, 64);
}

static void a_backtrace_ends_at_the_first_frame(void **state) {
  (void)state;
  struct side side;
  open_pool();
  side_init(&side, 0, takes_a_backtrace);
  resume(&side);
  /* body, entry, the first frame, and one or two of the checkers'. */
  CHECK(n_frames >= 2 && n_frames <= 8);
  side_fini(&side);
  close_pool();
}

/* Global, so that the debugger finds them. */
struct weft__context_place suspended_place;
void suspended_body(struct side *side);
void suspended_leaf(struct side *side);
void debugger_stops_here(void);

__attribute__((noinline)) void debugger_stops_here(void) {
  __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void suspended_leaf(struct side *side) {
  suspend(side);
  __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void suspended_body(struct side *side) {
  suspended_leaf(side);
  suspended_leaf(side);
}

/* What the debugger is run on, below; and a test of its own. */
static void a_suspended_context_tells_where_it_is(void **state) {
  (void)state;
  struct side side;
  open_pool();
  side_init(&side, 0, suspended_body);
  resume(&side);
  weft__context_where(&side.stack->context, &suspended_place);
  CHECK((char *)suspended_place.sp > (char *)side.stack->lo);
  CHECK((char *)suspended_place.sp < (char *)side.stack->lo + side.stack->size);
#if WEFT__SWITCH_ASM
  CHECK(suspended_place.pc != NULL);
#endif
  debugger_stops_here();
  resume(&side);
  resume(&side);
  CHECK(side.ended);
  side_fini(&side);
  close_pool();
}

#if WEFT__SWITCH_ASM
/* Runs this program's test above under gdb, which gets the commands in a file without a name. */
static int run_gdb(void *commands) {
  static char self[4096];
  char script[64];
  int fd = memfd_create("gdb", 0);
  if (fd < 0 || readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 1;
  size_t len = strlen(commands);
  if (write(fd, commands, len) != (ssize_t)len) return 1;
  snprintf(script, sizeof script, "/proc/%d/fd/%d", (int)getpid(), fd);
  execlp("gdb", "gdb", "-batch", "-nx", "-x", script, "--args", self, "--only",
         "a_suspended_context_tells_where_it_is", (char *)NULL);
  return 77;
}

static struct child_end gdb(const char *commands) {
  if (WEFT_TEST_EMULATED) weft_test_skip("the debugger would see the emulator");
  struct child_end end = child_run(run_gdb, (void *)(uintptr_t)commands);
  if (child_exit_code(&end) == 77) weft_test_skip("gdb is not installed");
  return end;
}

/* LeakSanitizer cannot work under a debugger: each session ends by killing its target. */
#define GDB_BEGIN                                                                                  \
  "set confirm off\nset width 0\nset filename-display basename\nset debuginfod enabled off\n"

#if defined(__x86_64__)
#define REGISTERS "$rsp", "$rbp", "$rip"
#else
#define REGISTERS "$sp", "$x29", "$pc"
#endif

static void a_debugger_walks_a_suspended_context_to_its_body(void **state) {
  (void)state;
  static const char *const registers[] = {REGISTERS};
  char commands[1000];
  snprintf(commands, sizeof commands,
           GDB_BEGIN "break debugger_stops_here\nrun\n"
                     "set var %s = (unsigned long)suspended_place.sp\n"
                     "set var %s = (unsigned long)suspended_place.fp\n"
                     "set var %s = (unsigned long)suspended_place.pc\n"
                     "echo <backtrace>\\n\nbacktrace 30\necho <end>\\n\nkill\n",
           registers[0], registers[1], registers[2]);
  struct child_end end = gdb(commands);
  char *bt = strstr(end.output, "<backtrace>");
  char *stop = bt != NULL ? strstr(bt, "<end>") : NULL;
  if (stop == NULL) {
    CHECK_FAIL("gdb said: %s", end.output);
    return;
  }
  *stop = '\0';
  bool right = strstr(bt, "suspended_leaf") != NULL && strstr(bt, "suspended_body") != NULL &&
               strstr(bt, "side_entry") != NULL && strstr(bt, "context_bottom") != NULL &&
               strstr(bt, " main (") == NULL && strstr(bt, "stopped") == NULL &&
               strstr(bt, "??") == NULL;
  if (!right) CHECK_FAIL("gdb said: %s", bt);
}

/* Enough for the switch and the first instructions after it. */
#define STEPS "28"
#define GDB_STEPS "set $i = 0\nwhile $i < " STEPS "\nbacktrace -1\nstepi\nset $i = $i + 1\nend\n"

static void a_debugger_unwinds_at_every_instruction_of_the_switch(void **state) {
  (void)state;
  /* From the thread to a context that begins, and back. */
  struct child_end end =
      gdb(GDB_BEGIN "break weft__context_swap\nrun\n" GDB_STEPS "continue\n" GDB_STEPS "kill\n");
  int of_thread = 0, of_context = 0, frames_seen = 0;
  for (char *line = strtok(end.output, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    if (line[0] != '#') continue;
    frames_seen++;
    if (strstr(line, " _start ") != NULL || strstr(line, " main ") != NULL)
      of_thread++;
    else if (strstr(line, "context_bottom") != NULL)
      of_context++;
    else
      CHECK_FAIL("the outermost frame is %s", line);
  }
  CHECK_INT(frames_seen, 2 * atoi(STEPS));
  CHECK(of_thread >= 20);
  CHECK(of_context >= 20);
}
#endif

/* ---- checkers: errors must be found on a context's stack, and nothing that is none ---- */

#if COUNTS_ASAN
static int run_one(void *body) {
  struct side side;
  open_pool();
  memcpy(&side.body, &body, sizeof body);
  side_init(&side, 0, side.body);
  while (!side.ended) resume(&side);
  side_fini(&side);
  close_pool();
  return 0;
}

static struct child_end run_body(void (*body)(struct side *side)) {
  void *arg;
  memcpy(&arg, &body, sizeof arg);
  return child_run(run_one, arg);
}

static void writes_past_an_array(struct side *side) {
  char text[16];
  volatile char *p = text;
  __asm__ volatile("" : "+r"(p));
  suspend(side);
  p[16] = 1;
}

static volatile int *escaped;

static __attribute__((noinline)) void lets_a_local_escape(void) {
  volatile int local = 3;
  escaped = &local;
}

static void uses_a_dead_local(struct side *side) {
  lets_a_local_escape();
  suspend(side);
  *escaped = 4;
}

static void asan_finds_errors_on_a_context(void **state) {
  (void)state;
  struct child_end end = run_body(writes_past_an_array);
  CHECK(strstr(end.output, "stack-buffer-overflow") != NULL);
  CHECK(strstr(end.output, "writes_past_an_array") != NULL);
  end = run_body(uses_a_dead_local);
  CHECK(strstr(end.output, "stack-use-after-return") != NULL);
}

static void does_nothing(struct side *side) {
  (void)side;
}

/* A frame that is never left, once per context, must not use up the fake stack: with locals back on
 * the real one, the checks above would find nothing any more. */
static void the_fake_stack_serves_one_context_after_another(void **state) {
  (void)state;
  struct side side;
  open_pool();
  side_init(&side, 0, does_nothing);
  const char *lo = side.stack->lo, *hi = lo + side.stack->size;
  bool fake = true;
  for (int i = 0; i < 10000 && fake; i++) {
    weft__context_reset(&side.stack->context, side.stack->lo, side.stack->size, side_entry, &side);
    resume(&side);
    const char *local = (const char *)(uintptr_t)escape;
    fake = local < lo || local >= hi;
  }
  side_fini(&side);
  close_pool();
  CHECK(fake);
}

/* Overwrites what calls have left below the caller's frame. */
static __attribute__((noinline)) void scrub(void) {
  char space[32768];
  memset(space, 0, sizeof space);
  __asm__ volatile("" : : "r"(space) : "memory");
}

static __attribute__((noinline)) void allocate(void **ret, size_t size) {
  *ret = malloc(size);
}

/* The only pointer is in a local whose address is taken: ASan moves it to its fake stack. */
static void keeps_a_pointer_in_memory(struct side *side) {
  void *p;
  allocate(&p, 123);
  scrub();
  suspend(side);
  free(p);
}

/* The only pointer is in a register, which the switch saves on the stack. */
static void keeps_a_pointer_in_a_register(struct side *side) {
  void *p = malloc(321);
  scrub();
  suspend(side);
  free(p);
}

static int leaks_nothing_while_suspended(void *arg) {
  (void)arg;
  static struct side a, b;
  open_pool();
  side_init(&a, 0, keeps_a_pointer_in_memory);
  side_init(&b, 0, keeps_a_pointer_in_a_register);
  resume(&a);
  resume(&b);
  scrub();
  return __lsan_do_recoverable_leak_check() == 0 ? 0 : 5;
}

/* Several, as a copy of the last one may linger in a register. */
static void drops_pointers(struct side *side) {
  void *p;
  for (int i = 0; i < 10; i++) allocate(&p, 77);
  suspend(side);
  p = NULL;
  __asm__ volatile("" : : "r"(&p) : "memory");
  scrub();
  suspend(side);
}

static int leaks_from_a_context(void *arg) {
  (void)arg;
  static struct side a;
  open_pool();
  side_init(&a, 0, drops_pointers);
  resume(&a);
  resume(&a);
  scrub();
  return __lsan_do_recoverable_leak_check() != 0 ? 0 : 5;
}

static void lsan_sees_what_suspended_contexts_hold(void **state) {
  (void)state;
  struct child_end end = child_run(leaks_nothing_while_suspended, NULL);
  if (child_exit_code(&end) != 0) CHECK_FAIL("reported: %s", end.output);
  end = child_run(leaks_from_a_context, NULL);
  if (child_exit_code(&end) != 0) CHECK_FAIL("not reported: %s", end.output);
}
#endif

#if COUNTS_TSAN
static volatile int raced;

static void writes_alone(struct side *side) {
  for (int i = 0; i < 1000; i++) {
    raced++;
    suspend(side);
  }
}

static void *runs_writer(void *arg) {
  struct side *side = arg;
  weft__context_init_thread(&side->thread);
  while (!side->ended) resume(side);
  weft__context_fini(&side->thread);
  return NULL;
}

static int races(void *arg) {
  (void)arg;
  static struct side sides[2];
  pthread_t threads[2];
  open_pool();
  for (int i = 0; i < 2; i++) side_init(&sides[i], 0, writes_alone);
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, runs_writer, &sides[i]);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  return 0;
}

static void tsan_finds_a_race_between_contexts(void **state) {
  (void)state;
  struct child_end end = child_run(races, NULL);
  CHECK(child_exit_code(&end) != 0);
  CHECK(strstr(end.output, "data race") != NULL);
  CHECK(strstr(end.output, "writes_alone") != NULL);
  CHECK(strstr(end.output, "side_entry") != NULL);
}
#endif

#if COUNTS_TSAN && WEFT__SWITCH_ASM
static __attribute__((noinline)) void exits_deep(struct side *side) {
  weft__context_exit(&side->stack->context, &side->thread);
}

static int runs_into_a_deep_exit(void *arg) {
  (void)arg;
  static struct side side;
  open_pool();
  side_init(&side, 0, exits_deep);
  resume(&side);
  return 0;
}

static void an_exit_below_the_entry_function_aborts(void **state) {
  (void)state;
  struct child_end end = child_run(runs_into_a_deep_exit, NULL);
  CHECK(child_died(&end));
  CHECK(strstr(end.output, "exits_from_entry") != NULL);
}
#endif

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_backtrace_ends_at_the_first_frame),
    cmocka_unit_test(a_suspended_context_tells_where_it_is),
#if WEFT__SWITCH_ASM
    cmocka_unit_test(a_debugger_walks_a_suspended_context_to_its_body),
    cmocka_unit_test(a_debugger_unwinds_at_every_instruction_of_the_switch),
#endif
#if COUNTS_ASAN
    cmocka_unit_test(asan_finds_errors_on_a_context),
    cmocka_unit_test(the_fake_stack_serves_one_context_after_another),
    cmocka_unit_test(lsan_sees_what_suspended_contexts_hold),
#endif
#if COUNTS_TSAN
    cmocka_unit_test(tsan_finds_a_race_between_contexts),
#if WEFT__SWITCH_ASM
    cmocka_unit_test(an_exit_below_the_entry_function_aborts),
#endif
#endif
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
