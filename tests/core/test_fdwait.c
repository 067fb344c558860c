/* Waiting for a descriptor: what ends the wait, and that nothing watches the descriptor afterwards.
 * Method: pipes and socket pairs, and the claim word of the waiting task, which tells when it has
 * parked. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

#include "base/sys.h"
#include "core/fdwait.h"
#include "core/worker.h"
#include "counts.h"
#include "task_test.h"

struct waiting {
  int fd;
  int events;
  int result;
  struct latch over;
};

static int wait_for_fd(void *arg) {
  struct waiting *w = arg;
  w->result = weft__fd_wait(w->fd, w->events);
  latch_hit(&w->over);
  return w->result;
}

static bool parked(weft_task h) {
  struct weft__task *t = h.slot_;
  return weft__word_phase(weft__load_acquire_u64(&t->word)) == WEFT__PARKED;
}

static weft_task spawn_parked(struct waiting *w) {
  weft_task t = weft_spawn(wait_for_fd, w, NULL);
  while (!parked(t)) CHECK_INT(weft_yield(), 0);
  return t;
}

static void make_pair(int fds[2]) {
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(const int fds[2]) {
  CHECK_INT(close(fds[0]), 0);
  CHECK_INT(close(fds[1]), 0);
}

static void put_byte(int fd) {
  CHECK_INT(write(fd, "x", 1), 1);
}

TASK_TEST(a_reader_waits_for_a_byte) {
  int fds[2];
  char c;
  make_pair(fds);
  struct waiting w = {.fd = fds[0], .events = WEFT__FD_READ};
  weft_task t = spawn_parked(&w);
  CHECK_INT(latch_hits(&w.over), 0);
  put_byte(fds[1]);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(read(fds[0], &c, 1), 1);
  close_pair(fds);
}

TASK_TEST(what_is_ready_already_ends_the_wait_too) {
  int fds[2];
  make_pair(fds);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_WRITE), 0);
  put_byte(fds[1]);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_READ), 0);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_READ | WEFT__FD_WRITE), 0);
  close_pair(fds);
}

/* Both ends can be written at any time here. */
TASK_TEST(a_reader_does_not_care_about_room_to_write) {
  int fds[2];
  weft_timeout s;
  make_pair(fds);
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s, weft__fd_wait(fds[0], WEFT__FD_READ)), WEFT_ETIMEDOUT);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_WRITE), 0);
  close_pair(fds);
}

TASK_TEST(a_writer_waits_for_room_and_not_for_bytes) {
  static char block[1 << 16];
  int fds[2];
  make_pair(fds);
  put_byte(fds[1]); /* the writer itself has something to read */
  while (write(fds[0], block, sizeof block) > 0) {}
  struct waiting w = {.fd = fds[0], .events = WEFT__FD_WRITE};
  weft_task t = spawn_parked(&w);
  for (int i = 0; i < 20; i++) CHECK_INT(weft_sleep(weft_us(100)), 0);
  CHECK_INT(latch_hits(&w.over), 0);
  while (read(fds[1], block, sizeof block) > 0) {}
  CHECK_INT(weft_await(t), 0);
  close_pair(fds);
}

TASK_TEST(a_hang_up_ends_the_wait) {
  int fds[2];
  CHECK_INT(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
  struct waiting w = {.fd = fds[0], .events = WEFT__FD_READ};
  weft_task t = spawn_parked(&w);
  CHECK_INT(close(fds[1]), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(close(fds[0]), 0);
}

TASK_TEST(what_cannot_be_watched_is_refused) {
  int fds[2];
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  make_pair(fds);
  CHECK_INT(weft__fd_wait(file, WEFT__FD_READ), WEFT_EPERM);
  close_pair(fds);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_READ), WEFT_EBADF);
  CHECK_INT(close(file), 0);
}

TASK_TEST(several_tasks_may_wait_for_one_descriptor) {
  int fds[2];
  make_pair(fds);
  struct waiting first = {.fd = fds[0], .events = WEFT__FD_READ};
  struct waiting second = {.fd = fds[0], .events = WEFT__FD_READ};
  weft_task t = spawn_parked(&first);
  weft_task u = spawn_parked(&second);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_WRITE), 0); /* and the others go on waiting */
  CHECK_INT(latch_hits(&first.over) + latch_hits(&second.over), 0);
  put_byte(fds[1]);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_await(u), 0);
  close_pair(fds);
}

