/* Reports: what happens with nobody there to be told. A detached task that fails, a future whose
 * failure nobody reads, a task that outlives its cancel: none has a caller who could get an error
 * code.
 * asyncio counterpart: the exception handlers of a loop.
 *
 * Each of them becomes a weft_report and goes to the runtime's error handler: .on_error of its
 * options, or what weft_set_error_handler has put in its place. Without one, and when the handler
 * says by a negative code that it could not deal with the report, its message goes to the log.
 *
 * A handler is called on the thread on which the thing happens, any of the runtime's, and by
 * several at once. It must be quick: a task waits for it. Inside it there is no current task: calls
 * that suspend or spawn answer WEFT_ENOTASK; weft_submit, weft_cancel, setting a future and the
 * like work. What is reported while the handler runs, on its own thread, goes to the log at once: a
 * handler that fails again and again cannot stop the runtime.
 */
#ifndef WEFT_REPORT_H
#define WEFT_REPORT_H

#include <weft/decls.h>
#include <weft/run.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

/* What a report is about. More may follow: a handler passes on to weft_report_log what it does not
 * know. */
typedef enum weft_report_kind {
  WEFT_REPORT_OWN,       /* the program's own: weft_report_error */
  WEFT_REPORT_TASK,      /* a task failed, and nobody can await it: detached, or submitted */
  WEFT_REPORT_UNAWAITED, /* a task failed, and the run ended before its handle was consumed */
  WEFT_REPORT_CALLBACK,  /* a callback failed */
  WEFT_REPORT_FUTURE,    /* a future failed, and nobody has read it */
  WEFT_REPORT_REMAINS,  /* a task is alive a second or more after the end of the run cancelled it */
  WEFT_REPORT_JOBS,     /* jobs of the thread pool run on although the run has ended */
  WEFT_REPORT_PROCESS,  /* a process of a pool cannot be replaced */
  WEFT_REPORT_DEADLOCK, /* tasks wait, and nothing can ever end their waits */
  WEFT_REPORT_HOG,      /* debug mode: a task kept its worker for long */
  WEFT_REPORT_HANDLE,   /* debug mode: a handle was never consumed */
  WEFT_REPORT_THREAD,   /* debug mode: a call from the wrong thread */
  WEFT_REPORT_MUTEX,    /* debug mode: a task suspends while it holds a mutex */
  WEFT_REPORT_OPEN, /* debug mode: a resource is open when the run ends, a scope when its task does */
  WEFT_REPORT_PAUSE, /* a listener has no descriptors left, and accepts when there are some again; or
                        handlers of a server have no stacks, and begin when there are */
  WEFT_REPORT_HANDLER, /* the handler of a server has failed */
} weft_report_kind;

/* One report. Everything it points to is valid during the call of the handler only. What does not
 * apply is NULL or 0; message is always there. */
typedef struct weft_report {
  weft_report_kind kind;
  int code;                     /* negative: the error that nobody gets */
  const char *message;          /* the whole of it in words, without a newline at its end */
  weft_task task;               /* whom it is about; may be stale: it has ended, mostly */
  const char *task_name;        /* .name of its spawn */
  const char *task_description; /* as weft_task_describe gives it */
  const void *site;             /* address of the call that made the task or the object */
  const char *site_name; /* the same as text: "function+0x12", in debug mode with " (file.c:12)" */
  const void *object;    /* the future, the generator, the pool ... */
  const char *object_kind; /* "future" */
  void *runtime_;          /* weft's; NULL in a report of the program's own */
} weft_report;

/* The kind in words: "task failed". Never NULL; static. [any thread] [never suspends] */
const char *weft_report_kind_name(weft_report_kind kind);

/* Sets the error handler of the calling thread's runtime; NULL: the log. Returns 0 or WEFT_ENOTASK.
 * When it returns the old one may be at work still, on other threads.
 * [task; also error handlers] [never suspends]. asyncio: set_exception_handler */
int weft_set_error_handler(weft_error_fn fn, void *arg);

/* The handler that is set, or NULL for the log; *ret_arg (unless NULL) gets its argument.
 * [task; also error handlers] [never suspends]. asyncio: get_exception_handler */
weft_error_fn weft_error_handler(void **ret_arg);

/* Gives a report of the program's own to the handler; a NULL message is filled in from kind and
 * code. Returns 0 or WEFT_ENOTASK. [task; also error handlers, in which it goes to the log]
 * [never suspends].
 * asyncio: call_exception_handler */
int weft_report_error(const weft_report *report);

/* What happens to a report without a handler: its message goes to the log. For handlers that keep
 * only some reports to themselves. Returns 0 or WEFT_ENOTASK.
 * [task; also error handlers] [never suspends]. asyncio: default_exception_handler */
int weft_report_log(const weft_report *report);

WEFT_END_DECLS
#endif
