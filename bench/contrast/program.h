/* What the contrast's C programs share: `program <workload> key=value ...` prints one line of JSON.
 * Nothing here knows of weft: the program on plain OS threads uses it too. */
#ifndef CONTRAST_PROGRAM_H
#define CONTRAST_PROGRAM_H

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

/* How late the turns of a ticker came. */
struct lateness {
  size_t count, capacity;
  int64_t *ns;
};
void lateness_init(struct lateness *l, size_t capacity);
void lateness_add(struct lateness *l, int64_t ns);
/* Says p50, p99 and the worst, and frees the list. */
void lateness_report(struct lateness *l, struct program *p);

/* Computes for so long; returns how many units of work that came to. */
int64_t burn(int64_t ns);

/* For memory without which a benchmark cannot go on: ends the program when there is none. */
void *need(void *memory);

#endif
