/* Decisions: reproducible from a seed, fair, and taken over by a hook. */
#include "weft_test.h"

#include <stdlib.h>
#include <weft/errors.h>

#include "base/choice.h"
#include "base/sys.h"

static void one_seed_gives_one_sequence(void **state) {
  (void)state;
  struct weft__rng a, b, other_seed, other_stream;
  weft__rng_init(&a, 42, 3);
  weft__rng_init(&b, 42, 3);
  weft__rng_init(&other_seed, 43, 3);
  weft__rng_init(&other_stream, 42, 4);
  int same_seed = 0, same_stream = 0;
  for (int i = 0; i < 1000; i++) {
    uint32_t x = weft__choose(&a, 1000000);
    CHECK_UINT(weft__choose(&b, 1000000), x);
    same_seed += weft__choose(&other_seed, 1000000) == x;
    same_stream += weft__choose(&other_stream, 1000000) == x;
  }
  CHECK(same_seed < 5);
  CHECK(same_stream < 5);
}

static void streams_of_one_seed_do_not_overlap(void **state) {
  (void)state;
  /* Neighbouring streams of a counter-based generator could be the same sequence, shifted. */
  enum { STREAMS = 64, LENGTH = 64 };
  static uint64_t seen[STREAMS * LENGTH];
  size_t n = 0;
  for (uint64_t s = 0; s < STREAMS; s++) {
    struct weft__rng rng;
    weft__rng_init(&rng, 0, s);
    for (int i = 0; i < LENGTH; i++) seen[n++] = weft__rng_next(&rng);
  }
  for (size_t i = 0; i < n; i++) {
    for (size_t j = i + 1; j < n; j++) {
      if (seen[i] == seen[j]) {
        CHECK_FAIL("value %zu comes again at %zu", i, j);
        return;
      }
    }
  }
}

static void choices_are_below_n_and_evenly_spread(void **state) {
  (void)state;
  struct weft__rng rng;
  weft__rng_init(&rng, 7, 0);
  for (uint32_t n = 2; n <= 9; n++) {
    enum { DRAWS = 90000 };
    unsigned count[9] = {0};
    for (int i = 0; i < DRAWS; i++) {
      uint32_t x = weft__choose(&rng, n);
      if (!CHECK(x < n)) return;
      count[x]++;
    }
    /* Six standard deviations of a binomial count: a fair generator fails once in 10^8 runs, and
     * this one runs from a fixed seed. */
    double mean = (double)DRAWS / n;
    for (uint32_t x = 0; x < n; x++) {
      double off = (double)count[x] - mean;
      CHECK(off * off < 36 * mean);
    }
  }
  CHECK(weft__choose(&rng, UINT32_MAX) < UINT32_MAX);
}

struct script {
  uint32_t last_n;
  int calls;
};

static uint32_t scripted(void *arg, struct weft__rng *rng, uint32_t n) {
  struct script *s = arg;
  (void)rng;
  s->last_n = n;
  s->calls++;
  return n - 1;
}

static void a_hook_takes_every_real_decision(void **state) {
  (void)state;
  struct script script = {0};
  struct weft__rng rng;
  weft__rng_init(&rng, 1, 1);
  uint64_t before = rng.state;
  weft__choice_set_hook(scripted, &script);
  CHECK_UINT(weft__choose(&rng, 10), 9);
  CHECK_UINT(script.last_n, 10);
  CHECK_UINT(weft__choose(&rng, 1), 0);
  CHECK_INT(script.calls, 1);
  CHECK_UINT(rng.state, before);
  weft__choice_set_hook(NULL, NULL);
  weft__choose(&rng, 10);
  CHECK_INT(script.calls, 1);
  CHECK(rng.state != before);
}

static void the_seed_is_read_from_the_environment(void **state) {
  (void)state;
  uint64_t seed = 0;
  setenv("WEFT_SEED", "12345678901234567890", 1);
  CHECK_INT(weft__choice_seed(&seed), 1);
  CHECK_UINT(seed, UINT64_C(12345678901234567890));
  setenv("WEFT_SEED", "0xfeed", 1);
  CHECK_INT(weft__choice_seed(&seed), 1);
  CHECK_UINT(seed, 0xfeed);
  setenv("WEFT_SEED", "0", 1);
  CHECK_INT(weft__choice_seed(&seed), 1);
  CHECK_UINT(seed, 0);
}

static void a_seed_that_is_no_number_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "x", "12x", "-1", " 5", "5 ", "+5", "0x", "1e3", "99999999999999999999"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    uint64_t seed = 77;
    setenv("WEFT_SEED", wrong[i], 1);
    if (weft__choice_seed(&seed) != WEFT_EINVAL) CHECK_FAIL("accepted '%s'", wrong[i]);
    CHECK_UINT(seed, 77);
  }
}

static void without_a_seed_each_is_random(void **state) {
  (void)state;
  uint64_t a = 0, b = 0;
  unsetenv("WEFT_SEED");
  CHECK_INT(weft__choice_seed(&a), 0);
  setenv("WEFT_SEED", "", 1);
  CHECK_INT(weft__choice_seed(&b), 0);
  CHECK(a != b);
}

static void without_a_source_of_randomness_there_is_still_a_seed(void **state) {
  (void)state;
  uint64_t a = 0, b = 0;
  unsetenv("WEFT_SEED");
  weft__sys_fail(WEFT__SYS_getrandom, 1, WEFT_ENOSYS, true);
  CHECK_INT(weft__choice_seed(&a), 0);
  CHECK_INT(weft__choice_seed(&b), 0);
  weft__sys_clear();
  CHECK_UINT(weft__sys_calls(WEFT__SYS_getrandom), 2);
  CHECK(a != b);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_seed_gives_one_sequence),
    cmocka_unit_test(streams_of_one_seed_do_not_overlap),
    cmocka_unit_test(choices_are_below_n_and_evenly_spread),
    cmocka_unit_test(a_hook_takes_every_real_decision),
    cmocka_unit_test(the_seed_is_read_from_the_environment),
    cmocka_unit_test(a_seed_that_is_no_number_is_refused),
    cmocka_unit_test(without_a_seed_each_is_random),
    cmocka_unit_test(without_a_source_of_randomness_there_is_still_a_seed),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
