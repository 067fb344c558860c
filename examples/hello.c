#include <stdio.h>
#include <weft.h>

static int greet(void *name) {
  return printf("hello, %s\n", (const char *)name);
}
static int app(void *name) {
  return weft_await(weft_spawn(greet, name, NULL));
}
int main(void) {
  return weft_run(app, "world", NULL) < 0;
}
