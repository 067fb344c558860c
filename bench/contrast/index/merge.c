#include "index.h"

void index_plan_ranges(struct index *index, size_t wanted) {
  uint64_t words[BUCKETS] = {0}, all = 0, in_range = 0;
  struct range *range;
  for (size_t s = 0; s < index->source_count; s++) {
    for (size_t k = 0; k < index->sources[s].chunk_count; k++) {
      const uint32_t *starts = index->sources[s].chunks[k]->starts;
      for (uint32_t b = 0; b < BUCKETS; b++) words[b] += starts[b + 1] - starts[b];
      all += starts[BUCKETS];
    }
  }
  range = index->ranges = need(calloc(wanted, sizeof *range));
  for (uint32_t b = 0; b < BUCKETS; b++) {
    index->range_of[b] = (uint16_t)(range - index->ranges);
    range->to = b + 1;
    in_range += words[b];
    if (in_range * wanted >= all && b + 1 < BUCKETS && range + 1 < index->ranges + wanted) {
      *++range = (struct range){.from = b + 1};
      in_range = 0;
    }
  }
  index->range_count = (size_t)(range - index->ranges) + 1;
}

/* Gathers the range's words of one chunk. last[word] is the word's newest pair: a word that an
 * earlier chunk of the same file had goes there. Returns the number of pairs. */
static size_t gather_chunk(struct range *range, const struct chunk *c, uint32_t file,
                           struct pair *pairs, size_t count, uint32_t *last) {
  for (uint32_t i = c->starts[range->from]; i < c->starts[range->to]; i++) {
    uint32_t known = range->postings.words.count;
    uint32_t word = table_add(&range->postings.words, &c->words[i]);
    uint32_t times = c->words[i].value;
    range->total += times;
    if (word < known && pairs[last[word]].posting.place == file) {
      pairs[last[word]].posting.count += times;
    } else {
      last[word] = (uint32_t)count;
      pairs[count++] = (struct pair){word, {file, times}};
    }
  }
  return count;
}

static void write_lines(struct range *range) {
  const struct postings *p = &range->postings;
  struct text *out = &range->lines;
  for (uint32_t i = 0; i < p->words.count; i++) {
    const struct word *w = &range->sorted[i];
    const struct posting *from = p->list + p->first[w->value],
                         *to = p->list + p->first[w->value + 1];
    uint64_t total = 0;
    for (const struct posting *at = from; at < to; at++) total += at->count;
    text_put(out, w->text, w->length);
    text_char(out, ' ');
    text_number(out, total);
    for (const struct posting *at = from; at < to; at++) {
      text_char(out, ' ');
      text_number(out, at->place);
      text_char(out, ':');
      text_number(out, at->count);
    }
    text_char(out, '\n');
  }
}

void range_merge(struct range *range, const struct index *index) {
  size_t most = 0, count = 0;
  struct pair *pairs;
  uint32_t *last;
  for (size_t s = 0; s < index->source_count; s++) {
    const struct source *source = &index->sources[s];
    for (size_t k = 0; k < source->chunk_count; k++)
      most += source->chunks[k]->starts[range->to] - source->chunks[k]->starts[range->from];
  }
  pairs = need(malloc((most + 1) * sizeof *pairs));
  last = need(malloc((most + 1) * sizeof *last));
  table_init(&range->postings.words, 1024);
  for (size_t s = 0; s < index->source_count; s++) {
    const struct source *source = &index->sources[s];
    for (size_t k = 0; k < source->chunk_count; k++)
      count = gather_chunk(range, source->chunks[k], (uint32_t)s, pairs, count, last);
  }
  postings_fill(&range->postings, pairs, count);
  free(pairs);
  free(last);
  range->sorted = table_sorted(&range->postings.words);
  write_lines(range);
}

void range_free(struct range *range) {
  postings_free(&range->postings);
  free(range->sorted);
  free(range->lines.bytes);
}
