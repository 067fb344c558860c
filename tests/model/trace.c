/* What a schedule looks like to a person: one line per operation. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore.h"

#define LINES 1500
#define NAMES 32

static struct line {
  char text[120];
  const void *site;
} lines[LINES];
static unsigned line_count;

static struct {
  const void *cell;
  const char *name;
} names[NAMES];
static unsigned name_count;
static const struct model *model;

void trace_forget_names(void) {
  name_count = 0;
}

void model_name(const void *cell, const char *name) {
  for (unsigned i = 0; i < name_count; i++)
    if (names[i].cell == cell) return;
  if (name_count == NAMES) return;
  names[name_count].cell = cell;
  names[name_count].name = name;
  name_count++;
}

const char *explore_name(const void *cell) {
  static char text[4][32]; /* enough for those in one line */
  static unsigned next;
  for (unsigned i = 0; i < name_count; i++)
    if (names[i].cell == cell) return names[i].name;
  char *name = text[next++ % 4];
  const char *state = model ? model->state : NULL;
  snprintf(name, sizeof text[0], "state+%#tx", (const char *)cell - state);
  return name;
}

const char *trace_order(int order) {
  static const char *const text[] = {"relaxed", "acquire", "release", "acq_rel", "seq_cst"};
  return order >= 0 && order < 5 ? text[order] : "?";
}

void trace_start(const struct model *m) {
  model = m;
  line_count = 0;
}

void trace_line(const char *thread, bool preempted, const void *site, const char *format, ...) {
  if (line_count == LINES) return;
  struct line *l = &lines[line_count++];
  int used = snprintf(l->text, sizeof l->text, "%s%-10s ", preempted ? "> " : "  ", thread);
  va_list args;
  va_start(args, format);
  vsnprintf(l->text + used, sizeof l->text - (size_t)used, format, args);
  va_end(args);
  l->site = site;
}

/* --- places in the source, by asking addr2line --- */

extern char __executable_start[] __attribute__((weak));

#define PLACE 64

/* Resolves n addresses; what cannot be found stays "?". */
static void resolve(const void *const *sites, unsigned n, char (*places)[PLACE]) {
  char program[256];
  for (unsigned i = 0; i < n; i++) strcpy(places[i], "?");
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) return;
  program[length] = '\0';

  size_t size = 512 + (size_t)n * 20;
  char *command = malloc(size);
  if (!command) return;
  size_t used = (size_t)snprintf(command, size, "addr2line -a -i -s -e '%s' 2>/dev/null", program);
  for (unsigned i = 0; i < n; i++) {
    uintptr_t at = (uintptr_t)sites[i];
    if (at) at -= (uintptr_t)__executable_start + 1; /* into the call, not behind it */
    used += (size_t)snprintf(command + used, size - used, " %#jx", (uintmax_t)at);
  }
  FILE *out = popen(command, "r");
  char text[256];
  /* Each address is followed by its places, from the innermost inlined function outwards; the
   * shim's own functions are inlined, so the outermost is the code that called. */
  unsigned i = 0;
  while (out && fgets(text, sizeof text, out)) {
    text[strcspn(text, " \n")] = '\0';
    if (strncmp(text, "0x", 2) == 0) {
      i++;
    } else if (i > 0 && i <= n && sites[i - 1] && text[0] != '?') {
      snprintf(places[i - 1], PLACE, "%.60s", text);
    }
  }
  if (out) pclose(out);
  free(command);
}

const char *trace_place(const void *site) {
  static char place[1][PLACE];
  resolve(&site, 1, place);
  return place[0];
}

const char *trace_text(void) {
  static char text[LINES * (sizeof lines[0].text + PLACE + 2)];
  static const void *sites[LINES];
  static char places[LINES][PLACE];
  size_t used = 0;
  for (unsigned i = 0; i < line_count; i++) sites[i] = lines[i].site;
  resolve(sites, line_count, places);
  text[0] = '\0';
  for (unsigned i = 0; i < line_count; i++)
    used += (size_t)snprintf(text + used, sizeof text - used, "%4u %-78s %s\n", i + 1,
                             lines[i].text, sites[i] ? places[i] : "");
  return text;
}
