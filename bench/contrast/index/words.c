#include "words.h"

#include "../need.h"

#include <stdlib.h>
#include <string.h>

#define LETTERS(c) [(c)] = (c), [(c) - 'a' + 'A'] = (c)
#define DIGIT(c) [(c)] = (c)

const unsigned char word_byte[256] = {
    DIGIT('0'),   DIGIT('1'),   DIGIT('2'),   DIGIT('3'),   DIGIT('4'),   DIGIT('5'),
    DIGIT('6'),   DIGIT('7'),   DIGIT('8'),   DIGIT('9'),   ['_'] = '_',  LETTERS('a'),
    LETTERS('b'), LETTERS('c'), LETTERS('d'), LETTERS('e'), LETTERS('f'), LETTERS('g'),
    LETTERS('h'), LETTERS('i'), LETTERS('j'), LETTERS('k'), LETTERS('l'), LETTERS('m'),
    LETTERS('n'), LETTERS('o'), LETTERS('p'), LETTERS('q'), LETTERS('r'), LETTERS('s'),
    LETTERS('t'), LETTERS('u'), LETTERS('v'), LETTERS('w'), LETTERS('x'), LETTERS('y'),
    LETTERS('z'),
};

void words_fold(unsigned char *text, size_t length) {
  for (size_t i = 0; i < length; i++) text[i] = word_byte[text[i]];
}

struct word word_at(const unsigned char *text, size_t length) {
  struct word w = {.text = text, .length = (uint32_t)length};
  memcpy(&w.key, text, sizeof w.key);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  w.key = __builtin_bswap64(w.key);
#endif
  if (length < sizeof w.key) w.key &= ~(UINT64_MAX >> (8 * length));
  return w;
}

size_t word_next(const unsigned char *from, const unsigned char *end, const unsigned char **begin) {
  const unsigned char *last;
  while (from < end && !*from) from++;
  last = from;
  while (last < end && *last) last++;
  *begin = from;
  return (size_t)(last - from);
}

int word_compare(const void *a, const void *b) {
  const struct word *x = a, *y = b;
  uint32_t shorter = x->length < y->length ? x->length : y->length;
  int order = 0;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  if (shorter > sizeof x->key)
    order = memcmp(x->text + sizeof x->key, y->text + sizeof x->key, shorter - sizeof x->key);
  return order ? order : (x->length > y->length) - (x->length < y->length);
}

static int same(const struct word *x, const struct word *y) {
  return x->key == y->key && x->length == y->length &&
         (x->length <= sizeof x->key ||
          memcmp(x->text + sizeof x->key, y->text + sizeof x->key, x->length - sizeof x->key) == 0);
}

static uint64_t hash(const struct word *w) {
  uint64_t h = (w->key ^ w->length) * UINT64_C(0x9E3779B97F4A7C15);
  for (uint32_t i = sizeof w->key; i < w->length; i++)
    h = (h ^ w->text[i]) * UINT64_C(0x100000001B3);
  return __builtin_bswap64(h); /* the product's upper bits depend on all of the word */
}

/* The slots are written before they are read: a fresh page that is read first is mapped to the
 * kernel's page of zeros, and the first write to it then has to interrupt the other CPUs. */
static void slots_init(struct word_table *t, uint32_t slots) {
  t->mask = slots - 1;
  t->slots = need(malloc(slots * sizeof *t->slots));
  memset(t->slots, 0, slots * sizeof *t->slots);
}

void table_init(struct word_table *t, uint32_t capacity) {
  uint32_t slots = 16;
  while (slots < capacity * 2) slots *= 2;
  *t = (struct word_table){.capacity = slots / 2};
  t->words = need(malloc(t->capacity * sizeof *t->words));
  slots_init(t, slots);
}

void table_free(struct word_table *t) {
  free(t->words);
  free(t->slots);
  *t = (struct word_table){0};
}

/* At most half of the slots are taken, so a search always meets a free one. */
static void grow(struct word_table *t) {
  t->capacity *= 2;
  t->words = need(realloc(t->words, t->capacity * sizeof *t->words));
  free(t->slots);
  slots_init(t, t->capacity * 2);
  for (uint32_t i = 0; i < t->count; i++) {
    uint64_t h = hash(&t->words[i]);
    uint32_t at = (uint32_t)h & t->mask;
    while (t->slots[at]) at = (at + 1) & t->mask;
    t->slots[at] = (h & ~(uint64_t)UINT32_MAX) | (i + 1);
  }
}

/* The slot of the word, or the free one that it would take. */
static uint64_t *search(const struct word_table *t, const struct word *w, uint64_t h) {
  uint32_t at = (uint32_t)h & t->mask;
  for (; t->slots[at]; at = (at + 1) & t->mask) {
    uint64_t slot = t->slots[at];
    if (slot >> 32 == h >> 32 && same(&t->words[(uint32_t)slot - 1], w)) break;
  }
  return &t->slots[at];
}

uint32_t table_add(struct word_table *t, const struct word *w) {
  uint64_t h = hash(w), *slot = search(t, w, h);
  if (*slot) return (uint32_t)*slot - 1;
  if (t->count == t->capacity) {
    grow(t);
    slot = search(t, w, h);
  }
  t->words[t->count] = *w;
  t->words[t->count].value = 0;
  *slot = (h & ~(uint64_t)UINT32_MAX) | ++t->count;
  return t->count - 1;
}

uint32_t table_find(const struct word_table *t, const struct word *w) {
  return (uint32_t)*search(t, w, hash(w)) - 1; /* a free slot, 0, gives UINT32_MAX */
}

struct word *table_sorted(const struct word_table *t) {
  struct word *sorted = need(malloc((t->count + 1) * sizeof *sorted));
  for (uint32_t i = 0; i < t->count; i++) {
    sorted[i] = t->words[i];
    sorted[i].value = i;
  }
  qsort(sorted, t->count, sizeof *sorted, word_compare);
  return sorted;
}
