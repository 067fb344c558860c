/* A resolver for tests: names that end in ".test" are answered here, all others by the system.
 *
 * "two.test" has 127.0.0.1 and ::1, "twice.test" has one address twice, "none.test" does not exist,
 * "again.test" has a server that does not answer. "stuck.test", and any name that begins with "stuck",
 * stays in the resolver until the gate opens. addresses.test has what the test has put there.
 */
#ifndef WEFT_TEST_RESOLVER_H
#define WEFT_TEST_RESOLVER_H

#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "base/futex.h"
#include "base/sys.h"
#include "io/addr.h"
#include "weft_test.h"

enum { RESOLVER_MARK = 0x7e57, RESOLVER_MOST = 16 };

static struct {
  struct weft__sys_table table;
  const struct weft__sys_table *before;
  weft__atomic_u32 open; /* the gate: futex word */
  atomic_int asked;      /* of ".test" */
  atomic_int inside;     /* stuck ones now */
  atomic_int most;       /* at a time */
  atomic_int left;       /* stuck ones that came back */
  atomic_int wrong;      /* whose argument had changed meanwhile */
  weft_addr addresses[RESOLVER_MOST];
  int naddresses;
} resolver;

static inline void resolver_wait_at_gate(const char *host) {
  char copy[64];
  snprintf(copy, sizeof copy, "%s", host);
  int now = atomic_fetch_add(&resolver.inside, 1) + 1, most = atomic_load(&resolver.most);
  while (now > most && !atomic_compare_exchange_weak(&resolver.most, &most, now)) {}
  while (weft__load_acquire_u32(&resolver.open) == 0)
    weft__futex_wait(&resolver.open, 0, WEFT__FUTEX_FOREVER);
  if (strcmp(copy, host) != 0) atomic_fetch_add(&resolver.wrong, 1);
  atomic_fetch_sub(&resolver.inside, 1);
  atomic_fetch_add(&resolver.left, 1);
}

static inline struct addrinfo *resolver_node(const weft_addr *a, struct addrinfo *next) {
  struct addrinfo *i = calloc(1, sizeof *i + WEFT__SA_ROOM);
  i->ai_flags = RESOLVER_MARK;
  i->ai_family = weft_addr_family(a);
  i->ai_addrlen = a->len;
  i->ai_addr = memcpy(i + 1, weft__sa(a), a->len);
  i->ai_next = next;
  return i;
}

static inline int resolver_answer(const char *const *numbers, int n, int port,
                                  struct addrinfo **ret) {
  *ret = NULL;
  while (n-- > 0) {
    weft_addr a;
    CHECK_INT(weft_addr_parse(&a, numbers[n], port), 0);
    *ret = resolver_node(&a, *ret);
  }
  return 0;
}

static inline int resolver_getaddrinfo(const char *host, const char *service,
                                       const struct addrinfo *hints, struct addrinfo **ret) {
  static const char *const two[] = {"::1", "127.0.0.1"};
  static const char *const twice[] = {"127.0.0.1", "127.0.0.1", "::1", "127.0.0.1"};
  size_t len = host ? strlen(host) : 0;
  if (len < 5 || strcmp(host + len - 5, ".test") != 0)
    return resolver.before->getaddrinfo(host, service, hints, ret);
  atomic_fetch_add(&resolver.asked, 1);
  int port = service ? atoi(service) : 0;
  if (strncmp(host, "stuck", 5) == 0) resolver_wait_at_gate(host);
  if (strcmp(host, "none.test") == 0) return WEFT_EAI_NONAME;
  if (strcmp(host, "again.test") == 0) return WEFT_EAI_AGAIN;
  if (strcmp(host, "twice.test") == 0) return resolver_answer(twice, 4, port, ret);
  if (strcmp(host, "addresses.test") != 0) return resolver_answer(two, 2, port, ret);
  *ret = NULL;
  for (int i = resolver.naddresses; i-- > 0;) *ret = resolver_node(&resolver.addresses[i], *ret);
  return 0;
}

static inline int resolver_freeaddrinfo(struct addrinfo *list) {
  if (!list || list->ai_flags != RESOLVER_MARK) return resolver.before->freeaddrinfo(list);
  while (list) {
    struct addrinfo *next = list->ai_next;
    free(list);
    list = next;
  }
  return 0;
}

static inline int resolver_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host,
                                       size_t host_size, char *service, size_t service_size,
                                       int flags) {
  weft_addr a;
  if (weft_addr_from_sockaddr(&a, addr, len) < 0 || weft_addr_port(&a) != 7)
    return resolver.before->getnameinfo(addr, len, host, host_size, service, service_size, flags);
  atomic_fetch_add(&resolver.asked, 1);
  if (host) snprintf(host, host_size, "host-of-7.test");
  if (service) snprintf(service, service_size, "echo");
  return 0;
}

/* At the beginning of a test's body, and at its end. */
static inline void resolver_begin(void) {
  const struct weft__sys_table *before = atomic_load(&weft__sys_current);
  if (resolver.before != before) { /* threads of an earlier run may still be in the table */
    resolver.before = before;
    resolver.table = *before;
    resolver.table.getaddrinfo = resolver_getaddrinfo;
    resolver.table.freeaddrinfo = resolver_freeaddrinfo;
    resolver.table.getnameinfo = resolver_getnameinfo;
  }
  weft__store_release_u32(&resolver.open, 0);
  atomic_store(&resolver.asked, 0);
  atomic_store(&resolver.inside, 0);
  atomic_store(&resolver.most, 0);
  atomic_store(&resolver.left, 0);
  atomic_store(&resolver.wrong, 0);
  resolver.naddresses = 0;
  weft__sys_install(&resolver.table);
}

static inline void resolver_open_gate(void) {
  weft__store_release_u32(&resolver.open, 1);
  weft__futex_wake(&resolver.open, 1000);
}

static inline void resolver_end(void) {
  resolver_open_gate();
  weft__sys_install(resolver.before);
}

#endif
