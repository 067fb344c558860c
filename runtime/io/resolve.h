/* Names to addresses, for those who open sockets by name. */
#ifndef WEFT_IO_RESOLVE_H
#define WEFT_IO_RESOLVE_H

#include <weft/dns.h>

struct weft__addrs {
  size_t n;
  weft_addr at[];
};

/* As weft_getaddrinfo; the addresses, at least one, are the caller's: weft__free. In a task, which may
 * suspend; a cancel point. */
int weft__resolve(struct weft__addrs **ret, const char *host, const char *service,
                  const weft_dns_hints *hints);

#endif
