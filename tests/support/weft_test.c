/* Main and checks of the test programs; weft_test.h says how they are used.
 *
 * Each of cmocka's tests is wrapped, so that a failure recorded by any thread while it ran becomes
 * a failure of that test on cmocka's own thread. */
#include "weft_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counts.h"

#if COUNTS_ASAN || COUNTS_TSAN
#include <sanitizer/common_interface_defs.h>
#endif

#define EXIT_SKIPPED 77

/* No seed of any test takes so long, with a sanitizer and beside other programs. */
enum { SECONDS_PER_SEED = 60 };

/* The first failed check of the running test. `failed` is set once per test by whoever wins the
 * exchange; the winner alone writes the rest, then releases `written`, which the main thread
 * acquires before it reads. A check never takes a lock: it may run on any stack. */
static struct {
  atomic_bool failed;
  atomic_bool written;
  const char *file;
  int line;
  char text[512];
} failure;

/* Written and read by cmocka's thread only. */
static size_t skipped;

struct wrapped {
  const struct CMUnitTest *test;
  void *state;
};

static int wrapped_setup(void **state) {
  struct wrapped *w = *state;
  atomic_store(&failure.written, false);
  atomic_store(&failure.failed, false);
  return w->test->setup_func ? w->test->setup_func(&w->state) : 0;
}

static int wrapped_teardown(void **state) {
  struct wrapped *w = *state;
  return w->test->teardown_func ? w->test->teardown_func(&w->state) : 0;
}

/* ---- seeds ---- */

/* The seeds to run each test with; count 0: none. */
static struct {
  unsigned long long first, count;
  char replay[4096]; /* the line that shows the running seed again; for signal handlers too */
} seeds;

static bool parse_seeds(const char *text) {
  char end;
  return sscanf(text, "%llu+%llu%c", &seeds.first, &seeds.count, &end) == 2 && seeds.count > 0;
}

static bool moves(unsigned long long seed) {
  return seed % 4 == 0;
}

static void set_seed(unsigned long long seed, const char *test) {
  static char program[2048];
  if (!program[0] && readlink("/proc/self/exe", program, sizeof program - 1) < 0) program[0] = '?';
  snprintf(seeds.replay, sizeof seeds.replay, "replay: WEFT_SEED=%llu%s %s --only %s\n", seed,
           moves(seed) ? " WEFT_MIGRATE=1" : "", program, test);
  char text[24];
  snprintf(text, sizeof text, "%llu", seed);
  setenv("WEFT_SEED", text, 1);
  if (moves(seed))
    setenv("WEFT_MIGRATE", "1", 1);
  else
    unsetenv("WEFT_MIGRATE");
}

static void write_replay(void) {
  ssize_t n = write(STDERR_FILENO, seeds.replay, strlen(seeds.replay));
  (void)n;
}

/* The process dies, by an assertion or because the seed takes for ever. */
static void on_death(int sig) {
  write_replay();
  signal(sig, SIG_DFL);
  raise(sig);
}

static void watch_for_death(void) {
  static const int signals[] = {SIGABRT, SIGALRM, SIGSEGV, SIGBUS};
#if COUNTS_ASAN || COUNTS_TSAN
  /* They have handlers of their own for a bad access. */
  size_t n = 2;
  __sanitizer_set_death_callback(write_replay);
#else
  size_t n = sizeof signals / sizeof *signals;
#endif
  struct sigaction act = {.sa_handler = on_death, .sa_flags = SA_ONSTACK};
  for (size_t i = 0; i < n; i++) sigaction(signals[i], &act, NULL);
}

/* The test under each seed, until one fails. Every fourth moves its tasks at every suspension. */
static void run_seeds(struct wrapped *w) {
  watch_for_death();
  for (unsigned long long i = 0; i < seeds.count; i++) {
    set_seed(seeds.first + i, w->test->name);
    alarm(SECONDS_PER_SEED);
    w->test->test_func(&w->state);
    if (atomic_load(&failure.failed)) {
      write_replay();
      return;
    }
  }
  alarm(0);
  print_message("%llu seeds from %llu\n", seeds.count, seeds.first);
}

static void wrapped_run(void **state) {
  struct wrapped *w = *state;
  if (seeds.count)
    run_seeds(w);
  else
    w->test->test_func(&w->state);
  if (!atomic_load(&failure.failed)) return;
  /* The winner is between its two stores for a few instructions at most. */
  while (!atomic_load_explicit(&failure.written, memory_order_acquire)) {}
  print_error("%s\n", failure.text);
  _fail(failure.file, failure.line);
}

static bool record(const char *file, int line, const char *format, va_list args) {
  if (atomic_exchange(&failure.failed, true)) return false;
  failure.file = file;
  failure.line = line;
  vsnprintf(failure.text, sizeof failure.text, format, args);
  atomic_store_explicit(&failure.written, true, memory_order_release);
  return false;
}

