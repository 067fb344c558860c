/* The lines of a stream as an iterator. */
#include <weft/iter.h>

#include "io/stream.h"

static int next_line(void *object, void *ret_item) {
  weft_line line;
  ssize_t n = weft_read_line(object, &line.text);
  if (n <= 0) return (int)n;
  line.len = (size_t)n;
  *(weft_line *)ret_item = line;
  return 1;
}

weft_iter weft_stream_iter(weft_stream *s) {
  static const weft_iter_ops ops = {.name = "a stream's lines", .next = next_line};
  return (weft_iter){&ops, s};
}
