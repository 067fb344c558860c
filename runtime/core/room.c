#include "core/room.h"

#include "base/spin.h"
#include "core/park.h"
#include "core/self.h"
#include "core/waitq.h"

weft__atomic_u32 weft__room_waiters;

/* Of the process, as descriptors are. Zeroed until the first wait. */
static struct {
  struct weft__spin lock; /* guards the rest */
  uint32_t made;          /* counts; wraps */
  struct weft__waitq line;
} room;

static const struct weft__wait_kind for_room = {"room for one more descriptor"};

void weft__room_enter(struct weft__room *r) {
  weft__add_u32(&weft__room_waiters, 1);
  weft__spin_lock(&room.lock);
  r->seen = room.made;
  weft__spin_unlock(&room.lock);
}

void weft__room_leave(void) {
  weft__sub_u32(&weft__room_waiters, 1);
}

void weft__room_made_slow(void) {
  weft__spin_lock(&room.lock);
  room.made++;
  if (room.line.waiters.next)
    while (weft__waitq_wake_one(&room.line)) {}
  weft__spin_unlock(&room.lock);
}

int weft__room_wait(struct weft__room *r, uint64_t deadline) {
  weft__spin_lock(&room.lock);
  if (!room.line.waiters.next) weft__waitq_init(&room.line);
  bool made = r->seen != room.made;
  r->seen = room.made;
  if (!made) {
    int e = weft__waitq_wait_until(&room.line, &room.lock, &for_room, NULL, deadline);
    weft__spin_lock(&room.lock);
    r->seen = room.made;
    weft__spin_unlock(&room.lock);
    return e;
  }
  weft__spin_unlock(&room.lock);
  return weft__checkpoint(weft__current_task());
}
