#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "offload/channel.h"
#include "offload/crew.h"
#include "processes.h"
#include "weft_test.h"

struct board *board;

void make_board(void) {
  board = share_memory(sizeof *board);
}

static int echo(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  if (in_len > 0) memcpy(out, in, in_len < out_cap ? in_len : out_cap);
  *ret_len = in_len;
  return 0;
}

static int refuse(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  int code;
  (void)in_len;
  memcpy(&code, in, sizeof code);
  if (out_cap > 0) *(char *)out = 1;
  *ret_len = out_cap > 0;
  return code;
}

static int fill(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  size_t n;
  (void)in_len;
  memcpy(&n, in, sizeof n);
  memset(out, 'f', n < out_cap ? n : out_cap);
  *ret_len = n;
  return 0;
}

static int pid(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  pid_t self = getpid();
  (void)in, (void)in_len;
  if (out_cap < sizeof self) return WEFT_ENOBUFS;
  memcpy(out, &self, sizeof self);
  *ret_len = sizeof self;
  return 0;
}

static int sum(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  const unsigned char *p = in;
  uint64_t total = 0;
  if (out_cap < sizeof total) return WEFT_ENOBUFS;
  for (size_t i = 0; i < in_len; i++) total += p[i];
  memcpy(out, &total, sizeof total);
  *ret_len = sizeof total;
  return 0;
}

static int wait_for_go(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  (void)in, (void)in_len, (void)out, (void)out_cap, (void)ret_len;
  atomic_store(&board->pid, getpid());
  atomic_fetch_add(&board->running, 1);
  while (atomic_load(&board->go) == 0) sched_yield();
  return 0;
}

static int probe(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  struct probe p = {.parent = getppid(), .group = getpgrp()};
  sigset_t blocked;
  (void)in, (void)in_len;
  if (out_cap < sizeof p) return WEFT_ENOBUFS;
  for (int fd = 3; fd < 4096; fd++) p.fds += fcntl(fd, F_GETFD) >= 0;
  sigprocmask(SIG_BLOCK, NULL, &blocked);
  for (int sig = 1; sig < NSIG; sig++) {
    struct sigaction now;
    if (sigaction(sig, NULL, &now) == 0) p.handlers += now.sa_handler != SIG_DFL;
    p.blocked += sigismember(&blocked, sig) == 1;
  }
  memcpy(out, &p, sizeof p);
  *ret_len = sizeof p;
  return 0;
}

static int ticket(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  uint32_t n = atomic_fetch_add(&board->tickets, 1);
  (void)in, (void)in_len;
  if (out_cap < sizeof n) return WEFT_ENOBUFS;
  memcpy(out, &n, sizeof n);
  *ret_len = sizeof n;
  return 0;
}

static int show_pid(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  atomic_store(&board->pid, getpid());
  return pid(in, in_len, out, out_cap, ret_len);
}

static int meet(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  uint32_t n;
  (void)in_len, (void)out, (void)out_cap, (void)ret_len;
  memcpy(&n, in, sizeof n);
  atomic_fetch_add(&board->met, 1);
  while (atomic_load(&board->met) < n) sched_yield();
  return 0;
}

/* ---- dying ---- */

const char *const death_names[DEATHS] = {
    [DIE_KILLED] = "killed",
    [DIE_SEGV] = "segv",
    [DIE_ABORT] = "abort",
    [DIE_EXIT_0] = "_exit(0)",
    [DIE_EXIT_3] = "_exit(3)",
    [DIE_CLOSE_CHANNEL] = "closes its channel",
    [DIE_GARBAGE] = "writes garbage",
    [DIE_HALF_A_FRAME] = "writes half a frame",
    [DIE_LONG_FRAME] = "writes a frame that is too long",
    [DIE_EMPTY_MESSAGE] = "writes an empty message",
    [DIE_WRONG_SEQ] = "answers another call",
    [DIE_WRONG_LENGTH] = "answers with a length that cannot be",
    [DIE_WRONG_KIND] = "sends a frame that is not for it to send",
    [DIE_FLOOD] = "floods its channel",
    [DIE_LEAVING_A_CHILD] = "leaves a child that keeps the channel",
};

