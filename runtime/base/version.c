/* The version the library was built as, for programs that load a newer or older one. */
#include <weft/version.h>

unsigned weft_version(void) {
  return WEFT_VERSION;
}

const char *weft_version_string(void) {
  return WEFT_VERSION_STRING;
}
