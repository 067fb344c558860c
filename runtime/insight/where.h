/* Places in the program as text. */
#ifndef WEFT_INSIGHT_WHERE_H
#define WEFT_INSIGHT_WHERE_H

#include <stdbool.h>
#include <stddef.h>

/* "function" or "function+0x12", where the symbol is known; else "module+0x1234", which addr2line -e
 * module takes; else the address. */
void weft__where_symbol(const void *address, char *buf, size_t size);

/* The same and, where the module has debug information, " (file.c:12)". returned_to: the address is where a
 * call returns to, and the call is meant. */
void weft__where(const void *address, bool returned_to, char *buf, size_t size);

#endif
