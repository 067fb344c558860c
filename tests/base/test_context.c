/* The context switch: what it keeps, and where contexts may run. Debuggers and checkers:
 * test_context_tools.c. */
#include "base/context.h"

#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "counts.h"
#include "side.h"
#include "weft_test.h"

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
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
