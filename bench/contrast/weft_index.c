/* f. The index: an inverted index over a folder of text files, an index of the characters' names,
 * and a thousand queries. The parts are in index/; here is how they become tasks:
 *
 *   every file     a task that reads chunk after chunk on a thread of the blocking pool
 *   every chunk    a task that counts its words; it runs while the next chunk is read
 *   the names      a task, as soon as UnicodeData.txt has been read
 *   every range    a task that merges, sorts and formats its part of the words
 *   fifty queries  a task
 *   every part of the output  a task that writes it on a thread of the pool */
#include "weft_contrast.h"

#include "index/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  FILES_PER_WORKER = 4, /* read at a time */
  CHUNKS_PER_FILE = 2,  /* read and not counted yet: as much as keeps the workers busy, no more */
  RANGES_PER_WORKER = 16,
  QUERIES_PER_TASK = 50,
};

static const char names_file[] = "UnicodeData.txt";

struct build {
  const char *root, *out_path;
  size_t chunk_bytes;
  uint64_t queries;
  struct index index;
  weft_group names; /* holds the one task that builds the names */
  struct answers *answers;
  int out;
  int64_t count_ns, merge_ns, query_ns, write_ns;
};

/* Reading and counting. */

struct file_task {
  struct build *build;
  struct source *source;
};

static int build_names(void *arg) {
  struct file_task *t = arg;
  struct index *index = &t->build->index;
  names_build(&index->names, &t->source->kept);
  names_write(&index->names, &index->name_lines);
  return 0;
}

static int read_and_count(void *arg) {
  struct file_task *t = arg;
  struct reader reader = {.source = t->source, .chunk_bytes = t->build->chunk_bytes, .fd = -1};
  weft_group chunks;
  int r, joined;
  weft_group_init(&chunks, &(weft_group_opts){.limit = CHUNKS_PER_FILE});
  while ((r = weft_to_thread(reader_next, &reader)) > 0)
    weft_group_spawn(&chunks, chunk_count_words, reader.chunk, NULL);
  if (r == 0 && t->source->keep) r = weft_group_spawn(&t->build->names, build_names, t, NULL);
  joined = weft_group_join(&chunks);
  reader_end(&reader);
  return r < 0 ? r : joined;
}

static int read_all_files(struct build *b, struct file_task *tasks) {
  weft_group files;
  weft_group_init(&files,
                  &(weft_group_opts){.limit = FILES_PER_WORKER * (unsigned)weft_worker_count()});
  for (size_t i = 0; i < b->index.source_count; i++) {
    tasks[i] = (struct file_task){b, &b->index.sources[i]};
    tasks[i].source->keep = strcmp(tasks[i].source->name, names_file) == 0;
    weft_group_spawn(&files, read_and_count, &tasks[i], NULL);
  }
  return weft_group_join(&files);
}

/* Merging. */

struct range_task {
  const struct index *index;
  struct range *range;
};

static int merge_range(void *arg) {
  struct range_task *t = arg;
  range_merge(t->range, t->index);
  return 0;
}

static int merge_all_ranges(struct build *b) {
  struct range_task *tasks = need(calloc(b->index.range_count, sizeof *tasks));
  weft_group ranges = WEFT_GROUP_INIT;
  int r;
  for (size_t i = 0; i < b->index.range_count; i++) {
    tasks[i] = (struct range_task){&b->index, &b->index.ranges[i]};
    weft_group_spawn(&ranges, merge_range, &tasks[i], NULL);
  }
  r = weft_group_join(&ranges);
  free(tasks);
  return r;
}

/* Queries. */

struct answers {
  const struct index *index;
  uint64_t from, to;
  struct text lines;
};

static int answer_some(void *arg) {
  struct answers *a = arg;
  answer_queries(a->index, a->from, a->to, &a->lines);
  return 0;
}

static size_t answer_tasks(const struct build *b) {
  return (size_t)((b->queries + QUERIES_PER_TASK - 1) / QUERIES_PER_TASK);
}

static int answer_all(struct build *b) {
  weft_group group = WEFT_GROUP_INIT;
  size_t count = answer_tasks(b);
  b->answers = need(calloc(count + 1, sizeof *b->answers));
  for (size_t i = 0; i < count; i++) {
    uint64_t from = i * QUERIES_PER_TASK, to = from + QUERIES_PER_TASK;
    b->answers[i] = (struct answers){&b->index, from, to < b->queries ? to : b->queries, {0}};
    weft_group_spawn(&group, answer_some, &b->answers[i], NULL);
  }
  return weft_group_join(&group);
}

/* Writing. */

struct part {
  int out;
  const struct text *text;
  off_t at;
};

static int write_blocking(void *arg) {
  const struct part *part = arg;
  size_t done = 0;
  while (done < part->text->length) {
    ssize_t n = pwrite(part->out, part->text->bytes + done, part->text->length - done,
                       part->at + (off_t)done);
    if (n < 0 && errno != EINTR) return -errno;
    if (n > 0) done += (size_t)n;
  }
  return 0;
}

static int write_part(void *arg) {
  return weft_to_thread(write_blocking, arg);
}

