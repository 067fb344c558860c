/* The files that the program consists of, read for their symbols and line tables. */
#ifndef WEFT_INSIGHT_MODULE_H
#define WEFT_INSIGHT_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft__bytes {
  const unsigned char *at, *end;
};

/* A program or a shared library, mapped as a file. Kept until the process ends. */
struct weft__module {
  const void *base;        /* where it is loaded; what identifies it */
  struct weft__bytes file; /* empty: it could not be read */
  bool fixed;              /* its addresses are those of memory, not distances from base */
  struct weft__bytes symbols, names;               /* .symtab and its strings */
  struct weft__bytes lines, line_strings, strings; /* .debug_line and what it refers to */
};

/* The module that address lies in, or NULL; *ret_address is the address as the file counts. Any thread. */
const struct weft__module *weft__module_of(const void *address, uint64_t *ret_address);

/* The function's name, or NULL; *ret_offset is how far behind its beginning the address is. */
const char *weft__module_symbol(const struct weft__module *m, uint64_t address,
                                uint64_t *ret_offset);

/* The file, without its folder, and the line that the instruction at address comes from; NULL where
 * the module does not tell. lines.c */
const char *weft__module_line(const struct weft__module *m, uint64_t address, unsigned *ret_line);

#endif
