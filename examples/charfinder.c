/* Finds Unicode characters by the words of their names, for everybody who connects:
 *
 *   $ charfinder &                     $ nc localhost 2323          (or telnet localhost 2323)
 *   serving on 127.0.0.1:2323          ?> chess black king
 *                                      U+265A  ♚  BLACK CHESS KING
 *                                      ────────────────── 1 found
 *                                      ?>
 *
 *   charfinder [--host HOST] [--port N] [--file UnicodeData.txt]
 *
 * After charfinder, the server that Luciano Ramalho's "Fluent Python" builds on asyncio's streams. The
 * end of the input, a control character (Ctrl-D, Ctrl-C) or bytes that are not UTF-8 end a
 * conversation, and Ctrl-C at the server, or SIGTERM, ends all of them. The index is that of the project's
 * contrast with asyncio (bench/contrast/index/names.h); it is built once and then only read, so that the
 * handlers, on all CPUs, need no lock.
 */
#include "index/names.h"

#include <signal.h>
#include <weft.h>

enum { LINE_BYTES_MAX = 512, RESULT_BYTES_MAX = 256 };

static const char prompt[] = "?> ";

struct finder {
  weft_serve_opts opts;
  const char *file;
  struct text original; /* the file's text as it was: the index has its own in lower case */
  struct names names;
};

/* ---- telnet ---- */

/* A telnet client is as good as a plain one, but it may say something between the lines: IAC (255)
 * and a command. Options it offers or asks for are refused, which leaves it in its simplest mode. */
struct telnet {
  enum { TEXT, COMMAND, OPTION, PARAMETERS, PARAMETERS_COMMAND } state;
  unsigned char verb;
};

enum {
  TELNET_EOF = 236,
  TELNET_SUSPEND = 237,
  TELNET_ABORT = 238,
  TELNET_PARAMETERS_END = 240,
  TELNET_BREAK = 243,
  TELNET_INTERRUPT = 244,
  TELNET_PARAMETERS = 250,
  TELNET_WILL = 251,
  TELNET_WONT = 252,
  TELNET_DO = 253,
  TELNET_DONT = 254,
  TELNET_IAC = 255,
};

enum said { A_BYTE, NOTHING, A_QUESTION, THE_END };

static enum said telnet_command(struct telnet *t, unsigned char command) {
  t->state = TEXT;
  switch (command) {
  case TELNET_WILL:
  case TELNET_WONT:
  case TELNET_DO:
  case TELNET_DONT:
    t->verb = command;
    t->state = OPTION;
    return NOTHING;
  case TELNET_PARAMETERS:
    t->state = PARAMETERS;
    return NOTHING;
  case TELNET_EOF:
  case TELNET_SUSPEND:
  case TELNET_ABORT:
  case TELNET_BREAK:
  case TELNET_INTERRUPT:
    return THE_END;
  default: /* below are no commands, and IAC IAC is the byte 255: not UTF-8, either way */
    return command < TELNET_EOF || command == TELNET_IAC ? THE_END : NOTHING;
  }
}

/* What this byte is. The bytes come as the network cuts them: what is half said is in *t. */
static enum said telnet_take(struct telnet *t, unsigned char byte) {
  switch (t->state) {
  case TEXT:
    if (byte != TELNET_IAC) return A_BYTE;
    t->state = COMMAND;
    return NOTHING;
  case COMMAND:
    return telnet_command(t, byte);
  case OPTION:
    t->state = TEXT;
    return t->verb == TELNET_WILL || t->verb == TELNET_DO ? A_QUESTION : NOTHING;
  case PARAMETERS:
    if (byte == TELNET_IAC) t->state = PARAMETERS_COMMAND;
    return NOTHING;
  case PARAMETERS_COMMAND:
    t->state = byte == TELNET_PARAMETERS_END ? TEXT : PARAMETERS;
    return NOTHING;
  }
  return NOTHING;
}

/* ---- UTF-8 ---- */

static size_t put_utf8(char *to, unsigned long code) {
  size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  unsigned long first = more ? 0xff00UL >> (more + 1) & 0xff : 0;
  to[0] = (char)(first | code >> 6 * more);
  for (size_t i = 1; i <= more; i++) to[i] = (char)(0x80 | (code >> 6 * (more - i) & 0x3f));
  return more + 1;
}