static int open_blocking(void *arg) {
  struct build *b = arg;
  b->out = open(b->out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return b->out < 0 ? -errno : 0;
}

static void put_heading(struct text *t, const char *what, uint64_t a, const uint64_t *b) {
  text_string(t, what);
  text_number(t, a);
  if (b) {
    text_char(t, ' ');
    text_number(t, *b);
  }
  text_char(t, '\n');
}

static void list_files(const struct index *index, struct text *t) {
  put_heading(t, "files ", index->source_count, NULL);
  for (size_t i = 0; i < index->source_count; i++) {
    text_number(t, i);
    text_char(t, ' ');
    text_string(t, index->sources[i].name);
    text_char(t, ' ');
    text_number(t, index->sources[i].size);
    text_char(t, '\n');
  }
  put_heading(t, "words ", index->distinct, &index->total);
}

/* Puts the parts of the output in order and writes each at its place. */
static int write_output(struct build *b) {
  size_t answers = answer_tasks(b), count = 0;
  struct part *parts = need(calloc(b->index.range_count + answers + 3, sizeof *parts));
  struct text head = {0}, middle = {0};
  weft_group group = WEFT_GROUP_INIT;
  int64_t began;
  off_t at = 0;
  int r;
  list_files(&b->index, &head);
  put_heading(&middle, "queries ", b->queries, NULL);
  parts[count++].text = &head;
  for (size_t i = 0; i < b->index.range_count; i++) parts[count++].text = &b->index.ranges[i].lines;
  parts[count++].text = &b->index.name_lines;
  parts[count++].text = &middle;
  for (size_t i = 0; i < answers; i++) parts[count++].text = &b->answers[i].lines;
  began = clock_ns();
  for (size_t i = 0; i < count; i++) {
    parts[i].out = b->out;
    parts[i].at = at;
    at += (off_t)parts[i].text->length;
    if (parts[i].text->length) weft_group_spawn(&group, write_part, &parts[i], NULL);
  }
  r = weft_group_join(&group);
  b->write_ns = clock_ns() - began;
  free(head.bytes);
  free(middle.bytes);
  free(parts);
  return r;
}

/* All together. */

static int list_blocking(void *arg) {
  struct build *b = arg;
  return sources_list(b->root, &b->index.sources, &b->index.source_count);
}

static int count_and_merge(struct build *b, struct file_task *tasks) {
  int64_t began = clock_ns();
  int r = read_all_files(b, tasks), names;
  b->count_ns = clock_ns() - began;
  if (r >= 0) {
    index_plan_ranges(&b->index, RANGES_PER_WORKER * (size_t)weft_worker_count());
    began = clock_ns();
    r = merge_all_ranges(b);
  }
  names = weft_group_join(&b->names);
  b->merge_ns = clock_ns() - began;
  if (r >= 0 && names >= 0 && b->index.names.count == 0) r = WEFT_ENOENT;
  return r < 0 ? r : names;
}

static int build_index(void *arg) {
  struct build *b = arg;
  struct file_task *tasks = NULL;
  int64_t began;
  int r = weft_to_thread(list_blocking, b);
  if (r >= 0) {
    tasks = need(calloc(b->index.source_count + 1, sizeof *tasks));
    r = count_and_merge(b, tasks);
  }
  for (size_t i = 0; i < b->index.range_count; i++) {
    b->index.distinct += b->index.ranges[i].postings.words.count;
    b->index.total += b->index.ranges[i].total;
  }
  began = clock_ns();
  if (r >= 0) r = answer_all(b);
  b->query_ns = clock_ns() - began;
  if (r >= 0) r = weft_to_thread(open_blocking, b);
  if (r >= 0) r = write_output(b);
  if (b->out >= 0) close(b->out);
  free(tasks);
  return r;
}

static void report(struct program *p, const struct build *b) {
  int64_t shared = b->count_ns + b->merge_ns + b->query_ns + b->write_ns;
  uint64_t bytes = 0;
  for (size_t i = 0; i < b->index.source_count; i++) bytes += b->index.sources[i].size;
  program_say(p, "files", "%zu", b->index.source_count);
  program_say(p, "bytes", "%llu", (unsigned long long)bytes);
  program_say(p, "words", "%llu", (unsigned long long)b->index.distinct);
  program_say(p, "queries", "%llu", (unsigned long long)b->queries);
  program_say(p, "phases_ms",
              "{\"count\": %.3f, \"merge\": %.3f, \"query\": %.3f, \"write\": %.3f}",
              (double)b->count_ns * 1e-6, (double)b->merge_ns * 1e-6, (double)b->query_ns * 1e-6,
              (double)b->write_ns * 1e-6);
  /* The rest: start and end of the runtime, list of files, plan, layout of the output. */
  program_say(p, "serial_share", "%.4f", 1 - (double)shared * 1e-9 / p->wall_s);
}

static void free_index(struct build *b) {
  sources_free(b->index.sources, b->index.source_count);
  for (size_t i = 0; i < b->index.range_count; i++) range_free(&b->index.ranges[i]);
  free(b->index.ranges);
  names_free(&b->index.names);
  free(b->index.name_lines.bytes);
  for (size_t i = 0; b->answers && i < answer_tasks(b); i++) free(b->answers[i].lines.bytes);
  free(b->answers);
}

int index_workload(struct program *p) {
  struct build b = {
      .root = program_text(p, "root", "/usr/share/unicode"),
      .out_path = program_text(p, "out", "index.txt"),
      .chunk_bytes = (size_t)program_number(p, "chunk_kb", 512) * 1024,
      .queries = (uint64_t)program_number(p, "queries", 1000),
      .names = WEFT_GROUP_INIT,
      .out = -1,
  };
  int r = contrast_run(p, build_index, &b);
  report(p, &b);
  free_index(&b);
  return r;
}
