/* Generators: functions that hand out items one by one and stand still in between.
 * asyncio counterpart: async generators (async def with yield).
 *
 *   static int ticks(weft_gen *g, void *arg) {
 *     for (int i = 0; i < *(int *)arg; i++) {
 *       int r = weft_sleep(weft_ms(10));
 *       if (r == 0) r = weft_gen_yield(g, &i);
 *       if (r < 0) return r;
 *     }
 *     return 0;
 *   }
 *
 *   weft_gen *g;
 *   int n = 5, tick, r = weft_gen_open(&g, ticks, &n, sizeof tick, NULL);
 *   if (r < 0) return r;
 *   while ((r = weft_gen_next(g, &tick)) > 0) use(tick);
 *   int e = weft_gen_close(g);
 *   return r < 0 ? r : e;
 *
 * A generator's body has a stack of its own, but is no task: it runs within the task that asks for
 * the next item, as in Python. weft_current, a cancel, the timeout scopes and task-locals are that
 * task's, and when the body suspends the whole task does. Different tasks may ask one after the
 * other.
 *
 * Whoever opens a generator closes it. weft_gen_close ends the body wherever it stands: its yield
 * answers WEFT_ECLOSED, it cleans up and returns, in the closing task. One that is left open is
 * closed, and its memory freed, when the run ends and no task uses it any more.
 *
 * A timeout scope or a shield that the body begins, and a weft_context_run in it, has to end before
 * it yields: it would go on in the consumer (yield answers WEFT_ESTATE). A task-local that the body
 * sets is its consumer's, as in Python.
 */
#ifndef WEFT_GEN_H
#define WEFT_GEN_H

#include <stddef.h>

#include <weft/decls.h>
#include <weft/errors.h>

WEFT_BEGIN_DECLS

typedef struct weft_gen weft_gen;

/* The body. Negative is an error and goes to the consumer; zero or more is the end. */
typedef int (*weft_gen_fn)(weft_gen *g, void *arg);

/* Every field may be left zero. */
typedef struct weft_gen_opts {
  const char *name;  /* shown in reports; must outlive the generator */
  size_t arg_size;   /* copies this many bytes of *arg, and the body gets the copy; up to 64 KiB */
  size_t stack_size; /* default: the run's; from WEFT_STACK_MIN to 64 MiB */
  size_t send_size;  /* size of the values of weft_gen_send; default: none can be sent */
  void (*target)(
      void); /* handed back by weft_gen_target: for wrappers with a type (weft/typed.h) */
} weft_gen_opts;

/* Makes a generator of fn(g, arg) whose items are item_size bytes each (0: it only counts). The
 * body begins with the first next. The argument must stay valid until the close, unless .arg_size
 * copies it. The caller closes it. opts may be NULL. 0, WEFT_EINVAL for an option out of range,
 * WEFT_ENOMEM, WEFT_ENOTASK.
 * [task] [never suspends]. asyncio: calling an async generator function */
int weft_gen_open(weft_gen **ret, weft_gen_fn fn, void *arg, size_t item_size,
                  const weft_gen_opts *opts);

/* Lets the body run to its next yield and writes the item to *ret_item (NULL: it is dropped). 1
 * with an item, 0 at the end and ever after, or the error that the body returned, once.
 * WEFT_EBUSY while another task is inside the generator, or when its own body asks; WEFT_EINVAL for
 * a generator of another runtime. Nothing is lost then, and whoever is inside goes on.
 * [task] [suspends where the body does] [cancel point where the body has one]. asyncio: anext */
int weft_gen_next(weft_gen *g, void *ret_item);

/* As next; the yield that the body stands in gets the value *in (send_size bytes), which
 * weft_gen_received tells it. in NULL is next. WEFT_ESTATE for a generator that stands in no yield,
 * because it has not begun; WEFT_EINVAL for one without send_size.
 * [task] [suspends where the body does] [cancel point where the body has one]. asyncio: asend */
int weft_gen_send(weft_gen *g, const void *in, void *ret_item);

/* As next; the yield that the body stands in answers `code`, which is negative (else WEFT_EINVAL).
 * A generator that has not begun ends at once, with that code. 0 for one that has ended.
 * [task] [suspends where the body does] [cancel point where the body has one]. asyncio: athrow */
int weft_gen_throw(weft_gen *g, int code, void *ret_item);

/* Ends the generator and frees it; g is gone afterwards. The yield that the body stands in answers
 * WEFT_ECLOSED; the body cleans up, which may suspend, under a shield, and returns. 0 when it
 * returned zero or more or WEFT_ECLOSED, else its code; WEFT_ESTATE when it yielded again instead
 * (those yields answered WEFT_ECLOSED too). A body that has not begun never runs. NULL is allowed
 * and does nothing.
 * WEFT_EBUSY while another task is inside it, or its own body is what asks; WEFT_EINVAL for a
 * generator of another runtime; WEFT_ENOTASK: then it is still open.
 * [task] [suspends where the body does]. asyncio: aclose, contextlib.aclosing */
int weft_gen_close(weft_gen *g);

/* weft_gen_close as a weft_fn, for weft_scope_defer: weft_scope_defer(&s, weft_gen_close_fn, g).
 * [task] [suspends where the body does] */
int weft_gen_close_fn(void *gen);

/* ---- for the body ---- */

/* Hands *item to the consumer and waits for it to ask again. 0 for next and send, the code of a
 * throw, WEFT_ECLOSED when the generator is being closed: then the body has to return, and to yield
 * nothing more. item may be NULL: the consumer's variable keeps its value.
 * WEFT_ESTATE when the caller is not the body (the task that is inside the generator, and innermost
 * in it), or when a timeout scope, a shield or a context is open that was not when the body went on
 * last; nothing was handed over then.
 * [task] [never suspends: the task goes on in its consumer]. asyncio: yield */
int weft_gen_yield(weft_gen *g, const void *item);

/* The value that came with weft_gen_send: 1 and *ret_value is written, or 0 when the consumer said
 * next. It can be asked for until the next yield. WEFT_ESTATE when the caller is not the body.
 * [task] [never suspends]. asyncio: the value of the yield expression */
int weft_gen_received(weft_gen *g, void *ret_value);

/* Hands on all items of inner, and what is sent and thrown back to it, until it ends: 0, or its
 * error. When g is closed, so is the body of inner, and WEFT_ECLOSED (or the error of inner's end)
 * is the answer. inner stays the caller's to close. WEFT_EINVAL when their sizes of items or sent
 * values differ, WEFT_ESTATE as for yield.
 * [task] [suspends where inner does] [cancel point where inner has one]. asyncio: async for item:
 * yield item; Python's yield from */
int weft_gen_delegate(weft_gen *g, weft_gen *inner);

/* .target of its options. [any thread] [never suspends] */
void (*weft_gen_target(const weft_gen *g))(void);

WEFT_END_DECLS
#endif
