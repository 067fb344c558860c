/* The parts of the index; ../weft_index.c puts them together. README.md, beside it, describes the
 * input and the output.
 *
 *   source    a file: read in chunks that are cut between words
 *   chunk     counts its own words, then groups them by the bucket that their first two bytes name
 *   range     some buckets that lie side by side: merges their words of all chunks,
 *             sorts them and writes their lines; ranges put side by side are in order
 *   names     the characters' names and the words in them (names.h)
 *
 * Chunks share nothing while they count, nor ranges while they merge: each runs in a task of its
 * own. */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "names.h"
#include "text.h"
#include "words.h"

enum {
  BYTE_CLASSES = 38,                     /* no byte, 0-9, _, a-z */
  BUCKETS = BYTE_CLASSES * BYTE_CLASSES, /* in the order of the words in them */
};

struct chunk {
  unsigned char *text; /* until it has been counted */
  size_t length;
  struct word *words; /* after counting: the distinct words by bucket; value is the count */
  uint32_t starts[BUCKETS + 1]; /* of each bucket in words */
  unsigned char *letters;       /* what the words point into */
};

struct source {
  char *path;       /* absolute */
  const char *name; /* relative to the root, in path */
  uint64_t size;
  struct chunk **chunks; /* in order */
  size_t chunk_count;
  bool keep; /* whether to keep all of the text */
  struct text kept;
};

struct range {
  uint32_t from, to; /* the buckets [from, to) */
  struct postings postings;
  struct word *sorted; /* value: the word's number in postings */
  uint64_t total;      /* how often its words occur in all */
  struct text lines;
};

struct index {
  struct source *sources;
  size_t source_count;
  struct range *ranges;
  size_t range_count;
  uint16_t range_of[BUCKETS];
  uint64_t distinct, total; /* words */
  struct names names;
  struct text name_lines;
};

/* source.c. These block: they belong on a thread of the pool. */

/* Lists the regular files below root whose names end in .txt, by the bytes of their relative paths.
 * Returns 0 or a negative errno; the caller frees the list with sources_free. */
int sources_list(const char *root, struct source **ret_sources, size_t *ret_count);
void sources_free(struct source *sources, size_t count);

/* Reads a source chunk by chunk. Zero but for source, chunk_bytes and fd = -1 to begin with. */
struct reader {
  struct source *source;
  size_t chunk_bytes;
  int fd;
  struct chunk *chunk; /* the one just read */
  struct text carry;   /* the end of the chunk before: the beginning of a word that goes on here */
};

/* Reads the next chunk; the source owns it. Returns 1, 0 at the end, or a negative errno. */
int reader_next(void *reader);
void reader_end(struct reader *reader);

/* count.c */

/* Counts the words of a chunk, groups them by bucket, and gives the chunk's text back. */
int chunk_count_words(void *chunk);

/* The bucket of a word with this key. */
uint32_t bucket_of(uint64_t key);

/* merge.c */

/* Divides the buckets into at most `wanted` ranges of about as many words each. */
void index_plan_ranges(struct index *index, size_t wanted);

/* Merges one range over all chunks, sorts it and writes its lines. */
void range_merge(struct range *range, const struct index *index);
void range_free(struct range *range);

/* query.c */

/* Answers the queries [from, to), each with a line. */
void answer_queries(const struct index *index, uint64_t from, uint64_t to, struct text *lines);

#endif
