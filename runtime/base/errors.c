/* Names and texts of the error codes, from the one list in weft/errors.h. */
#include <weft/errors.h>

#include <uv.h>

/* The promise of the header: libuv's numbers. A libuv that is newer than the list may know more
 * codes; what the list has keeps its number. */
#if UV_VERSION_MAJOR == 1 && UV_VERSION_MINOR <= 52
#define WEFT__ERR_SAME(name, text)                                                                 \
  _Static_assert((int)WEFT_##name == (int)UV_##name, "WEFT_" #name " is libuv's number");
UV_ERRNO_MAP(WEFT__ERR_SAME)
#undef WEFT__ERR_SAME
#endif

/* One case per code: two codes with the same number would not compile. */
const char *weft_err_name(int code) {
  if (code >= 0) return "WEFT_OK";
  switch (code) {
#define WEFT__ERR_NAME(name, number, text)                                                         \
  case name:                                                                                       \
    return #name;
    WEFT_ERRNO_MAP(WEFT__ERR_NAME)
#undef WEFT__ERR_NAME
  default:
    return "WEFT_?";
  }
}

const char *weft_strerror(int code) {
  if (code >= 0) return "no error";
  switch (code) {
#define WEFT__ERR_TEXT(name, number, text)                                                         \
  case name:                                                                                       \
    return text;
    WEFT_ERRNO_MAP(WEFT__ERR_TEXT)
#undef WEFT__ERR_TEXT
  default:
    return "unknown error";
  }
}
