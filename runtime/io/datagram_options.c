/* Datagram sockets: settings, groups of multicast, names. */
#include "io/datagram.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "aio/sync.h"
#include "base/sys.h"
#include "io/addr.h"

/* A call on the socket that is not closed meanwhile. */
static int begin(weft_datagram *d) {
  int r = weft__sync_enter_any();
  if (!d) return WEFT_EINVAL;
  return r < 0 ? r : weft__descriptor_enter(d->io);
}

static int end(weft_datagram *d, int r) {
  weft__descriptor_leave(d->io);
  return r;
}

/* What the option is to the kernel; level 0: the family does not have it. */
struct option {
  int level, name;
};

static struct option by_family(int family, int four, int six) {
  if (family == AF_INET) return (struct option){IPPROTO_IP, four};
  if (family == AF_INET6 && six) return (struct option){IPPROTO_IPV6, six};
  return (struct option){-1, 0};
}

static struct option option_of(int family, weft_datagram_option option) {
  switch (option) {
  case WEFT_DATAGRAM_RECEIVE_BUFFER:
    return (struct option){SOL_SOCKET, SO_RCVBUF};
  case WEFT_DATAGRAM_SEND_BUFFER:
    return (struct option){SOL_SOCKET, SO_SNDBUF};
  case WEFT_DATAGRAM_BROADCAST:
    return (struct option){SOL_SOCKET, SO_BROADCAST};
  case WEFT_DATAGRAM_TTL:
    return by_family(family, IP_TTL, IPV6_UNICAST_HOPS);
  case WEFT_DATAGRAM_MULTICAST_TTL:
    return by_family(family, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS);
  case WEFT_DATAGRAM_MULTICAST_LOOP:
    return by_family(family, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP);
  default:
    return (struct option){-1, -1};
  }
}

static bool is_allowed(weft_datagram_option option, int value) {
  switch (option) {
  case WEFT_DATAGRAM_RECEIVE_BUFFER:
  case WEFT_DATAGRAM_SEND_BUFFER:
    return value > 0;
  case WEFT_DATAGRAM_TTL:
    return value >= 1 && value <= 255;
  case WEFT_DATAGRAM_MULTICAST_TTL:
    return value >= 0 && value <= 255;
  default:
    return value == 0 || value == 1;
  }
}

int weft_datagram_set(weft_datagram *d, weft_datagram_option option, int value) {
  if (!d) return WEFT_EINVAL;
  struct option o = option_of(d->family, option);
  if (o.name < 0 || !is_allowed(option, value)) return WEFT_EINVAL;
  if (o.level < 0) return WEFT_ENOPROTOOPT;
  int r = begin(d);
  if (r < 0) return r;
  return end(d, weft__sys_setsockopt(weft_datagram_fd(d), o.level, o.name, &value, sizeof value));
}

int weft_datagram_get(weft_datagram *d, weft_datagram_option option, int *ret) {
  if (!d || !ret) return WEFT_EINVAL;
  struct option o = option_of(d->family, option);
  int value = 0;
  socklen_t len = sizeof value;
  if (o.name < 0) return WEFT_EINVAL;
  if (o.level < 0) return WEFT_ENOPROTOOPT;
  int r = begin(d);
  if (r < 0) return r;
  r = weft__sys_getsockopt(weft_datagram_fd(d), o.level, o.name, &value, &len);
  if (r == 0) *ret = value;
  return end(d, r);
}

/* ---- groups ---- */

static int change_group(weft_datagram *d, const weft_addr *group, unsigned interface, int name) {
  struct group_req req = {.gr_interface = interface};
  if (!d || !group || weft_addr_family(group) != d->family) return WEFT_EINVAL;
  struct option o = by_family(d->family, name, name);
  if (o.level < 0) return WEFT_ENOPROTOOPT;
  memcpy(&req.gr_group, weft__sa(group), group->len);
  int r = begin(d);
  if (r < 0) return r;
  return end(d, weft__sys_setsockopt(weft_datagram_fd(d), o.level, o.name, &req, sizeof req));
}

int weft_datagram_join(weft_datagram *d, const weft_addr *group, unsigned interface) {
  return change_group(d, group, interface, MCAST_JOIN_GROUP);
}

int weft_datagram_leave(weft_datagram *d, const weft_addr *group, unsigned interface) {
  return change_group(d, group, interface, MCAST_LEAVE_GROUP);
}

int weft_datagram_multicast_from(weft_datagram *d, unsigned interface) {
  struct ip_mreqn four = {.imr_ifindex = (int)interface};
  int six = (int)interface;
  if (!d) return WEFT_EINVAL;
  struct option o = by_family(d->family, IP_MULTICAST_IF, IPV6_MULTICAST_IF);
  bool is_four = d->family == AF_INET;
  if (o.level < 0) return WEFT_ENOPROTOOPT;
  int r = begin(d);
  if (r < 0) return r;
  return end(d, weft__sys_setsockopt(weft_datagram_fd(d), o.level, o.name,
                                     is_four ? (void *)&four : (void *)&six,
                                     is_four ? sizeof four : sizeof six));
}

/* ---- names ---- */

int weft_datagram_connect(weft_datagram *d, const weft_addr *peer) {
  static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
  int r = begin(d);
  if (r < 0) return r;
  int fd = weft_datagram_fd(d);
  r = peer ? weft__sys_connect(fd, &weft__sa(peer)->any, peer->len)
           : weft__sys_connect(fd, &nobody, sizeof nobody);
  if (r == 0 && peer) weft__or_u32(&d->mode, WEFT__DATAGRAM_CONNECTED);
  if (r == 0 && !peer) weft__and_u32(&d->mode, ~(uint32_t)WEFT__DATAGRAM_CONNECTED);
  return end(d, r);
}

typedef int (*name_fn)(int fd, struct sockaddr *addr, socklen_t *len);

static int name_of(weft_datagram *d, weft_addr *ret, name_fn ask) {
  weft_addr a;
  if (!ret) return WEFT_EINVAL;
  int r = begin(d);
  if (r < 0) return r;
  weft__addr_room(&a);
  r = ask(weft_datagram_fd(d), &weft__sa(&a)->any, &a.len);
  if (r == 0) {
    weft__addr_filled(&a);
    *ret = a;
  }
  return end(d, r);
}

int weft_datagram_local(weft_datagram *d, weft_addr *ret) {
  return name_of(d, ret, weft__sys_getsockname);
}

int weft_datagram_peer(weft_datagram *d, weft_addr *ret) {
  return name_of(d, ret, weft__sys_getpeername);
}
