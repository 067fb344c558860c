#include "offload/channel.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <weft/errors.h>

#include "base/sys.h"

/* Room for one descriptor, aligned as the kernel's header wants it. */
union passing {
  struct cmsghdr align;
  char space[CMSG_SPACE(sizeof(int))];
};

int weft__channel_pair(int *ret_pool_end, int *ret_far_end) {
  int fds[2];
  int r = weft__sys_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
  if (r < 0) return r;
  r = weft__sys_fcntl(fds[0], F_SETFL, O_NONBLOCK);
  if (r < 0) {
    weft__sys_close(fds[0]);
    weft__sys_close(fds[1]);
    return r;
  }
  *ret_pool_end = fds[0];
  *ret_far_end = fds[1];
  return 0;
}

static void attach(struct msghdr *msg, union passing *room, int fd) {
  memset(room, 0, sizeof *room);
  msg->msg_control = room->space;
  msg->msg_controllen = sizeof room->space;
  struct cmsghdr *c = CMSG_FIRSTHDR(msg);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

int weft__frame_send(int fd, const struct weft__frame *f, int passed, int flags) {
  struct weft__frame copy = *f;
  copy.magic = WEFT__FRAME_MAGIC;
  struct iovec iov = {.iov_base = &copy, .iov_len = sizeof copy};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  union passing room;
  if (passed >= 0) attach(&msg, &room, passed);
  ssize_t n;
  do {
    n = weft__sys_sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
  } while (n == WEFT_EINTR);
  /* The kernel has several names for a peer that is gone. */
  if (n == WEFT_ECONNRESET || n == WEFT_ECONNREFUSED || n == WEFT_ENOTCONN) return WEFT_EPIPE;
  return n < 0 ? (int)n : 0;
}

static int detach(struct msghdr *msg) {
  int fd = -1;
  struct cmsghdr *c = CMSG_FIRSTHDR(msg);
  if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
      c->cmsg_len == CMSG_LEN(sizeof fd)) {
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
  }
  return fd;
}

static bool is_frame(const struct weft__frame *f, ssize_t n) {
  return n == (ssize_t)sizeof *f && f->magic == WEFT__FRAME_MAGIC && f->kind >= WEFT__FRAME_SPAWN &&
         f->kind <= WEFT__FRAME_ANSWER;
}

/* A peer that closes with messages of ours unread leaves an error on our end, which the kernel
 * reports once, ahead of what the peer had sent: a DEATH may still be behind it. */
static bool again(ssize_t n) {
  return n == WEFT_EINTR || n == WEFT_ECONNRESET;
}

int weft__frame_recv(int fd, struct weft__frame *ret, int *ret_passed) {
  struct weft__frame f;
  struct iovec iov = {.iov_base = &f, .iov_len = sizeof f};
  union passing room;
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  ssize_t n;
  int passed = -1;
  do {
    if (ret_passed) {
      msg.msg_control = room.space;
      msg.msg_controllen = sizeof room.space;
      n = weft__sys_recvmsg(fd, &msg, MSG_TRUNC | MSG_CMSG_CLOEXEC);
    } else {
      n = weft__sys_recv(fd, &f, sizeof f, MSG_TRUNC);
    }
  } while (again(n));
  if (ret_passed && n >= 0) passed = detach(&msg);
  if (n > 0 && is_frame(&f, n)) {
    *ret = f;
    if (ret_passed) *ret_passed = passed;
    return 1;
  }
  if (passed >= 0) weft__sys_close(passed);
  if (n < 0) return (int)n;
  return n == 0 ? 0 : WEFT_EPROTO;
}
