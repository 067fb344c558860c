/* Addresses that the kernel fills. */
#ifndef WEFT_IO_ADDR_H
#define WEFT_IO_ADDR_H

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <weft/addr.h>

/* What is in a weft_addr. May alias: the public type has bytes. */
union __attribute__((may_alias)) weft__sockaddr {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
  struct sockaddr_storage room;
};

enum {
  WEFT__SA_ROOM = sizeof(union weft__sockaddr),
  WEFT__SA_PATH = sizeof((struct sockaddr_un *)0)->sun_path,
};
_Static_assert(WEFT__SA_ROOM == sizeof((weft_addr *)0)->sockaddr_.opaque_,
               "every address of the system fits");

#define weft__sa(a) ((union weft__sockaddr *)(uintptr_t) & (a)->sockaddr_)

/* Before: weft__sys_getsockname(fd, &weft__sa(a)->any, &a->len) and its kin. A path stays terminated, since
 * it is shorter than the room, which is zeroed. */
static inline void weft__addr_room(weft_addr *a) {
  memset(a, 0, sizeof *a);
  a->len = WEFT__SA_ROOM;
}

/* After: the length that the kernel gave is that of the whole address, also where it did not fit. */
static inline void weft__addr_filled(weft_addr *a) {
  if (a->len > WEFT__SA_ROOM) a->len = WEFT__SA_ROOM;
  if (a->len < sizeof(sa_family_t)) a->len = 0;
}

#endif
