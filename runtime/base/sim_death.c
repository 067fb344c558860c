/* A process that dies in a simulation says the seed: by a fault (overflow.c), by a report of a tool, or by
 * abort, as a failed assertion of the program's own does, which knows nothing of seeds. Compiled without
 * TSan, as sim.c.
 */
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "base/annotate.h"
#include "base/sim_threads.h"

static struct sigaction abort_before;

void weft__sim_tell_seed(void) {
  static const char text[] = "weft: that was in a simulation: WEFT_SEED=";
  char line[sizeof text + 24];
  size_t n = sizeof line;
  uint64_t seed = weft__sim_seed();
  if (!weft__sim_playing) return;
  line[--n] = '\n';
  do {
    line[--n] = (char)('0' + seed % 10);
    seed /= 10;
  } while (seed);
  n -= sizeof text - 1;
  for (size_t i = 0; i < sizeof text - 1; i++) line[n + i] = text[i];
  ssize_t r = write(STDERR_FILENO, line + n, sizeof line - n);
  (void)r;
}

static void on_abort(int sig) {
  weft__sim_tell_seed();
  (void)sigaction(sig, &abort_before, NULL);
  (void)raise(sig);
}

/* A handler of the program's has precedence. */
void weft__sim_watch_death(void) {
  struct sigaction ours = {.sa_handler = on_abort};
  sigemptyset(&ours.sa_mask);
  if (sigaction(SIGABRT, NULL, &abort_before) != 0) return;
  if (abort_before.sa_handler == SIG_DFL) (void)sigaction(SIGABRT, &ours, NULL);
  weft__note_death(weft__sim_tell_seed);
}

void weft__sim_forget_death(void) {
  struct sigaction now;
  if (sigaction(SIGABRT, NULL, &now) == 0 && now.sa_handler == on_abort)
    (void)sigaction(SIGABRT, &abort_before, NULL);
}
