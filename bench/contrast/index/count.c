#include "index.h"

/* 0 for no byte, then 0-9, _ and a-z in the order of their bytes. */
static uint32_t class_of(uint64_t byte) {
  if (byte == 0) return 0;
  if (byte <= '9') return (uint32_t)(byte - '0') + 1;
  if (byte == '_') return 11;
  return (uint32_t)(byte - 'a') + 12;
}

uint32_t bucket_of(uint64_t key) {
  return class_of(key >> 56) * BYTE_CLASSES + class_of(key >> 48 & 0xff);
}

/* A counting sort: the words of one bucket side by side, the buckets in order. Their letters move
 * along, so that the few that are kept lie together and the text can go. */
static void group_by_bucket(struct chunk *c, const struct word_table *t) {
  uint32_t at = 0, next[BUCKETS];
  size_t letters = 0;
  for (uint32_t i = 0; i < t->count; i++) {
    c->starts[bucket_of(t->words[i].key) + 1]++;
    letters += t->words[i].length;
  }
  for (uint32_t b = 0; b < BUCKETS; b++) {
    at += c->starts[b];
    c->starts[b] = next[b] = at;
  }
  c->starts[BUCKETS] = t->count;
  c->words = need(malloc((t->count + 1) * sizeof *c->words));
  c->letters = need(malloc(letters + WORD_PADDING));
  letters = 0;
  for (uint32_t i = 0; i < t->count; i++) {
    struct word *w = &c->words[next[bucket_of(t->words[i].key)]++];
    *w = t->words[i];
    w->text = memcpy(c->letters + letters, w->text, w->length);
    letters += w->length;
  }
  memset(c->letters + letters, 0, WORD_PADDING);
}

int chunk_count_words(void *arg) {
  struct chunk *c = arg;
  const unsigned char *end = c->text + c->length, *begin;
  struct word_table table;
  size_t length;
  words_fold(c->text, c->length);
  table_init(&table, 4096);
  for (const unsigned char *from = c->text; (length = word_next(from, end, &begin)) > 0;
       from = begin + length) {
    struct word w = word_at(begin, length);
    uint32_t i = table_add(&table, &w);
    table.words[i].value++;
  }
  group_by_bucket(c, &table);
  table_free(&table);
  free(c->text);
  c->text = NULL;
  return 0;
}
