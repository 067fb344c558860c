#include "postings.h"

#include "../need.h"

void postings_fill(struct postings *p, const struct pair *pairs, size_t count) {
  uint32_t words = p->words.count, at = 0;
  uint32_t *next = need(malloc((words + 1) * sizeof *next));
  p->first = need(calloc(words + 1, sizeof *p->first));
  p->list = need(malloc((count + 1) * sizeof *p->list));
  for (size_t i = 0; i < count; i++) p->first[pairs[i].word + 1]++;
  for (uint32_t w = 0; w <= words; w++) {
    at += p->first[w];
    p->first[w] = next[w] = at;
  }
  for (size_t i = 0; i < count; i++) p->list[next[pairs[i].word]++] = pairs[i].posting;
  free(next);
}

void postings_free(struct postings *p) {
  table_free(&p->words);
  free(p->first);
  free(p->list);
}
