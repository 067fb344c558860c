/* weft_process_communicate: up to three tasks, one for each pipe, the caller being one of them.
 * What they have done is kept in the process, so that a call which was cut can be made again.
 */
#include <weft/group.h>

#include "core/worker.h"
#include "io/process.h"

struct talk {
  struct weft_process *p;
  const char *in;
  size_t in_len;
  size_t limit;
};

/* One that has read enough is not to be blamed. */
static int write_input(void *arg) {
  struct talk *talk = arg;
  struct weft_process *p = talk->p;
  weft_stream *s = weft_process_stdin(p);
  int r = 0;
  if (s && p->sent < talk->in_len) {
    size_t sent = 0;
    r = weft_write_counted(s, talk->in + p->sent, talk->in_len - p->sent, &sent);
    p->sent += sent;
  }
  if (r < 0 && r != WEFT_EPIPE && r != WEFT_ECONNRESET) return r;
  r = weft_process_close_stdin(p);
  return r == WEFT_EPIPE || r == WEFT_ECONNRESET ? 0 : r;
}

static int read_output(struct talk *talk, int i) {
  struct weft_process *p = talk->p;
  weft_stream *s = i == WEFT__STDOUT ? weft_process_stdout(p) : weft_process_stderr(p);
  if (!p->piped[i] || p->got[i].data) return 0;
  if (!s) return WEFT_ECLOSED;
  char *data = NULL;
  ssize_t n = weft_read_all(s, talk->limit, &data);
  if (n < 0) return (int)n;
  static char nothing[1];
  p->got[i].data = n > 0 ? data : nothing;
  p->got[i].len = (size_t)n;
  return 0;
}

static int read_errors(void *talk) {
  return read_output(talk, WEFT__STDERR);
}

/* The first error cuts the others. */
static int talk_on(struct talk *talk) {
  struct weft_process *p = talk->p;
  weft_group g = WEFT_GROUP_INIT;
  int r = weft_group_enter(&g);
  if (r < 0) return r;
  if (weft_process_stdin(p)) r = weft_group_spawn(&g, write_input, talk, NULL);
  if (r == 0 && p->piped[WEFT__STDERR]) r = weft_group_spawn(&g, read_errors, talk, NULL);
  if (r == 0) r = read_output(talk, WEFT__STDOUT);
  return weft_group_exit(&g, r);
}

static bool begin(struct weft_process *p) {
  weft__spin_lock(&p->lock);
  bool free = !p->communicating;
  p->communicating = true;
  weft__spin_unlock(&p->lock);
  return free;
}

/* False: it was closed meanwhile, so that what was read is gone. */
static bool end(struct weft_process *p) {
  weft__spin_lock(&p->lock);
  p->communicating = false;
  bool closed = p->streamless;
  weft__spin_unlock(&p->lock);
  if (closed) weft__process_close_streams(p);
  return !closed;
}

int weft_process_communicate(weft_process *p, const void *in, size_t in_len, size_t limit,
                             weft_process_output *ret, weft_process_status *ret_status) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  int r = weft__process_enter(p, t);
  if (r < 0) return r;
  if (in_len > 0 && (!in || !p->piped[WEFT__STDIN])) {
    weft__process_unref(p);
    return WEFT_EINVAL;
  }
  if (!begin(p)) {
    weft__process_unref(p);
    return WEFT_EBUSY;
  }
  struct talk talk = {.p = p, .in = in, .in_len = in_len, .limit = limit};
  r = talk_on(&talk);
  weft_process_status status = {.code = -1};
  if (r == 0) r = weft_process_wait(p, &status);
  weft_process_output output = {
      .out = p->got[WEFT__STDOUT].data,
      .err = p->got[WEFT__STDERR].data,
      .out_len = p->got[WEFT__STDOUT].len,
      .err_len = p->got[WEFT__STDERR].len,
  };
  if (!end(p)) r = WEFT_ECLOSED;
  if ((r == 0 || r == WEFT_ECHILD) && ret) *ret = output;
  if (r == 0 && ret_status) *ret_status = status;
  weft__process_unref(p);
  return r;
}
