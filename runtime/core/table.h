/* The running runtimes of the process, so that a weft_runtime value can outlive the run it names. */
#ifndef WEFT_CORE_TABLE_H
#define WEFT_CORE_TABLE_H

#include <stdbool.h>

struct weft__runtime;

/* A run begins: beside others, or alone, as a simulation must be, whose clock is the whole process's.
 * 0, or WEFT_EBUSY. */
int weft__table_enter(bool alone);
void weft__table_leave(bool alone);
/* A simulation is under way. */
bool weft__table_alone(void);

/* Gives rt its id and lets it be found. */
void weft__table_add(struct weft__runtime *rt);
void weft__table_remove(struct weft__runtime *rt);
/* It has been removed, and cannot be freed. */
void weft__table_leave_behind(struct weft__runtime *rt);

#endif
