/* The object: made by a spawn, asked, signalled, waited for. */
#include "io/process.h"

#include <signal.h>

#include "aio/awaitable.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/deadline.h"
#include "core/park.h"
#include "core/room.h"
#include "core/worker.h"
#include "io/stream.h"

/* ---- references ---- */

void weft__process_ref(struct weft_process *p) {
  weft__spin_lock(&p->lock);
  p->refs++;
  weft__spin_unlock(&p->lock);
}

void weft__process_unref(struct weft_process *p) {
  weft__spin_lock(&p->lock);
  bool last = --p->refs == 0;
  weft__spin_unlock(&p->lock);
  if (!last) return;
  if (p->ends) weft__descriptor_free(p->ends);
  if (p->pidfd >= 0) weft__close(p->pidfd);
  weft__free(p);
}

int weft__process_enter(struct weft_process *p, struct weft__task *t) {
  if (!p || p->rt != t->rt) return WEFT_EINVAL;
  weft__process_ref(p);
  return 0;
}

/* ---- spawning ---- */

static bool is_stdio(weft_stdio how, int fd, bool may_be_stdout) {
  switch (how) {
  case WEFT_STDIO_INHERIT:
  case WEFT_STDIO_PIPE:
  case WEFT_STDIO_NULL:
    return true;
  case WEFT_STDIO_FD:
    return fd >= 0;
  case WEFT_STDIO_STDOUT:
    return may_be_stdout;
  }
  return false;
}

static bool are_valid(const char *const *argv, const weft_process_opts *opts) {
  if (!argv || !argv[0] || (opts->nfds > 0 && !opts->fds)) return false;
  for (size_t i = 0; i < opts->nfds; i++)
    if (opts->fds[i] < WEFT__STDIO) return false;
  return is_stdio(opts->in, opts->in_fd, false) && is_stdio(opts->out, opts->out_fd, false) &&
         is_stdio(opts->err, opts->err_fd, true) &&
         opts->new_session + opts->new_group + (opts->group != 0) <= 1 && opts->group >= 0 &&
         opts->grace >= 0;
}

static struct weft_process *make(struct weft__runtime *rt, const weft_process_opts *opts) {
  struct weft_process *p = weft__zalloc(sizeof *p);
  if (!p) return NULL;
  p->refs = 1;
  p->rt = rt;
  p->pidfd = -1;
  p->leads = opts->new_session || opts->new_group;
  p->grace = opts->grace;
  weft__list_init(&p->waiting);
  return p;
}

static int spawn(weft_process **ret, struct weft__task *t, const char *const *argv,
                 const weft_process_opts *opts, const void *site) {
  static const weft_process_opts defaults;
  if (!opts) opts = &defaults;
  if (!are_valid(argv, opts)) return WEFT_EINVAL;
  struct weft_process *p = make(t->rt, opts);
  if (!p) return WEFT_ENOMEM;
  int r = weft__process_start(p, argv, opts, site);
  if (r == 0) r = weft__process_watch(p);
  if (r < 0) {
    weft__process_close_streams(p);
    weft__process_unref(p);
    return r;
  }
  weft__process_register(p, site);
  *ret = p;
  return 0;
}

int weft_process_spawn(weft_process **ret, const char *const *argv, const weft_process_opts *opts) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!ret) return WEFT_EINVAL;
  return spawn(ret, t, argv, opts, __builtin_return_address(0));
}

int weft_process_shell(weft_process **ret, const char *command, const weft_process_opts *opts) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!ret || !command) return WEFT_EINVAL;
  const char *const argv[] = {"/bin/sh", "-c", command, NULL};
  return spawn(ret, t, argv, opts, __builtin_return_address(0));
}

/* ---- asking ---- */

pid_t weft_process_pid(const weft_process *p) {
  return p ? p->pid : WEFT_EINVAL;
}

static weft_stream *stream(struct weft_process *p, int i) {
  if (!p) return NULL;
  weft__spin_lock(&p->lock);
  weft_stream *s = p->stream[i];
  weft__spin_unlock(&p->lock);
  return s;
}

weft_stream *weft_process_stdin(weft_process *p) {
  return stream(p, WEFT__STDIN);
}

weft_stream *weft_process_stdout(weft_process *p) {
  return stream(p, WEFT__STDOUT);
}

weft_stream *weft_process_stderr(weft_process *p) {
  return stream(p, WEFT__STDERR);
}