static bool is_utf8(const char *text, size_t length) {
  static const unsigned long least[] = {0, 0x80, 0x800, 0x10000};
  const unsigned char *at = (const unsigned char *)text, *end = at + length;
  while (at < end) {
    size_t more = *at < 0x80 ? 0 : *at >> 5 == 6 ? 1 : *at >> 4 == 14 ? 2 : *at >> 3 == 30 ? 3 : 4;
    if (more == 4 || more >= (size_t)(end - at)) return false;
    unsigned long code = more ? *at & 0x3fU >> more : *at;
    for (size_t i = 1; i <= more; i++) {
      if (at[i] >> 6 != 2) return false;
      code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    at += more + 1;
  }
  return true;
}

/* ---- the conversation ---- */

struct conversation {
  const struct finder *finder;
  weft_stream *stream;
  struct telnet telnet;
  bool after_cr; /* a line ends with CR, LF, CR LF or, as telnet has it, CR NUL */
  size_t length;
  char line[LINE_BYTES_MAX];
};

/* U+265A, the character, its name. */
static size_t put_result(char *to, const struct finder *f, const struct character *c) {
  const char *code = f->original.bytes + (c->code - f->names.text.bytes);
  const char *name = code + c->code_length + 1;
  size_t length = strcspn(name, ";");
  int name_length = (int)(length < RESULT_BYTES_MAX / 2 ? length : RESULT_BYTES_MAX / 2);
  size_t n = (size_t)sprintf(to, "U+%.*s\t", (int)c->code_length, code);
  n += put_utf8(to + n, strtoul(code, NULL, 16));
  return n + (size_t)snprintf(to + n, RESULT_BYTES_MAX - n, "\t%.*s\r\n", name_length, name);
}

/* Answers the line. The buffer is in this function's frame: who waits for the next line has none. */
static int answer(struct conversation *c) {
  char out[16 * RESULT_BYTES_MAX];
  const struct character *found;
  struct search search;
  size_t n = 0, count = 0;
  if (!search_begin(&search, &c->finder->names, c->line, c->length))
    return weft_write(c->stream, "too many words\r\n", 16);
  for (; (found = search_next(&search)); count++) {
    n += put_result(out + n, c->finder, found);
    if (n > sizeof out - RESULT_BYTES_MAX) {
      int r = weft_write(c->stream, out, n); /* waits for a client that reads slowly */
      if (r < 0) return r;
      n = 0;
    }
  }
  for (int i = 0; i < 66; i++) n += put_utf8(out + n, 0x2500);
  n += (size_t)sprintf(out + n, " %zu found\r\n", count);
  return weft_write(c->stream, out, n);
}

/* From here on functions return 1 when the conversation goes on, 0 when it ends, or an error. */

static int end_line(struct conversation *c) {
  size_t blank = 0;
  int r = 0;
  while (blank < c->length && strchr(" \t", c->line[blank])) blank++;
  if (!is_utf8(c->line, c->length)) return 0;
  if (blank < c->length) r = answer(c);
  c->length = 0;
  return r < 0 ? r : 1;
}

static int take_text(struct conversation *c, unsigned char byte) {
  bool after_cr = c->after_cr;
  c->after_cr = byte == '\r';
  if (after_cr && (byte == '\n' || byte == '\0')) return 1;
  if (byte == '\n' || byte == '\r') {
    int r = end_line(c);
    if (r > 0 && (r = weft_write(c->stream, prompt, strlen(prompt))) == 0) r = 1;
    return r;
  }
  if ((byte < ' ' && byte != '\t') || byte == 127) return 0;
  if (c->length == sizeof c->line) return 0; /* nobody asks so much */
  c->line[c->length++] = (char)byte;
  return 1;
}

static int refuse(struct conversation *c, unsigned char option) {
  unsigned char verb = c->telnet.verb == TELNET_WILL ? TELNET_DONT : TELNET_WONT;
  int r = weft_write(c->stream, (unsigned char[]){TELNET_IAC, verb, option}, 3);
  return r < 0 ? r : 1;
}

static int take(struct conversation *c, unsigned char byte) {
  switch (telnet_take(&c->telnet, byte)) {
  case A_BYTE:
    return take_text(c, byte);
  case A_QUESTION:
    return refuse(c, byte);
  case THE_END:
    return 0;
  case NOTHING:
    break;
  }
  return 1;
}

/* The conversation is over, but the client may not know it yet. A close while something from it is
 * unread would reset the connection, and with it the answers that are still on their way: so it is told
 * the end, and given a moment to close first. */
static void part(weft_stream *s) {
  weft_timeout moment;
  char *bytes;
  if (weft_stream_shutdown_write(s) < 0) return; /* it has gone */
  weft_timeout_begin(&moment, weft_ms(200));
  while (weft_read_lent(s, &bytes) > 0) {}
  weft_timeout_end(&moment, 0);
}

static int converse(weft_stream *s, void *finder) {
  struct conversation c = {.finder = finder, .stream = s};
  char *bytes;
  ssize_t n = 0;
  int r = weft_write(s, prompt, strlen(prompt));
  if (r == 0) r = 1;
  while (r > 0 && (n = weft_read_lent(s, &bytes)) > 0)
    for (ssize_t i = 0; i < n && r > 0; i++) r = take(&c, (unsigned char)bytes[i]);
  if (r > 0 && n == 0 && c.length > 0) r = end_line(&c); /* a last line need not have an end */
  if (r == 0) part(s);
  if (r == WEFT_ECONNRESET || r == WEFT_EPIPE || n == WEFT_ECONNRESET) return 0; /* it has left */
  return r < 0 ? r : n < 0 ? (int)n : 0;
}

/* ---- the server ---- */

static bool load(struct finder *f) {
  FILE *file = fopen(f->file, "re");
  struct text *text = &f->original, copy = {0};
  size_t n;
  if (!file) return false;
  while ((n = fread(text_room(text, 65536), 1, 65536, file)) > 0) text->length += n;
  fclose(file);
  text_char(text, '\0');
  text_put(&copy, text->bytes, text->length - 1);
  names_build(&f->names, &copy);
  return f->names.count > 0;
}

static void unload(struct finder *f) {
  names_free(&f->names);
  free(f->original.bytes);
}

static void say_where(weft_server *server) {
  weft_addr address;
  char text[WEFT_ADDR_TEXT];
  for (size_t i = 0; weft_server_addr(server, i, &address) == 0; i++) {
    weft_addr_format(&address, text, sizeof text);
    printf("serving on %s\n", text);
  }
}

/* Who is in the middle of a line at the end need not finish it. */
static int shut_down(weft_server *server) {
  int r = weft_server_shutdown(server, &(weft_shutdown_opts){.grace = weft_ms(500)}, NULL);
  weft_server_free(server);
  return r == WEFT_ETIMEDOUT ? 0 : r;
}

static int serve(void *arg) {
  struct finder *f = arg;
  weft_signal *end;
  weft_server *server;
  int r = weft_signal_open(&end, (int[]){SIGINT, SIGTERM}, 2);
  if (r < 0) return r;
  r = weft_server_start(&server, converse, f, &f->opts);
  if (r == 0) {
    say_where(server);
    printf("%u characters; Ctrl-C ends\n", f->names.count);
    fflush(stdout);
    int signo = weft_signal_next(end, NULL); /* it serves meanwhile */
    r = shut_down(server);
    if (signo < 0) r = signo;
  }
  weft_signal_close(end);
  return r;
}

static bool parse(int argc, char **argv, struct finder *f) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return false;
    if (strcmp(argv[i], "--host") == 0)
      f->opts.host = argv[i + 1];
    else if (strcmp(argv[i], "--port") == 0)
      f->opts.port = atoi(argv[i + 1]);
    else if (strcmp(argv[i], "--file") == 0)
      f->file = argv[i + 1];
    else
      return false;
  }
  return true;
}

int main(int argc, char **argv) {
  struct finder finder = {
      .file = "/usr/share/unicode/UnicodeData.txt",
      .opts = {.host = "127.0.0.1", .port = 2323, .name = "conversation"},
  };
  if (!parse(argc, argv, &finder)) {
    fprintf(stderr, "usage: charfinder [--host HOST] [--port N] [--file UnicodeData.txt]\n");
    return 2;
  }
  if (!load(&finder)) {
    fprintf(stderr, "charfinder: there are no names in %s (Debian: unicode-data)\n", finder.file);
    return 1;
  }
  int r = weft_run(serve, &finder, NULL);
  unload(&finder);
  if (r < 0) {
    fprintf(stderr, "charfinder: %s\n", weft_strerror(r));
    return 1;
  }
  return 0;
}
