#include "names.h"

enum { WORD_BYTES_MAX = 128 }; /* no word of a name is nearly as long */

/* Adds the postings of one word. False when no name has it. */
static bool add_word(struct search *s, const char *text, size_t length) {
  const struct postings *p = &s->names->postings;
  unsigned char folded[WORD_BYTES_MAX + WORD_PADDING] = {0};
  struct word w;
  uint32_t found;
  if (length > WORD_BYTES_MAX) return false;
  memcpy(folded, text, length);
  words_fold(folded, length);
  w = word_at(folded, length);
  if ((found = table_find(&p->words, &w)) == UINT32_MAX) return false;
  s->at[s->count] = p->first[found];
  s->end[s->count] = p->first[found + 1];
  s->count++;
  return true;
}

bool search_begin(struct search *s, const struct names *names, const char *query, size_t length) {
  const char *end = query + length, *word;
  *s = (struct search){.names = names};
  for (const char *at = query;; at = word) {
    while (at < end && !word_byte[(unsigned char)*at]) at++;
    for (word = at; word < end && word_byte[(unsigned char)*word];) word++;
    if (word == at) return true;
    if (s->count == SEARCH_WORDS_MAX) return false;
    if (!add_word(s, at, (size_t)(word - at))) {
      s->count = 0;
      return true;
    }
  }
}

/* Each round takes the furthest of the words' places and moves the other words up to it; when all are
 * there, the character has all words. */
const struct character *search_next(struct search *s) {
  const struct posting *list = s->names->postings.list;
  uint32_t place = 0, agree = 0;
  if (s->count == 0) return NULL;
  for (uint32_t i = 0; agree < s->count; i = (i + 1) % s->count) {
    while (s->at[i] < s->end[i] && list[s->at[i]].place < place) s->at[i]++;
    if (s->at[i] == s->end[i]) return NULL;
    agree = list[s->at[i]].place == place && agree ? agree + 1 : 1;
    place = list[s->at[i]].place;
  }
  s->at[0]++;
  return &s->names->characters[place];
}
