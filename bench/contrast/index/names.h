/* The index of the characters' names: of every word the characters that have it in their names. The
 * contrast builds and queries one, and so does examples/charfinder.c. */
#ifndef INDEX_NAMES_H
#define INDEX_NAMES_H

#include "postings.h"
#include "text.h"

#include <stdbool.h>

struct character {
  const char *code; /* in lower case, in names' text */
  uint32_t code_length;
  uint32_t first, last; /* words of its name */
};

struct names {
  struct text text; /* what the words and codes point into */
  struct character *characters;
  uint32_t count;
  struct postings postings;
};

/* Indexes UnicodeData.txt, whose text it takes over. Of a line it turns the code and the name, where
 * they are, into lower case. */
void names_build(struct names *names, struct text *text);
void names_free(struct names *names);

/* Writes the words in order, each with its characters. */
void names_write(const struct names *names, struct text *out);

/* search.c */

enum { SEARCH_WORDS_MAX = 16 };

/* The characters whose names have all words of a query, in the order of the text. Allocates nothing. */
struct search {
  const struct names *names;
  uint32_t count;                                       /* of words */
  uint32_t at[SEARCH_WORDS_MAX], end[SEARCH_WORDS_MAX]; /* of each: what is left of its postings */
};

/* Begins a search. Returns false when the query has more than SEARCH_WORDS_MAX words. A query without
 * a word, or with one that is in no name, finds nothing. */
bool search_begin(struct search *search, const struct names *names, const char *query,
                  size_t length);

/* The next character, or NULL after the last. */
const struct character *search_next(struct search *search);

#endif
