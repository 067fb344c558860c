#include "core/loop.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/annotate.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/sim.h"
#include "base/sim_net.h"
#include "base/sys.h"
#include "core/descriptor.h"
#include "core/fdwait.h"

/* The set, when the driver sleeps in libuv. */
static void on_set(uv_poll_t *poll, int status, int events) {
  struct weft__loop *l = weft__container_of(poll, struct weft__loop, inner);
  (void)status, (void)events;
  weft__pollset_wait(&l->set, 0);
}

/* When the deadline has passed by the time libuv looks at its clock (this thread may have lost the CPU
 * after the alarm was set), the alarm goes off before the poll, which then must not wait. */
static void on_alarm(uv_timer_t *alarm) {
  uv_stop(alarm->loop);
}

/* ---- what libuv ends the process for ---- */

/* Of libuv's table of watchers when it has room for fd: a power of two, and two entries are its own.
 */
static size_t table_bytes(int fd) {
  size_t n = 16;
  while (n < (size_t)fd + 3) n *= 2;
  return n * sizeof(void *);
}

/* As many descriptors as libuv's first loop of a process makes. */
enum { DESCRIPTORS = 6 };

/* Whether there is room for the descriptors of a loop. Without it libuv would end the process, in
 * its first loop, or give an error and leave a descriptor open. (That another thread takes them in
 * between is possible, as it would be later.) *ret_highest is about the highest they will have. */
static int look_for_room(int *ret_highest) {
  int fds[DESCRIPTORS];
  int made = 0, highest = 0, r = 0;
  while (made < DESCRIPTORS && (r = weft__sys_eventfd(0, EFD_CLOEXEC)) >= 0) fds[made++] = r;
  while (made-- > 0) {
    if (fds[made] > highest) highest = fds[made];
    (void)weft__sys_close(fds[made]);
  }
  *ret_highest = highest;
  return r < 0 ? r : 0;
}

/* ---- beginning and end ---- */

static int init_uv(struct weft__loop *l) {
  int r = uv_loop_init(&l->uv);
  /* libuv leaves it open when what comes after it fails. 0 or -1 is none: libuv has no loop with a
   * number that low. */
  if (r < 0 && l->uv.backend_fd > STDERR_FILENO) (void)weft__sys_close(l->uv.backend_fd);
  return r;
}

/* Neither handle is a reason to sleep in libuv. */
static int init_handles(struct weft__loop *l) {
  int r = uv_poll_init(&l->uv, &l->inner, l->set.fd);
  if (r < 0) return r;
  r = uv_poll_start(&l->inner, UV_READABLE, on_set);
  WEFT__ASSERT(r == 0);
  uv_timer_init(&l->uv, &l->alarm);
  uv_unref((uv_handle_t *)&l->inner);
  uv_unref((uv_handle_t *)&l->alarm);
  return 0;
}

static int init_in_memory(struct weft__loop *l) {
  int r = init_uv(l);
  if (r < 0) return r;
  r = weft__pollset_init(&l->set);
  if (r == 0) {
    r = init_handles(l);
    if (r == 0) return 0;
    weft__pollset_fini(&l->set);
  }
  WEFT__ASSERT(uv_loop_close(&l->uv) == 0);
  return r;
}

int weft__loop_init(struct weft__loop *l) {
  int highest;
  memset(l, 0, sizeof *l);
  weft__list_init(&l->requests);
  weft__list_init(&l->descriptors);
  weft__store_relaxed_u64(&l->uv_due, UINT64_MAX);
  int r = look_for_room(&highest);
  /* Twice as much: other threads open descriptors too. */
  if (r == 0) r = weft__memory_reserve(2 * table_bytes(highest));
  if (r < 0) return r;
  r = init_in_memory(l);
  weft__memory_reserve_end();
  return r;
}

static void close_handle(uv_handle_t *h, void *arg) {
  (void)arg;
  if (!uv_is_closing(h)) uv_close(h, NULL);
}

/* All that uv_loop_init has opened. */
static void note_closes(const uv_loop_t *uv) {
  weft__note_close(uv->backend_fd);
  weft__note_close(uv->async_io_watcher.fd);
  for (int i = 0; i < 2; i++) weft__note_close(uv->signal_pipefd[i]);
}

void weft__loop_fini(struct weft__loop *l) {
  weft__descriptors_leave_home(l);
  weft__waited_leave_home(l);
  uv_walk(&l->uv, close_handle, NULL);
  while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0) {}
  note_closes(&l->uv);
  WEFT__ASSERT(uv_loop_close(&l->uv) == 0);
  weft__pollset_fini(&l->set);
}

bool weft__loop_enter(struct weft__loop *l, struct weft__worker *w) {
  void *none = NULL;
  return weft__load_relaxed_ptr(&l->driver) == NULL && weft__cas_ptr(&l->driver, &none, w);
}

void weft__loop_leave(struct weft__loop *l) {
  weft__store_release_ptr(&l->driver, NULL);
}

/* Whether there were any. */
static bool run_requests(struct weft__loop *l) {
  if (weft__load_acquire_u32(&l->posted) == 0) return false;
  for (bool any = false;; any = true) {
    weft__spin_lock(&l->lock);
    struct weft__list *n = weft__list_pop_front(&l->requests);
    if (n) weft__store_relaxed_u32(&l->posted, weft__load_relaxed_u32(&l->posted) - 1);
    weft__spin_unlock(&l->lock);
    if (!n) return any;
    weft__store_relaxed_u32(&l->used, 1);
    struct weft__loop_request *req = weft__container_of(n, struct weft__loop_request, link);
    req->run(req, &l->uv);
  }
}

