#include <stdio.h>

#include <weft/version.h>

int main(void) {
  printf("hello from weft %s\n", weft_version_string());
  return 0;
}
