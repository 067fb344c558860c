/* Bytes that grow at their end: the parts of the output. */
#ifndef INDEX_TEXT_H
#define INDEX_TEXT_H

#include "../need.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct text {
  char *bytes;
  size_t length, capacity;
};

/* Makes room for n more bytes and returns where they go. */
static inline char *text_room(struct text *t, size_t n) {
  if (t->capacity - t->length < n) {
    t->capacity = (t->capacity + n) * 2;
    t->bytes = need(realloc(t->bytes, t->capacity));
  }
  return t->bytes + t->length;
}

static inline void text_put(struct text *t, const void *bytes, size_t n) {
  if (n == 0) return; /* of nothing, perhaps: no bytes, no memory yet */
  memcpy(text_room(t, n), bytes, n);
  t->length += n;
}

static inline void text_string(struct text *t, const char *s) {
  text_put(t, s, strlen(s));
}

static inline void text_char(struct text *t, char c) {
  *text_room(t, 1) = c;
  t->length++;
}

static inline void text_number(struct text *t, uint64_t number) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + number % 10);
  } while ((number /= 10) != 0);
  text_put(t, digits + at, sizeof digits - at);
}

#endif
