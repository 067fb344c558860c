/* Words for tasks and addresses, for those who report. */
#ifndef WEFT_CORE_INTROSPECT_H
#define WEFT_CORE_INTROSPECT_H

#include <stddef.h>
#include <stdint.h>

struct weft__task;

/* Room for any description, and for any place. */
enum { WEFT__DESCRIPTION = 500, WEFT__PLACE = 192 };

/* "function+0x12" where the symbol is known, else the address. In debug mode symbols are those of the debug
 * information, too. */
void weft__symbol(const void *address, char *buf, size_t size);

/* The same for the call that returns to the address; in debug mode with file and line where they are
 * known. */
void weft__place(const void *address, char *buf, size_t size);

/* What weft_task_describe writes, of a task that the caller keeps from being used again; word is its claim
 * word at some recent moment. Returns the length as snprintf does. */
int weft__task_describe(struct weft__task *t, uint64_t word, char *buf, size_t size);

#endif
