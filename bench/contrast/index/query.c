#include "index.h"

enum { CODES_SHOWN = 5 };

/* splitmix64: the query's number becomes its choice of words. */
static uint64_t mix(uint64_t number) {
  number += UINT64_C(0x9E3779B97F4A7C15);
  number = (number ^ (number >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  number = (number ^ (number >> 27)) * UINT64_C(0x94D049BB133111EB);
  return number ^ (number >> 31);
}

/* The word at this place of all words in order. */
static const struct word *word_at_place(const struct index *index, uint64_t place) {
  const struct range *range = index->ranges;
  while (place >= range->postings.words.count) place -= range++->postings.words.count;
  return &range->sorted[place];
}

/* Looks the word up and says how often it occurs, in how many files, and in which one most. */
static void look_up(const struct index *index, const struct word *w, struct text *out) {
  const struct postings *p = &index->ranges[index->range_of[bucket_of(w->key)]].postings;
  const struct posting *top = NULL;
  uint32_t found = table_find(&p->words, w), files = 0;
  uint64_t total = 0;
  if (found != UINT32_MAX) {
    const struct posting *from = p->list + p->first[found], *to = p->list + p->first[found + 1];
    files = (uint32_t)(to - from);
    for (const struct posting *at = top = from; at < to; at++) {
      total += at->count;
      if (at->count > top->count) top = at;
    }
  }
  text_number(out, total);
  text_char(out, ' ');
  text_number(out, files);
  text_char(out, ' ');
  if (top)
    text_number(out, top->place);
  else
    text_char(out, '-');
}

static void word_query(const struct index *index, uint64_t choice, bool miss, struct text *out) {
  const struct word *chosen = word_at_place(index, choice % index->distinct);
  size_t length = chosen->length + (miss ? 1 : 0);
  unsigned char *text = need(calloc(1, length + WORD_PADDING));
  struct word w;
  memcpy(text, chosen->text, chosen->length);
  if (miss) text[chosen->length] = '_';
  w = word_at(text, length);
  text_string(out, "word ");
  text_put(out, text, length);
  text_char(out, ' ');
  look_up(index, &w, out);
  free(text);
}

static void put_word(const struct names *names, uint32_t word, struct text *out) {
  const struct word *w = &names->postings.words.words[word];
  text_put(out, w->text, w->length);
  text_char(out, ' ');
}

/* The characters whose names have both the first and the last word of the chosen one's. */
static void name_query(const struct names *names, uint64_t choice, struct text *out) {
  const struct character *c = &names->characters[choice % names->count], *matches[CODES_SHOWN];
  const struct postings *p = &names->postings;
  uint32_t a = p->first[c->first], b = p->first[c->last];
  uint32_t a_end = p->first[c->first + 1], b_end = p->first[c->last + 1], count = 0;
  while (a < a_end && b < b_end) {
    uint32_t x = p->list[a].place, y = p->list[b].place;
    if (x == y) {
      if (count < CODES_SHOWN) matches[count] = &names->characters[x];
      count++;
    }
    a += x <= y;
    b += y <= x;
  }
  text_string(out, "name ");
  put_word(names, c->first, out);
  put_word(names, c->last, out);
  text_number(out, count);
  for (uint32_t i = 0; i < count && i < CODES_SHOWN; i++) {
    text_char(out, i ? ',' : ' ');
    text_put(out, matches[i]->code, matches[i]->code_length);
  }
}

void answer_queries(const struct index *index, uint64_t from, uint64_t to, struct text *lines) {
  for (uint64_t number = from; number < to; number++) {
    text_number(lines, number);
    text_char(lines, ' ');
    if (number % 2 == 0)
      word_query(index, mix(number), number % 10 == 8, lines);
    else
      name_query(&index->names, mix(number), lines);
    text_char(lines, '\n');
  }
}
