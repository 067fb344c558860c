/* Addresses as values: made, taken apart and compared. Their text: addr_text.c. */
#include "io/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>

#include <weft/errors.h>

enum { UNIX_AT = offsetof(struct sockaddr_un, sun_path), HOST_MOST = 64 };

static bool is_port(int port) {
  return port >= 0 && port <= 65535;
}

static void make_in(weft_addr *ret, struct in_addr number, int port) {
  *ret = (weft_addr){.len = sizeof(struct sockaddr_in)};
  weft__sa(ret)->in.sin_family = AF_INET;
  weft__sa(ret)->in.sin_addr = number;
  weft__sa(ret)->in.sin_port = htons((uint16_t)port);
}

static void make_in6(weft_addr *ret, struct in6_addr number, unsigned scope, int port) {
  *ret = (weft_addr){.len = sizeof(struct sockaddr_in6)};
  weft__sa(ret)->in6.sin6_family = AF_INET6;
  weft__sa(ret)->in6.sin6_addr = number;
  weft__sa(ret)->in6.sin6_scope_id = scope;
  weft__sa(ret)->in6.sin6_port = htons((uint16_t)port);
}

/* The number of an interface, of its number or name. */
static int scope_of(const char *text, unsigned *ret) {
  char *end;
  if (*text >= '0' && *text <= '9') {
    unsigned long n = strtoul(text, &end, 10);
    if (*end || n > UINT32_MAX) return WEFT_EINVAL;
    *ret = (unsigned)n;
    return 0;
  }
  if (!*text) return WEFT_EINVAL;
  *ret = if_nametoindex(text);
  return *ret ? 0 : WEFT_ENODEV;
}

int weft_addr_parse(weft_addr *ret, const char *host, int port) {
  struct in_addr four;
  struct in6_addr six;
  char number[HOST_MOST];
  unsigned scope = 0;
  if (!ret || !host || !is_port(port)) return WEFT_EINVAL;
  if (inet_pton(AF_INET, host, &four) == 1) {
    make_in(ret, four, port);
    return 0;
  }
  const char *percent = strchr(host, '%');
  size_t len = percent ? (size_t)(percent - host) : strlen(host);
  if (len >= sizeof number) return WEFT_EINVAL;
  memcpy(number, host, len);
  number[len] = 0;
  if (inet_pton(AF_INET6, number, &six) != 1) return WEFT_EINVAL;
  int r = percent ? scope_of(percent + 1, &scope) : 0;
  if (r == 0) make_in6(ret, six, scope, port);
  return r;
}

static int make_well_known(weft_addr *ret, int family, int port, in_addr_t four,
                           const struct in6_addr *six) {
  if (!ret || !is_port(port)) return WEFT_EINVAL;
  if (family == AF_INET)
    make_in(ret, (struct in_addr){.s_addr = htonl(four)}, port);
  else if (family == AF_INET6)
    make_in6(ret, *six, 0, port);
  else
    return WEFT_EAFNOSUPPORT;
  return 0;
}

int weft_addr_any(weft_addr *ret, int family, int port) {
  return make_well_known(ret, family, port, INADDR_ANY, &in6addr_any);
}

int weft_addr_loopback(weft_addr *ret, int family, int port) {
  return make_well_known(ret, family, port, INADDR_LOOPBACK, &in6addr_loopback);
}

int weft_addr_unix(weft_addr *ret, const char *path) {
  if (!ret || !path || !*path) return WEFT_EINVAL;
  size_t len = strlen(path) + 1;
  if (len > WEFT__SA_PATH) return WEFT_ENAMETOOLONG;
  *ret = (weft_addr){.len = (socklen_t)(UNIX_AT + len)};
  weft__sa(ret)->un.sun_family = AF_UNIX;
  memcpy(weft__sa(ret)->un.sun_path, path, len);
  return 0;
}

int weft_addr_unix_abstract(weft_addr *ret, const void *name, size_t len) {
  if (!ret || !name || len == 0) return WEFT_EINVAL;
  if (len >= WEFT__SA_PATH) return WEFT_ENAMETOOLONG;
  *ret = (weft_addr){.len = (socklen_t)(UNIX_AT + 1 + len)};
  weft__sa(ret)->un.sun_family = AF_UNIX;
  memcpy(weft__sa(ret)->un.sun_path + 1, name, len);
  return 0;
}

