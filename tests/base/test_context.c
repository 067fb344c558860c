/* The context switch: what it keeps, where contexts may run, and what debuggers and checkers see. */
#include "base/context.h"

#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/stack.h"
#include "child.h"
#include "counts.h"
#include "weft_test.h"

#if COUNTS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/* A context on a stack of its own that switches to and fro with the thread. */
struct side {
  weft__context thread;
  struct weft__stack *stack;
  void (*body)(struct side *side);
  void *data;
  bool ended;
};

static struct weft__stack_pool pool;
static struct weft__stack_cache cache;

static void open_pool(void) {
  assert_int_equal(weft__stack_pool_init(&pool, 0), 0);
  weft__stack_cache_init(&cache, &pool);
}

static void close_pool(void) {
  weft__stack_cache_fini(&cache);
  weft__stack_pool_fini(&pool);
}

static _Thread_local struct side *volatile *escape;

/* Has a local that ASan puts on the fake stack, in a frame that is never left. */
static void side_entry(void *arg) {
  struct side *volatile local = arg;
  escape = &local;
  struct side *side = local;
  side->body(side);
  side->ended = true;
  weft__context_exit(&side->stack->context, &side->thread);
}

static void side_init(struct side *side, size_t size, void (*body)(struct side *side)) {
  side->body = body;
  side->ended = false;
  assert_int_equal(weft__stack_get(&cache, size, &side->stack), 0);
  weft__context_init_thread(&side->thread);
  weft__context_reset(&side->stack->context, side->stack->lo, side->stack->size, side_entry, side);
}

static void side_fini(struct side *side) {
  weft__context_fini(&side->thread);
  weft__stack_put(&cache, side->stack);
}

static void resume(struct side *side) {
  weft__context_switch(&side->thread, &side->stack->context);
}

static void suspend(struct side *side) {
  weft__context_switch(&side->stack->context, &side->thread);
}

/* ---- registers ---- */

/* bool keeps_registers(uintptr_t seed, void (*fn)(void *), void *arg): fills every callee-saved
 * register with values made of seed, calls fn(arg), and says whether they are the same. */
bool keeps_registers(uintptr_t seed, void (*fn)(void *arg), void *arg);

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl keeps_registers\n"
        ".type keeps_registers, @function\n"
        "keeps_registers:\n"
        "  endbr64\n"
        "  push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; push %rdi\n"
        "  lea 1(%rdi), %rbx; lea 2(%rdi), %r12; lea 3(%rdi), %r13\n"
        "  lea 4(%rdi), %r14; lea 5(%rdi), %r15; lea 6(%rdi), %rbp\n"
        "  mov %rdx, %rdi\n"
        "  call *%rsi\n"
        "  pop %rdi\n"
        "  lea 1(%rdi), %rcx; xor %rbx, %rcx; mov %rcx, %rax\n"
        "  lea 2(%rdi), %rcx; xor %r12, %rcx; or %rcx, %rax\n"
        "  lea 3(%rdi), %rcx; xor %r13, %rcx; or %rcx, %rax\n"
        "  lea 4(%rdi), %rcx; xor %r14, %rcx; or %rcx, %rax\n"
        "  lea 5(%rdi), %rcx; xor %r15, %rcx; or %rcx, %rax\n"
        "  lea 6(%rdi), %rcx; xor %rbp, %rcx; or %rcx, %rax\n"
        "  sete %al; movzbl %al, %eax\n"
        "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
        "  ret\n"
        ".size keeps_registers, .-keeps_registers\n");
#define HAVE_KEEPS_REGISTERS 1
#elif defined(__aarch64__)
#define EACH(X)                                                                                    \
  X("19", "1")                                                                                     \
  X("20", "2")                                                                                     \
  X("21", "3")                                                                                     \
  X("22", "4") X("23", "5") X("24", "6") X("25", "7") X("26", "8") X("27", "9") X("28", "10")
#define EACH_FP(X) X("8") X("9") X("10") X("11") X("12") X("13") X("14") X("15")
#define SET(r, n) "  add x" r ", x0, #" n "\n"
#define SET_FP(r) "  add x9, x0, #" r "\n  fmov d" r ", x9\n"
#define TEST(r, n) "  add x9, x10, #" n "\n  eor x9, x9, x" r "\n  orr x0, x0, x9\n"
#define TEST_FP(r)                                                                                 \
  "  add x9, x10, #" r "\n  fmov x11, d" r "\n  eor x9, x9, x11\n  orr x0, x0, x9\n"
