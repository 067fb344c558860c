/* Words for tasks and addresses, for those who report. */
#ifndef WEFT_CORE_INTROSPECT_H
#define WEFT_CORE_INTROSPECT_H

#include <stddef.h>
#include <stdint.h>

struct weft__task;

/* Room for any description. */
enum { WEFT__DESCRIPTION = 400 };

/* "function+0x12" where the symbol is known, else the address. */
void weft__symbol(const void *address, char *buf, size_t size);

/* What weft_task_describe writes, of a task that the caller keeps from being used again; word is its claim
 * word at some recent moment. Returns the length as snprintf does. */
int weft__task_describe(struct weft__task *t, uint64_t word, char *buf, size_t size);

#endif
