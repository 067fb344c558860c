/* A wait is two requests to the loop's driver: start watching, and, if something else ends the wait,
 * stop. libuv's handle lies on the waiting task's stack and libuv has done with it in its close
 * callback, so the task goes on only after that: an event closes the handle, and the close callback
 * wins the wait, in the same turn of the loop. Once a stop was run the task waits for its answer
 * alone: the frame lives until then, whatever the close callback does.
 */
#include "core/fdwait.h"

#include <poll.h>

#include <weft/errors.h>

#include "base/sim.h"
#include "base/sim_net.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/worker.h"

struct fd_wait {
  struct weft__loop_request start;
  struct weft__loop_request stop;
  struct weft__task *task; /* constant, as fd, events and first */
  weft__ticket first;      /* of the wait for the event */
  weft__ticket last;       /* of the wait for the stop; written before stop is posted */
  int fd;
  int events;
  /* The driver's, until it has won the wait. */
  union {
    uv_poll_t poll;
    struct weft__sim_watch watch; /* of a simulated descriptor */
  };
  int result;
  bool gone;    /* libuv has done with the handle */
  bool stopped; /* stop was run */
};

/* f may be gone afterwards. */
static void win(struct fd_wait *f) {
  struct weft__task *t = f->task;
  weft__ticket ticket = f->stopped ? f->last : f->first;
  if (weft__claim_win(&t->word, ticket, WEFT__BY_EVENT) == WEFT__WON_PARKED) weft__make_ready(t);
}

static void on_closed(uv_handle_t *h) {
  struct fd_wait *f = h->data;
  f->gone = true;
  win(f);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  struct fd_wait *f = poll->data;
  (void)events;
  f->result = status < 0 && status != UV_EBADF ? status : 0;
  if (!uv_is_closing((uv_handle_t *)poll)) uv_close((uv_handle_t *)poll, on_closed);
}

static void on_simulated(struct weft__sim_watch *watch) {
  struct fd_wait *f = weft__container_of(watch, struct fd_wait, watch);
  f->gone = true;
  win(f);
}

static void start_simulated(struct fd_wait *f, uv_loop_t *uv) {
  f->watch.key = weft__loop_key(weft__container_of(uv, struct weft__loop, uv));
  f->watch.events = (f->events & WEFT__FD_READ ? POLLIN | POLLRDHUP : 0) |
                    (f->events & WEFT__FD_WRITE ? POLLOUT : 0);
  f->watch.ready = on_simulated;
  f->result = weft__sim_net_watch(&f->watch, f->fd);
  if (f->result < 0) on_simulated(&f->watch);
}

static bool is_simulated(const struct fd_wait *f) {
  return weft__unlikely(weft__sim_here()) && weft__sim_net_owns(f->fd);
}

static void start(struct weft__loop_request *req, uv_loop_t *uv) {
  struct fd_wait *f = weft__container_of(req, struct fd_wait, start);
  if (is_simulated(f)) {
    start_simulated(f, uv);
    return;
  }
  f->result = uv_poll_init(uv, &f->poll, f->fd);
  if (f->result < 0) {
    f->gone = true;
    win(f);
    return;
  }
  f->poll.data = f;
  int events = (f->events & WEFT__FD_READ ? UV_READABLE | UV_DISCONNECT : 0) |
               (f->events & WEFT__FD_WRITE ? UV_WRITABLE : 0);
  f->result = weft__loop_watch(&f->poll, f->fd, events, on_ready);
  if (f->result < 0) uv_close((uv_handle_t *)&f->poll, on_closed);
}

static void stop(struct weft__loop_request *req, uv_loop_t *uv) {
  struct fd_wait *f = weft__container_of(req, struct fd_wait, stop);
  (void)uv;
  f->stopped = true;
  if (is_simulated(f) && !f->gone) {
    weft__sim_net_unwatch(&f->watch);
    f->gone = true;
  }
  if (f->gone)
    win(f);
  else if (!uv_is_closing((uv_handle_t *)&f->poll))
    uv_close((uv_handle_t *)&f->poll, on_closed);
}

/* The wait ended otherwise: takes the request back, or has the driver close the handle. */
static void withdraw(struct weft__task *t, struct weft__loop *loop, struct fd_wait *f) {
  if (weft__loop_unpost(loop, &f->start)) return;
  weft__wait_open(t, true, &f->last); /* masked: opens always */
  weft__waits_for(t, &weft__waits_fd, NULL);
  weft__loop_post(loop, &f->stop);
  weft__loop_poke(loop);
  weft__wait_park(t, f->last, WEFT__NEVER);
}

int weft__fd_wait(int fd, int events) {
  return weft__fd_wait_until(fd, events, WEFT__NEVER);
}

int weft__fd_wait_until(int fd, int events, uint64_t deadline) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  struct fd_wait f = {.fd = fd, .events = events, .task = t};
  f.start.run = start;
  f.stop.run = stop;
  weft__list_init(&f.start.link);
  weft__list_init(&f.stop.link);
  int r = weft__wait_open(t, false, &f.first);
  if (r < 0) return r;
  weft__waits_for(t, &weft__waits_fd, NULL);
  struct weft__loop *loop = weft__self()->loop;
  weft__loop_post(loop, &f.start);
  weft__loop_poke(loop);
  r = weft__wait_park(t, f.first, deadline);
  if (r == 0) return f.result;
  withdraw(t, loop, &f);
  return r;
}