__asm__(".text\n"
        ".globl keeps_registers\n"
        ".type keeps_registers, %function\n"
        "keeps_registers:\n"
        "  hint 34\n"
        "  stp x29, x30, [sp, -176]!\n"
        "  stp x19, x20, [sp, 16]; stp x21, x22, [sp, 32]; stp x23, x24, [sp, 48]\n"
        "  stp x25, x26, [sp, 64]; stp x27, x28, [sp, 80]; stp d8, d9, [sp, 96]\n"
        "  stp d10, d11, [sp, 112]; stp d12, d13, [sp, 128]; stp d14, d15, [sp, 144]\n"
        "  str x0, [sp, 160]\n" EACH(SET)
            EACH_FP(SET_FP) "  mov x9, x1; mov x0, x2; blr x9\n"
                            "  ldr x10, [sp, 160]; mov x0, #0\n" EACH(TEST)
                                EACH_FP(TEST_FP) "  cmp x0, #0; cset w0, eq\n"
                                                 "  ldp x19, x20, [sp, 16]; ldp x21, x22, [sp, "
                                                 "32]; ldp x23, x24, [sp, 48]\n"
                                                 "  ldp x25, x26, [sp, 64]; ldp x27, x28, [sp, "
                                                 "80]; ldp d8, d9, [sp, 96]\n"
                                                 "  ldp d10, d11, [sp, 112]; ldp d12, d13, [sp, "
                                                 "128]; ldp d14, d15, [sp, 144]\n"
                                                 "  ldp x29, x30, [sp], 176\n"
                                                 "  ret\n"
                                                 ".size keeps_registers, .-keeps_registers\n");
#define HAVE_KEEPS_REGISTERS 1
#else
#define HAVE_KEEPS_REGISTERS 0
#endif

#if HAVE_KEEPS_REGISTERS
static void resume_void(void *side) {
  resume(side);
}

static void suspend_void(void *side) {
  suspend(side);
}

static void checks_registers(struct side *side) {
  for (uintptr_t i = 0; i < 100; i++) CHECK(keeps_registers(i * 1000 + 7, suspend_void, side));
}

static void a_switch_keeps_the_callee_saved_registers(void **state) {
  (void)state;
  struct side side;
  open_pool();
  side_init(&side, 0, checks_registers);
  for (uintptr_t i = 0; !side.ended; i++)
    CHECK(keeps_registers(i * 70000 + 13, resume_void, &side));
  side_fini(&side);
  close_pool();
}
#endif

/* ---- floating point ---- */

/* Not folded by the compiler, and not moved across a call. */
static volatile double one = 1, three = 3;

static __attribute__((noinline)) double third(void) {
  double r = one / three;
  __asm__ volatile("" : : "g"(&r) : "memory");
  return r;
}

/* valgrind computes with the default rounding whatever the mode; then only the mode is checked. */
static bool mode_matters(void) {
  double nearest = third();
  CHECK_INT(fesetround(FE_UPWARD), 0);
  double up = third();
  CHECK_INT(fesetround(FE_TONEAREST), 0);
  return up > nearest;
}

static void rounds_up(struct side *side) {
  const bool *matters = side->data;
  CHECK_INT(fegetround(), FE_TONEAREST);
  double nearest = third();
  CHECK_INT(fesetround(FE_UPWARD), 0);
  for (int i = 0; i < 3; i++) {
    double up = third();
    CHECK(up > nearest || !*matters);
    suspend(side);
    CHECK_INT(fegetround(), FE_UPWARD);
  }
  CHECK_INT(fesetround(FE_TONEAREST), 0);
  suspend(side);
  CHECK_INT(fegetround(), FE_TONEAREST);
}

static void the_rounding_mode_belongs_to_the_context(void **state) {
  (void)state;
  bool matters = mode_matters();
  struct side up = {.data = &matters}, other = {.data = &matters};
  open_pool();
  side_init(&up, 0, rounds_up);
  double nearest = third();
  while (!up.ended) {
    resume(&up);
    CHECK_INT(fegetround(), FE_TONEAREST);
    CHECK(third() == nearest);
  }
  /* The thread's own is kept as well, and new contexts begin with the default. */
  CHECK_INT(fesetround(FE_DOWNWARD), 0);
  weft__context_capture_fp();
  CHECK_INT(fesetround(FE_TONEAREST), 0);
  weft__context_capture_fp();
  side_init(&other, 0, rounds_up);
  if (WEFT__SWITCH_ASM) CHECK_INT(fesetround(FE_DOWNWARD), 0);
  while (!other.ended) {
    resume(&other);
    if (WEFT__SWITCH_ASM) CHECK_INT(fegetround(), FE_DOWNWARD);
  }
  CHECK_INT(fesetround(FE_TONEAREST), 0);
  side_fini(&up);
  side_fini(&other);
  close_pool();
}

