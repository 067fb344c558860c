/* What listening adds to the simulated network. For its files alone. */
#ifndef WEFT_BASE_SIM_CONNECT_H
#define WEFT_BASE_SIM_CONNECT_H

#include "base/sim_fd.h"

/* socket, bind, listen, connect, accept4, getsockname, getpeername. */
void weft__sim_connect_install(struct weft__sys_table *table);

/* Resets who waits to be accepted. */
void weft__sim_listener_close(struct weft__sim_fd *f);
/* When somebody can be accepted: may be past, WEFT__SIM_NEVER. */
uint64_t weft__sim_listener_when(const struct weft__sim_fd *f);

/* This call is interrupted. (sim_net.c) */
bool weft__sim_net_interrupted(void);

#endif
