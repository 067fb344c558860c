/* The jobs that the tests of the process pool run, well-behaved and otherwise. */
#ifndef WEFT_TESTS_OFFLOAD_JOBS_H
#define WEFT_TESTS_OFFLOAD_JOBS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include <weft/offload.h>

enum {
  JOB_ECHO,     /* out = in */
  JOB_FAIL,     /* returns the int in `in`, having written to out */
  JOB_FILL,     /* in: size_t n; sets the length to n, writes what fits */
  JOB_PID,      /* out: pid_t of the worker */
  JOB_SUM,      /* in: bytes; out: uint64_t their sum */
  JOB_DIE,      /* in: enum death */
  JOB_WAIT,     /* says on the board that it runs, then waits until the board says go */
  JOB_PROBE,    /* out: struct probe */
  JOB_TICKET,   /* out: uint32_t, counted from 0 on the board */
  JOB_SHOW_PID, /* JOB_PID that also writes it on the board when it begins */
  JOB_MEET,     /* in: uint32_t n; waits until so many of them have ever begun */
  JOBS
};
extern const weft_job jobs[JOBS];

enum death {
  DIE_KILLED,
  DIE_SEGV,
  DIE_ABORT,
  DIE_EXIT_0,
  DIE_EXIT_3,
  DIE_CLOSE_CHANNEL, /* and return */
  DIE_GARBAGE,       /* on the channel; then pause, as the next ones do */
  DIE_HALF_A_FRAME,
  DIE_LONG_FRAME,
  DIE_EMPTY_MESSAGE,
  DIE_WRONG_SEQ,
  DIE_WRONG_LENGTH, /* an answer longer than the caller's buffer */
  DIE_WRONG_KIND,
  DIE_FLOOD,           /* fills the channel with garbage, then SIGKILL */
  DIE_LEAVING_A_CHILD, /* forks a child that keeps the channel, then _exit(3) */
  DEATHS
};
extern const char *const death_names[DEATHS];

/* What weft_procpool_last_death must say. */
int death_answer(enum death d);

/* Shared with the workers: made before the pool. */
struct board {
  _Atomic(uint32_t) running; /* JOB_WAIT jobs that have begun */
  _Atomic(uint32_t) go;
  _Atomic(int32_t) pid; /* of the worker in JOB_WAIT that began last */
  _Atomic(uint32_t) tickets;
  _Atomic(uint32_t) met;  /* JOB_MEET jobs that have begun */
  _Atomic(int32_t) child; /* that DIE_LEAVING_A_CHILD left */
};
extern struct board *board;
void make_board(void);

/* What a job finds in its process. */
struct probe {
  int fds;      /* open descriptors above 2 */
  int handlers; /* signals that are not at their default */
  int blocked;  /* signals that are blocked */
  pid_t parent;
  pid_t group;
};

#endif
