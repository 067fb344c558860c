/* Room for one more descriptor: who was told that there is none waits here until there may be.
 *
 *   weft__room_enter(&r);
 *   while ((fd = accept...) says that there is none && (e = weft__room_wait(&r, deadline)) is 0 or
 *          WEFT_ETIMEDOUT) {}
 *   weft__room_leave();
 *
 * Whoever closes a descriptor says so afterwards. That is a load for as long as nobody waits. A waiter
 * counts itself before it tries, so who closes after that try finds it counted: the table of descriptors
 * in between is the kernel's, and has a lock. What other processes and libraries close is not heard of,
 * so nobody waits without a deadline.
 */
#ifndef WEFT_CORE_ROOM_H
#define WEFT_CORE_ROOM_H

#include <stdint.h>

#include "base/atomics.h"
#include "base/check.h"
#include "base/sys.h"

/* One who waits. */
struct weft__room {
  uint32_t seen; /* closes that it knows of */
};

/* Raised by who is about to try, and lowered. Ordered with the closer's look by the kernel's lock. */
extern weft__atomic_u32 weft__room_waiters;

void weft__room_made_slow(void);

/* A descriptor was closed; or those who wait for room have another reason to look. Any thread. */
static inline void weft__room_made(void) {
  if (weft__unlikely(weft__load_acquire_u32(&weft__room_waiters) != 0)) weft__room_made_slow();
}

/* Closes it, and says so. As weft__sys_close. */
static inline int weft__close(int fd) {
  int r = weft__sys_close(fd);
  weft__room_made();
  return r;
}

/* Before the try. */
void weft__room_enter(struct weft__room *r);
void weft__room_leave(void);

/* Waits for a close that came after enter, or after the last wait: 0. WEFT_ETIMEDOUT at the deadline;
 * WEFT_ECANCELED, WEFT_ENOMEM. By a task. */
int weft__room_wait(struct weft__room *r, uint64_t deadline);

#endif
