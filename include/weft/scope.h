/* Scopes: cleanup that runs on every way out. asyncio counterpart: async with,
 * contextlib.AsyncExitStack; elsewhere: defer.
 *
 *   weft_scope s = WEFT_SCOPE_INIT;
 *   struct db *db;
 *   int r = db_open(&db);
 *   if (r < 0) return weft_scope_exit(&s, r);
 *   weft_scope_defer(&s, db_close, db);
 *   ...
 *   return weft_scope_exit(&s, r);
 *
 * The deferred functions run in reverse order when the scope is left. They may suspend; a cancel or
 * a deadline does not cut them: the whole exit runs under a shield. What becomes of their errors:
 * the body's error wins; when the body has succeeded, the first error of a cleanup is the result;
 * every other one is reported (weft/report.h), and none keeps the others from running.
 *
 * A scope belongs to one task, or thread, at a time. It lives on the stack or in a struct.
 */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <stddef.h>
#include <stdint.h>

#include <weft/decls.h>
#include <weft/run.h>

WEFT_BEGIN_DECLS

enum {
  WEFT_SCOPE_SIZE = 128,
  WEFT_SCOPE_INLINE = 4, /* this many functions need no memory: deferring them cannot fail */
};

/* Opaque, valid when zeroed. Must not be copied while functions are deferred in it. */
typedef union weft_scope {
  void *align_;
  uint64_t align64_;
  unsigned char opaque_[WEFT_SCOPE_SIZE];
} weft_scope;

#define WEFT_SCOPE_INIT                                                                            \
  { 0 }

/* fn(arg) is called when the scope is left. WEFT_EINVAL without fn. WEFT_ENOMEM: it is not
 * registered, and cleaning up stays the caller's business; weft_scope_reserve rules that out.
 * [any thread] [never suspends]. asyncio: AsyncExitStack.push_async_callback, callback */
int weft_scope_defer(weft_scope *s, weft_fn fn, void *arg);

/* A cleanup that is told the result so far and says what it is from then on: it may undo what it
 * did when code is negative, replace an error by another, or take it away. */
typedef int (*weft_exit_fn)(void *arg, int code);

/* As weft_scope_defer. [any thread] [never suspends]. asyncio: AsyncExitStack.push_async_exit,
 * __aexit__ */
int weft_scope_defer_exit(weft_scope *s, weft_exit_fn fn, void *arg);

/* Makes room: the next n functions can be deferred without failing. 0 or WEFT_ENOMEM.
 * [any thread] [never suspends] */
int weft_scope_reserve(weft_scope *s, size_t n);

/* Leaves the scope: runs what is deferred, the last first, also what a cleanup defers meanwhile.
 * code is the body's; returns the result as said above. The scope is empty again then, and may be
 * used anew.
 * [any thread] [suspends where the functions do: in a task only]. asyncio: leaving async with,
 * AsyncExitStack.aclose */
int weft_scope_exit(weft_scope *s, int code);

/* Moves everything that is deferred to *ret, an empty scope (else WEFT_ESTATE and nothing is
 * moved); s is empty then. For what opens several things and hands them on once all are open.
 * [any thread] [never suspends]. asyncio: AsyncExitStack.pop_all */
int weft_scope_pop_all(weft_scope *s, weft_scope *ret);

/* weft_scope_exit(s, 0), its error reported: for WEFT_CLEANUP.
 * [any thread] [suspends where the functions do: in a task only] */
void weft_scope_leave(weft_scope *s);

/* For gcc and clang: WEFT_CLEANUP(weft_scope_leave) weft_scope s = WEFT_SCOPE_INIT; leaves s at the
 * end of the block, on every way out of it. */
#if defined(__GNUC__)
#define WEFT_CLEANUP(fn) __attribute__((cleanup(fn)))
#endif

WEFT_END_DECLS
#endif
