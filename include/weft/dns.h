/* Names to addresses and back. asyncio counterparts: loop.getaddrinfo, loop.getnameinfo.
 *
 *   weft_addr found[8];
 *   int n = weft_getaddrinfo(found, 8, "example.org", "https", NULL);
 *
 * The system's resolver (getaddrinfo of the C library) is asked, which reads files, asks name servers
 * and may take long: it runs on threads that do nothing else, apart from the blocking pool, so that
 * lookups that are stuck keep no other job waiting. Eight run at a time, and one more for each that is
 * stuck and not waited for any more, up to 64; the others wait their turn. What is a number already
 * ("127.0.0.1", "::1", "80") is answered at once, without a thread.
 *
 * A deadline (weft/timeout.h) or a cancel is answered at once. No resolver can be interrupted, so a
 * lookup that runs is abandoned: its thread comes back when the resolver does, and nobody hears of the
 * result. It has copies of all it was asked, so whatever the caller does with its memory is fine.
 * One that is still running when the run ends is left behind after a tenth of a second, which the log
 * says; it keeps nothing of the runtime.
 *
 * In a simulation (weft/sim.h) the resolver is the system's all the same; it takes no virtual time.
 */
#ifndef WEFT_DNS_H
#define WEFT_DNS_H

#include <stddef.h>
#include <stdint.h>

#include <weft/addr.h>
#include <weft/decls.h>

WEFT_BEGIN_DECLS

/* Every field may be left zero. */
typedef struct weft_dns_hints {
  int family;   /* AF_INET or AF_INET6; default: both */
  int socktype; /* what for: SOCK_STREAM (default), SOCK_DGRAM, ... */
  int protocol;
  int flags; /* of <netdb.h>: AI_PASSIVE (no host is any address, for a listener; without it no
                host is this machine), AI_ADDRCONFIG, AI_V4MAPPED, AI_NUMERICHOST, ... */
} weft_dns_hints;

/* Looks host up, and the service ("http", "80"; NULL is port 0). host NULL: see AI_PASSIVE. Fills
 * addrs[0..max) in the order in which to try them (RFC 6724), each address once, and returns how
 * many there are: at least 1, perhaps more than max. hints may be NULL.
 *   WEFT_EAI_NONAME    there is no such host or service, or neither was given
 *   WEFT_EAI_AGAIN     the name server did not answer in time; later it may
 *   WEFT_EAI_FAIL, WEFT_EAI_FAMILY, WEFT_EAI_NODATA, WEFT_EAI_ADDRFAMILY, WEFT_EAI_SERVICE,
 *   WEFT_EAI_SOCKTYPE, WEFT_EAI_BADFLAGS, WEFT_EAI_MEMORY   as the resolver says; and what else
 *                      the system says (WEFT_EMFILE)
 *   WEFT_ECANCELED     also: abandoned, see above
 *   WEFT_EINVAL        addrs is NULL and max is not 0
 *   WEFT_ENOMEM, WEFT_EAGAIN   no memory, no thread
 * [task] [suspends] [cancel point]. asyncio: loop.getaddrinfo */
int weft_getaddrinfo(weft_addr *addrs, size_t max, const char *host, const char *service,
                     const weft_dns_hints *hints);

/* The way back: the name of the address and of its port's service, each written with its '\0' to a
 * buffer of that size; NULL and 0 for one that is not wanted. flags of <netdb.h>: NI_NAMEREQD (no
 * name is an error; without it the number is written), NI_NUMERICHOST, NI_NUMERICSERV, NI_DGRAM.
 * 0; WEFT_EAI_OVERFLOW when a name does not fit; WEFT_EAI_NONAME when there is none or nothing was
 * wanted; WEFT_EAI_FAMILY for no address; otherwise as weft_getaddrinfo. Nothing is written on
 * failure. [task] [suspends] [cancel point]. asyncio: loop.getnameinfo */
int weft_getnameinfo(const weft_addr *addr, char *host, size_t host_size, char *service,
                     size_t service_size, int flags);

/* Of this runtime; those that were answered without a thread are not counted. */
typedef struct weft_dns_stats {
  uint64_t asked;     /* lookups that were begun, or wait for a thread */
  uint64_t answered;  /* whose callers got an answer, or an error of the resolver */
  uint64_t abandoned; /* that ran on when their callers had gone */
  unsigned running;   /* now, the stuck ones among them */
  unsigned stuck;     /* of them, abandoned */
  unsigned waiting;   /* for a thread, now */
  unsigned threads;   /* now */
} weft_dns_stats;

/* 0, WEFT_EINVAL, WEFT_ENOTASK. A snapshot. [task] [never suspends] */
int weft_dns_stats_read(weft_dns_stats *ret);

WEFT_END_DECLS
#endif
