/* The line tables of DWARF, versions 2 to 5: programs for a small machine whose rows say which address comes
 * from which line. Each is run until a row covers the address. What does not look as it should ends
 * the search: a report then lacks a line number. */
#include <string.h>

#include "insight/module.h"

/* Reads from a unit; past its end everything is zero, and bad is set. */
struct reader {
  const unsigned char *at, *end;
  bool bad;
};

static uint64_t fixed(struct reader *r, unsigned bytes) {
  uint64_t v = 0;
  if ((size_t)(r->end - r->at) < bytes) {
    r->bad = true;
    r->at = r->end;
    return 0;
  }
  for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)r->at[i] << (8 * i);
  r->at += bytes;
  return v;
}

static uint64_t uleb(struct reader *r) {
  uint64_t v = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint64_t byte = fixed(r, 1);
    if (shift < 64) v |= (byte & 127) << shift;
    if (!(byte & 128)) return v;
  }
}

static int64_t sleb(struct reader *r) {
  uint64_t v = 0, byte;
  unsigned shift = 0;
  do {
    byte = fixed(r, 1);
    if (shift < 64) v |= (byte & 127) << shift;
    shift += 7;
  } while (byte & 128);
  if ((byte & 64) && shift < 64) v |= ~UINT64_C(0) << shift;
  return (int64_t)v;
}

static const char *string(struct reader *r) {
  const unsigned char *s = r->at;
  const unsigned char *end = memchr(s, '\0', (size_t)(r->end - s));
  if (!end) {
    r->bad = true;
    r->at = r->end;
    return "";
  }
  r->at = end + 1;
  return (const char *)s;
}

static void skip(struct reader *r, uint64_t bytes) {
  if (bytes > (size_t)(r->end - r->at)) {
    r->bad = true;
    bytes = (size_t)(r->end - r->at);
  }
  r->at += bytes;
}

/* ---- header ---- */

struct unit {
  const struct weft__module *m;
  struct reader files; /* from the table of files on */
  struct reader program;
  unsigned version, offset_size;
  unsigned min_length, line_range, opcode_base;
  int line_base;
  const unsigned char *lengths; /* of the standard opcodes' operands */
};

static const char *string_in(struct weft__bytes b, uint64_t offset) {
  if (!b.at || offset >= (size_t)(b.end - b.at)) return "?";
  const unsigned char *s = b.at + offset;
  return memchr(s, '\0', (size_t)(b.end - s)) ? (const char *)s : "?";
}

enum { PATH = 1 };
enum {
  FORM_DATA2 = 0x05,
  FORM_DATA4 = 0x06,
  FORM_DATA8 = 0x07,
  FORM_STRING = 0x08,
  FORM_BLOCK = 0x09,
  FORM_DATA1 = 0x0b,
  FORM_STRP = 0x0e,
  FORM_UDATA = 0x0f,
  FORM_DATA16 = 0x1e,
  FORM_LINE_STRP = 0x1f,
};

/* One value of a table of version 5; the text of those that have one. */
static const char *value(const struct unit *u, struct reader *r, uint64_t form) {
  switch (form) {
  case FORM_STRING:
    return string(r);
  case FORM_LINE_STRP:
    return string_in(u->m->line_strings, fixed(r, u->offset_size));
  case FORM_STRP:
    return string_in(u->m->strings, fixed(r, u->offset_size));
  case FORM_DATA1:
    skip(r, 1);
    break;
  case FORM_DATA2:
    skip(r, 2);
    break;
  case FORM_DATA4:
    skip(r, 4);
    break;
  case FORM_DATA8:
    skip(r, 8);
    break;
  case FORM_DATA16:
    skip(r, 16);
    break;
  case FORM_UDATA:
    uleb(r);
    break;
  case FORM_BLOCK:
    skip(r, uleb(r));
    break;
  default:
    r->bad = true;
  }
  return NULL;
}

/* Walks a table of version 5 and returns the path of its entry `wanted`, or NULL: with none, past it. */
static const char *table(const struct unit *u, struct reader *r, uint64_t wanted) {
  struct reader formats = *r;
  uint64_t nformats = fixed(r, 1);
  formats.at = r->at;
  for (uint64_t i = 0; i < 2 * nformats; i++) uleb(r);
  uint64_t n = uleb(r);
  for (uint64_t i = 0; i < n && !r->bad; i++) {
    struct reader f = formats;
    const char *path = NULL;
    for (uint64_t k = 0; k < nformats; k++) {
      uint64_t type = uleb(&f);
      const char *text = value(u, r, uleb(&f));
      if (type == PATH) path = text;
    }
    if (i == wanted) return path;
  }
  return NULL;
}

