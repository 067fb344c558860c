/* Addresses of sockets: IPv4, IPv6 and Unix, as a value that is copied and compared.
 *
 *   weft_addr a;
 *   char text[WEFT_ADDR_TEXT];
 *   r = weft_addr_parse(&a, "127.0.0.1", 8080);          (a number; names: weft/dns.h)
 *   r = weft_addr_unix(&a, "/run/app.sock");
 *   r = weft_addr_from_text(&a, "[::1]:8080");           (the way back from weft_addr_format)
 *   weft_addr_format(&a, text, sizeof text);
 *
 * Nothing here asks the network or the system, but for the name of an interface in an address such
 * as "fe80::1%eth0". Works in a child made by fork(), too.
 */
#ifndef WEFT_ADDR_H
#define WEFT_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/decls.h>

WEFT_BEGIN_DECLS

struct sockaddr; /* <sys/socket.h>, which this header leaves to those who need it */

/* An address, opaque. Zeroed is none, as a socket without a name has (then the family is
 * AF_UNSPEC). */
typedef struct weft_addr {
  uint32_t len; /* bytes of the system's address; 0: no address */
  union {
    uint64_t align_;
    unsigned char opaque_[128];
  } sockaddr_;
} weft_addr;

/* Enough for what weft_addr_format writes, of any address. */
enum { WEFT_ADDR_TEXT = 448 };

/* The address of a number: "127.0.0.1", "::1", "fe80::1%eth0", "fe80::1%2", and the port, 0 to
 * 65535. 0; WEFT_EINVAL when host is no such number or the port is none; WEFT_ENODEV when there is
 * no such interface. [any thread] [never suspends] */
int weft_addr_parse(weft_addr *ret, const char *host, int port);

/* Every address of this machine (for a listener), and the machine itself: AF_INET or AF_INET6.
 * 0; WEFT_EAFNOSUPPORT for another family; WEFT_EINVAL. [any thread] [never suspends] */
int weft_addr_any(weft_addr *ret, int family, int port);
int weft_addr_loopback(weft_addr *ret, int family, int port);

/* The Unix socket of that file. 0; WEFT_EINVAL when path is NULL or empty; WEFT_ENAMETOOLONG when
 * it has more than 107 bytes. [any thread] [never suspends] */
int weft_addr_unix(weft_addr *ret, const char *path);

/* The Unix socket of that name, which is no file: any len bytes, 1 to 107, zeros too. Only Linux
 * has these. 0, WEFT_EINVAL, WEFT_ENAMETOOLONG. [any thread] [never suspends] */
int weft_addr_unix_abstract(weft_addr *ret, const void *name, size_t len);

/* Copies what the system, or another library, has: 0; WEFT_EINVAL when len is too short for its
 * family or too long; WEFT_EAFNOSUPPORT for a family that is none of these three.
 * [any thread] [never suspends] */
int weft_addr_from_sockaddr(weft_addr *ret, const struct sockaddr *addr, size_t len);

/* The address as the system wants it, of a->len bytes: for bind, connect, sendto. It lives as long as *a.
 * [any thread] [never suspends] */
const struct sockaddr *weft_addr_sockaddr(const weft_addr *a);

/* Writes the address as text and returns its length as snprintf does: "127.0.0.1:80", "[::1]:80",
 * "[fe80::1%2]:80", "unix:/run/app.sock", "unix:@abstract", "unix:" for a Unix socket without a
 * name, "none" for no address. Control characters and the backslash in names are written as \xNN.
 * [any thread] [never suspends] */
int weft_addr_format(const weft_addr *a, char *buf, size_t size);

/* The address of such a text, except "none": what weft_addr_format wrote gives an equal one. A file
 * whose name begins with '@' is written "unix:./@name". 0, and what weft_addr_parse and
 * weft_addr_unix answer. [any thread] [never suspends] */
int weft_addr_from_text(weft_addr *ret, const char *text);

/* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC for no address. [any thread] [never suspends] */
int weft_addr_family(const weft_addr *a);

/* The port, or WEFT_EAFNOSUPPORT where the family has none. [any thread] [never suspends] */
int weft_addr_port(const weft_addr *a);

/* Changes the port: 0, WEFT_EINVAL, WEFT_EAFNOSUPPORT. [any thread] [never suspends] */
int weft_addr_set_port(weft_addr *a, int port);

/* The file of a Unix socket, which belongs to *a; NULL for an abstract name, no name, and other
 * families. [any thread] [never suspends] */
const char *weft_addr_path(const weft_addr *a);

/* They are the same place: family, number, port and interface, or the name of a Unix socket. An
 * IPv4 address and the IPv6 one that stands for it ("::ffff:127.0.0.1") are two.
 * [any thread] [never suspends] */
bool weft_addr_equal(const weft_addr *a, const weft_addr *b);

/* An address of the machine itself: 127.0.0.0/8, ::1, a Unix socket. [any thread] [never suspends] */
bool weft_addr_is_loopback(const weft_addr *a);

WEFT_END_DECLS
#endif
