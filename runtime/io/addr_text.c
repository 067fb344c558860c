/* Addresses as text, and the way back. */
#include <arpa/inet.h>
#include <stdio.h>

#include <weft/errors.h>

#include "io/addr.h"

enum {
  UNIX_AT = offsetof(struct sockaddr_un, sun_path),
  PATH_MOST = sizeof((struct sockaddr_un *)0)->sun_path
};

static const char unix_prefix[] = "unix:";

/* ---- writing ---- */

/* A byte of a name; returns how many characters it takes. */
static size_t escape(char *to, unsigned char c) {
  static const char digits[] = "0123456789abcdef";
  if (c >= ' ' && c != 0x7f && c != '\\') {
    *to = (char)c;
    return 1;
  }
  to[0] = '\\';
  to[1] = 'x';
  to[2] = digits[c >> 4];
  to[3] = digits[c & 15];
  return 4;
}

static void write_unix(const weft_addr *a, char *text) {
  const char *name = weft__sa(a)->un.sun_path;
  size_t len = a->len > UNIX_AT ? a->len - UNIX_AT : 0;
  if (len > PATH_MOST) len = PATH_MOST;
  memcpy(text, unix_prefix, sizeof unix_prefix);
  text += sizeof unix_prefix - 1;
  if (len > 0 && name[0] == 0) {
    *text++ = '@';
    name++;
    len--;
  } else {
    len = strnlen(name, len);
    if (len > 0 && name[0] == '@') {
      *text++ = '.';
      *text++ = '/';
    }
  }
  for (size_t i = 0; i < len; i++) text += escape(text, (unsigned char)name[i]);
  *text = 0;
}

static void write_in6(const weft_addr *a, char *text, size_t size) {
  char number[INET6_ADDRSTRLEN], scope[16] = "";
  inet_ntop(AF_INET6, &weft__sa(a)->in6.sin6_addr, number, sizeof number);
  if (weft__sa(a)->in6.sin6_scope_id)
    snprintf(scope, sizeof scope, "%%%u", (unsigned)weft__sa(a)->in6.sin6_scope_id);
  snprintf(text, size, "[%s%s]:%d", number, scope, weft_addr_port(a));
}

int weft_addr_format(const weft_addr *a, char *buf, size_t size) {
  char text[WEFT_ADDR_TEXT] = "none", number[INET_ADDRSTRLEN];
  _Static_assert(sizeof unix_prefix + 2 + 4 * (size_t)PATH_MOST <= WEFT_ADDR_TEXT,
                 "every byte escaped");
  switch (weft_addr_family(a)) {
  case AF_INET:
    inet_ntop(AF_INET, &weft__sa(a)->in.sin_addr, number, sizeof number);
    snprintf(text, sizeof text, "%s:%d", number, weft_addr_port(a));
    break;
  case AF_INET6:
    write_in6(a, text, sizeof text);
    break;
  case AF_UNIX:
    write_unix(a, text);
    break;
  default:
    break;
  }
  return snprintf(buf, size, "%s", text);
}

/* ---- reading ---- */

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Takes the escapes out of a name into to, which holds one byte more than a name may have; returns
 * its length, or an error. */
static int unescape(char to[PATH_MOST + 1], const char *from) {
  int n = 0;
  while (*from) {
    if (n == PATH_MOST) return WEFT_ENAMETOOLONG;
    if (*from != '\\') {
      to[n++] = *from++;
      continue;
    }
    int high = from[1] == 'x' ? hex(from[2]) : -1;
    int low = high >= 0 ? hex(from[3]) : -1;
    if (low < 0) return WEFT_EINVAL;
    to[n++] = (char)(high << 4 | low);
    from += 4;
  }
  to[n] = 0;
  return n;
}

static int read_unix(weft_addr *ret, const char *text) {
  char name[PATH_MOST + 1];
  if (!*text) {
    *ret = (weft_addr){.len = UNIX_AT};
    weft__sa(ret)->un.sun_family = AF_UNIX;
    return 0;
  }
  bool abstract = *text == '@';
  int len = unescape(name, text + abstract);
  if (len < 0) return len;
  if (abstract) return weft_addr_unix_abstract(ret, name, (size_t)len);
  if (memchr(name, 0, (size_t)len)) return WEFT_EINVAL;
  return weft_addr_unix(ret, name);
}

/* Digits and nothing else. */
static int read_port(const char *text) {
  int port = 0;
  size_t len = strspn(text, "0123456789");
  if (len == 0 || len > 5 || text[len]) return WEFT_EINVAL;
  for (; *text; text++) port = 10 * port + (*text - '0');
  return port;
}

int weft_addr_from_text(weft_addr *ret, const char *text) {
  char host[64];
  if (!ret || !text) return WEFT_EINVAL;
  if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0)
    return read_unix(ret, text + sizeof unix_prefix - 1);
  bool six = *text == '[';
  const char *colon = strrchr(text, ':');
  const char *end = colon;
  if (six) {
    text++;
    end = colon && colon > text && colon[-1] == ']' ? colon - 1 : NULL;
  }
  if (!end || (size_t)(end - text) >= sizeof host) return WEFT_EINVAL;
  memcpy(host, text, (size_t)(end - text));
  host[end - text] = 0;
  if (six != (strchr(host, ':') != NULL)) return WEFT_EINVAL; /* "::1:80" is no text of ours */
  return weft_addr_parse(ret, host, read_port(colon + 1));
}
