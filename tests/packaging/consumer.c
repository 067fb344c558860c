#include <stdio.h>

#include <weft.h>

static int hello(void *arg) {
  (void)arg;
  return printf("hello from weft %s\n", weft_version_string());
}

int main(void) {
  return weft_run(hello, NULL, NULL) < 0;
}
