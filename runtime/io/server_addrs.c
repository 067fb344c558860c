/* Where a server listens. */
#include <weft/dns.h>

#include "base/memory.h"
#include "io/listener.h"
#include "io/server.h"

enum {
  MOST = 64,  /* addresses of a name */
  TRIES = 16, /* for a port that is free at every address */
};

/* What is to be listened on. */
struct plan {
  weft_addr *addrs;
  unsigned n;
  weft_listen_opts listen;
  bool any;       /* of several that mean one: those that this machine has not are left out */
  bool same_port; /* one that is free for the first of them is taken for all */
};

/* ---- the addresses ---- */

static int plan_any(struct plan *p, int port) {
  int r = weft_addr_any(&p->addrs[0], AF_INET, port);
  if (r == 0) r = weft_addr_any(&p->addrs[1], AF_INET6, port);
  p->n = 2;
  p->any = true;
  p->listen.v6_only = true; /* the other one has them */
  return r;
}

static int look_up(struct plan *p, const char *host, int port) {
  int n = weft_getaddrinfo(p->addrs, MOST, host, NULL, NULL);
  if (n < 0) return n;
  p->n = n < MOST ? (unsigned)n : MOST;
  p->any = true; /* "localhost" may be ::1, too, where IPv6 is off */
  int r = 0;
  for (unsigned i = 0; i < p->n && r == 0; i++) r = weft_addr_set_port(&p->addrs[i], port);
  return r;
}

/* Fills p from the options; room for MOST addresses, or naddrs. */
static int plan(struct plan *p, const weft_serve_opts *o) {
  if (o->port < 0 || o->port > UINT16_MAX) return WEFT_EINVAL;
  p->n = 1;
  if (o->path) return weft_addr_unix(&p->addrs[0], o->path);
  if (o->addrs) {
    p->n = (unsigned)o->naddrs;
    for (unsigned i = 0; i < p->n; i++) p->addrs[i] = o->addrs[i];
    return 0;
  }
  p->same_port = true;
  if (!o->host) return plan_any(p, o->port);
  int r = weft_addr_parse(&p->addrs[0], o->host, o->port);
  return r == WEFT_EINVAL ? look_up(p, o->host, o->port) : r;
}

/* One of the four ways, or none. */
static bool is_clear(const weft_serve_opts *o) {
  int ways = !!o->host + !!o->path + !!o->addrs + !!o->listener;
  return ways <= 1 && !!o->addrs == (o->naddrs > 0) && o->naddrs <= INT16_MAX;
}

/* ---- the listeners ---- */

void weft__server_unlisten(weft_listener **list, unsigned n) {
  for (unsigned i = 0; i < n; i++) weft_listener_free(list[i]);
  weft__free(list);
}

static bool is_absent(int code) {
  return code == WEFT_EAFNOSUPPORT || code == WEFT_EADDRNOTAVAIL;
}

/* Listens on all of them. The port that the first of them was given may be taken elsewhere:
 * WEFT_EADDRINUSE, with *ret_again. */
static int listen_once(const struct plan *p, weft_listener **list, unsigned *ret_n,
                       bool *ret_again) {
  unsigned n = 0;
  int r = WEFT_EADDRNOTAVAIL, port = 0;
  *ret_again = false;
  for (unsigned i = 0; i < p->n; i++) {
    weft_addr a = p->addrs[i];
    bool chosen = p->same_port && port != 0 && weft_addr_port(&a) == 0;
    if (chosen) (void)weft_addr_set_port(&a, port);
    r = weft_listen(&list[n], &a, &p->listen);
    if (r < 0 && p->any && is_absent(r) && (n > 0 || i + 1 < p->n)) continue;
    if (r < 0) {
      *ret_again = chosen && r == WEFT_EADDRINUSE;
      break;
    }
    if (weft_addr_port(&a) == 0 && weft_listener_addr(list[n], &a) == 0) port = weft_addr_port(&a);
    n++;
  }
  if (n > 0 && (r == 0 || (p->any && is_absent(r)))) {
    *ret_n = n;
    return 0;
  }
  while (n > 0) weft_listener_free(list[--n]);
  return r;
}

static int listen_on(const struct plan *p, weft_listener ***ret, unsigned *ret_n) {
  weft_listener **list = weft__calloc(p->n, sizeof(weft_listener *));
  if (!list) return WEFT_ENOMEM;
  bool again = true;
  int r = 0;
  for (int i = 0; i < TRIES && again; i++) r = listen_once(p, list, ret_n, &again);
  if (r < 0)
    weft__free(list);
  else
    *ret = list;
  return r;
}

static int take_given(weft_listener *l, weft_listener ***ret, unsigned *ret_n) {
  weft_listener **list = weft__calloc(1, sizeof(weft_listener *));
  if (!list) return WEFT_ENOMEM;
  list[0] = l;
  *ret = list;
  *ret_n = 1;
  return 0;
}

int weft__server_listen(const weft_serve_opts *o, weft_listener ***ret, unsigned *ret_n) {
  if (!is_clear(o)) return WEFT_EINVAL;
  if (o->listener) return take_given(o->listener, ret, ret_n);
  size_t most = o->naddrs > MOST ? o->naddrs : MOST;
  struct plan p = {.listen = o->listen};
  p.addrs = weft__calloc(most, sizeof *p.addrs);
  if (!p.addrs) return WEFT_ENOMEM;
  int r = plan(&p, o);
  if (r == 0) r = listen_on(&p, ret, ret_n);
  weft__free(p.addrs);
  return r;
}
