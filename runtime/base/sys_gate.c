/* The table in use, and the gate that counts calls and makes them fail in tests. */
#include "base/sys.h"

#include <weft/errors.h>

#include "base/check.h"

/* All relaxed but nth: it is stored last (release) and read first (acquire), so that a call which
 * sees the fault sees all of it. */
struct fault {
  _Atomic(uint64_t) calls;
  _Atomic(uint64_t) nth; /* 0: none */
  _Atomic(uint64_t) times;
  _Atomic(int) error;
};
static struct fault own_faults[WEFT__SYS_CALLS];
static struct fault *faults = own_faults; /* written while nobody counts */

/* What the gate leads to. */
static _Atomic(const struct weft__sys_table *) below = &weft__sys_real;

static const struct weft__sys_table *lower(void) {
  return atomic_load_explicit(&below, memory_order_acquire);
}

/* The code that this call fails with, or 0. */
static int gate(enum weft__sys_call call) {
  struct fault *f = &faults[call];
  uint64_t n = atomic_fetch_add_explicit(&f->calls, 1, memory_order_relaxed) + 1;
  uint64_t nth = atomic_load_explicit(&f->nth, memory_order_acquire);
  if (nth == 0 || n < nth) return 0;
  if (n - nth >= atomic_load_explicit(&f->times, memory_order_relaxed)) return 0;
  return atomic_load_explicit(&f->error, memory_order_relaxed);
}

/* A failed close has closed the descriptor: the kernel's own behaviour, and no leak in a test. */
#define WEFT__SYS_GATED(name, result, params, args)                                                \
  static result gated_##name params {                                                              \
    int error = gate(WEFT__SYS_##name);                                                            \
    if (error != 0 && WEFT__SYS_##name != WEFT__SYS_close) return error;                           \
    result r = lower()->name args;                                                                 \
    return error != 0 ? error : r;                                                                 \
  }
WEFT__SYS_MAP_PLAIN(WEFT__SYS_GATED)
#undef WEFT__SYS_GATED

/* ---- the gate of the transfers, which may also be short ---- */

static size_t half(size_t len) {
  return len - len / 2;
}

static ssize_t gated_read(int fd, void *buf, size_t len) {
  int error = gate(WEFT__SYS_read);
  return error < 0 ? error : lower()->read(fd, buf, error ? half(len) : len);
}

static ssize_t gated_write(int fd, const void *buf, size_t len) {
  int error = gate(WEFT__SYS_write);
  return error < 0 ? error : lower()->write(fd, buf, error ? half(len) : len);
}

/* The half of a vector is the half of its first part. */
static ssize_t gated_readv(int fd, const struct iovec *iov, int n) {
  int error = gate(WEFT__SYS_readv);
  if (error < 0) return error;
  if (error == 0 || n < 1) return lower()->readv(fd, iov, n);
  struct iovec part = {.iov_base = iov->iov_base, .iov_len = half(iov->iov_len)};
  return lower()->readv(fd, &part, 1);
}

static ssize_t gated_writev(int fd, const struct iovec *iov, int n) {
  int error = gate(WEFT__SYS_writev);
  if (error < 0) return error;
  if (error == 0 || n < 1) return lower()->writev(fd, iov, n);
  struct iovec part = {.iov_base = iov->iov_base, .iov_len = half(iov->iov_len)};
  return lower()->writev(fd, &part, 1);
}

static ssize_t gated_preadv2(int fd, const struct iovec *iov, int n, off_t off, int flags) {
  int error = gate(WEFT__SYS_preadv2);
  if (error < 0) return error;
  if (error == 0 || n < 1) return lower()->preadv2(fd, iov, n, off, flags);
  struct iovec part = {.iov_base = iov->iov_base, .iov_len = half(iov->iov_len)};
  return lower()->preadv2(fd, &part, 1, off, flags);
}

static ssize_t gated_pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags) {
  int error = gate(WEFT__SYS_pwritev2);
  if (error < 0) return error;
  if (error == 0 || n < 1) return lower()->pwritev2(fd, iov, n, off, flags);
  struct iovec part = {.iov_base = iov->iov_base, .iov_len = half(iov->iov_len)};
  return lower()->pwritev2(fd, &part, 1, off, flags);
}

static ssize_t gated_send(int fd, const void *buf, size_t len, int flags) {
  int error = gate(WEFT__SYS_send);
  return error < 0 ? error : lower()->send(fd, buf, error ? half(len) : len, flags);
}

static ssize_t gated_sendmsg(int fd, const struct msghdr *msg, int flags) {
  int error = gate(WEFT__SYS_sendmsg);
  if (error < 0) return error;
  if (error == 0 || msg->msg_iovlen < 1) return lower()->sendmsg(fd, msg, flags);
  struct iovec part = {.iov_base = msg->msg_iov->iov_base, .iov_len = half(msg->msg_iov->iov_len)};
  struct msghdr shorter = *msg;
  shorter.msg_iov = &part;
  shorter.msg_iovlen = 1;
  return lower()->sendmsg(fd, &shorter, flags);
}

/* With MSG_TRUNC the result is the length of the message, whatever the room for it: so it is the
 * message that was short. */
