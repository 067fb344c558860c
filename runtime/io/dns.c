/* The public side of name lookups, and getnameinfo. */
#include <weft/dns.h>

#include <limits.h>
#include <netdb.h>
#include <string.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/park.h"
#include "core/worker.h"
#include "io/addr.h"
#include "io/lookup.h"
#include "io/resolve.h"

int weft_getaddrinfo(weft_addr *addrs, size_t max, const char *host, const char *service,
                     const weft_dns_hints *hints) {
  if (!weft__current_task()) return weft__no_task();
  if (!addrs && max > 0) return WEFT_EINVAL;
  struct weft__addrs *found;
  int r = weft__resolve(&found, host, service, hints);
  if (r < 0) return r;
  size_t n = found->n < max ? found->n : max;
  if (n > 0) memcpy(addrs, found->at, n * sizeof *addrs);
  r = found->n < INT_MAX ? (int)found->n : INT_MAX;
  weft__free(found);
  return r;
}

/* ---- the way back ---- */

struct question {
  struct weft__lookup lookup;
  weft_addr addr;
  int flags;
  bool wants_host, wants_service;
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
};

static int answer(struct question *q) {
  return weft__sys_getnameinfo(&weft__sa(&q->addr)->any, q->addr.len,
                               q->wants_host ? q->host : NULL, q->wants_host ? sizeof q->host : 0,
                               q->wants_service ? q->service : NULL,
                               q->wants_service ? sizeof q->service : 0, q->flags);
}

static int ask(struct weft__lookup *l) {
  return answer(weft__container_of(l, struct question, lookup));
}

static void drop(struct weft__lookup *l) {
  weft__free(weft__container_of(l, struct question, lookup));
}

/* Whether numbers are all that is wanted, which takes no resolver. */
static bool is_plain(const struct question *q) {
  int numeric = (q->wants_host ? NI_NUMERICHOST : 0) | (q->wants_service ? NI_NUMERICSERV : 0);
  return (q->flags & numeric) == numeric;
}

static int answer_at_once(struct question *q, int *ret_code) {
  struct weft__task *t = weft__current_task();
  int r = weft__checkpoint(t);
  if (r == 0) r = weft__spend(t);
  if (r < 0)
    drop(&q->lookup);
  else
    *ret_code = answer(q);
  return r;
}

static int give(const struct question *q, char *host, size_t host_size, char *service,
                size_t service_size) {
  if (q->wants_host && strlen(q->host) >= host_size) return WEFT_EAI_OVERFLOW;
  if (q->wants_service && strlen(q->service) >= service_size) return WEFT_EAI_OVERFLOW;
  if (q->wants_host) strcpy(host, q->host);
  if (q->wants_service) strcpy(service, q->service);
  return 0;
}

int weft_getnameinfo(const weft_addr *addr, char *host, size_t host_size, char *service,
                     size_t service_size, int flags) {
  if (!weft__current_task()) return weft__no_task();
  if (weft_addr_family(addr) == AF_UNSPEC) return WEFT_EAI_FAMILY;
  bool wants_host = host && host_size > 0, wants_service = service && service_size > 0;
  if (!wants_host && !wants_service) return WEFT_EAI_NONAME;
  struct question *q = weft__alloc(sizeof *q);
  if (!q) return WEFT_ENOMEM;
  *q = (struct question){.lookup = {.run = ask, .free = drop},
                         .addr = *addr,
                         .flags = flags,
                         .wants_host = wants_host,
                         .wants_service = wants_service};
  int code = 0;
  int r = is_plain(q) ? answer_at_once(q, &code) : weft__lookup(&q->lookup, &code);
  if (r < 0) return r;
  if (code == 0) code = give(q, host, host_size, service, service_size);
  drop(&q->lookup);
  return code;
}