TASK_TEST(it_is_told_which_events_have_come) {
  int fds[2], came = 0;
  make_pair(fds);
  CHECK_INT(weft__fd_wait_events(fds[0], WEFT__FD_READ | WEFT__FD_WRITE, WEFT__NEVER, &came), 0);
  CHECK_INT(came, WEFT__FD_WRITE);
  put_byte(fds[1]);
  CHECK_INT(weft__fd_wait_events(fds[0], WEFT__FD_READ | WEFT__FD_WRITE, WEFT__NEVER, &came), 0);
  CHECK_INT(came, WEFT__FD_READ | WEFT__FD_WRITE);
  close_pair(fds);
}

/* One system call for each wait: no coming and going of the descriptor. */
TASK_TEST(a_wait_asks_the_kernel_once) {
  int fds[2];
  make_pair(fds);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_WRITE), 0);
  weft__sys_count();
  for (int i = 0; i < 10; i++) CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_WRITE), 0);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_epoll_ctl), 10);
  weft__sys_clear();
  close_pair(fds);
}

TASK_TEST(a_cancelled_task_does_not_begin_to_wait) {
  int fds[2];
  make_pair(fds);
  put_byte(fds[1]);
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_READ), WEFT_ECANCELED);
  CHECK(weft_cancel_catch());
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_READ), 0);
  close_pair(fds);
}

/* A descriptor number is used again at once, by the next pair: a watcher that was left behind would
 * be told of the wrong one. */
static void cancel_and_close(bool seen_by_loop) {
  for (int i = 0; i < count(50) && !weft_test_failed(); i++) {
    int fds[2];
    make_pair(fds);
    struct waiting w = {.fd = fds[0], .events = WEFT__FD_READ};
    weft_task t = spawn_parked(&w);
    if (seen_by_loop) CHECK_INT(weft_sleep(weft_us(50)), 0);
    CHECK_INT(weft_cancel(t), 1);
    CHECK_INT(weft_await(t), WEFT_ECANCELED);
    CHECK_INT(w.result, WEFT_ECANCELED);
    close_pair(fds);
  }
}

TASK_TEST(a_wait_that_no_loop_has_seen_can_be_cancelled) {
  cancel_and_close(false);
}

TASK_TEST(a_wait_that_a_loop_has_begun_can_be_cancelled) {
  cancel_and_close(true);
}

TASK_TEST(a_cancel_may_come_at_the_same_time_as_the_event) {
  int outcomes[2] = {0, 0};
  for (int i = 0; i < count(COUNT_RACES / 100) && !weft_test_failed(); i++) {
    int fds[2];
    make_pair(fds);
    struct waiting w = {.fd = fds[0], .events = WEFT__FD_READ};
    weft_task t = spawn_parked(&w);
    put_byte(fds[1]);
    for (int k = 0; k < i % 4; k++) CHECK_INT(weft_yield(), 0);
    weft_cancel(t);
    int r = weft_await(t);
    CHECK(r == 0 || r == WEFT_ECANCELED);
    outcomes[r == 0]++;
    close_pair(fds);
  }
  CHECK(outcomes[0] > 0);
}

/* ---- while everybody sleeps ---- */

struct outsider {
  struct weft__runtime *rt;
  weft_task task;
  int fd;
  bool cancels;
  struct latch may_act;
};

static bool somebody_sleeps_in_a_loop(struct weft__runtime *rt) {
  for (unsigned i = 0; i < rt->nworkers; i++)
    if (weft__load_acquire_u32(&rt->workers[i].park) == WEFT__IN_LOOP) return true;
  return false;
}

static void *act_when_all_sleep(void *arg) {
  struct outsider *o = arg;
  latch_wait_thread(&o->may_act, 1);
  while (weft__load_acquire_u32(&o->rt->parked) != o->rt->nworkers ||
         !somebody_sleeps_in_a_loop(o->rt))
    latch_turn_thread();
  if (o->cancels)
    CHECK_INT(weft_cancel(o->task), 1);
  else
    put_byte(o->fd);
  return NULL;
}