static ssize_t gated_recv(int fd, void *buf, size_t len, int flags) {
  int error = gate(WEFT__SYS_recv);
  if (error < 0) return error;
  if (error == 0) return lower()->recv(fd, buf, len, flags);
  if ((flags & MSG_TRUNC) == 0) return lower()->recv(fd, buf, half(len), flags);
  ssize_t n = lower()->recv(fd, buf, len, flags);
  return n > 0 ? (ssize_t)half((size_t)n) : n;
}

static ssize_t gated_recvmsg(int fd, struct msghdr *msg, int flags) {
  int error = gate(WEFT__SYS_recvmsg);
  if (error < 0) return error;
  if (error == 0 || msg->msg_iovlen < 1) return lower()->recvmsg(fd, msg, flags);
  if (flags & MSG_TRUNC) {
    ssize_t n = lower()->recvmsg(fd, msg, flags);
    return n > 0 ? (ssize_t)half((size_t)n) : n;
  }
  struct iovec *whole = msg->msg_iov;
  size_t parts = msg->msg_iovlen;
  struct iovec part = {.iov_base = whole->iov_base, .iov_len = half(whole->iov_len)};
  msg->msg_iov = &part;
  msg->msg_iovlen = 1;
  ssize_t n = lower()->recvmsg(fd, msg, flags);
  msg->msg_iov = whole;
  msg->msg_iovlen = parts;
  return n;
}

static int gated_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags) {
  int error = gate(WEFT__SYS_recvmmsg);
  return error < 0 ? error : lower()->recvmmsg(fd, msgs, error ? (unsigned)half(n) : n, flags);
}

static int gated_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags) {
  int error = gate(WEFT__SYS_sendmmsg);
  return error < 0 ? error : lower()->sendmmsg(fd, msgs, error ? (unsigned)half(n) : n, flags);
}

/* ---- what tests ask of the gate ---- */

static const struct weft__sys_table gated = {
#define WEFT__SYS_GATE(name, result, params, args) .name = gated_##name,
    WEFT__SYS_MAP(WEFT__SYS_GATE)
#undef WEFT__SYS_GATE
};

_Atomic(const struct weft__sys_table *) weft__sys_current = &weft__sys_real;

void weft__sys_install(const struct weft__sys_table *table) {
  if (!table) table = &weft__sys_real;
  atomic_store_explicit(&below, table, memory_order_release);
  if (atomic_load_explicit(&weft__sys_current, memory_order_relaxed) != &gated)
    atomic_store_explicit(&weft__sys_current, table, memory_order_release);
}

static void disarm(struct fault *f) {
  atomic_store_explicit(&f->nth, 0, memory_order_relaxed);
}

_Atomic(bool) weft__sys_lying;

static bool may_be_short(enum weft__sys_call call) {
  switch (call) {
#define WEFT__SYS_CASE(name, result, params, args) case WEFT__SYS_##name:
    WEFT__SYS_MAP_TRANSFER(WEFT__SYS_CASE)
#undef WEFT__SYS_CASE
    return true;
  default:
    return false;
  }
}

void weft__sys_fail_times(enum weft__sys_call call, uint64_t n, int error, uint64_t times) {
  WEFT__ASSERT(error < 0 || (error == WEFT__SYS_SHORT && may_be_short(call)));
  struct fault *f = &faults[call];
  disarm(f);
  atomic_store_explicit(&f->calls, 0, memory_order_relaxed);
  atomic_store_explicit(&f->error, error, memory_order_relaxed);
  atomic_store_explicit(&f->times, times, memory_order_relaxed);
  if (error == WEFT__SYS_SHORT || (error == WEFT_EAGAIN && times != UINT64_MAX))
    atomic_store_explicit(&weft__sys_lying, true, memory_order_relaxed);
  atomic_store_explicit(&f->nth, n, memory_order_release);
  atomic_store_explicit(&weft__sys_current, &gated, memory_order_release);
}

void weft__sys_fail(enum weft__sys_call call, uint64_t n, int error, bool forever) {
  weft__sys_fail_times(call, n, error, forever ? UINT64_MAX : 1);
}

void weft__sys_share(void *memory) {
  faults = memory ? memory : own_faults;
}

size_t weft__sys_share_size(void) {
  return sizeof own_faults;
}

void weft__sys_count(void) {
  for (size_t i = 0; i < WEFT__SYS_CALLS; i++) {
    disarm(&faults[i]);
    atomic_store_explicit(&faults[i].calls, 0, memory_order_relaxed);
  }
  atomic_store_explicit(&weft__sys_current, &gated, memory_order_release);
}

uint64_t weft__sys_calls(enum weft__sys_call call) {
  return atomic_load_explicit(&faults[call].calls, memory_order_relaxed);
}

void weft__sys_clear(void) {
  for (size_t i = 0; i < WEFT__SYS_CALLS; i++) disarm(&faults[i]);
  atomic_store_explicit(&weft__sys_lying, false, memory_order_relaxed);
  atomic_store_explicit(&weft__sys_current, atomic_load_explicit(&below, memory_order_relaxed),
                        memory_order_release);
}

const char *weft__sys_name(enum weft__sys_call call) {
  static const char *const names[] = {
#define WEFT__SYS_NAME(name, result, params, args) #name,
      WEFT__SYS_MAP(WEFT__SYS_NAME)
#undef WEFT__SYS_NAME
  };
  return names[call];
}
