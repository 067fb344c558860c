/* One call of a job, from its arguments to its result.
 *
 * Which calls fail. A process that dies takes the job it had begun with it, and only that. A job
 * that was sent and not begun (its process was already dead, unnoticed) is given to the next
 * process. The slot gets a new process before the call returns, so a failure leaves a whole pool
 * behind.
 */
#include <poll.h>
#include <string.h>

#include <weft/errors.h>
#include <weft/offload.h>
#include <weft/task.h>

#include "base/clock.h"
#include "base/sim.h"
#include "base/sys.h"
#include "core/fdwait.h"
#include "core/park.h"
#include "core/runtime.h"
#include "core/self.h"
#include "core/task.h"
#include "offload/procpool.h"

/* A simulated job seems to take at most so long. */
#define PLAYED_NS_MAX 5000000
/* How long the process itself may take in a simulation before it is waited for as if it were none. */
enum { PLAYED_MS_MAX = 1000 };

/* Processes that died before they began one job: after so many something else is wrong. */
enum { MAX_TRIES = 3 };

struct request {
  const void *in;
  void *out;
  size_t out_cap;
  size_t *ret_len; /* NULL, or where the result's length goes */
  struct weft__proccall call;
};

/* The index of job in the pool's table, or WEFT_EINVAL. */
static int64_t find(const struct weft__crew *crew, const weft_job *job) {
  for (uint32_t i = 0; i < crew->njobs; i++) {
    if (&crew->jobs[i] == job) return i;
  }
  return WEFT_EINVAL;
}

static int check(struct weft_procpool *pool, const weft_job *job, const struct request *req) {
  if (!pool || !job || find(&pool->crew, job) < 0) return WEFT_EINVAL;
  if ((!req->in && req->call.in_len > 0) || (!req->out && req->out_cap > 0)) return WEFT_EINVAL;
  return req->call.in_len > pool->crew.max_payload ? WEFT_E2BIG : 0;
}

static int deliver(const struct weft__area *area, const struct weft__procslot *s,
                   const struct request *req) {
  const struct weft__proccall *call = &req->call;
  if (call->code < 0) return call->code;
  if (call->out_len > 0) memcpy(req->out, weft__area_out(area, s->index), call->out_len);
  if (req->ret_len) *req->ret_len = call->out_len;
  return call->code;
}

/* A simulation does not play the process. It is waited for on the spot, so that how fast the machine is
 * decides nothing; how long that took by the virtual clock, and so which of several jobs is over first,
 * is drawn. */
static int wait_on_the_spot(int fd, int events, uint64_t deadline) {
  struct pollfd p = {.fd = fd, .events = events & WEFT__FD_WRITE ? POLLOUT : POLLIN};
  uint64_t begin = weft__now(), takes = 1 + weft__sim_draw(PLAYED_NS_MAX);
  int r;
  do {
    r = weft__sys_poll(&p, 1, PLAYED_MS_MAX);
  } while (r < 0); /* with one descriptor it fails for a moment only */
  if (r == 0 || deadline < begin + takes) return weft__fd_wait_until(fd, events, deadline);
  return weft_sleep((weft_ns)takes);
}

static int wait_for_process(int fd, int events, uint64_t deadline) {
  return weft__sim_here() ? wait_on_the_spot(fd, events, deadline)
                          : weft__fd_wait_until(fd, events, deadline);
}

static void note_death(uint32_t how) {
  struct weft__task *t = weft__current_task();
  t->proc_death = how;
  t->has_opts = true; /* so that the next task in this memory does not find it */
}

/* One try with the slot's process. 1: *ret_code is the call's result. 0: the job was not begun. */
static int try_once(struct weft_procpool *pool, struct weft__procslot *s, struct request *req,
                    int *ret_code) {
  const struct weft__area *area = &pool->crew.area;
  if (req->call.in_len > 0) memcpy(weft__area_in(area, s->index), req->in, req->call.in_len);
  int r = weft__procslot_call(s, &req->call, wait_for_process);
  if (r == 1) {
    *ret_code = deliver(area, s, req);
    return 1;
  }
  /* From here on a cancel must not leave a slot half made. */
  weft_shield_begin();
  uint32_t how = weft__procpool_bury(pool, s, wait_for_process);
  bool begun = weft__procslot_begun(s, area);
  (void)weft__procpool_revive(pool, s, wait_for_process); /* else the next holder tries */
  weft_shield_end();
  if (begun) note_death(how);
  *ret_code = r < 0 ? r : WEFT_EPROC;
  return r < 0 || begun;
}

static void report_zygote(struct weft_procpool *pool) {
  if (weft__xchg_u32(&pool->zygote_reported, 1)) return;
  weft_report r = {.kind = WEFT_REPORT_PROCESS, .code = WEFT_EPROC, .object = pool};
  r.object_kind = "process pool";
  weft__report(weft__current_task()->rt, NULL, &r,
               "process pool: the zygote (pid %ld) is gone, processes that die are not replaced",
               (long)pool->zygote.pid);
}

static int run(struct weft_procpool *pool, struct weft__procslot *s, struct request *req) {
  int code = WEFT_EPROC;
  for (int tries = 0; tries < MAX_TRIES; tries++) {
    weft_shield_begin();
    int r = weft__procpool_revive(pool, s, wait_for_process);
    weft_shield_end();
    if (r == WEFT_EPROC) report_zygote(pool);
    if (r < 0) return r;
    if (try_once(pool, s, req, &code) == 1) break;
  }
  return code;
}

int weft_procpool_call(weft_procpool *pool, const weft_job *job, const void *in, size_t in_len,
                       void *out, size_t out_cap, size_t *ret_len) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  struct request req = {.in = in, .out = out, .out_cap = out_cap, .ret_len = ret_len};
  req.call.in_len = in_len;
  int r = check(pool, job, &req);
  if (r < 0) return r;
  req.call.job = (uint32_t)find(&pool->crew, job);
  req.call.out_cap = out_cap < pool->crew.max_payload ? out_cap : pool->crew.max_payload;
  r = weft__checkpoint(t);
  if (r < 0) return r;
  struct weft__procslot *s;
  r = weft__procpool_acquire(pool, &s);
  if (r < 0) return r;
  r = weft__checkpoint(t); /* a cancel that came after the turn was passed: nothing is sent yet */
  if (r == 0) r = run(pool, s, &req);
  weft__procpool_release(pool, s);
  return r;
}

int weft_procpool_last_death(weft_procpool *pool) {
  struct weft__task *t = weft__current_task();
  (void)pool;
  return t ? (int)t->proc_death : weft__no_task();
}
