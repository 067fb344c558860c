/* A point: one allocation, one system call or one limit that is made to fail in a scenario.
 *
 * Which errors fit which call is the table in point.c. A lack (of memory, of descriptors) is made
 * to happen once and from then on. An error that the kernel gives once, and that its callers answer
 * by trying again, happens once and three times in a row: for ever it would be another kernel. What
 * cannot fail is not there: reading the clock, waking a futex, killing a child of one's own.
 */
#ifndef WEFT_FAULTS_POINT_H
#define WEFT_FAULTS_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sys.h"

enum point_kind {
  POINT_NONE,       /* nothing fails: for counting */
  POINT_ALLOC,      /* the runtime's n-th allocation */
  POINT_UV,         /* libuv's */
  POINT_CALL,       /* the n-th call of a kind in the system-call seam */
  POINT_DESCRIPTORS /* no more than n - 1 descriptors beside those that are open */
};

#define POINT_ONCE UINT64_C(1)
#define POINT_THRICE UINT64_C(3)
#define POINT_ON UINT64_MAX

struct point {
  enum point_kind kind;
  enum weft__sys_call call; /* of POINT_CALL, as error */
  int error;
  uint64_t n;
  uint64_t times; /* POINT_ONCE, POINT_THRICE, POINT_ON */
};

/* How often each thing happened, in all processes of the scenario. */
struct point_counts {
  uint64_t alloc;
  uint64_t uv;
  uint64_t call[WEFT__SYS_CALLS];
};

/* One row of the plan: what is failed for n = 1, 2, ... up to the count. */
struct point_series {
  enum point_kind kind;
  enum weft__sys_call call;
  int error;
  uint64_t times;
  uint64_t most; /* the n-th beyond this one cannot fail so; 0: no limit */
};

/* All rows; ends with POINT_NONE. */
extern const struct point_series point_plan[];

uint64_t point_count(const struct point_series *s, const struct point_counts *counts);

/* The error that a scenario may see for it, or 0. */
int point_error(const struct point *p);

/* Lets it happen from now on, and ends it. Returns whether it came to pass. */
void point_arm(const struct point *p);
bool point_disarm(const struct point *p, struct point_counts *ret);

/* The options that name it: "--call mmap --error ENOMEM --nth 3 --once". */
void point_describe(const struct point *p, char *buf, size_t size);

/* The codes by name; 0 when there is no such name. "ENOMEM", "SHORT". */
int point_error_by_name(const char *name);
const char *point_error_name(int error);
/* WEFT__SYS_CALLS when there is no such call. */
enum weft__sys_call point_call_by_name(const char *name);

#endif
