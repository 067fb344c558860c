/* Words, and a hash table of them.
 *
 * A word is a longest run of the bytes [A-Za-z0-9_], in lower case. It is not copied: it points
 * into the text that it was found in, which has to stay, with WORD_PADDING readable bytes behind
 * its end. */
#ifndef INDEX_WORDS_H
#define INDEX_WORDS_H

#include <stddef.h>
#include <stdint.h>

enum { WORD_PADDING = 8 };

struct word {
  uint64_t
      key; /* its first eight bytes, the first one highest, padded with zeros: orders most words */
  const unsigned char *text;
  uint32_t length;
  uint32_t value; /* the user's */
};

/* The class of a byte: 0 ends a word; otherwise the byte in lower case. */
extern const unsigned char word_byte[256];

/* Puts text into lower case where it is, and everything that is not of a word to 0. */
void words_fold(unsigned char *text, size_t length);

/* The word that begins at text. */
struct word word_at(const unsigned char *text, size_t length);

/* Finds the next word in folded text at or after `from` and before `end`. Returns 0 when there is
 * none, else its length; it begins at *begin. */
size_t word_next(const unsigned char *from, const unsigned char *end, const unsigned char **begin);

/* Negative, zero or positive: byte order, as memcmp of both, the shorter first. */
int word_compare(const void *a, const void *b);

/* Words in the order in which they were added. */
struct word_table {
  struct word *words;
  uint32_t count, capacity;
  uint64_t
      *slots; /* upper half: of the hash; lower half: index + 1 into words, 0 for a free slot */
  uint32_t mask;
};

void table_init(struct word_table *t, uint32_t capacity);
void table_free(struct word_table *t);

/* The index of the word; adds it, with value 0, when it is not there. */
uint32_t table_add(struct word_table *t, const struct word *w);

/* The index of the word, or UINT32_MAX. */
uint32_t table_find(const struct word_table *t, const struct word *w);

/* The table's words in byte order, as a new array; value is the index in the table. */
struct word *table_sorted(const struct word_table *t);

#endif
