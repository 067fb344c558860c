/* What the contrast's C programs share: `program <workload> key=value ...` prints one line of JSON.
 * Nothing here knows of weft: the program on plain OS threads uses it too. */
#ifndef CONTRAST_PROGRAM_H
#define CONTRAST_PROGRAM_H

#include "need.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROGRAM_ARGS_MAX = 16, PROGRAM_JSON_MAX = 32 * 1024 };

struct program {
  const char *workload;
  int argc;
  char **argv;                  /* the key=value words */
  bool asked[PROGRAM_ARGS_MAX]; /* which of them the workload has asked for */
  double wall_s;
  size_t json_length;
  char json[PROGRAM_JSON_MAX];
};

/* Takes main's arguments. Returns false, with a message, when they are not of the form above. */
bool program_begin(struct program *p, int argc, char **argv);

/* The value of an argument, or `otherwise` when it was not given. */
const char *program_text(struct program *p, const char *key, const char *otherwise);
long program_number(struct program *p, const char *key, long otherwise);

/* Adds `"name": value` to the line of JSON; the value is formatted as printf does. */
void program_say(struct program *p, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds an argument that nobody asked for to the errors, prints the line of JSON, and returns what
 * main returns. code is the workload's: negative is an error, which is printed instead. */
int program_end(struct program *p, int code, const char *(*explain)(int code));

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t clock_ns(void);

/* Resident memory and page tables of this process, in KiB. Reads /proc. */
long memory_kb(void);

/* How long something took, each time: how late a ticker's turns came, when the replies to requests. */
struct durations {
  size_t count, capacity;
  int64_t *ns;
};
void durations_init(struct durations *d, size_t capacity);
void durations_add(struct durations *d, int64_t ns);
/* Says NAME_p50_ms, NAME_p99_ms and NAME_max_ms, and frees the list. */
void durations_report(struct durations *d, struct program *p, const char *name);

/* Computes for so long; returns how many units of work that came to. */
int64_t burn(int64_t ns);

/* Computes until the thread has used so much CPU time: while it does not run, nothing is done. */
void compute(int64_t cpu_ns);

#endif
