/* Child processes: started, talked to through pipes, waited for, ended.
 * asyncio: create_subprocess_exec, create_subprocess_shell, asyncio.subprocess.Process.
 *
 *   weft_process *p;
 *   weft_process_opts opts = {.out = WEFT_STDIO_PIPE};
 *   int r = weft_process_spawn(&p, (const char *const[]){"ls", "-l", NULL}, &opts);
 *   if (r < 0) return r;                             (WEFT_ENOENT: there is no such program)
 *   char *line;
 *   while (weft_read_line(weft_process_stdout(p), &line) > 0) ...
 *   weft_process_status st;
 *   r = weft_process_wait(p, &st);                   (0, and st.code is what it exited with)
 *   weft_process_close(p);
 *
 * Whoever spawns a process closes it. The close ends a process that still runs; one that is left
 * open is ended when the run ends. Nothing else ends it: neither a cancel of a task that waits for
 * it nor a deadline. When its parent dies it lives on, unless it reads from a pipe and takes the
 * end of that for its own.
 *
 * The end of a process is noticed and its exit status is fetched whether somebody waits or not, so
 * none stays as a zombie. weft leaves SIGCHLD alone, and waits for no child that it has not
 * started. A program that ignores SIGCHLD, or waits for all children by itself, takes the status
 * away: what would tell it answers WEFT_ECHILD then. Where the kernel gives no descriptors of
 * processes (before Linux 5.3, or in a sandbox) each process that runs holds a thread of the
 * blocking pool.
 *
 * The child starts with three descriptors and those of .fds: no others, whether they were marked
 * close-on-exec or not. No signal is blocked in it, and all are at their default; only SIGHUP,
 * SIGINT and SIGQUIT stay ignored when the program ignores them (nohup does that, and shells with
 * what they start in the background).
 *
 * In a simulation (weft/sim.h) processes are real: they take real time, and need their descriptors.
 */
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <weft/awaitable.h>
#include <weft/decls.h>
#include <weft/stream.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

typedef struct weft_process weft_process;

/* ---- starting ---- */

/* What a child gets as its standard input, output or error. */
typedef enum weft_stdio {
  WEFT_STDIO_INHERIT = 0, /* the program's own */
  WEFT_STDIO_PIPE,        /* a pipe: weft_process_stdin, _stdout, _stderr are this side of it */
  WEFT_STDIO_NULL,        /* /dev/null. asyncio: DEVNULL */
  WEFT_STDIO_FD,          /* the descriptor .in_fd, .out_fd or .err_fd, which stays the program's. Of
                             a pipe that does not block, as all of weft's (weft_stream_fd of another
                             process' output), the child gets an end that does, where there is /proc.
                             A socket that does not block does not block the child either */
  WEFT_STDIO_STDOUT,      /* standard error only: where standard output goes. asyncio: STDOUT */
} weft_stdio;

/* Every field may be left zero. */
typedef struct weft_process_opts {
  weft_stdio in, out, err;
  int in_fd, out_fd, err_fd; /* of WEFT_STDIO_FD */
  const char *program;       /* the file to run; default: the first argument. Without a slash it is
                                looked for in the PATH of this program */
  const char *const *env;    /* "NAME=value", then NULL; default: this program's environment */
  const char *cwd;           /* where it starts, and a relative path of the program too; default:
                                this program's working directory */
  const int *fds;            /* more descriptors, 3 and above, which it gets under the same number.
                                They stay this program's. asyncio: pass_fds */
  size_t nfds;               /* how many */
  bool new_session; /* in a session of its own, without a terminal. asyncio: start_new_session */
  bool new_group;   /* in a process group of its own: Ctrl-C in the terminal does not reach it */
  pid_t group;      /* in this process group. At most one of the three. asyncio: process_group */
  weft_ns grace;    /* weft_process_close asks first (SIGTERM), and kills so much later; default: it
                       kills at once */
} weft_process_opts;

/* Starts a program: argv[0], with the arguments argv, NULL at the end (argv[0] among them, as it
 * is for exec). opts may be NULL. Strings, arrays and descriptors may go when it returns. It
 * returns when the program runs, so what keeps it from running is told here: WEFT_ENOENT (no such
 * program, or no such .cwd), WEFT_EACCES, WEFT_ENOEXEC, WEFT_ENOTDIR, WEFT_E2BIG, WEFT_ETXTBSY,
 * WEFT_EPERM for .group, WEFT_EBADF for a descriptor. Also WEFT_EINVAL (no argv[0], options that
 * contradict each other), WEFT_ENOMEM, WEFT_EAGAIN (too many processes, or no thread could be
 * made), WEFT_EMFILE, WEFT_ENFILE; and WEFT_ECANCELED: then nothing was started. On failure
 * nothing is left behind. The work is done on a thread of the blocking pool.
 * [task] [suspends] [cancel point]. asyncio: create_subprocess_exec */
int weft_process_spawn(weft_process **ret, const char *const *argv, const weft_process_opts *opts);

/* The same for a command of the shell, /bin/sh: argv is {"/bin/sh", "-c", command}. What comes
 * from elsewhere must be quoted: better not in a command at all. Signals reach the shell; to reach
 * what it started, give it .new_group and use weft_process_signal_group.
 * [task] [suspends] [cancel point]. asyncio: create_subprocess_shell */
int weft_process_shell(weft_process **ret, const char *command, const weft_process_opts *opts);

/* Its number, also after its end; WEFT_EINVAL for NULL. [any thread] [never suspends].
 * asyncio: Process.pid */
pid_t weft_process_pid(const weft_process *p);

/* ---- its streams ---- */

