/* The last line a process prints. */
#include "base/check.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Release in set_context, acquire here: the function's own data is ready when it can be called. */
static _Atomic(weft__fatal_context_fn) fatal_context;

/* Set while the calling thread asks for its context: an invariant that breaks in there must still
 * be printed, without asking again. */
static _Thread_local bool asking;

void weft__fatal_set_context(weft__fatal_context_fn fn) {
  atomic_store_explicit(&fatal_context, fn, memory_order_release);
}

/* What snprintf did to a buffer of size bytes: the characters that are in it now. */
static size_t written(int n, size_t size) {
  if (n < 0) return 0;
  return (size_t)n < size ? (size_t)n : size - 1;
}

static _Noreturn void print_and_abort(char *line, size_t used, size_t size) {
  weft__fatal_context_fn context = atomic_load_explicit(&fatal_context, memory_order_acquire);
  if (context && !asking) {
    char where[160] = "";
    asking = true;
    context(where, sizeof where);
    asking = false;
    if (where[0]) used += written(snprintf(line + used, size - used, " (%s)", where), size - used);
  }
  line[used++] = '\n';
  /* Nothing can be done about a stderr that does not take it. */
  ssize_t ignored = write(STDERR_FILENO, line, used);
  (void)ignored;
  abort();
}

void weft__fatal(const char *format, ...) {
  /* One byte beyond the text is kept for the newline. */
  char line[640];
  const size_t size = sizeof line - 1;
  size_t used = written(snprintf(line, size, "weft: "), size);
  va_list args;
  va_start(args, format);
  used += written(vsnprintf(line + used, size - used, format, args), size - used);
  va_end(args);
  print_and_abort(line, used, size);
}

void weft__assert_failed(const char *cond, const char *file, int line) {
  weft__fatal("%s:%d: invariant broken: %s", file, line, cond);
}
