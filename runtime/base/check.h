/* Invariants, and the end of a process whose invariant broke.
 *
 * A broken invariant is a bug of the runtime, never of its input: it prints one line and aborts.
 * Wrong use of the public interface is answered with a named error instead. The line goes to
 * stderr with write(2) from a buffer on the stack, so that it also works in a signal handler and
 * on a task's stack, and when memory is exhausted.
 */
#ifndef WEFT_BASE_CHECK_H
#define WEFT_BASE_CHECK_H

#include <stddef.h>

#define weft__likely(x) __builtin_expect(!!(x), 1)
#define weft__unlikely(x) __builtin_expect(!!(x), 0)

/* Always on: keep the condition cheap. */
#define WEFT__ASSERT(cond)                                                                         \
  (weft__likely(cond) ? (void)0 : weft__assert_failed(#cond, __FILE__, __LINE__))

/* In builds without NDEBUG only; the condition is compiled in every build. */
#ifdef NDEBUG
#define WEFT__DEBUG_ASSERT(cond) ((void)sizeof(!(cond)))
#else
#define WEFT__DEBUG_ASSERT(cond) WEFT__ASSERT(cond)
#endif

/* Prints the condition and where it is, then aborts. */
_Noreturn void weft__assert_failed(const char *cond, const char *file, int line)
    __attribute__((cold, noinline));

/* Prints "weft: " and the text, the context, a newline, then aborts. Keeps no lock. */
_Noreturn void weft__fatal(const char *format, ...)
    __attribute__((cold, noinline, format(printf, 1, 2)));

/* Writes what the calling thread is doing ("in task NAME") into buf, at most size bytes with the
 * terminating NUL; writes "" when there is nothing to say. Must be safe in a signal handler. */
typedef void (*weft__fatal_context_fn)(char *buf, size_t size);

/* The floor above says what it knows about the calling thread; NULL takes it away. Any thread. */
void weft__fatal_set_context(weft__fatal_context_fn fn);

#endif
