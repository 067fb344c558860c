/* A worker process: one call at a time, in the order they come.
 *
 * It trusts its channel (only the pool's process and the zygote write there) but not the job:
 * whatever the job does to this process, the pool must at worst see a frame that is none, or a
 * death.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <weft/errors.h>

#include "offload/channel.h"
#include "offload/crew.h"
#include "offload/isolate.h"

static struct weft__frame run(const struct weft__crew *crew, unsigned slot,
                              const struct weft__frame *call) {
  const struct weft__area *area = &crew->area;
  size_t out_len = 0;
  weft__store_release_u64(weft__area_begun(area, slot), call->seq); /* partner: procslot.c */
  int code = crew->jobs[call->job].fn(weft__area_in(area, slot), (size_t)call->in_len,
                                      weft__area_out(area, slot), (size_t)call->out_len, &out_len);
  /* What the job printed must not wait for a death that skips the flush. */
  fflush(stdout);
  if (code >= 0 && out_len > call->out_len) code = WEFT_ENOBUFS;
  return (struct weft__frame){.kind = WEFT__FRAME_ANSWER,
                              .code = code,
                              .seq = call->seq,
                              .out_len = code >= 0 ? out_len : 0};
}

static int is_call(const struct weft__crew *crew, const struct weft__frame *f) {
  return f->kind == WEFT__FRAME_CALL && f->job < crew->njobs && f->in_len <= crew->max_payload &&
         f->out_len <= crew->max_payload;
}

_Noreturn void weft__procworker_main(const struct weft__crew *crew, unsigned slot, int channel,
                                     int floor) {
  struct weft__frame f;
  int r;
  if (weft__isolate_fds(floor, channel) < 0 || weft__area_keep(&crew->area, slot) < 0) {
    _exit(WEFT__EXIT_SETUP);
  }
  weft__isolate_signals();
  (void)prctl(PR_SET_NAME, "weft-worker");
  while ((r = weft__frame_recv(channel, &f, NULL)) > 0) {
    if (!is_call(crew, &f)) _exit(WEFT__EXIT_REQUEST);
    struct weft__frame answer = run(crew, slot, &f);
    if (weft__frame_send(channel, &answer, -1, 0) < 0) _exit(WEFT__EXIT_UNSENT);
  }
  /* _exit: the exit handlers and buffers are the parent's. */
  _exit(r == 0 ? WEFT__EXIT_CLOSED : WEFT__EXIT_REQUEST);
}
