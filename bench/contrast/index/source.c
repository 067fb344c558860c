#include "index.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <unistd.h>

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct source *)a)->name, ((const struct source *)b)->name);
}

static bool is_text(const FTSENT *entry) {
  size_t length = entry->fts_namelen;
  return entry->fts_info == FTS_F && length > 4 &&
         strcmp(entry->fts_name + length - 4, ".txt") == 0;
}

int sources_list(const char *root, struct source **ret_sources, size_t *ret_count) {
  char *roots[] = {need(strdup(root)), NULL};
  struct source *list = NULL;
  size_t count = 0, prefix = strlen(root) + 1;
  FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  FTSENT *entry;
  int r = tree ? 0 : -errno;
  while (tree && r == 0 && (entry = fts_read(tree))) {
    if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS)
      r = -entry->fts_errno;
    if (!is_text(entry)) continue;
    list = need(realloc(list, (count + 1) * sizeof *list));
    list[count] = (struct source){.path = need(strdup(entry->fts_path))};
    list[count].name = list[count].path + prefix;
    count++;
  }
  if (tree) fts_close(tree);
  free(roots[0]);
  if (r < 0) {
    sources_free(list, count);
    return r;
  }
  if (count) qsort(list, count, sizeof *list, by_name);
  *ret_sources = list;
  *ret_count = count;
  return 0;
}

void sources_free(struct source *sources, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct source *s = &sources[i];
    for (size_t k = 0; k < s->chunk_count; k++) {
      free(s->chunks[k]->text);
      free(s->chunks[k]->letters);
      free(s->chunks[k]->words);
      free(s->chunks[k]);
    }
    free(s->chunks);
    free(s->kept.bytes);
    free(s->path);
  }
  free(sources);
}

/* Fills the buffer as far as the file goes. Returns how many bytes, or a negative errno. */
static ssize_t read_all(int fd, unsigned char *buffer, size_t size) {
  size_t got = 0;
  while (got < size) {
    ssize_t n = read(fd, buffer + got, size - got);
    if (n < 0 && errno != EINTR) return -errno;
    if (n == 0) break;
    if (n > 0) got += (size_t)n;
  }
  return (ssize_t)got;
}

static struct chunk *add_chunk(struct source *s, size_t room) {
  struct chunk *c = need(calloc(1, sizeof *c));
  c->text = need(malloc(room));
  s->chunks = need(realloc(s->chunks, (s->chunk_count + 1) * sizeof(struct chunk *)));
  s->chunks[s->chunk_count++] = c;
  return c;
}

/* Cuts the chunk before the word at its end, which may go on in the next one. */
static void cut(struct reader *r) {
  struct chunk *c = r->chunk;
  size_t whole = c->length;
  while (c->length > 0 && word_byte[c->text[c->length - 1]]) c->length--;
  r->carry.length = 0;
  text_put(&r->carry, c->text + c->length, whole - c->length);
}

int reader_next(void *arg) {
  struct reader *r = arg;
  struct source *s = r->source;
  unsigned char *fresh;
  ssize_t n;
  if (r->fd < 0 && r->chunk) return 0; /* the end was met */
  if (r->fd < 0 && (r->fd = open(s->path, O_RDONLY | O_CLOEXEC)) < 0) return -errno;
  r->chunk = add_chunk(s, r->carry.length + r->chunk_bytes + WORD_PADDING);
  fresh = r->chunk->text + r->carry.length;
  if (r->carry.length) memcpy(r->chunk->text, r->carry.bytes, r->carry.length);
  n = read_all(r->fd, fresh, r->chunk_bytes);
  if (n < (ssize_t)r->chunk_bytes) {
    close(r->fd);
    r->fd = -1;
  }
  if (n < 0) return (int)n;
  r->chunk->length = r->carry.length + (size_t)n;
  memset(fresh + n, 0, WORD_PADDING);
  s->size += (uint64_t)n;
  if (s->keep) text_put(&s->kept, fresh, (size_t)n);
  if (r->fd >= 0) cut(r);
  return 1;
}

void reader_end(struct reader *r) {
  if (r->fd >= 0) close(r->fd);
  free(r->carry.bytes);
}
