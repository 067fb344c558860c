/* Strands: the rules of a single-threaded program for a part of a parallel run.
 *
 *   int r = weft_strand_run(legacy_part, &state);
 *
 * Tasks of one strand run one at a time, so state that only they touch needs no lock: between two
 * calls marked [suspends] nothing else of the strand runs. They begin in the order of their
 * creation and go on in the order in which they were woken, first in first out, and are never made
 * to yield: just as asyncio's loop runs its tasks. The strand as a whole moves between workers, and
 * beside it everything else runs in parallel.
 *
 * What a task of a strand spawns (weft_spawn, a group's children, callbacks) belongs to its strand,
 * unless its options say otherwise: another .strand, or .parallel for none. weft_to_thread and
 * process jobs run beside it as always.
 *
 * A task of a strand that computes for long keeps its strand waiting, and only that. In a strand no
 * task runs on its awaiter's stack, so a spawn and its await cost there what those of a task that
 * suspends do.
 */
#ifndef WEFT_STRAND_H
#define WEFT_STRAND_H

#include <stdbool.h>

#include <weft/decls.h>
#include <weft/run.h>

WEFT_BEGIN_DECLS

typedef struct weft_strand weft_strand;

/* Runs fn(arg) as the first task of a new strand and awaits it, as weft_await does; its code. Tasks
 * that it leaves behind go on, in the strand. WEFT_ENOMEM, WEFT_EINVAL, WEFT_ENOTASK: fn was not
 * called, or, with WEFT_ENOMEM under a deadline, was cancelled (see weft_await).
 * [task] [suspends] [cancel point]. asyncio: the loop's own rules */
int weft_strand_run(weft_fn fn, void *arg);

/* Makes a strand without tasks, for the .strand of weft_spawn_opts; written to *ret. To be freed
 * with weft_strand_free, before or after its tasks have ended. 0, WEFT_ENOMEM, WEFT_EINVAL,
 * WEFT_ENOTASK.
 * [task] [never suspends] */
int weft_strand_new(weft_strand **ret);

/* Gives the strand back; its tasks go on in it. After this it must not be used for a spawn. NULL is
 * ignored. [any thread] [never suspends] */
void weft_strand_free(weft_strand *s);

/* True when the calling task belongs to s. In exact mode, where the whole run is one strand, no
 * task belongs to another. [any thread] [never suspends] */
bool weft_strand_in(const weft_strand *s);

WEFT_END_DECLS
#endif
