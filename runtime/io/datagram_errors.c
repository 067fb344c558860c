/* Datagram sockets: the errors of the network that the kernel keeps, in order, with the address that
 * the datagram was for. */
#include "io/datagram.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h>

#include "aio/sync.h"
#include "base/sys.h"
#include "io/addr.h"

int weft__datagram_keep_errors(int fd, int family) {
  int on = 1;
  switch (family) {
  case AF_INET:
    return weft__sys_setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
  case AF_INET6:
    return weft__sys_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
  default:
    return WEFT_EINVAL;
  }
}

/* The report among what came with the message: false when it is none of the network. */
static bool report_of(struct msghdr *msg, struct sock_extended_err *ret_report,
                      weft_addr *ret_reporter) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
    bool four = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
    bool six = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
    if (!four && !six) continue;
    size_t room = c->cmsg_len - CMSG_LEN(0);
    if (room < sizeof *ret_report) return false;
    memcpy(ret_report, CMSG_DATA(c), sizeof *ret_report);
    *ret_reporter = (weft_addr){.len = 0};
    const void *reporter = CMSG_DATA(c) + sizeof *ret_report;
    (void)weft_addr_from_sockaddr(ret_reporter, reporter, (socklen_t)(room - sizeof *ret_report));
    return ret_report->ee_errno != 0;
  }
  return false;
}

static ssize_t try_take(int fd, void *call) {
  weft_datagram_error *ret = call;
  union {
    struct cmsghdr aligned;
    char bytes[256];
  } control;
  weft_addr to;
  struct sock_extended_err report;
  struct msghdr msg = {.msg_name = weft__sa(&to), .msg_control = &control};
  for (;;) {
    weft__addr_room(&to);
    msg.msg_namelen = to.len;
    msg.msg_controllen = sizeof control;
    ssize_t n = weft__sys_recvmsg(fd, &msg, MSG_ERRQUEUE);
    if (n < 0) return n;
    weft_addr reporter;
    if (!report_of(&msg, &report, &reporter)) continue;
    to.len = msg.msg_namelen;
    weft__addr_filled(&to);
    bool icmp = report.ee_origin == SO_EE_ORIGIN_ICMP || report.ee_origin == SO_EE_ORIGIN_ICMP6;
    *ret = (weft_datagram_error){.code = -(int)report.ee_errno,
                                 .to = to,
                                 .reporter = icmp ? reporter : (weft_addr){.len = 0},
                                 .icmp_type = report.ee_type,
                                 .icmp_code = report.ee_code,
                                 .mtu = report.ee_errno == EMSGSIZE ? report.ee_info : 0};
    return 1;
  }
}

int weft_datagram_next_error(weft_datagram *d, weft_datagram_error *ret) {
  int r = weft__sync_enter_any();
  if (weft__unlikely(r < 0)) return r;
  if (!ret) return WEFT_EINVAL;
  ssize_t n = weft__datagram_now(d, try_take, ret);
  return n == WEFT_EAGAIN ? 0 : (int)n;
}
