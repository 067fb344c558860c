/* The weft side of the differential test. Plays one scenario in a simulated run, whose seed is WEFT_SEED:
 * the order must be the same with all of them.
 *
 *   differential --list
 *   differential exact SCENARIO      in exact mode
 *   differential strand SCENARIO     in a strand of a run with four workers
 */
#include "scene.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern const struct scenario scenarios_calls[], scenarios_cancel[], scenarios_combine[],
    scenarios_contexts[], scenarios_futures[], scenarios_generators[], scenarios_groups[],
    scenarios_programs[], scenarios_queues[], scenarios_scopes[], scenarios_sync[],
    scenarios_tasks[], scenarios_timeouts[], scenarios_turns[], scenarios_waits[];

static const struct scenario *const all[] = {
    scenarios_calls,    scenarios_cancel,     scenarios_combine, scenarios_contexts,
    scenarios_futures,  scenarios_generators, scenarios_groups,  scenarios_programs,
    scenarios_queues,   scenarios_scopes,     scenarios_sync,    scenarios_tasks,
    scenarios_timeouts, scenarios_turns,      scenarios_waits};

void trace(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar('\n');
}

const char *word(int code) {
  static char texts[8][32];
  static unsigned next;
  if (code == WEFT_ECANCELED) return "cancelled";
  if (code == WEFT_ETIMEDOUT) return "timed out";
  if (code == WEFT_ESTATE || code == WEFT_EPENDING) return "invalid state";
  if (code < 0 && code > TROUBLE) return weft_err_name(code);
  char *text = texts[next++ % 8];
  if (code < 0)
    snprintf(text, sizeof texts[0], "trouble %d", TROUBLE - code);
  else
    snprintf(text, sizeof texts[0], "%d", code);
  return text;
}

int say_once(void *name) {
  trace("%s runs", (const char *)name);
  return 0;
}

int sleep_for_ever(void *name) {
  trace("%s sleeps", (const char *)name);
  int r = nap(3600);
  if (r < 0) trace("%s %s", (const char *)name, word(r));
  return r;
}

int tick(void *name) {
  int r = 0;
  for (int turn = 0; turn < 3 && r == 0; turn++) {
    trace("%s turn %d", (const char *)name, turn);
    r = weft_yield();
  }
  return r;
}

static const struct scenario *find(const char *name) {
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    for (const struct scenario *s = all[i]; s->name; s++)
      if (strcmp(s->name, name) == 0) return s;
  return NULL;
}

static int list(void) {
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    for (const struct scenario *s = all[i]; s->name; s++) puts(s->name);
  return 0;
}

static int in_strand(void *scenario) {
  return weft_strand_run(((const struct scenario *)scenario)->run, NULL);
}

static int play(const struct scenario *s, bool strand) {
  if (!strand) return weft_run(s->run, NULL, &(weft_run_opts){.workers = 1, .exact = true});
  return weft_run(in_strand, (void *)(uintptr_t)s, &(weft_run_opts){.workers = 4});
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--list") == 0) return list();
  const struct scenario *s = argc == 3 ? find(argv[2]) : NULL;
  bool strand = s && strcmp(argv[1], "strand") == 0;
  if (!s || (!strand && strcmp(argv[1], "exact") != 0)) {
    fprintf(stderr, "usage: %s --list | exact SCENARIO | strand SCENARIO\n", argv[0]);
    return 2;
  }
  int r = play(s, strand);
  if (r < 0) fprintf(stderr, "%s: %s\n", s->name, weft_strerror(r));
  return r < 0;
}