static bool used(const struct weft__loop *l) {
  return weft__load_relaxed_u32(&l->used) != 0;
}

/* libuv has run: so the monitor knows when it has to again, even if nobody drives it by then. */
static void note_due(struct weft__loop *l) {
  int ms = uv_loop_alive(&l->uv) ? uv_backend_timeout(&l->uv) : -1;
  uint64_t due = ms < 0 ? UINT64_MAX : weft__now() + (uint64_t)ms * WEFT__NS_PER_MS;
  weft__store_relaxed_u64(&l->uv_due, due);
}

static void turn(struct weft__loop *l) {
  if (weft__pollset_watched(&l->set)) weft__pollset_look(&l->set);
  if (weft__unlikely(used(l))) {
    uv_run(&l->uv, UV_RUN_NOWAIT);
    note_due(l);
  }
  if (weft__unlikely(weft__sim_here())) weft__sim_net_deliver(weft__loop_key(l));
  weft__counter_add(&l->turns, 1);
}

void weft__loop_turn(struct weft__loop *l) {
  run_requests(l);
  turn(l);
}

static bool uv_alive(const struct weft__loop *l) {
  return used(l) && uv_loop_alive(&l->uv);
}

/* The thread that plays all must not sleep in one loop. A turn may make tasks ready, and comes last
 * therefore; it also tells the kernel of the descriptors that a request has begun to watch, and there
 * is no sleep before that. */
static void simulated_sleep(struct weft__loop *l, uint64_t deadline, bool requests) {
  bool alive = uv_alive(l);
  bool due = requests || (alive && uv_backend_timeout(&l->uv) == 0);
  bool watched = weft__pollset_watched(&l->set) != 0;
  if (!weft__xchg_u32(&l->rung, 0) && !due) {
    uint64_t ready = weft__sim_net_next(weft__loop_key(l));
    if (ready < deadline) deadline = ready;
    int fd = alive ? uv_backend_fd(&l->uv) : watched ? l->set.fd : -1;
    weft__sim_wait(weft__loop_key(l), deadline, fd);
  }
  weft__store_relaxed_u32(&l->rung, 0);
  turn(l);
}

static void sleep_in_uv(struct weft__loop *l, uint64_t deadline) {
  uint64_t now = weft__now();
  if (deadline != UINT64_MAX) {
    uint64_t ns = deadline > now ? deadline - now : 0;
    uv_update_time(&l->uv);
    uv_timer_start(&l->alarm, on_alarm, (ns + WEFT__NS_PER_MS - 1) / WEFT__NS_PER_MS, 0);
  }
  uv_run(&l->uv, UV_RUN_ONCE);
  uv_timer_stop(&l->alarm);
  note_due(l);
}

void weft__loop_sleep(struct weft__loop *l, uint64_t deadline) {
  bool requests = run_requests(l);
  if (weft__unlikely(weft__sim_here())) {
    simulated_sleep(l, deadline, requests);
    return;
  }
  if (weft__unlikely(uv_alive(l)))
    sleep_in_uv(l, deadline);
  else
    weft__pollset_wait(&l->set, requests ? 0 : deadline);
  weft__counter_add(&l->turns, 1);
}

bool weft__loop_alive(const struct weft__loop *l) {
  return weft__load_relaxed_u32(&l->posted) != 0 || weft__pollset_watched(&l->set) || uv_alive(l) ||
         (weft__sim_here() && weft__sim_net_watched(weft__loop_key(l)));
}

void weft__loop_post(struct weft__loop *l, struct weft__loop_request *req) {
  weft__spin_lock(&l->lock);
  weft__list_push_back(&l->requests, &req->link);
  weft__store_release_u32(&l->posted, weft__load_relaxed_u32(&l->posted) + 1);
  weft__spin_unlock(&l->lock);
}

bool weft__loop_unpost(struct weft__loop *l, struct weft__loop_request *req) {
  weft__spin_lock(&l->lock);
  bool posted = weft__list_linked(&req->link);
  if (posted) {
    weft__list_remove(&req->link);
    weft__store_relaxed_u32(&l->posted, weft__load_relaxed_u32(&l->posted) - 1);
  }
  weft__spin_unlock(&l->lock);
  return posted;
}

void weft__loop_ring(struct weft__loop *l) {
  if (weft__unlikely(weft__sim_here())) {
    weft__store_relaxed_u32(&l->rung, 1);
    weft__sim_wake(weft__loop_key(l), 1);
    return;
  }
  weft__pollset_ring(&l->set);
}

bool weft__loop_has_event(const struct weft__loop *l) {
  if (weft__load_relaxed_u32(&l->posted) != 0) return true;
  if (used(l) &&
      weft__load_relaxed_u64(&((struct weft__loop *)(uintptr_t)l)->uv_due) <= weft__now())
    return true;
  if (weft__sim_here() && weft__sim_net_ready(weft__loop_key(l))) return true;
  struct pollfd p[2] = {{.fd = l->set.fd, .events = POLLIN},
                        {.fd = uv_backend_fd(&l->uv), .events = POLLIN}};
  return poll(p, used(l) ? 2 : 1, 0) > 0;
}
