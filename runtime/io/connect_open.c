/* Connections as streams: the public calls. */
#include <fcntl.h>
#include <stdio.h>

#include <weft/errors.h>

#include "aio/sync.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/room.h"
#include "io/connect.h"
#include "io/resolve.h"
#include "io/stream.h"

static const weft_connect_opts defaults;

void weft__connect_note(weft_connect_errors *errors, const weft_addr *addr, int code) {
  if (!errors) return;
  if (errors->count < errors->max)
    errors->list[errors->count] = (weft_connect_error){.addr = *addr, .code = code};
  errors->count++;
}

static int check_addrs(const weft_addr *addrs, size_t n) {
  if (!addrs || n == 0) return WEFT_EINVAL;
  for (size_t i = 0; i < n; i++) {
    if (weft_addr_family(&addrs[i]) == AF_UNSPEC) return WEFT_EAFNOSUPPORT;
    if (weft_addr_port(&addrs[i]) == 0) return WEFT_EINVAL;
  }
  return 0;
}

static int check(weft_stream **ret, const weft_connect_opts *o) {
  if (!ret || (o->errors && !o->errors->list && o->errors->max > 0)) return WEFT_EINVAL;
  if (o->errors) o->errors->count = 0;
  return 0;
}

static int connect_addrs(weft_stream **ret, const weft_addr *addrs, size_t n,
                         const weft_connect_opts *o, const void *site) {
  int r = check_addrs(addrs, n);
  if (r < 0) return r;
  if (n > 1) return weft__connect_race(ret, addrs, n, o, site);
  r = weft__connect_one(ret, &addrs[0], o->local, site);
  if (r < 0 && r != WEFT_ECANCELED) weft__connect_note(o->errors, &addrs[0], r);
  return r;
}

int weft_connect_addrs(weft_stream **ret, const weft_addr *addrs, size_t n,
                       const weft_connect_opts *opts) {
  const weft_connect_opts *o = opts ? opts : &defaults;
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  if (r == 0) r = check(ret, o);
  return r < 0 ? r : connect_addrs(ret, addrs, n, o, __builtin_return_address(0));
}

int weft_connect_addr(weft_stream **ret, const weft_addr *addr, const weft_connect_opts *opts) {
  const weft_connect_opts *o = opts ? opts : &defaults;
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  if (r == 0) r = check(ret, o);
  return r < 0 ? r : connect_addrs(ret, addr, 1, o, __builtin_return_address(0));
}

int weft_connect_unix(weft_stream **ret, const char *path, const weft_connect_opts *opts) {
  const weft_connect_opts *o = opts ? opts : &defaults;
  weft_addr addr;
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  if (r == 0) r = check(ret, o);
  if (r == 0) r = weft_addr_unix(&addr, path);
  return r < 0 ? r : connect_addrs(ret, &addr, 1, o, __builtin_return_address(0));
}

/* ---- by name ---- */

/* The family of the first one begins, then they take turns as long as there are both (RFC 8305, 4).
 * Within a family the order stays. */
static void interleave(struct weft__addrs *a) {
  for (size_t i = 1; i < a->n; i++) {
    int before = weft_addr_family(&a->at[i - 1]);
    size_t k = i;
    while (k < a->n && weft_addr_family(&a->at[k]) == before) k++;
    if (k == a->n) return;
    weft_addr next = a->at[k];
    for (; k > i; k--) a->at[k] = a->at[k - 1];
    a->at[i] = next;
  }
}

int weft_connect(weft_stream **ret, const char *host, int port, const weft_connect_opts *opts) {
  const weft_connect_opts *o = opts ? opts : &defaults;
  const weft_dns_hints hints = {.family = o->family};
  char service[16];
  struct weft__addrs *found;
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  if (r == 0) r = check(ret, o);
  if (r == 0 && (!host || port < 1 || port > 65535)) r = WEFT_EINVAL;
  if (r < 0) return r;
  snprintf(service, sizeof service, "%d", port);
  r = weft__resolve(&found, host, service, &hints);
  if (r < 0) return r;
  interleave(found);
  r = connect_addrs(ret, found->at, found->n, o, __builtin_return_address(0));
  weft__free(found);
  return r;
}

/* ---- pairs ---- */

/* Both or none. */
static int open_both(weft_stream **ret_a, weft_stream **ret_b, const int fds[2],
                     enum weft__stream_kind kind, const unsigned can[2], const void *site) {
  weft_stream *a;
  int r = weft__stream_open(&a, fds[0], kind, can[0], site);
  if (r < 0) weft__close(fds[0]);
  if (r == 0 && (r = weft__stream_open(ret_b, fds[1], kind, can[1], site)) < 0)
    weft_stream_close(a);
  if (r < 0)
    weft__close(fds[1]);
  else
    *ret_a = a;
  return r;
}

int weft_pipe(weft_stream **ret_read, weft_stream **ret_write) {
  static const unsigned can[2] = {0, WEFT__CAN_WRITE};
  int fds[2];
  if (!ret_read || !ret_write) return WEFT_EINVAL;
  if (weft__in_child()) return WEFT_ECHILD;
  int r = weft__sys_pipe2(fds, O_NONBLOCK | O_CLOEXEC);
  if (r < 0) return r;
  return open_both(ret_read, ret_write, fds, WEFT__STREAM_PIPE, can, __builtin_return_address(0));
}

int weft_stream_pair(weft_stream **ret_a, weft_stream **ret_b) {
  static const unsigned can[2] = {WEFT__CAN_WRITE, WEFT__CAN_WRITE};
  int fds[2];
  if (!ret_a || !ret_b) return WEFT_EINVAL;
  if (weft__in_child()) return WEFT_ECHILD;
  int r = weft__sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
  if (r < 0) return r;
  return open_both(ret_a, ret_b, fds, WEFT__STREAM_SOCKET, can, __builtin_return_address(0));
}
