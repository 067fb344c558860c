/* Addresses that the kernel fills. */
#ifndef WEFT_IO_ADDR_H
#define WEFT_IO_ADDR_H

#include <string.h>

#include <weft/addr.h>

/* Before: weft__sys_getsockname(fd, &a->u.any, &a->len) and its kin. A path stays terminated, since
 * it is shorter than the room, which is zeroed. */
static inline void weft__addr_room(weft_addr *a) {
  memset(a, 0, sizeof *a);
  a->len = sizeof a->u;
}

/* After: the length that the kernel gave is that of the whole address, also where it did not fit. */
static inline void weft__addr_filled(weft_addr *a) {
  if (a->len > sizeof a->u) a->len = sizeof a->u;
  if (a->len < sizeof a->u.any.sa_family) a->len = 0;
}

#endif