static void ends_rounding_down(struct side *side) {
  (void)side;
  CHECK_INT(fesetround(FE_DOWNWARD), 0);
}

static void a_context_that_ends_takes_its_rounding_mode_along(void **state) {
  (void)state;
  struct side side;
  open_pool();
  for (int i = 0; i < 2; i++) {
    side_init(&side, 0, ends_rounding_down);
    resume(&side);
    CHECK(side.ended);
    CHECK_INT(fegetround(), FE_TONEAREST);
    side_fini(&side);
  }
  close_pool();
}

static void rounds_down_from_the_start(struct side *side) {
  CHECK_INT(fegetround(), FE_DOWNWARD);
  suspend(side);
  CHECK_INT(fegetround(), FE_DOWNWARD);
}

static void new_contexts_begin_with_the_captured_mode(void **state) {
  (void)state;
  struct side side;
  open_pool();
  CHECK_INT(fesetround(FE_DOWNWARD), 0);
  weft__context_capture_fp();
  side_init(&side, 0, rounds_down_from_the_start);
  while (!side.ended) {
    resume(&side);
    CHECK_INT(fegetround(), FE_DOWNWARD);
  }
  CHECK_INT(fesetround(FE_TONEAREST), 0);
  weft__context_capture_fp();
  side_fini(&side);
  close_pool();
}

#if defined(__x86_64__)
static void flushes_to_zero(struct side *side) {
  for (int i = 0; i < 3; i++) {
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    suspend(side);
  }
}

static void mxcsr_of_one_context_is_never_seen_by_another(void **state) {
  (void)state;
  struct side side;
  open_pool();
  side_init(&side, 0, flushes_to_zero);
  while (!side.ended) {
    resume(&side);
    CHECK_UINT(_MM_GET_FLUSH_ZERO_MODE(), _MM_FLUSH_ZERO_OFF);
  }
  side_fini(&side);
  close_pool();
}
#endif

/* ---- running ---- */

static void counts_down(struct side *side) {
  for (int *left = side->data; *left > 0; --*left) suspend(side);
}

static void a_million_switches(void **state) {
  (void)state;
  struct side side;
  open_pool();
  int left = COUNTS_PICK(500000, 200000, 50000);
  side.data = &left;
  side_init(&side, 0, counts_down);
  int resumes = 0;
  for (; !side.ended; resumes++) resume(&side);
  CHECK_INT(resumes, COUNTS_PICK(500000, 200000, 50000) + 1);
  side_fini(&side);
  close_pool();
}

/* Each level holds values across the switches that the deepest one makes. */
static __attribute__((noinline)) unsigned long descend(struct side *side, unsigned depth) {
  unsigned long here[4] = {depth, depth * 3UL, depth * 5UL, depth * 7UL};
  __asm__ volatile("" : : "r"(here) : "memory");
  if (depth == 0) {
    for (int i = 0; i < 10; i++) suspend(side);
    return 0;
  }
  unsigned long below = descend(side, depth - 1);
  __asm__ volatile("" : : "r"(here) : "memory");
  return below + here[0] + here[1] + here[2] + here[3];
}

enum { DEPTH = 20000 };

static void recurses(struct side *side) {
  unsigned long sum = descend(side, DEPTH);
  CHECK_UINT(sum, 16UL * DEPTH * (DEPTH + 1) / 2);
}

static void deep_recursion_survives_switches(void **state) {
  (void)state;
  struct side side;
  open_pool();
  side_init(&side, (size_t)4 << 20, recurses);
  while (!side.ended) resume(&side);
  side_fini(&side);
  close_pool();
}

static void adds_once_per_turn(struct side *side) {
  unsigned long mine = 0;
  for (int i = 0; i < 100; i++) {
    mine += (uintptr_t)side;
    suspend(side);
  }
  CHECK_UINT(mine, 100 * (uintptr_t)side);
}

