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

/* What addr2line says of an address: a line with the address, then two lines for each function
 * that is inlined there, from the innermost outwards, the name and the place. The shim's own
 * functions are inlined, so the last is the code that called. */
static void read_places(FILE *out, unsigned n, struct place *ret) {
  char text[PATH_MAX + 64];
  bool is_name = true;
  for (unsigned i = 0; fgets(text, sizeof text, out);) {
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, "0x", 2) == 0) {
      i++;
      is_name = true;
      continue;
    }
    if (i == 0 || i > n) continue;
    struct place *p = &ret[i - 1];
    char *colon = strrchr(text, ':');
    if (is_name) {
      snprintf(p->function, sizeof p->function, "%.60s", text);
    } else if (colon && text[0] != '?') {
      p->line = (unsigned)strtoul(colon + 1, NULL, 10);
      *colon = '\0';
      snprintf(p->file, sizeof p->file, "%.4000s", text);
    }
    is_name = !is_name;
  }
}

void trace_places(const void *const *sites, unsigned n, struct place *ret) {
  char program[256];
  for (unsigned i = 0; i < n; i++) ret[i] = (struct place){.file = "?"};
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) return;
  program[length] = '\0';

  size_t size = 512 + (size_t)n * 20;
  char *command = malloc(size);
  if (!command) return;
  size_t used = (size_t)snprintf(command, size, "addr2line -a -f -i -e '%s' 2>/dev/null", program);
  for (unsigned i = 0; i < n; i++) {
    uintptr_t at = (uintptr_t)sites[i];
    if (at) at -= (uintptr_t)__executable_start + 1; /* into the call, not behind it */
    used += (size_t)snprintf(command + used, size - used, " %#jx", (uintmax_t)at);
  }
  FILE *out = popen(command, "r");
  if (out) {
    read_places(out, n, ret);
    pclose(out);
  }
  free(command);
}

const char *trace_text(void) {
  static char text[LINES * (sizeof lines[0].text + 80)];
  static const void *sites[LINES];
  static struct place places[LINES];
  size_t used = 0;
  for (unsigned i = 0; i < line_count; i++) sites[i] = lines[i].site;
  trace_places(sites, line_count, places);
  text[0] = '\0';
  for (unsigned i = 0; i < line_count; i++) {
    char place[64] = "";
    const char *slash = strrchr(places[i].file, '/');
    if (sites[i])
      snprintf(place, sizeof place, "%.50s:%u", slash ? slash + 1 : places[i].file, places[i].line);
    used += (size_t)snprintf(text + used, sizeof text - used, "%4u %-78s %s\n", i + 1,
                             lines[i].text, place);
  }
  return text;
}