static void wake_from_outside(bool cancels) {
  int fds[2];
  pthread_t thread;
  make_pair(fds);
  struct waiting w = {.fd = fds[0], .events = WEFT__FD_READ};
  struct outsider o = {.rt = weft__self()->rt, .fd = fds[1], .cancels = cancels};
  CHECK_INT(weft__sys_thread_create(&thread, NULL, act_when_all_sleep, &o), 0);
  o.task = spawn_parked(&w);
  latch_hit(&o.may_act);
  CHECK_INT(weft_await(o.task), cancels ? WEFT_ECANCELED : 0);
  weft__sys_thread_join(thread);
  close_pair(fds);
}

TASK_TEST(an_event_wakes_a_worker_that_sleeps_in_its_loop) {
  wake_from_outside(false);
}

TASK_TEST(a_cancel_from_outside_wakes_a_worker_that_sleeps_in_its_loop) {
  for (int i = 0; i < count(20); i++) wake_from_outside(true);
}

/* ---- many ---- */

enum { ROUNDS = 50, PAIRS = 40 };

static int rounds_of_each(void) {
  return counts_simulated() ? 3 : ROUNDS;
}

static int echo(void *arg) {
  int fd = *(int *)arg;
  char c;
  for (int i = 0; i < rounds_of_each(); i++) {
    int r = weft__fd_wait(fd, WEFT__FD_READ);
    if (r < 0) return r;
    if (read(fd, &c, 1) != 1 || write(fd, &c, 1) != 1) return OWN_ERROR;
  }
  return 0;
}

static int call(void *arg) {
  int fd = *(int *)arg;
  char c = 'x';
  for (int i = 0; i < rounds_of_each(); i++) {
    if (write(fd, &c, 1) != 1) return OWN_ERROR;
    int r = weft__fd_wait(fd, WEFT__FD_READ);
    if (r < 0) return r;
    if (read(fd, &c, 1) != 1) return OWN_ERROR;
  }
  return 0;
}

TASK_TEST(many_tasks_talk_over_descriptors) {
  int fds[PAIRS][2];
  weft_task tasks[PAIRS][2];
  const int pairs = count(PAIRS);
  for (int i = 0; i < pairs; i++) {
    make_pair(fds[i]);
    tasks[i][0] = weft_spawn(echo, &fds[i][0], NULL);
    tasks[i][1] = weft_spawn(call, &fds[i][1], NULL);
  }
  for (int i = 0; i < pairs; i++) {
    CHECK_INT(weft_await(tasks[i][0]), 0);
    CHECK_INT(weft_await(tasks[i][1]), 0);
    close_pair(fds[i]);
  }
}

static void outside_of_a_task_there_is_no_wait(void **state) {
  int fds[2];
  (void)state;
  make_pair(fds);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_WRITE), WEFT_ENOTASK);
  close_pair(fds);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_reader_waits_for_a_byte),
    cmocka_unit_test(what_is_ready_already_ends_the_wait_too),
    cmocka_unit_test(a_reader_does_not_care_about_room_to_write),
    cmocka_unit_test(a_writer_waits_for_room_and_not_for_bytes),
    cmocka_unit_test(a_hang_up_ends_the_wait),
    cmocka_unit_test(what_cannot_be_watched_is_refused),
    cmocka_unit_test(several_tasks_may_wait_for_one_descriptor),
    cmocka_unit_test(it_is_told_which_events_have_come),
    cmocka_unit_test(a_wait_asks_the_kernel_once),
    cmocka_unit_test(a_cancelled_task_does_not_begin_to_wait),
    cmocka_unit_test(a_wait_that_no_loop_has_seen_can_be_cancelled),
    cmocka_unit_test(a_wait_that_a_loop_has_begun_can_be_cancelled),
    cmocka_unit_test(a_cancel_may_come_at_the_same_time_as_the_event),
    cmocka_unit_test(an_event_wakes_a_worker_that_sleeps_in_its_loop),
    cmocka_unit_test(a_cancel_from_outside_wakes_a_worker_that_sleeps_in_its_loop),
    cmocka_unit_test(many_tasks_talk_over_descriptors),
    cmocka_unit_test(outside_of_a_task_there_is_no_wait),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
