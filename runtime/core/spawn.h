/* Making tasks, for the floors above and for foreign threads. */
#ifndef WEFT_CORE_SPAWN_H
#define WEFT_CORE_SPAWN_H

#include "core/task.h"

/* What can be said of the arguments before anything is made: 0 or WEFT_EINVAL. */
int weft__spawn_check(weft_fn fn, const weft_spawn_opts *opts);

/* Copies the options into a task whose fn and arg are set. 0 or WEFT_ENOMEM. */
int weft__spawn_apply(struct weft__task *t, const weft_spawn_opts *opts);

/* weft_spawn on worker w, with an owner that is told of the end; site is shown in reports. For an
 * owned task the handle in *ret is the owner's to consume. */
int weft__spawn(struct weft__worker *w, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                struct weft__owner *owner, const void *site, weft_task *ret);

#endif