/* The file of that number. */
static const char *file_name(const struct unit *u, uint64_t number) {
  struct reader r = u->files;
  if (u->version >= 5) {
    table(u, &r, UINT64_MAX); /* folders */
    return table(u, &r, number);
  }
  while (!r.bad && *string(&r)) {} /* folders */
  for (uint64_t i = 1; !r.bad; i++) {
    const char *name = string(&r);
    if (!*name) break;
    if (i == number) return name;
    for (int k = 0; k < 3; k++) uleb(&r);
  }
  return NULL;
}

/* Reads the header at r, which then is behind the unit. False at the end of all. */
static bool next_unit(struct reader *r, struct unit *u) {
  if (r->at == r->end) return false;
  u->offset_size = 4;
  uint64_t length = fixed(r, 4);
  if (length == 0xffffffff) {
    u->offset_size = 8;
    length = fixed(r, 8);
  }
  struct reader h = *r;
  skip(r, length);
  if (r->bad) return false;
  h.end = r->at;
  u->version = (unsigned)fixed(&h, 2);
  if (u->version >= 5) skip(&h, 2);
  uint64_t header = fixed(&h, u->offset_size);
  u->program = h;
  skip(&u->program, header);
  u->min_length = (unsigned)fixed(&h, 1);
  if (u->version >= 4) skip(&h, 1);
  skip(&h, 1);
  u->line_base = (int8_t)fixed(&h, 1);
  u->line_range = (unsigned)fixed(&h, 1);
  u->opcode_base = (unsigned)fixed(&h, 1);
  u->lengths = h.at;
  skip(&h, u->opcode_base ? u->opcode_base - 1 : 0);
  u->files = h;
  return !h.bad && u->line_range != 0;
}

/* ---- program ---- */

struct row {
  uint64_t address, file;
  int64_t line;
};

struct machine {
  struct row now, before;
  bool begun; /* there is a row before this one in the sequence */
  uint64_t wanted;
};

/* A row comes out: true when the one before covers the wanted address. */
static bool emit(struct machine *m) {
  bool found = m->begun && m->before.address <= m->wanted && m->wanted < m->now.address;
  if (!found) m->before = m->now;
  m->begun = true;
  return found;
}

static void restart(struct machine *m) {
  m->begun = false;
  m->now = (struct row){.file = 1, .line = 1};
}

static bool extended(struct machine *m, struct reader *p) {
  enum { END_SEQUENCE = 1, SET_ADDRESS = 2 };
  struct reader op = *p;
  uint64_t length = uleb(p);
  op.at = p->at;
  skip(p, length);
  op.end = p->at;
  switch (fixed(&op, 1)) {
  case END_SEQUENCE:
    if (emit(m)) return true;
    restart(m);
    break;
  case SET_ADDRESS:
    m->now.address = fixed(&op, length - 1 < 8 ? (unsigned)length - 1 : 8);
    break;
  default:
    break;
  }
  return false;
}

static void advance(struct machine *m, const struct unit *u, uint64_t operations) {
  m->now.address += operations * u->min_length;
}

/* An opcode that changes the registers only. */
static void standard(struct machine *m, const struct unit *u, struct reader *p, unsigned op) {
  switch (op) {
  case 2:
    advance(m, u, uleb(p));
    break;
  case 3:
    m->now.line += sleb(p);
    break;
  case 4:
    m->now.file = uleb(p);
    break;
  case 8:
    advance(m, u, (255 - u->opcode_base) / u->line_range);
    break;
  case 9:
    m->now.address += fixed(p, 2);
    break;
  default:
    for (unsigned i = 0; i < u->lengths[op - 1]; i++) uleb(p);
  }
}

/* True when a row covers the address: it is m->before. */
static bool run(struct machine *m, const struct unit *u) {
  struct reader p = u->program;
  restart(m);
  while (p.at < p.end && !p.bad) {
    unsigned op = (unsigned)fixed(&p, 1);
    bool out = false;
    if (op >= u->opcode_base) {
      unsigned adjusted = op - u->opcode_base;
      advance(m, u, adjusted / u->line_range);
      m->now.line += u->line_base + (int)(adjusted % u->line_range);
      out = emit(m);
    } else if (op == 0) {
      out = extended(m, &p);
    } else if (op == 1) {
      out = emit(m);
    } else {
      standard(m, u, &p, op);
    }
    if (out) return true;
  }
  return false;
}

const char *weft__module_line(const struct weft__module *m, uint64_t address, unsigned *ret_line) {
  struct reader r = {m->lines.at, m->lines.end, false};
  struct unit u = {.m = m};
  while (r.at && next_unit(&r, &u)) {
    struct machine machine = {.wanted = address};
    if (u.version < 2 || u.version > 5 || !run(&machine, &u)) continue;
    const char *name = file_name(&u, machine.before.file);
    if (!name || machine.before.line <= 0) return NULL;
    const char *slash = strrchr(name, '/');
    *ret_line = (unsigned)machine.before.line;
    return slash ? slash + 1 : name;
  }
  return NULL;
}