bool weft_test__fail(const char *file, int line, const char *format, ...) {
  va_list args;
  va_start(args, format);
  record(file, line, format, args);
  va_end(args);
  return false;
}

bool weft_test__check(bool held, const char *file, int line, const char *text) {
  return held || weft_test__fail(file, line, "does not hold: %s", text);
}

bool weft_test__check_int(intmax_t got, intmax_t want, const char *file, int line,
                          const char *text) {
  return got == want || weft_test__fail(file, line, "%s is %jd, expected %jd", text, got, want);
}

bool weft_test__check_uint(uintmax_t got, uintmax_t want, const char *file, int line,
                           const char *text) {
  return got == want || weft_test__fail(file, line, "%s is %ju, expected %ju", text, got, want);
}

bool weft_test__check_ptr(const void *got, const void *want, const char *file, int line,
                          const char *text) {
  return got == want || weft_test__fail(file, line, "%s is %p, expected %p", text, got, want);
}

bool weft_test__check_str(const char *got, const char *want, const char *file, int line,
                          const char *text) {
  if (got == want || (got && want && strcmp(got, want) == 0)) return true;
  return weft_test__fail(file, line, "%s is \"%s\", expected \"%s\"", text, got ? got : "(null)",
                         want ? want : "(null)");
}

bool weft_test_failed(void) {
  return atomic_load(&failure.failed);
}

void weft_test__skip(const char *file, int line, const char *reason) {
  print_message("skipped: %s\n", reason);
  skipped++;
  _skip(file, line);
  abort(); /* not reached: _skip jumps back to cmocka */
}

static int run(const char *group, const struct CMUnitTest *tests, size_t n) {
  struct CMUnitTest *wrapping = calloc(n, sizeof *wrapping);
  struct wrapped *wraps = calloc(n, sizeof *wraps);
  int failures = 1;
  if (wrapping && wraps) {
    for (size_t i = 0; i < n; i++) {
      wraps[i] = (struct wrapped){.test = &tests[i], .state = tests[i].initial_state};
      wrapping[i] = (struct CMUnitTest){.name = tests[i].name,
                                        .test_func = wrapped_run,
                                        .setup_func = wrapped_setup,
                                        .teardown_func = wrapped_teardown,
                                        .initial_state = &wraps[i]};
    }
    failures = _cmocka_run_group_tests(group, wrapping, n, NULL, NULL);
  }
  free(wraps);
  free(wrapping);
  if (failures != 0) return EXIT_FAILURE;
  return skipped == n ? EXIT_SKIPPED : EXIT_SUCCESS;
}

/* All but those that are named. */
static int run_except(const char *group, const struct CMUnitTest *tests, size_t n, char **names,
                      int n_names) {
  struct CMUnitTest *rest = calloc(n, sizeof *rest);
  size_t kept = 0;
  if (!rest) return EXIT_FAILURE;
  for (size_t i = 0; i < n; i++) {
    bool named = false;
    for (int k = 0; k < n_names; k++) named |= strcmp(names[k], tests[i].name) == 0;
    if (!named) rest[kept++] = tests[i];
  }
  int status = EXIT_FAILURE;
  if (kept == n - (size_t)n_names)
    status = run(group, rest, kept);
  else
    fprintf(stderr, "%s: one of the names after --except is no test\n", group);
  free(rest);
  return status;
}

int weft_test_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n) {
  const char *slash = strrchr(argv[0], '/');
  const char *program = slash ? slash + 1 : argv[0];
  const char *given = getenv("WEFT_TEST_SEEDS");
  if (argc == 5 && strcmp(argv[1], "--only") == 0 && strcmp(argv[3], "--seeds") == 0) {
    if (!given || !*given) given = argv[4];
    argc = 3;
  }
  if (given && *given && !parse_seeds(given)) {
    fprintf(stderr, "%s: the seeds are not FIRST+COUNT\n", program);
    return EXIT_FAILURE;
  }
  if (argc == 1) return run(program, tests, n);
  if (argc == 2 && strcmp(argv[1], "--list") == 0) {
    for (size_t i = 0; i < n; i++) puts(tests[i].name);
    return EXIT_SUCCESS;
  }
  if (argc == 3 && strcmp(argv[1], "--only") == 0) {
    for (size_t i = 0; i < n; i++)
      if (strcmp(argv[2], tests[i].name) == 0) return run(program, &tests[i], 1);
    fprintf(stderr, "%s: no test named %s\n", program, argv[2]);
    return EXIT_FAILURE;
  }
  if (argc >= 3 && strcmp(argv[1], "--except") == 0)
    return run_except(program, tests, n, argv + 2, argc - 2);
  fprintf(stderr,
          "usage: %s [--list | --only NAME [--seeds FIRST+COUNT] | --except NAME...]\n", program);
  return EXIT_FAILURE;
}
