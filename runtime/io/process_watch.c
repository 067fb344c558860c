/* How the end of a child is noticed, and who is told. */
#include <signal.h>
#include <sys/wait.h>

#include "base/sim.h"
#include "base/sys.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/worker.h"
#include "io/process.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static const struct weft__wait_kind a_process = {"a process"};

/* ---- reaping ---- */

static weft_ns time_of(const struct timeval *t) {
  return weft_sec(t->tv_sec) + weft_us(t->tv_usec);
}

static weft_process_status status_of(const siginfo_t *how, const struct rusage *usage) {
  bool exited = how->si_code == CLD_EXITED;
  return (weft_process_status){
      .code = exited ? how->si_status : -1,
      .signal = exited ? 0 : how->si_status,
      .dumped = how->si_code == CLD_DUMPED,
      .user_time = time_of(&usage->ru_utime),
      .system_time = time_of(&usage->ru_stime),
      .max_rss = (size_t)usage->ru_maxrss * 1024,
  };
}

static int wait_for(const struct weft_process *p, int options, siginfo_t *ret,
                    struct rusage *usage) {
  int r;
  int pidfd = p->ends ? weft__descriptor_fd(p->ends) : p->pidfd;
  *ret = (siginfo_t){0};
  do {
    r = WEFT_EINVAL;
    if (pidfd >= 0) r = weft__sys_waitid(P_PIDFD, (id_t)pidfd, ret, options, usage);
    /* Linux 5.3 has pidfds and cannot wait for them. */
    if (r == WEFT_EINVAL) r = weft__sys_waitid(P_PID, (id_t)p->pid, ret, options, usage);
  } while (r == WEFT_EINTR);
  return r;
}

static void set_over(struct weft_process *p, int code) {
  p->over = true;
  p->code = code;
}

bool weft__process_look(struct weft_process *p) {
  if (p->over) return true;
  siginfo_t how;
  struct rusage usage = {0};
  int r = wait_for(p, WEXITED | WNOHANG, &how, &usage);
  if (r == 0 && how.si_pid == 0) return false;
  if (r == 0) p->status = status_of(&how, &usage);
  set_over(p, r);
  return true;
}

/* Waiters are tasks of p's runtime, and this is one of its threads, or one that it joins. */
void weft__process_unlock(struct weft_process *p) {
  struct weft__task *first = NULL;
  struct weft__task **tail = &first;
  struct weft__list *l;
  while (p->over && (l = weft__list_pop_front(&p->waiting)) != NULL) {
    struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    struct weft__task *t = rec->task;
    if (!weft__waiter_fire(rec, p->code)) continue;
    t->link[WEFT__LINK_READY] = NULL;
    *tail = t;
    tail = &t->link[WEFT__LINK_READY];
  }
  weft__spin_unlock(&p->lock);
  for (struct weft__task *next; first; first = next) {
    next = first->link[WEFT__LINK_READY];
    weft__make_ready_by(weft__self(), first);
  }
}

/* ---- by the poll set ---- */

/* Under the descriptor's lock. Also when the descriptor is freed: then it is over. */
static void on_event(struct weft__gate *gate, struct weft__waiter *rec) {
  struct weft_process *p = weft__container_of(gate, struct weft_process, gate);
  (void)rec;
  weft__spin_lock(&p->lock);
  /* One that a debugger has is told of twice: it has to have done with it before we are given it. */
  if (!weft__process_look(p)) weft__descriptor_watch_on(p->ends, WEFT__IN, &p->rec);
  weft__process_unlock(p);
}

static int watch_pidfd(struct weft_process *p) {
  struct weft__descriptor *d;
  int r = weft__descriptor_open(&d, p->pidfd, 0, NULL, NULL);
  if (r < 0) return r;
  p->ends = d;
  p->pidfd = -1;
  p->gate = (struct weft__gate){.event = on_event, .object = p, .alone = true};
  p->rec = (struct weft__waiter){.gate = &p->gate};
  r = weft__descriptor_watch(d, WEFT__IN, &p->rec);
  if (r == 0) return 0;
  p->ends = NULL;
  weft__descriptor_free(d); /* with the pidfd */
  return r;
}

/* ---- by a job ---- */

static int wait_job(void *arg) {
  const struct weft_process *p = arg;
  siginfo_t how;
  return wait_for(p, WEXITED | WNOWAIT, &how, NULL);
}

static void job_done(struct weft__job *job) {
  struct weft_process *p = weft__container_of(job, struct weft_process, job);
  weft__spin_lock(&p->lock);
  if (!weft__process_look(p)) set_over(p, job->code < 0 ? job->code : WEFT_ECHILD);
  weft__process_unlock(p);
  weft__process_unref(p);
}

static int watch_by_job(struct weft_process *p) {
  p->job = (struct weft__job){.fn = wait_job, .arg = p, .done = job_done};
  p->refs++;
  int r = weft__blocking_submit(&p->rt->blocking, &p->job);
  if (r < 0) p->refs--;
  return r;
}

void weft__process_put_down(struct weft_process *p) {
  siginfo_t how;
  (void)weft__sys_kill(p->pid, SIGKILL);
  (void)wait_for(p, WEXITED, &how, NULL);
}

int weft__process_watch(struct weft_process *p) {
  if (p->pidfd == WEFT_ESRCH) { /* gone, and somebody else has reaped it */
    set_over(p, WEFT_ECHILD);
    return 0;
  }
  int r = p->pidfd >= 0 ? watch_pidfd(p) : p->pidfd;
  if (r == 0) return 0;
  if (!weft__sim_here())
    r = watch_by_job(p);                /* which blocks its thread: there it is the only one */
  if (r < 0) weft__process_put_down(p); /* nobody would notice its end */
  return r;
}

/* ---- waiting ---- */

int weft__process_wait(struct weft_process *p, struct weft__task *t, bool masked,
                       uint64_t deadline) {
  struct weft__waiter *rec = &t->wait;
  int r = weft__wait_open(t, masked, &rec->ticket);
  if (r < 0) return r;
  rec->task = t;
  rec->gate = NULL;
  weft__waits_for(t, &a_process, p);
  weft__spin_lock(&p->lock);
  bool over = p->over;
  if (!over) weft__list_push_back(&p->waiting, &rec->link);
  weft__spin_unlock(&p->lock);
  if (over) {
    weft__wait_abort(t, rec->ticket);
    return weft__spend(t);
  }
  r = weft__wait_park(t, rec->ticket, deadline);
  weft__spin_lock(&p->lock);
  weft__list_remove(&rec->link);
  weft__spin_unlock(&p->lock);
  return r;
}
