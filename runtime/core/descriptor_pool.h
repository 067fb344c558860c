/* The memory of descriptors, and which of them are at home in a loop. For descriptor.c.
 *
 * The memory is the process's and never given back: an event may come at any time. One lock guards the free
 * ones and the lists of the loops; it comes after a descriptor's own.
 */
#ifndef WEFT_CORE_DESCRIPTOR_POOL_H
#define WEFT_CORE_DESCRIPTOR_POOL_H

#include "core/descriptor.h"

/* 0, WEFT_ENOMEM. Any thread, as all of these. */
int weft__descriptor_alloc(struct weft__descriptor **ret);
void weft__descriptor_recycle(struct weft__descriptor *d);

/* Puts d into the list of the loop that is its home from now on, or takes it out; the loop lives as long as
 * its list has any. With d's lock. */
void weft__descriptor_settle(struct weft__descriptor *d, struct weft__loop *home);
void weft__descriptor_unsettle(struct weft__descriptor *d);

/* One of those in the loop's list, or NULL. */
struct weft__descriptor *weft__descriptor_at(struct weft__loop *home);

#endif
