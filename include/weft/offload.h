/* Work that must not run on a worker: calls that block go to a pool of threads, jobs that must be
 * isolated or killable go to a pool of processes. asyncio: to_thread, ProcessPoolExecutor.
 */
#ifndef WEFT_OFFLOAD_H
#define WEFT_OFFLOAD_H

#include <weft/decls.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

/* Runs fn(arg) on a thread of the blocking pool and returns its code; meanwhile other tasks run.
 * Always waits for fn's end, also when the caller is cancelled (its stack may be fn's argument):
 * the cancel is delivered by the caller's next cancel point. A job that no thread has taken yet is
 * withdrawn by a cancel, without running: WEFT_ECANCELED. fn runs outside the runtime: calls marked
 * [task] answer WEFT_ENOTASK there. The pool keeps about as many threads busy as there are CPUs,
 * grows when jobs really block (up to .blocking_threads of the run), and shrinks when idle.
 * WEFT_ENOMEM, WEFT_EAGAIN (no thread could be made), WEFT_ECLOSED (the runtime is past its
 * shutdown).
 * [task] [suspends] [cancel point]. asyncio: to_thread */
int weft_to_thread(weft_fn fn, void *arg);

/* The body of a process job: reads in[0..in_len), writes at most out_cap bytes to out and sets
 * *ret_len (0 when it is called). Its code is the call's code: 0 or more is success, negative an
 * error. Runs in a process of the pool, alone there; must not call weft functions.
 *
 * The process is a copy of what the program was when the pool was opened: its memory, but of its
 * descriptors only 0, 1 and 2, all signals at their default, in a process group that keeps signals
 * typed at the terminal away. It runs many jobs, one after the other, and what they change in its
 * memory stays. What the job leaves open or running is not cleaned up before the process ends. */
typedef int (*weft_job_fn)(const void *in, size_t in_len, void *out, size_t out_cap,
                           size_t *ret_len);

/* A job that processes can run: registered in a table that is known before the first fork. */
typedef struct weft_job {
  const char *name;
  weft_job_fn fn;
} weft_job;

typedef struct weft_procpool weft_procpool;

/* Every field but jobs and njobs may be left zero. */
typedef struct weft_procpool_opts {
  const weft_job *jobs; /* the table; must outlive the pool */
  size_t njobs;
  unsigned workers;   /* processes; default: the usable CPUs; up to 256 */
  size_t max_payload; /* largest in or out of one job in bytes; default 16 MiB. Each process has
                         an area of this size for either direction; it takes what was ever used */
} weft_procpool_opts;

/* Opens a pool and waits until its processes are there. Call it before weft_run, while the process
 * has one thread: the zygote that makes the worker processes, now and later, is forked here.
 * Returns 0; WEFT_EINVAL (empty table, a job without name or function, an option out of range),
 * WEFT_EBUSY (in a task, or the process has other threads, which fork would leave in an unknown
 * state), WEFT_ENOMEM, WEFT_EAGAIN, WEFT_EMFILE, WEFT_ENFILE, WEFT_EPROC (the zygote died at once).
 * [any thread] blocks for a moment */
int weft_procpool_open(weft_procpool **ret, const weft_procpool_opts *opts);

/* Runs one job in a process of the pool and waits for it; callers get a process in the order of
 * asking. in may be NULL if in_len is 0; out may be NULL if out_cap is 0. On success writes the
 * result's length to *ret_len (may be NULL) and returns the job's code; on failure *ret_len and out
 * are left as they were. A worker process that dies fails only the job it had begun, and is
 * replaced before the call returns; a job that had not begun is given to another process. Errors:
 *   WEFT_EPROC      the process died of a signal or exited (weft_procpool_last_death tells how)
 *   WEFT_E2BIG      in_len is over max_payload      WEFT_ENOBUFS  the result is larger than out_cap
 *   WEFT_EINVAL     job is not of this pool's table  WEFT_ECLOSED  the pool was closed
 *   WEFT_ECANCELED  the caller was cancelled: a job not begun is withdrawn, a running one is killed
 *                   with its process, which is replaced
 * and when the process that was to run it had died and could not be replaced yet, so that nothing
 * was run (the next call tries again):
 *   WEFT_EMFILE, WEFT_ENFILE, WEFT_ENOMEM, WEFT_EAGAIN  for the time being
 *   WEFT_EPROC      the zygote was killed, so no process can be made any more; said to the log
 * [task] [suspends] [cancel point]. asyncio: loop.run_in_executor(ProcessPoolExecutor) */
int weft_procpool_call(weft_procpool *pool, const weft_job *job, const void *in, size_t in_len,
                       void *out, size_t out_cap, size_t *ret_len);

/* How the last worker process that died under a job of the calling task ended: the signal's number,
 * or 256 + its exit status; 0 if none did. SIGKILL also when the zygote is dead: nobody can tell.
 * WEFT_ENOTASK outside a task. [task] [never suspends] */
int weft_procpool_last_death(weft_procpool *pool);

/* Number of worker processes alive, and of those that died since the pool was opened. A process
 * that dies idle counts as alive until a call meets it, and is replaced then.
 * [any thread] [never suspends] */
unsigned weft_procpool_alive(const weft_procpool *pool);
uint64_t weft_procpool_deaths(const weft_procpool *pool);

/* Ends the processes and frees the pool. Jobs must be over: WEFT_EBUSY while one runs or waits
 * (nothing is changed). NULL is fine. Call it after weft_run, or in a task.
 * [any thread] blocks for a moment */
int weft_procpool_close(weft_procpool *pool);

WEFT_END_DECLS
#endif
