#ifndef WEFT_FAULTS_LIBUV_CALLS_H
#define WEFT_FAULTS_LIBUV_CALLS_H

#include "base/sys.h"

/* Lets the table reach the kernel where the program's own functions stand in the way. A table
 * without it must not be in use when one of them is called. */
void libuv_calls_install(struct weft__sys_table *table);

#endif
