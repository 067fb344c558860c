/* The differential test: scenarios that are written twice, in Python for asyncio (scenarios_*.py) and
 * in C for weft's exact mode and its strands (scenarios_*.c), under the same name. Both print what happens, one line
 * for each event, and the lines must be equal.
 *
 * Time is virtual on both sides and passes when nothing can run, so that a scenario's order is the
 * order of its deadlines on any machine. Scenarios count in whole seconds.
 */
#ifndef WEFT_DIFFERENTIAL_SCENE_H
#define WEFT_DIFFERENTIAL_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <weft.h>

struct scenario {
  const char *name;
  weft_fn run; /* the main task */
};

/* One list for each file, ended by an entry without a name; main.c has them all. */
#define SCENARIO(name)                                                                             \
  static void name##_body(void);                                                                   \
  static int name(void *arg) {                                                                     \
    (void)arg;                                                                                     \
    name##_body();                                                                                 \
    return 0;                                                                                      \
  }                                                                                                \
  static void name##_body(void)
#define ENTRY(name)                                                                                \
  { #name, name }

/* Prints one line. */
__attribute__((format(printf, 1, 2))) void trace(const char *format, ...);

/* The errors of the scenarios themselves; class Trouble in scene.py. */
enum { TROUBLE = WEFT_EUSER };
static inline int trouble(int number) {
  return TROUBLE - number;
}

/* What a task came to, in words that both sides share: "3", "cancelled", "timed out", "trouble 1".
 * Valid until the word after next eight. */
const char *word(int code);

/* weft_sleep in seconds. */
static inline int nap(int seconds) {
  return weft_sleep(weft_sec(seconds));
}

/* weft_spawn of a body whose argument is a text. */
static inline weft_task start(weft_fn fn, const char *name) {
  return weft_spawn(fn, (void *)(uintptr_t)name, NULL);
}

/* Bodies that many scenarios use; their argument is the name that they trace. */
int say_once(void *name);       /* says that it runs */
int sleep_for_ever(void *name); /* says so, and how the sleep ended */
int tick(void *name);           /* three turns, one line each: shows which turn things happen in */

#endif
