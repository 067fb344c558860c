/* getaddrinfo: what is a number already is answered here, the rest is a lookup of the lane. */
#include "io/resolve.h"

#include <netdb.h>
#include <string.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/park.h"
#include "core/worker.h"
#include "io/lookup.h"

/* Flags that mean nothing for a number. */
enum { PLAIN_FLAGS = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV | AI_CANONNAME };

/* One question: this, then the two strings. */
struct question {
  struct weft__lookup lookup;
  struct weft__addrs *answer;
  const char *host, *service; /* or NULL */
  struct addrinfo hints;
};

/* ---- on a thread of the lane ---- */

static bool known(const struct weft__addrs *a, const weft_addr *one) {
  for (size_t i = 0; i < a->n; i++)
    if (weft_addr_equal(&a->at[i], one)) return true;
  return false;
}

/* What is in a file twice is found twice. Families that are none of ours are left out. */
static int collect(struct weft__addrs **ret, const struct addrinfo *list) {
  size_t n = 0;
  weft_addr one;
  for (const struct addrinfo *i = list; i; i = i->ai_next) n++;
  struct weft__addrs *a = weft__alloc(sizeof *a + n * sizeof a->at[0]);
  if (!a) return WEFT_ENOMEM;
  a->n = 0;
  for (const struct addrinfo *i = list; i; i = i->ai_next)
    if (weft_addr_from_sockaddr(&one, i->ai_addr, i->ai_addrlen) == 0 && !known(a, &one))
      a->at[a->n++] = one;
  if (a->n == 0) {
    weft__free(a);
    return WEFT_EAI_NODATA;
  }
  *ret = a;
  return 0;
}

static int ask(struct weft__lookup *l) {
  struct question *q = weft__container_of(l, struct question, lookup);
  struct addrinfo *list = NULL;
  int r = weft__sys_getaddrinfo(q->host, q->service, &q->hints, &list);
  if (r < 0) return r;
  r = collect(&q->answer, list);
  weft__sys_freeaddrinfo(list);
  return r;
}

static void drop(struct weft__lookup *l) {
  struct question *q = weft__container_of(l, struct question, lookup);
  weft__free(q->answer);
  weft__free(q);
}

/* ---- in the task ---- */

static struct question *question(const char *host, const char *service,
                                 const weft_dns_hints *hints) {
  size_t host_size = host ? strlen(host) + 1 : 0;
  size_t service_size = service ? strlen(service) + 1 : 0;
  struct question *q = weft__alloc(sizeof *q + host_size + service_size);
  if (!q) return NULL;
  *q = (struct question){.lookup = {.run = ask, .free = drop},
                         .hints = {.ai_family = hints->family,
                                   .ai_socktype = hints->socktype,
                                   .ai_protocol = hints->protocol,
                                   .ai_flags = hints->flags}};
  char *text = (char *)(q + 1);
  if (host) q->host = memcpy(text, host, host_size);
  if (service) q->service = memcpy(text + host_size, service, service_size);
  return q;
}

static int look_up(struct weft__addrs **ret, const char *host, const char *service,
                   const weft_dns_hints *hints) {
  struct question *q = question(host, service, hints);
  if (!q) return WEFT_ENOMEM;
  int code = 0;
  int r = weft__lookup(&q->lookup, &code);
  if (r < 0) return r;
  if (code == 0) {
    *ret = q->answer;
    q->answer = NULL;
  }
  drop(&q->lookup);
  return code;
}

/* The port; WEFT_EAGAIN for what is no number. (The C library takes 65536 for 0.) */
static int port_of(const char *service) {
  if (!service) return 0;
  size_t len = strspn(service, "0123456789");
  if (len == 0 || service[len]) return WEFT_EAGAIN;
  int port = 0;
  for (; *service && port <= 65535; service++) port = 10 * port + (*service - '0');
  return port <= 65535 ? port : WEFT_EAI_SERVICE;
}

/* Writes at most two addresses; 0 when that takes the resolver. */
static size_t numbers(weft_addr at[2], const char *host, int port, const weft_dns_hints *hints) {
  size_t n = 0;
  if (port < 0 || (hints->flags & ~PLAIN_FLAGS)) return 0;
  if (host) {
    if (weft_addr_parse(&at[0], host, port) < 0) return 0;
    return hints->family == AF_UNSPEC || hints->family == weft_addr_family(&at[0]) ? 1 : 0;
  }
  bool passive = hints->flags & AI_PASSIVE;
  int (*make)(weft_addr *, int, int) = passive ? weft_addr_any : weft_addr_loopback;
  if (hints->family != AF_INET && hints->family != AF_INET6 && hints->family != AF_UNSPEC) return 0;
  if (hints->family != AF_INET) make(&at[n++], AF_INET6, port);
  if (hints->family != AF_INET6) make(&at[n++], AF_INET, port);
  return n;
}

int weft__resolve(struct weft__addrs **ret, const char *host, const char *service,
                  const weft_dns_hints *hints) {
  struct weft__task *t = weft__current_task();
  weft_dns_hints own = hints ? *hints : (weft_dns_hints){0};
  if (own.socktype == 0) own.socktype = SOCK_STREAM;
  if (!host && !service) return WEFT_EAI_NONAME;
  weft_addr at[2];
  int port = port_of(service);
  if (port == WEFT_EAI_SERVICE) return port;
  size_t n = numbers(at, host, port, &own);
  if (n == 0) return look_up(ret, host, service, &own);
  int r = weft__checkpoint(t);
  if (r == 0) r = weft__spend(t);
  if (r < 0) return r;
  struct weft__addrs *a = weft__alloc(sizeof *a + n * sizeof at[0]);
  if (!a) return WEFT_ENOMEM;
  a->n = n;
  memcpy(a->at, at, n * sizeof at[0]);
  *ret = a;
  return 0;
}
