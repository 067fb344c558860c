/* Seeds, and the hooks of whoever takes the decisions. */
#include "base/choice.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/point.h"
#include "base/sys.h"

_Atomic(weft__point_fn) weft__point_hook;

weft__choice_fn weft__choice_hook;
void *weft__choice_hook_arg;

void weft__choice_set_hook(weft__choice_fn fn, void *arg) {
  weft__choice_hook_arg = arg;
  weft__choice_hook = fn;
}

void weft__rng_init(struct weft__rng *rng, uint64_t seed, uint64_t stream) {
  /* Neighbouring seeds and streams must not give overlapping sequences: both go through the
   * generator's own mixing before they become its state. */
  struct weft__rng mix = {.state = seed};
  uint64_t base = weft__rng_next(&mix);
  mix.state = base ^ (stream * UINT64_C(0xd1342543de82ef95) + 1);
  rng->state = weft__rng_next(&mix);
}

/* A whole number, decimal or 0x..., and nothing after it. */
static int parse_seed(const char *text, uint64_t *ret) {
  char *end = NULL;
  if (text[0] < '0' || text[0] > '9') return WEFT_EINVAL;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 0);
  if (errno != 0 || *end != '\0') return WEFT_EINVAL;
  *ret = value;
  return 0;
}

int weft__choice_seed(uint64_t *ret) {
  const char *text = getenv("WEFT_SEED");
  if (text && text[0]) {
    int r = parse_seed(text, ret);
    return r < 0 ? r : 1;
  }

  uint64_t seed = 0;
  if (weft__sys_getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
    /* Early in the boot or in a sandbox. The seed only has to differ between processes. */
    struct weft__rng mix = {.state = weft__now() ^ ((uint64_t)getpid() << 32)};
    seed = weft__rng_next(&mix);
  }
  *ret = seed;
  return 0;
}
