/* What connections are made of. */
#ifndef WEFT_IO_CONNECT_H
#define WEFT_IO_CONNECT_H

#include <weft/connect.h>

/* A stream that is connected to addr. local: where from, or NULL; site: of the public call. In a task, which
 * may suspend; a cancel point. */
int weft__connect_one(weft_stream **ret, const weft_addr *addr, const weft_addr *local,
                      const void *site);

/* The same with one of several, or the error of the first. o->errors is filled. */
int weft__connect_race(weft_stream **ret, const weft_addr *addrs, size_t n,
                       const weft_connect_opts *o, const void *site);

/* Puts an address that failed on the list; NULL: there is none. */
void weft__connect_note(weft_connect_errors *errors, const weft_addr *addr, int code);

#endif
