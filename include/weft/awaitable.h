/* Awaitables: everything that a task can wait for, under one type.
 *
 * weft_gather, weft_wait, weft_select, weft_as_completed and their kin take an array of awaitables,
 * in any mix: tasks, futures, events, and objects of the program's own. asyncio: objects with
 * __await__.
 *
 *   weft_awaitable set[] = {weft_task_awaitable(t), weft_future_awaitable(f)};
 *   int first = weft_select(set, 2, NULL);
 *
 * An awaitable of your own is an object with a lock, a weft_watchers list, and a table of
 * functions:
 *
 *   static int door_watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
 *     struct door *d = object;
 *     pthread_mutex_lock(&d->lock);
 *     bool open = d->open;
 *     if (!open) weft_watchers_add(&d->watchers, w);
 *     pthread_mutex_unlock(&d->lock);
 *     if (open) *ret_code = 0;
 *     return open;
 *   }
 *   static void door_unwatch(void *object, uint64_t key, weft_watch *w) {
 *     struct door *d = object;
 *     pthread_mutex_lock(&d->lock);
 *     weft_watchers_remove(&d->watchers, w);
 *     pthread_mutex_unlock(&d->lock);
 *   }
 *   static const weft_awaitable_ops door_ops = {
 *       .name = "a door", .watch = door_watch, .unwatch = door_unwatch};
 *
 *   void door_open(struct door *d) {                          (on any thread)
 *     pthread_mutex_lock(&d->lock);
 *     d->open = true;
 *     weft_watchers_fire(&d->watchers, 0);
 *     pthread_mutex_unlock(&d->lock);
 *   }
 *   int r = weft_awaitable_await((weft_awaitable){&door_ops, d, 0});
 *
 * The protocol. An awaitable is over once, with a code, and stays over. Whoever waits calls watch;
 * when the object is not over, watch links the record and the object fires it once when it is. Who
 * has waited calls unwatch in every case, fired or not, and the record dies after that: so the
 * object may touch a linked record under its own lock, and no longer. The object itself must live
 * until then.
 */
#ifndef WEFT_AWAITABLE_H
#define WEFT_AWAITABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/decls.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

/* One who waits, in the list of one source. Opaque; the runtime makes them. */
typedef struct weft_watch weft_watch;

/* A list of them, guarded by the object's own lock; opaque, empty when zeroed. Must not be copied
 * or moved while somebody is in it. */
typedef union weft_watchers {
  void *align_;
  unsigned char opaque_[2 * sizeof(void *)];
} weft_watchers;

/* What an awaitable can do. The object's functions are called by the waiting task, on its thread,
 * with no lock of the runtime held; they must not suspend. */
typedef struct weft_awaitable_ops {
  /* For reports of who waits for what: "a door". */
  const char *name;
  /* Links w and returns 0; or, when the object is over already, writes its code and returns 1; or a
   * negative code when it cannot be waited for: that is what the waiting call then returns. */
  int (*watch)(void *object, uint64_t key, weft_watch *w, int *ret_code);
  /* Unlinks w if it is linked. After it the object does not touch w. */
  void (*unwatch)(void *object, uint64_t key, weft_watch *w);
  /* Asks the object to be over soon, because who awaits it was cancelled. 1: asked, the waiter then
   * waits for the end. 0: it was over. Negative: it could not be asked. NULL: it never can be. In
   * the last two cases the waiter just goes away. */
  int (*cancel)(void *object, uint64_t key);
  /* For objects whose waiter consumes them (a task's handle); NULL for all others. take: 0, or
   * WEFT_ESTALE when somebody else has; then exactly one of give_back and drop, `over` telling
   * whether the object is over. */
  int (*take)(void *object, uint64_t key);
  void (*give_back)(void *object, uint64_t key);
  void (*drop)(void *object, uint64_t key, bool over);
  /* The code has been given to the program: for objects that report a failure nobody has seen.
   * NULL for all others. */
  void (*told)(void *object, uint64_t key);
} weft_awaitable_ops;

/* One thing to wait for, a value. It borrows the object. */
typedef struct weft_awaitable {
  const weft_awaitable_ops *ops;
  void *object;
  uint64_t key; /* the object's own: handed back to its functions */
} weft_awaitable;

/* For the object's functions; the object's lock is held. remove does nothing when w is not linked.
 * fire tells every watcher in the order they came, with the code, and empties the list; it takes no
 * lock that the object's functions could hold. [any thread] [never suspends] */
void weft_watchers_add(weft_watchers *list, weft_watch *w);
void weft_watchers_remove(weft_watchers *list, weft_watch *w);
void weft_watchers_fire(weft_watchers *list, int code);

/* The awaitable that a task is. It borrows the handle until something consumes it.
 * A handle that carries its spawn's error makes an awaitable that answers that error.
 * [any thread] [never suspends] */
weft_awaitable weft_task_awaitable(weft_task t);

/* Waits until a is over and returns its code; consumes it if it can be consumed. When the caller is
 * cancelled a is cancelled first and its end waited for: its code is the result, WEFT_ECANCELED if
 * it gave way. One that cannot be cancelled is left as it is, with WEFT_ECANCELED.
 * WEFT_ESTALE, WEFT_ESELF, WEFT_EINVAL for one that cannot be waited for. WEFT_ENOMEM as
 * weft_await: a is cancelled then, too.
 * [task] [suspends] [cancel point]. asyncio: await a */
int weft_awaitable_await(weft_awaitable a);

/* The same, at most for `limit`; then a is cancelled, its end waited for, and WEFT_ETIMEDOUT
 * returned, or its code if it did not give way. limit <= 0: its code if it is over, else it is
 * cancelled at once.
 * [task] [suspends] [cancel point]. asyncio: wait_for(a, timeout) */
int weft_awaitable_wait_for(weft_awaitable a, weft_ns limit);

/* Waits until a is over and returns its code, but a cancel of the caller does not reach it: the
 * caller gets WEFT_ECANCELED and a goes on. Consumes a if it can be consumed: a task whose awaiter
 * was cancelled runs on detached, and a failure of it is reported when it happens. WEFT_ENOMEM
 * without memory for the timer of a deadline around it: a is as before. Other errors as
 * weft_awaitable_await.
 * [task] [suspends] [cancel point]. asyncio: await shield(a) */
int weft_shield(weft_awaitable a);

WEFT_END_DECLS
#endif
