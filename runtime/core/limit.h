/* Which deadlines of timeout scopes a task's waits obey: those of the scopes that were begun as deep in
 * shields as the task is now. The ones further out wait for the end of the shield, as a cancel does.
 *
 * The task carries what counts for its next wait: limit, the nearest deadline, and limit_hit, the one
 * that was delivered (park.c). Everything else is in its scopes, from the innermost outwards, whose depths
 * never grow; and all of it is the task's own, no lock guards it. What was delivered is noted in the
 * scope it belongs to before the depth or the scopes change: the innermost one of this depth whose
 * deadline is not after limit_hit.
 */
#ifndef WEFT_CORE_LIMIT_H
#define WEFT_CORE_LIMIT_H

#include <weft/timeout.h>

#include "core/task.h"

static inline bool weft__limit_counts(const struct weft__task *t, const weft_timeout *s) {
  return s && s->shield_ >= t->shield;
}

/* Marks the scope whose deadline was delivered as expired. */
void weft__limit_note(struct weft__task *t);

/* Computes the nearest deadline of s from its own and that of the scope around it. */
void weft__limit_nearest(weft_timeout *s);

/* The innermost scope or the depth has changed: computes limit and limit_hit. */
void weft__limit_renew(struct weft__task *t);

void weft__shield_push(struct weft__task *t);
void weft__shield_pop(struct weft__task *t);

/* Back to the scopes and the depth of before: what was begun since is not there any more. */
void weft__limit_restore(struct weft__task *t, weft_timeout *scopes, uint32_t shield);

#endif
