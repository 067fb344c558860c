/* What the sanitizers call before main. */
#ifndef WEFT_TESTS_STRESS_SANITIZERS_H
#define WEFT_TESTS_STRESS_SANITIZERS_H

const char *__tsan_default_options(void);
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

#endif