/* This side of its pipes, for what was opened with WEFT_STDIO_PIPE, else NULL: to be written
 * (stdin) or read. They are closed with the process; weft_stream_close may do it sooner, and
 * leaves what is closed to the process. [any thread] [never suspends].
 * asyncio: Process.stdin, Process.stdout, Process.stderr */
weft_stream *weft_process_stdin(weft_process *p);
weft_stream *weft_process_stdout(weft_process *p);
weft_stream *weft_process_stderr(weft_process *p);

/* The end of its input: weft_stream_close of weft_process_stdin, which is NULL from then on. 0
 * also when there is none; errors as weft_stream_close. [task] [suspends] [cancel point when
 * something is buffered]. asyncio: Process.stdin.close */
int weft_process_close_stdin(weft_process *p);

/* What a process has written. Lent: valid until the streams are read from again, or the process is
 * closed; a '\0' stands behind each. */
typedef struct weft_process_output {
  char *out, *err; /* NULL for a stream that is no pipe */
  size_t out_len, err_len;
} weft_process_output;

/* How it ended. */
typedef struct weft_process_status {
  int code;          /* what it exited with, 0 to 255; -1 when a signal ended it */
  int signal;        /* that signal, or 0 */
  bool dumped;       /* with a core dump */
  weft_ns user_time; /* CPU time: its own, and of its children that it has waited for */
  weft_ns system_time;
  size_t max_rss; /* most memory that it, or one of those, has had, in bytes */
} weft_process_status;

/* Writes in_len bytes to its standard input and closes that (also without any), meanwhile reads
 * all of its standard output and error, as far as they are pipes, and waits for its end. A process
 * that does not read what it is given is no error. limit: most bytes of either output; 0 for 64
 * KiB. ret and ret_status may be NULL. 0, or:
 *   WEFT_EMSGSIZE    an output is longer than limit
 *   WEFT_ECANCELED   the process runs on, as after every error
 *   WEFT_EINVAL      input for a process whose standard input is no pipe, or of another runtime
 *   WEFT_EBUSY       another task communicates with it, or reads the same stream
 *   WEFT_ECHILD      its status was taken away; *ret is written all the same
 *   WEFT_ECLOSED     it was closed meanwhile;   WEFT_ENOMEM
 * After an error nothing that it has written is lost: the same call made again goes on, with the
 * rest of the same input. While a grandchild keeps a pipe open, its end does not come.
 * [task] [suspends] [cancel point]. asyncio: Process.communicate */
int weft_process_communicate(weft_process *p, const void *in, size_t in_len, size_t limit,
                             weft_process_output *ret, weft_process_status *ret_status);

/* ---- its end ---- */

/* Waits until the process has ended: 0, also when it failed; *ret (may be NULL) says how. Any
 * number of tasks may wait. A cancel ends the wait and leaves the process alone. WEFT_ECHILD: it
 * has ended, and somebody else took the status. WEFT_ECANCELED, WEFT_ENOMEM; WEFT_EINVAL for one
 * of another runtime. Its pipes may hold more to read, and a grandchild may write more into them:
 * waiting does not look. But a process that has filled a pipe nobody reads does not end
 * (weft_process_communicate).
 * [task] [suspends] [cancel point]. asyncio: Process.wait */
int weft_process_wait(weft_process *p, weft_process_status *ret);

/* The same without waiting: WEFT_EPENDING while it runs. [any thread] [never suspends].
 * asyncio: Process.returncode */
int weft_process_poll(weft_process *p, weft_process_status *ret);

/* The end of the process as one of several things to wait for (weft/wait.h): over with code 0, or
 * WEFT_ECHILD. A cancel of who waits leaves the process alone. It must not be closed meanwhile.
 * [any thread] [never suspends] */
weft_awaitable weft_process_awaitable(weft_process *p);

/* Sends it a signal: 0, or WEFT_ESRCH when it has ended (never to another process that has got its
 * number since), WEFT_EINVAL for no signal, WEFT_EPERM when it runs as another user. Signal 0 only
 * asks.
 * [any thread] [never suspends].
 * asyncio: Process.send_signal; Process.terminate (SIGTERM); Process.kill (SIGKILL) */
int weft_process_signal(weft_process *p, int sig);
int weft_process_terminate(weft_process *p);
int weft_process_kill(weft_process *p);

/* The same to its whole process group, which it leads: WEFT_ESTATE for one without .new_group and
 * .new_session. WEFT_ESRCH once the process itself has ended. [any thread] [never suspends] */
int weft_process_signal_group(weft_process *p, int sig);

/* Asks it to end (SIGTERM), waits up to `grace`, then kills it (SIGKILL) and waits for that.
 * Errors as weft_process_wait: after WEFT_ECANCELED it may run on.
 * [task] [suspends] [cancel point] */
int weft_process_stop(weft_process *p, weft_ns grace, weft_process_status *ret);

/* Ends the process if it runs (see .grace), waits for its end, closes this side of its pipes (what
 * was buffered is dropped) and frees it: p is gone afterwards. A cancel does not cut it. Calls of
 * other tasks that are under way end as they would have, those that read or write with
 * WEFT_ECLOSED; none may begin. 0, also for NULL; WEFT_EBUSY when another task closes it,
 * WEFT_EINVAL for one of another runtime: it is as it was.
 * [task] [suspends]. asyncio: BaseTransport.close of a SubprocessTransport */
int weft_process_close(weft_process *p);

/* weft_process_close as a weft_fn, for weft_scope_defer. [task] [suspends] */
int weft_process_close_fn(void *process);

WEFT_END_DECLS
#endif
