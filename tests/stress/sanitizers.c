/* The options that the test suite gives the sanitizers by the environment, for runs by hand. No
 * suppressions: a report ends the program. */
#include "sanitizers.h"
#include "base/annotate.h"

#if WEFT__TSAN
const char *__tsan_default_options(void) {
  return "halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1";
}
#endif

#if WEFT__ASAN
const char *__asan_default_options(void) {
  return "detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1";
}
const char *__ubsan_default_options(void) {
  return "print_stacktrace=1:halt_on_error=1";
}
#endif
