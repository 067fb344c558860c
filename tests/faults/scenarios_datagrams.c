/* Datagrams between two tasks. Where something may fail the side that asks has a
 * deadline, since a "would block" that was injected is followed by no event; the other side is then
 * cancelled. */
#include <sys/socket.h>

#include "scene.h"

#define IO_CODES WEFT_ENOMEM, WEFT_EMFILE, WEFT_ENFILE, WEFT_ENOBUFS, WEFT_ETIMEDOUT, WEFT_ECANCELED

static int in_time(weft_fn fn, void *arg) {
  weft_timeout s;
  STEP(weft_timeout_begin(&s, scene_may_fail() ? weft_ms(200) : WEFT_FOREVER), 0, 0);
  return weft_timeout_end(&s, fn(arg));
}

/* Both sides: the one that answers ends by itself after a 'z', and is cancelled if that did not come. */
static void converse(weft_fn answer, void *one, weft_fn ask, void *other) {
  weft_task t = weft_spawn(answer, one, NULL);
  int r = weft_task_error(t);
  if (r == 0) r = STEP(in_time(ask, other), 0, IO_CODES, WEFT_EPIPE, WEFT_ECONNRESET);
  if (r < 0 && weft_task_error(t) == 0) HOLDS(weft_cancel(t) >= 0);
  STEP(weft_await(t), 0, IO_CODES, WEFT_EPIPE, WEFT_ECONNRESET);
}

enum { ROOM = 4 };

static int answer_datagrams(void *datagram) {
  char bytes[ROOM];
  weft_addr from[ROOM];
  weft_datagram_item items[ROOM];
  bool last = false;
  int r = 0;
  scene_enter();
  while (r >= 0 && !last) {
    for (int i = 0; i < ROOM; i++)
      items[i] = (weft_datagram_item){.data = &bytes[i], .size = 1, .addr = &from[i]};
    int n = weft_datagram_receive_many(datagram, items, ROOM);
    r = n < 0 ? n : weft_datagram_send_many(datagram, items, (size_t)n, NULL);
    for (int i = 0; i < n; i++) last |= bytes[i] == 'z';
  }
  return scene_leave(r);
}

static int ask_datagrams(void *datagram) {
  int r = 0;
  for (char c = 'v'; r >= 0 && c <= 'z'; c++) {
    char got = 0;
    size_t len = 0;
    r = weft_datagram_send(datagram, &c, 1);
    if (r == 0) r = weft_datagram_receive(datagram, &got, 1, &len);
    if (r == 1) HOLDS(len == 1 && got == c);
  }
  return r < 0 ? r : 0;
}

static int open_udp(weft_datagram **ret, const weft_datagram_opts *opts) {
  return STEP(weft_datagram_open(ret, opts), 0, IO_CODES);
}

static int talk_in_datagrams(void *arg) {
  weft_datagram *server = NULL, *client = NULL, *pair[2] = {NULL, NULL};
  weft_addr here;
  (void)arg;
  scene_enter();
  weft_addr_loopback(&here, AF_INET, 0);
  if (open_udp(&server, &(weft_datagram_opts){.local = &here}) == 0 &&
      STEP(weft_datagram_local(server, &here), 0, 0) == 0 &&
      open_udp(&client, &(weft_datagram_opts){.peer = &here, .send_buffer = 9999}) == 0)
    converse(answer_datagrams, server, ask_datagrams, client);
  HOLDS(weft_datagram_close(client) == 0);
  HOLDS(weft_datagram_close(server) == 0);
  if (STEP(weft_datagram_pair(pair), 0, IO_CODES) == 0) {
    STEP(weft_datagram_try_send_to(pair[0], "x", 1, NULL), 0, WEFT_EAGAIN);
    HOLDS(weft_datagram_close(pair[0]) == 0);
    HOLDS(weft_datagram_close(pair[1]) == 0);
  }
  return scene_leave(0);
}

static void datagrams(void) {
  scene_run(talk_in_datagrams, NULL, &(weft_run_opts){.workers = 1});
  scene_run(talk_in_datagrams, NULL, &(weft_run_opts){.workers = 2});
}

const struct scenario weft_faults_datagram_scenarios[] = {
    {"datagrams", "questions and answers over UDP", datagrams, SCENARIO_REAL},
    {0},
};
