/* Which worker the calling thread is.
 *
 * A task may continue on another thread after any suspension, and compilers keep the address of a
 * thread-local across calls. So the one thread-local of the runtime is read only through
 * weft__self(), which the compiler can neither cache nor move across a call; and no pointer that it
 * returned may be used after a suspension.
 */
#ifndef WEFT_CORE_SELF_H
#define WEFT_CORE_SELF_H

#include <stdbool.h>

struct weft__worker;
struct weft__task;

/* NULL on a thread that is no worker, and in a child made by fork. Written by the thread itself. */
extern __thread struct weft__worker *weft__tls_worker __attribute__((tls_model("initial-exec")));

#if defined(__x86_64__) && defined(__ELF__) && !defined(__ILP32__)
static inline struct weft__worker *weft__self(void) {
  struct weft__worker *w;
  __asm__ volatile("movq weft__tls_worker@gottpoff(%%rip), %0\n\t"
                   "movq %%fs:(%0), %0"
                   : "=r"(w));
  return w;
}
#else
struct weft__worker *weft__self(void);
#endif

void weft__self_set(struct weft__worker *w);

/* The running task, or NULL outside one. */
struct weft__task *weft__current_task(void);

/* The task whose stack the caller runs on: the running one, or the one that a report interrupts. For those
 * who look at stacks. Safe in a signal handler. */
struct weft__task *weft__stack_task(void);

/* True in a child made by fork in a process whose runtime was running: nothing works there. */
bool weft__in_child(void);

/* Registers the fork handler; idempotent. */
int weft__self_init(void);

/* What a public call answers that needs a task and has none: WEFT_ECHILD or WEFT_ENOTASK. In debug mode
 * the call is reported with its place. To be used in the public function itself. */
#define weft__no_task() weft__no_task_at(__func__, __builtin_return_address(0))
int weft__no_task_at(const char *function, const void *site);

/* The same for calls that only ask where they are: never reported. */
int weft__not_in_task(void);

#endif
