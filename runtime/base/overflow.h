/* Stack overflow: telling it from other faults, and dying of it with a name.
 *
 * A task that outgrows its stack touches the guard below it. The handler installed here runs on an
 * alternate stack, sees that the address lies in a guard, and calls the hook, which says whose stack
 * it was. Then the handler that the program had installed before is called, and if that returns the
 * process dies of the signal by the default action, with the state of the fault in the core file.
 * Any other fault goes to the program's handler, or the default action, as if weft were not there.
 *
 * A frame larger than the guard could jump over it; that is what -fstack-clash-protection is for,
 * which weft is compiled with and which it hands on to programs that use it.
 *
 * Sanitizers have their own handler, which is in place before ours: it is the one that is called
 * next, so their report follows the hook's line. Threads that they gave an alternate stack keep it.
 */
#ifndef WEFT_BASE_OVERFLOW_H
#define WEFT_BASE_OVERFLOW_H

#include <stdbool.h>

#include "base/stack.h"

struct weft__overflow {
  const struct weft__stack *stack; /* whose guard was touched */
  const void *address;             /* where */
  bool by_owner; /* by code that runs on this stack; else by a stray pointer, or from the stack
                    below, whose code wrote past its top */
};

/* Runs in a signal handler on a stack of at least 32 KiB: async-signal-safe calls only. The faulting
 * thread's own state may be read, no lock taken. */
typedef void (*weft__overflow_fn)(const struct weft__overflow *o);

/* Handles SIGSEGV and SIGBUS of the whole process until uninstall. One user at a time. 0 or an
 * error of the system. */
int weft__overflow_install(weft__overflow_fn hook);
/* Brings back the handlers that were there, unless others were installed since. */
void weft__overflow_uninstall(void);

/* Gives the calling thread an alternate signal stack, if it has none: before it runs a task. 0 or
 * WEFT_ENOMEM. */
int weft__overflow_thread_init(void);
/* Takes it away again. On the same thread. */
void weft__overflow_thread_fini(void);

#endif