weft_stream *weft__process_take_stream(struct weft_process *p, int i) {
  weft__spin_lock(&p->lock);
  weft_stream *s = p->stream[i];
  p->stream[i] = NULL;
  weft__spin_unlock(&p->lock);
  return s;
}

int weft_process_close_stdin(weft_process *p) {
  if (!weft__current_task()) return weft__no_task();
  if (!p) return WEFT_EINVAL;
  return weft__stream_release(weft__process_take_stream(p, WEFT__STDIN));
}

/* 0, with *ret written; or why there is no status. It is over. */
static int answer(struct weft_process *p, weft_process_status *ret) {
  int r = p->code;
  if (r == 0 && ret) *ret = p->status;
  return r;
}

/* Looks for itself where it may tell the others: the event may take its time. */
int weft_process_poll(weft_process *p, weft_process_status *ret) {
  struct weft__worker *w = weft__self();
  if (!w && weft__in_child()) return WEFT_ECHILD;
  if (!p) return WEFT_EINVAL;
  weft__spin_lock(&p->lock);
  bool over = w && w->rt == p->rt ? weft__process_look(p) : p->over;
  int r = over ? answer(p, ret) : WEFT_EPENDING;
  weft__process_unlock(p);
  return r;
}

/* ---- waiting ---- */

int weft_process_wait(weft_process *p, weft_process_status *ret) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  int r = weft__process_enter(p, t);
  if (r < 0) return r;
  r = weft__process_wait(p, t, false, WEFT__NEVER);
  if (r == 0) r = answer(p, ret);
  weft__process_unref(p);
  return r;
}

static int watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  struct weft_process *p = object;
  (void)key;
  if (!p || w->rec.task->rt != p->rt) return WEFT_EINVAL;
  weft__spin_lock(&p->lock);
  bool over = p->over;
  if (!over) weft__list_push_back(&p->waiting, &w->rec.link);
  weft__spin_unlock(&p->lock);
  if (over) *ret_code = p->code;
  return over;
}

static void unwatch(void *object, uint64_t key, weft_watch *w) {
  struct weft_process *p = object;
  (void)key;
  weft__spin_lock(&p->lock);
  weft__list_remove(&w->rec.link);
  weft__spin_unlock(&p->lock);
}

static const weft_awaitable_ops process_ops = {
    .name = "a process", .watch = watch, .unwatch = unwatch};

weft_awaitable weft_process_awaitable(weft_process *p) {
  return (weft_awaitable){&process_ops, p, 0};
}

/* ---- signals ---- */

/* A pidfd cannot mean another process. Without one the number is the child's until it is reaped,
 * which is done under the lock. */
static int send_signal(struct weft_process *p, int sig) {
  int pidfd = p->ends ? weft__descriptor_fd(p->ends) : p->pidfd;
  int r = WEFT_ENOSYS;
  if (pidfd >= 0) r = weft__sys_pidfd_send_signal(pidfd, sig);
  return r == WEFT_ENOSYS || r == WEFT_EPERM ? weft__sys_kill(p->pid, sig) : r;
}

static int send_to(struct weft_process *p, int sig, bool group) {
  if (!weft__self() && weft__in_child()) return WEFT_ECHILD;
  if (!p) return WEFT_EINVAL;
  if (group && !p->leads) return WEFT_ESTATE;
  weft__spin_lock(&p->lock);
  int r = p->over ? WEFT_ESRCH : group ? weft__sys_kill(-p->pid, sig) : send_signal(p, sig);
  weft__spin_unlock(&p->lock);
  return r;
}

int weft_process_signal(weft_process *p, int sig) {
  return send_to(p, sig, false);
}

int weft_process_terminate(weft_process *p) {
  return send_to(p, SIGTERM, false);
}

int weft_process_kill(weft_process *p) {
  return send_to(p, SIGKILL, false);
}

int weft_process_signal_group(weft_process *p, int sig) {
  return send_to(p, sig, true);
}

int weft_process_stop(weft_process *p, weft_ns grace, weft_process_status *ret) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (grace < 0) grace = 0;
  int r = weft__process_enter(p, t);
  if (r < 0) return r;
  (void)weft_process_terminate(p);
  r = weft__process_wait(p, t, false, weft__deadline_in(grace));
  if (r == WEFT_ETIMEDOUT) {
    (void)weft_process_kill(p);
    r = weft__process_wait(p, t, false, WEFT__NEVER);
  }
  if (r == 0) r = answer(p, ret);
  weft__process_unref(p);
  return r;
}
