#include "names.h"

struct builder {
  struct names *names;
  uint32_t capacity; /* of characters */
  struct pair *pairs;
  size_t pair_count, pair_capacity;
  uint32_t *last; /* of each word: the character that has it, the newest one, + 1 */
  uint32_t last_capacity;
};

/* Notes that the character that is being read has this word. */
static uint32_t add_word(struct builder *b, const struct word *w) {
  uint32_t word = table_add(&b->names->postings.words, w);
  uint32_t character = b->names->count;
  if (word >= b->last_capacity) {
    uint32_t capacity = b->last_capacity * 2 + 1024;
    b->last = need(realloc(b->last, capacity * sizeof *b->last));
    memset(b->last + b->last_capacity, 0, (capacity - b->last_capacity) * sizeof *b->last);
    b->last_capacity = capacity;
  }
  if (b->last[word] == character + 1) return word; /* a second time in the same name */
  b->last[word] = character + 1;
  if (b->pair_count == b->pair_capacity) {
    b->pair_capacity = b->pair_capacity * 2 + 4096;
    b->pairs = need(realloc(b->pairs, b->pair_capacity * sizeof *b->pairs));
  }
  b->pairs[b->pair_count++] = (struct pair){word, {character, 1}};
  return word;
}

static void lower(char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (text[i] >= 'A' && text[i] <= 'Z') text[i] = (char)(text[i] - 'A' + 'a');
}

/* One line: code;NAME;more. Names in angle brackets are not names. */
static void add_line(struct builder *b, char *line, char *end) {
  char *name = memchr(line, ';', (size_t)(end - line));
  char *name_end = name ? memchr(name + 1, ';', (size_t)(end - name - 1)) : NULL;
  struct character c = {.code = line};
  const unsigned char *from, *begin;
  size_t length;
  uint32_t words = 0;
  if (!name_end || name[1] == '<') return;
  c.code_length = (uint32_t)(name - line);
  lower(line, c.code_length);
  words_fold((unsigned char *)name + 1, (size_t)(name_end - name - 1));
  from = (unsigned char *)name + 1;
  while ((length = word_next(from, (unsigned char *)name_end, &begin)) > 0) {
    struct word w = word_at(begin, length);
    c.last = add_word(b, &w);
    if (words++ == 0) c.first = c.last;
    from = begin + length;
  }
  if (words == 0) return;
  if (b->names->count == b->capacity) {
    b->capacity = b->capacity * 2 + 4096;
    b->names->characters =
        need(realloc(b->names->characters, b->capacity * sizeof *b->names->characters));
  }
  b->names->characters[b->names->count++] = c;
}

void names_build(struct names *names, struct text *text) {
  struct builder b = {.names = names};
  char *line, *end;
  memset(text_room(text, WORD_PADDING), 0, WORD_PADDING);
  names->text = *text;
  *text = (struct text){0};
  line = names->text.bytes;
  end = line + names->text.length;
  table_init(&names->postings.words, 16384);
  while (line < end) {
    char *newline = memchr(line, '\n', (size_t)(end - line));
    char *line_end = newline ? newline : end;
    add_line(&b, line, line_end);
    line = line_end + 1;
  }
  postings_fill(&names->postings, b.pairs, b.pair_count);
  free(b.pairs);
  free(b.last);
}

void names_free(struct names *names) {
  postings_free(&names->postings);
  free(names->characters);
  free(names->text.bytes);
}

void names_write(const struct names *names, struct text *out) {
  const struct postings *p = &names->postings;
  struct word *sorted = table_sorted(&p->words);
  text_string(out, "names ");
  text_number(out, p->words.count);
  text_char(out, ' ');
  text_number(out, names->count);
  text_char(out, '\n');
  for (uint32_t i = 0; i < p->words.count; i++) {
    uint32_t word = sorted[i].value;
    text_put(out, sorted[i].text, sorted[i].length);
    for (uint32_t at = p->first[word]; at < p->first[word + 1]; at++) {
      const struct character *c = &names->characters[p->list[at].place];
      text_char(out, ' ');
      text_put(out, c->code, c->code_length);
    }
    text_char(out, '\n');
  }
  free(sorted);
}
