/* The version of weft: what this header was written for (macros) and what the program runs with
 * (functions). Until 1.0 every minor version may change the interface; the shared library's soname
 * is the major version. */
#ifndef WEFT_VERSION_H
#define WEFT_VERSION_H

#include <weft/decls.h>

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0
#define WEFT_VERSION_STRING "0.1.0"

/* One number that grows with every version: 0xMMmmpp. */
#define WEFT_VERSION ((WEFT_VERSION_MAJOR << 16) | (WEFT_VERSION_MINOR << 8) | WEFT_VERSION_PATCH)

WEFT_BEGIN_DECLS

/* WEFT_VERSION of the library that is linked or loaded. A program that needs a function of a later
 * version compares this with the number it needs.
 * [any thread] [never suspends] No asyncio counterpart (sys.version_info). */
unsigned weft_version(void);

/* WEFT_VERSION_STRING of the library that is linked or loaded: static, never freed.
 * [any thread] [never suspends] No asyncio counterpart (sys.version). */
const char *weft_version_string(void);

WEFT_END_DECLS

#endif
