/* Reports of the runtime: weft/report.h from the inside. */
#ifndef WEFT_CORE_REPORT_H
#define WEFT_CORE_REPORT_H

#include <weft/report.h>

#include "base/list.h"
#include "base/spin.h"

struct weft__runtime;
struct weft__task;

/* Of a runtime. */
struct weft__reports {
  struct weft__spin lock; /* guards the rest */
  weft_error_fn handler;  /* or NULL: the log */
  void *arg;
  struct weft__list
      active; /* calls in progress, on their threads' stacks: a report from inside one does
                               not call the handler again */
};

void weft__reports_init(struct weft__reports *rs, weft_error_fn handler, void *arg);

/* Reports what r and the format say; r->message is set from the format, unless that is NULL. t, when it
 * is not NULL, is whom it is about: the caller makes sure that it is not used again meanwhile, and the
 * fields of r that describe it are filled in. rt may be NULL, of what belongs to no runtime: then
 * the line goes to stderr.
 * Any thread, without locks: the program's own code is called. Never suspends, and inside it the thread
 * has no current task. */
void weft__report(struct weft__runtime *rt, struct weft__task *t, weft_report *r,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
