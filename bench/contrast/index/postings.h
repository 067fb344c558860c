/* Words, and where each of them occurs. */
#ifndef INDEX_POSTINGS_H
#define INDEX_POSTINGS_H

#include "words.h"

/* Where a word occurs: in which file and how often; or, in names, in which character's. */
struct posting {
  uint32_t place, count;
};

/* Words with their postings. */
struct postings {
  struct word_table words;
  uint32_t *first; /* of word i: list[first[i]] to list[first[i + 1]], places in order */
  struct posting *list;
};

/* Turns pairs (word, posting), in the order of their places, into postings. */
struct pair {
  uint32_t word;
  struct posting posting;
};
void postings_fill(struct postings *postings, const struct pair *pairs, size_t count);
void postings_free(struct postings *postings);

#endif