int death_answer(enum death d) {
  switch (d) {
  case DIE_SEGV:
    return SIGSEGV;
  case DIE_ABORT:
    return SIGABRT;
  case DIE_EXIT_0:
    return 256;
  case DIE_EXIT_3:
  case DIE_LEAVING_A_CHILD:
    return 256 + 3;
  case DIE_CLOSE_CHANNEL:
    return 256 + WEFT__EXIT_UNSENT;
  default:
    return SIGKILL;
  }
}

/* A worker has one descriptor above 2. */
static int channel(void) {
  struct stat st;
  for (int fd = 3; fd < 4096; fd++) {
    if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) return fd;
  }
  return -1;
}

static _Noreturn void send_and_pause(const void *data, size_t size) {
  if (send(channel(), data, size, MSG_NOSIGNAL) < 0) _exit(99);
  for (;;) pause();
}

/* An answer that differs from a good one in one way. The page of notes before the input, where
 * the number of the call is, is not a job's to know. */
static _Noreturn void send_frame_and_pause(enum death d, const void *in) {
  const char *notes = (const char *)in - sysconf(_SC_PAGESIZE);
  struct weft__frame f = {.magic = WEFT__FRAME_MAGIC, .kind = WEFT__FRAME_ANSWER};
  memcpy(&f.seq, notes, sizeof f.seq);
  if (d == DIE_WRONG_SEQ) f.seq++;
  if (d == DIE_WRONG_LENGTH) f.out_len = (size_t)1 << 60;
  if (d == DIE_WRONG_KIND) f.kind = WEFT__FRAME_CALL;
  send_and_pause(&f, d == DIE_HALF_A_FRAME ? sizeof f / 2 : sizeof f);
}

static void touch_nothing(void) {
  void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *(volatile char *)page = 1;
}

static void flood(void) {
  char garbage[1000] = "flood";
  while (send(channel(), garbage, sizeof garbage, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
  kill(getpid(), SIGKILL);
}

static void leave_a_child(void) {
  pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  atomic_store(&board->child, child);
  _exit(3);
}

static int die(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  static char garbage[4096] = "garbage";
  enum death d;
  (void)in_len, (void)out, (void)out_cap, (void)ret_len;
  memcpy(&d, in, sizeof d);
  switch (d) {
  case DIE_KILLED:
    kill(getpid(), SIGKILL);
    break;
  case DIE_SEGV:
    touch_nothing();
    break;
  case DIE_ABORT:
    abort();
  case DIE_EXIT_0:
    _exit(0);
  case DIE_EXIT_3:
    _exit(3);
  case DIE_CLOSE_CHANNEL:
    close(channel());
    break;
  case DIE_GARBAGE:
    send_and_pause(garbage, sizeof(struct weft__frame));
  case DIE_LONG_FRAME:
    send_and_pause(garbage, sizeof garbage);
  case DIE_EMPTY_MESSAGE:
    send_and_pause("", 0);
  case DIE_HALF_A_FRAME:
  case DIE_WRONG_SEQ:
  case DIE_WRONG_LENGTH:
  case DIE_WRONG_KIND:
    send_frame_and_pause(d, in);
  case DIE_FLOOD:
    flood();
    break;
  case DIE_LEAVING_A_CHILD:
    leave_a_child();
    break;
  case DEATHS:
    break;
  }
  return 0;
}

const weft_job jobs[JOBS] = {
    [JOB_ECHO] = {"echo", echo},        [JOB_FAIL] = {"fail", refuse},
    [JOB_FILL] = {"fill", fill},        [JOB_PID] = {"pid", pid},
    [JOB_SUM] = {"sum", sum},           [JOB_DIE] = {"die", die},
    [JOB_WAIT] = {"wait", wait_for_go}, [JOB_PROBE] = {"probe", probe},
    [JOB_TICKET] = {"ticket", ticket},  [JOB_SHOW_PID] = {"show_pid", show_pid},
    [JOB_MEET] = {"meet", meet},
};
