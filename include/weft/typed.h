/* Items with a type: generators, queues and futures of which the compiler knows what is in them.
 *
 *   WEFT_QUEUE_TYPE(order_queue, struct order);
 *
 *   order_queue q;
 *   r = order_queue_new(&q, NULL);
 *   r = order_queue_put(q, &order);            (the compiler refuses a pointer to anything else)
 *   weft_queue_shutdown(q.untyped, false);     (what deals with no item is called as ever)
 *
 * Each macro, at file scope and with a semicolon behind it, defines a type and small functions
 * around the ones that deal with items; what they do is said there. In C a pointer of the wrong
 * type is an error everywhere below the macro, as it is by itself with gcc 14 and clang 16 and
 * later.
 */
#ifndef WEFT_TYPED_H
#define WEFT_TYPED_H

#include <string.h>

#include <weft/future.h>
#include <weft/gen.h>
#include <weft/queue.h>

/* A queue of `type`s: name_new, name_put, name_get, name_try_put, name_try_get.
 * [as their weft_queue_ functions] */
#define WEFT_QUEUE_TYPE(name, type)                                                                \
  WEFT__REFUSE_TYPES                                                                               \
  typedef struct name {                                                                            \
    weft_queue *untyped;                                                                           \
  } name;                                                                                          \
  WEFT__TYPED int name##_new(name *ret, const weft_queue_opts *opts) {                             \
    return weft_queue_new(&ret->untyped, sizeof(type), opts);                                      \
  }                                                                                                \
  WEFT__TYPED int name##_put(name q, const type *item) {                                           \
    return weft_queue_put(q.untyped, item);                                                        \
  }                                                                                                \
  WEFT__TYPED int name##_get(name q, type *ret_item) {                                             \
    return weft_queue_get(q.untyped, ret_item);                                                    \
  }                                                                                                \
  WEFT__TYPED int name##_try_put(name q, const type *item) {                                       \
    return weft_queue_try_put(q.untyped, item);                                                    \
  }                                                                                                \
  WEFT__TYPED int name##_try_get(name q, type *ret_item) {                                         \
    return weft_queue_try_get(q.untyped, ret_item);                                                \
  }                                                                                                \
  struct name

/* A future of a `type`: name_new, name_set, name_await, name_get.
 * [as their weft_future_ functions] */
#define WEFT_FUTURE_TYPE(name, type)                                                               \
  WEFT__REFUSE_TYPES                                                                               \
  typedef struct name {                                                                            \
    weft_future *untyped;                                                                          \
  } name;                                                                                          \
  WEFT__TYPED int name##_new(name *ret) {                                                          \
    return weft_future_new(&ret->untyped, sizeof(type));                                           \
  }                                                                                                \
  WEFT__TYPED int name##_set(name f, const type *value) {                                          \
    return weft_future_set(f.untyped, value);                                                      \
  }                                                                                                \
  WEFT__TYPED int name##_await(name f, type *ret_value) {                                          \
    return weft_future_await(f.untyped, ret_value);                                                \
  }                                                                                                \
  WEFT__TYPED int name##_get(name f, type *ret_value) {                                            \
    return weft_future_get(f.untyped, ret_value);                                                  \
  }                                                                                                \
  struct name

/* A generator of `type`s, whose body is int fn(name g, void *arg): name_open (.target of the
 * options is used), name_next, name_throw, and for the body name_yield and name_delegate.
 * [as their weft_gen_ functions] */
#define WEFT_GEN_TYPE(name, type)                                                                  \
  WEFT__GEN_TYPE(name, type)                                                                       \
  WEFT__TYPED int name##_open(name *ret, name##_fn fn, void *arg, const weft_gen_opts *opts) {     \
    return name##_open_(ret, fn, arg, opts, 0);                                                    \
  }                                                                                                \
  struct name

/* The same, and values of type `sent` can be sent in: name_send, and for the body name_received. */
#define WEFT_GEN_TYPE_SENDS(name, type, sent)                                                      \
  WEFT__GEN_TYPE(name, type)                                                                       \
  WEFT__TYPED int name##_open(name *ret, name##_fn fn, void *arg, const weft_gen_opts *opts) {     \
    return name##_open_(ret, fn, arg, opts, sizeof(sent));                                         \
  }                                                                                                \
  WEFT__TYPED int name##_send(name g, const sent *in, type *ret_item) {                            \
    return weft_gen_send(g.untyped, in, ret_item);                                                 \
  }                                                                                                \
  WEFT__TYPED int name##_received(name g, sent *ret_value) {                                       \
    return weft_gen_received(g.untyped, ret_value);                                                \
  }                                                                                                \
  struct name

/* ---- below: implementation ---- */

/* The body has a type of its own, so it travels as .target and is called as what it is. */
#define WEFT__GEN_TYPE(name, type)                                                                 \
  WEFT__REFUSE_TYPES                                                                               \
  typedef struct name {                                                                            \
    weft_gen *untyped;                                                                             \
  } name;                                                                                          \
  typedef int (*name##_fn)(name g, void *arg);                                                     \
  WEFT__TYPED int name##_call_(weft_gen *g, void *arg) {                                           \
    name typed;                                                                                    \
    typed.untyped = g;                                                                             \
    return WEFT__FUNCTION_CAST(name##_fn, weft_gen_target(g))(typed, arg);                         \
  }                                                                                                \
  WEFT__TYPED int name##_open_(name *ret, name##_fn fn, void *arg, const weft_gen_opts *opts,      \
                               size_t send_size) {                                                 \
    weft_gen_opts o;                                                                               \
    memset(&o, 0, sizeof o);                                                                       \
    if (opts) o = *opts;                                                                           \
    o.send_size = send_size;                                                                       \
    o.target = WEFT__FUNCTION_CAST(weft__any_fn, fn);                                              \
    return weft_gen_open(&ret->untyped, fn ? name##_call_ : NULL, arg, sizeof(type), &o);          \
  }                                                                                                \
  WEFT__TYPED int name##_next(name g, type *ret_item) {                                            \
    return weft_gen_next(g.untyped, ret_item);                                                     \
  }                                                                                                \
  WEFT__TYPED int name##_throw(name g, int code, type *ret_item) {                                 \
    return weft_gen_throw(g.untyped, code, ret_item);                                              \
  }                                                                                                \
  WEFT__TYPED int name##_yield(name g, const type *item) {                                         \
    return weft_gen_yield(g.untyped, item);                                                        \
  }                                                                                                \
  WEFT__TYPED int name##_delegate(name g, name inner) {                                            \
    return weft_gen_delegate(g.untyped, inner.untyped);                                            \
  }

typedef void (*weft__any_fn)(void);

/* clang looks for unused functions in the file that it compiles, inline or not. */
#if defined(__GNUC__)
#define WEFT__TYPED __attribute__((unused)) static inline
#else
#define WEFT__TYPED static inline
#endif

#ifdef __cplusplus
#define WEFT__FUNCTION_CAST(to, fn) reinterpret_cast<to>(fn)
#else
#define WEFT__FUNCTION_CAST(to, fn) ((to)(fn))
#endif

/* Older compilers only warn. */
#if defined(__GNUC__) && !defined(__cplusplus)
#define WEFT__REFUSE_TYPES _Pragma("GCC diagnostic error \"-Wincompatible-pointer-types\"")
#else
#define WEFT__REFUSE_TYPES
#endif

#endif