static void many_contexts_take_turns(void **state) {
  (void)state;
  enum { SIDES = 200 };
  static struct side sides[SIDES];
  open_pool();
  for (int i = 0; i < SIDES; i++) side_init(&sides[i], 0, adds_once_per_turn);
  for (int turn = 0; turn <= 100; turn++)
    for (int i = 0; i < SIDES; i++) resume(&sides[(i * 7) % SIDES]);
  for (int i = 0; i < SIDES; i++) {
    CHECK(sides[i].ended);
    side_fini(&sides[i]);
  }
  close_pool();
}

/* Leaves something on the stack that would disturb the next context there if the tools remembered
 * it: red zones, entries of call stacks. */
static void dirties_its_stack(struct side *side) {
  char text[300];
  memset(text, 'x', sizeof text);
  __asm__ volatile("" : : "r"(text) : "memory");
  suspend(side);
  CHECK_INT(text[299], 'x');
}

static void a_stack_serves_one_context_after_another(void **state) {
  (void)state;
  struct side side;
  open_pool();
  side_init(&side, 0, dirties_its_stack);
  for (int i = 0; i < COUNTS_PICK(1000000, 100000, 100000); i++) {
    side.ended = false;
    weft__context_reset(&side.stack->context, side.stack->lo, side.stack->size, side_entry, &side);
    resume(&side);
    resume(&side);
    if (!CHECK(side.ended)) return;
  }
  side_fini(&side);
  close_pool();
}

static void a_context_may_lie_on_any_memory(void **state) {
  (void)state;
  struct side side = {.body = counts_down};
  struct weft__stack fake = {.size = (size_t)64 << 10};
  int left = 3;
  side.data = &left;
  fake.lo = malloc(fake.size);
  side.stack = &fake;
  weft__context_init_thread(&side.thread);
  weft__context_init(&fake.context, fake.lo, fake.size, side_entry, &side);
  while (!side.ended) resume(&side);
  CHECK_INT(left, 0);
  weft__context_fini(&fake.context);
  weft__context_fini(&side.thread);
  free(fake.lo);
}

/* ---- threads ---- */

struct relay {
  struct side side;
  pthread_t thread_of_turn;
  int turns;
};

static void runs_wherever(struct side *side) {
  struct relay *relay = side->data;
  volatile int local = 0;
  for (int i = 0; i < 100; i++) {
    local++;
    relay->turns++;
    CHECK(pthread_equal(pthread_self(), relay->thread_of_turn));
    suspend(side);
  }
  CHECK_INT(local, 100);
}

static void *takes_a_turn(void *arg) {
  struct relay *relay = arg;
  weft__context_init_thread(&relay->side.thread);
  relay->thread_of_turn = pthread_self();
  resume(&relay->side);
  weft__context_fini(&relay->side.thread);
  return NULL;
}

static void a_context_goes_on_where_it_is_resumed(void **state) {
  (void)state;
  struct relay relay = {.side.data = &relay};
  open_pool();
  side_init(&relay.side, 0, runs_wherever);
  weft__context_fini(&relay.side.thread);
  int turns = 0;
  for (; !relay.side.ended; turns++) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, takes_a_turn, &relay), 0);
    pthread_join(thread, NULL);
  }
  CHECK_INT(turns, 101);
  CHECK_INT(relay.turns, 100);
  weft__stack_put(&cache, relay.side.stack);
  close_pool();
}

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

static const struct CMUnitTest tests[] = {
#if HAVE_KEEPS_REGISTERS
    cmocka_unit_test(a_switch_keeps_the_callee_saved_registers),
#endif
    cmocka_unit_test(the_rounding_mode_belongs_to_the_context),
    cmocka_unit_test(a_context_that_ends_takes_its_rounding_mode_along),
    cmocka_unit_test(new_contexts_begin_with_the_captured_mode),
#if defined(__x86_64__)
    cmocka_unit_test(mxcsr_of_one_context_is_never_seen_by_another),
#endif
    cmocka_unit_test(a_million_switches),
    cmocka_unit_test(deep_recursion_survives_switches),
    cmocka_unit_test(many_contexts_take_turns),
    cmocka_unit_test(a_stack_serves_one_context_after_another),
    cmocka_unit_test(a_context_may_lie_on_any_memory),
    cmocka_unit_test(a_context_goes_on_where_it_is_resumed),
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
#endif
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