int weft_addr_from_sockaddr(weft_addr *ret, const struct sockaddr *addr, size_t len) {
  if (!ret || !addr || len < sizeof addr->sa_family) return WEFT_EINVAL;
  size_t least, most;
  switch (addr->sa_family) {
  case AF_INET:
    least = most = sizeof(struct sockaddr_in);
    break;
  case AF_INET6:
    least = most = sizeof(struct sockaddr_in6);
    break;
  case AF_UNIX:
    least = UNIX_AT;
    most = sizeof(struct sockaddr_un);
    break;
  default:
    return WEFT_EAFNOSUPPORT;
  }
  if (len < least || len > WEFT__SA_ROOM) return WEFT_EINVAL;
  weft_addr a = {.len = (uint32_t)(len < most ? len : most)};
  memcpy(weft__sa(&a), addr, a.len);
  *ret = a;
  return 0;
}

/* ---- looking at one ---- */

int weft_addr_family(const weft_addr *a) {
  return a && a->len >= sizeof(sa_family_t) ? weft__sa(a)->any.sa_family : AF_UNSPEC;
}

int weft_addr_port(const weft_addr *a) {
  switch (weft_addr_family(a)) {
  case AF_INET:
    return ntohs(weft__sa(a)->in.sin_port);
  case AF_INET6:
    return ntohs(weft__sa(a)->in6.sin6_port);
  default:
    return WEFT_EAFNOSUPPORT;
  }
}

int weft_addr_set_port(weft_addr *a, int port) {
  if (!is_port(port)) return WEFT_EINVAL;
  switch (weft_addr_family(a)) {
  case AF_INET:
    weft__sa(a)->in.sin_port = htons((uint16_t)port);
    return 0;
  case AF_INET6:
    weft__sa(a)->in6.sin6_port = htons((uint16_t)port);
    return 0;
  default:
    return WEFT_EAFNOSUPPORT;
  }
}

/* How many bytes the name of a Unix socket has. Of a file the zero at its end does not count: the
 * kernel gives the address with it or without. */
static size_t unix_name(const weft_addr *a) {
  size_t len = a->len > UNIX_AT ? a->len - UNIX_AT : 0;
  if (len > WEFT__SA_PATH) len = WEFT__SA_PATH;
  if (len == 0 || weft__sa(a)->un.sun_path[0] == 0) return len;
  return strnlen(weft__sa(a)->un.sun_path, len);
}

const char *weft_addr_path(const weft_addr *a) {
  if (weft_addr_family(a) != AF_UNIX || unix_name(a) == 0) return NULL;
  return weft__sa(a)->un.sun_path[0] ? weft__sa(a)->un.sun_path : NULL;
}

bool weft_addr_equal(const weft_addr *a, const weft_addr *b) {
  int family = weft_addr_family(a);
  if (family != weft_addr_family(b)) return false;
  switch (family) {
  case AF_INET:
    return weft__sa(a)->in.sin_port == weft__sa(b)->in.sin_port &&
           weft__sa(a)->in.sin_addr.s_addr == weft__sa(b)->in.sin_addr.s_addr;
  case AF_INET6:
    return weft__sa(a)->in6.sin6_port == weft__sa(b)->in6.sin6_port &&
           weft__sa(a)->in6.sin6_scope_id == weft__sa(b)->in6.sin6_scope_id &&
           memcmp(&weft__sa(a)->in6.sin6_addr, &weft__sa(b)->in6.sin6_addr,
                  sizeof(struct in6_addr)) == 0;
  case AF_UNIX:
    return unix_name(a) == unix_name(b) &&
           memcmp(weft__sa(a)->un.sun_path, weft__sa(b)->un.sun_path, unix_name(a)) == 0;
  default:
    return true;
  }
}

bool weft_addr_is_loopback(const weft_addr *a) {
  switch (weft_addr_family(a)) {
  case AF_INET:
    return ntohl(weft__sa(a)->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  case AF_INET6:
    return IN6_IS_ADDR_LOOPBACK(&weft__sa(a)->in6.sin6_addr);
  case AF_UNIX:
    return true;
  default:
    return false;
  }
}

const struct sockaddr *weft_addr_sockaddr(const weft_addr *a) {
  return &weft__sa(a)->any;
}
