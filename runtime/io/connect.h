/* Connecting sockets, below streams. */
#ifndef WEFT_IO_CONNECT_H
#define WEFT_IO_CONNECT_H

#include <weft/connect.h>

/* A socket, with O_NONBLOCK, that is connected to addr, or on its way: 0 or WEFT_EINPROGRESS, and the
 * descriptor is the caller's. Otherwise why it cannot. local: or NULL. Never suspends. */
int weft__connect_begin(int *ret_fd, const weft_addr *addr, const weft_addr *local);

/* Waits until a socket that is on its way is connected: 0; or it is not, and is closed. In a task. */
int weft__connect_finish(int fd, const weft_addr *addr);

/* Both, for one address: and looks that the other end is not this one. In a task. */
int weft__connect_one(int *ret_fd, const weft_addr *addr, const weft_addr *local);

/* One of several: *ret_fd, or the error of the first. o->errors is filled. In a task. */
int weft__connect_race(int *ret_fd, const weft_addr *addrs, size_t n, const weft_connect_opts *o);

/* Puts the n-th address that failed on the list, if there is one. */
void weft__connect_note(weft_connect_errors *errors, const weft_addr *addr, int code);

#endif
