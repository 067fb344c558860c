/* Making tasks, for the floors above and for foreign threads. */
#ifndef WEFT_CORE_SPAWN_H
#define WEFT_CORE_SPAWN_H

#include "core/task.h"

/* What can be said of the arguments before anything is made: 0 or WEFT_EINVAL. */
int weft__spawn_check(weft_fn fn, const weft_spawn_opts *opts);

/* Copies the options into a task whose fn and arg are set. 0, WEFT_ENOMEM, or WEFT_EINVAL for the strand of
 * another runtime. */
int weft__spawn_apply(struct weft__task *t, const weft_spawn_opts *opts);

/* Makes a task on worker w, with an owner or NULL that is told of its end; site is shown in reports. It
 * is in no queue yet: the caller does with it what has to be done before it may run, and then calls
 * weft__push_unstarted. 0, WEFT_EINVAL or WEFT_ENOMEM. */
int weft__spawn_make(struct weft__worker *w, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                     struct weft__owner *owner, const void *site, struct weft__task **ret);

/* The same, but it begins at that time, or ends before as a cancelled one; nobody may consume its handle. 0;
 * WEFT_ENOMEM without memory for the timer: then it has ended, and its owner was not told. */
int weft__push_unstarted_at(struct weft__worker *w, struct weft__task *t, uint64_t when);

/* A task for rt from a thread that is none of its workers; the caller holds rt (weft__runtime_hold). The
 * owner is told of its end and then drops the handle's reference. *ret, unless NULL, names it before it may
 * run, for who cancels it. 0, WEFT_ENOMEM, WEFT_EBUSY. */
int weft__submit_owned(struct weft__runtime *rt, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                       struct weft__owner *owner, const void *site, weft_task *ret);

#endif
