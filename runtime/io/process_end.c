/* The end of the object: by the program, or with the run.
 *
 * The closer may run while the program closes the process: a generator's body that is closed at
 * the end of the run may have opened one. So each of the two has a reference, and the object stays
 * until no such body can be left (gens.c): the closer ends the child in its first turn, and comes
 * back as long as there are generators.
 */
#include <signal.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "core/deadline.h"
#include "core/worker.h"
#include "io/process.h"
#include "io/stream.h"

void weft__process_close_streams(struct weft_process *p) {
  for (int i = 0; i < WEFT__STDIO; i++) {
    weft__spin_lock(&p->lock);
    weft_stream *s = p->stream[i];
    p->streamless = true;
    if (s) (void)weft_stream_abort(s); /* under the lock: nobody closes it meanwhile */
    if (p->communicating)
      s = NULL;
    else
      p->stream[i] = NULL;
    weft__spin_unlock(&p->lock);
    (void)weft__stream_release(s); /* nothing is buffered: at once */
  }
}

void weft__process_end(struct weft_process *p, struct weft__task *t) {
  int r = WEFT_ETIMEDOUT;
  if (p->grace > 0 && weft_process_terminate(p) == 0)
    r = weft__process_wait(p, t, true, weft__deadline_in(p->grace));
  if (r < 0) {
    (void)weft_process_kill(p);
    (void)weft__process_wait(p, t, true, WEFT__NEVER);
  }
  /* Nobody could tell whether it has ended. */
  if (p->code < 0 && p->code != WEFT_ECHILD) weft__process_put_down(p);
}

/* ---- by the program ---- */

/* The program's reference; and the closer's, unless that is at work. */
static void let_go(struct weft_process *p) {
  weft__spin_lock(&p->lock);
  p->closed = true;
  bool mine = weft__closer_remove(&p->rt->closers, &p->closer);
  weft__spin_unlock(&p->lock);
  if (mine) weft__process_unref(p);
  weft__process_unref(p);
}

int weft_process_close(weft_process *p) {
  if (!p) return 0;
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (p->rt != t->rt) return WEFT_EINVAL;
  weft__spin_lock(&p->lock);
  bool twice = p->closing;
  p->closing = true;
  weft__spin_unlock(&p->lock);
  if (twice) return WEFT_EBUSY;
  weft__process_end(p, t);
  weft__process_close_streams(p);
  weft__resource_close(&p->resource);
  let_go(p);
  return 0;
}

int weft_process_close_fn(void *process) {
  return weft_process_close(process);
}

/* ---- by the end of the run ---- */

/* Gives the object back when nobody can use it any more. By the closer, which has had its turn. */
static void leave(struct weft_process *p, bool first) {
  struct weft__runtime *rt = p->rt;
  weft__spin_lock(&p->lock);
  bool closed = p->closed;
  bool again = !closed && (first || weft__load_acquire_ptr(&rt->generators) != NULL);
  if (again) weft__closer_add(&rt->closers, &p->closer);
  weft__spin_unlock(&p->lock);
  if (again) return;
  if (!closed) {
    weft__process_close_streams(p);
    weft__resource_close(&p->resource);
    weft__process_unref(p);
  }
  weft__process_unref(p);
}

static int close_turn(struct weft__closer *c) {
  struct weft_process *p = weft__container_of(c, struct weft_process, closer);
  bool first = !p->ended;
  p->ended = true;
  if (first) weft__process_end(p, weft__current_task());
  leave(p, first);
  return 0;
}

/* No memory for a task: it is killed, and its end is waited for in later turns. */
static void drop_turn(struct weft__closer *c) {
  struct weft_process *p = weft__container_of(c, struct weft_process, closer);
  (void)weft_process_kill(p);
  leave(p, weft_process_poll(p, NULL) == WEFT_EPENDING);
}

void weft__process_register(struct weft_process *p, const void *site) {
  weft__process_ref(p);
  p->closer.name = "an open process";
  p->closer.run = close_turn;
  p->closer.drop = drop_turn;
  weft__resource_open(&p->resource, "a process", site);
  weft__closer_add(&p->rt->closers, &p->closer);
}
