#include "base/thread_error.h"

#include <errno.h>

__attribute__((noinline)) int weft__thread_error_get(void) { return errno; }
__attribute__((noinline)) void weft__thread_error_set(int value) { errno = value; }
