/* The zygote, its workers and a slot's side of their channel, without a runtime: waits block. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/sys.h"
#include "core/fdwait.h"
#include "jobs.h"
#include "offload/channel.h"
#include "offload/procslot.h"
#include "processes.h"
#include "weft_test.h"

enum { SLOTS = 3 };

static struct weft__crew crew;
static struct weft__zygote zygote;
static struct weft__procslot slots[SLOTS];
static int fds_before;

static int start(void **state) {
  (void)state;
  make_board();
  fds_before = count_fds();
  crew = (struct weft__crew){.jobs = jobs, .njobs = JOBS, .workers = SLOTS, .max_payload = 100000};
  for (unsigned i = 0; i < SLOTS; i++) weft__procslot_init(&slots[i], i);
  if (weft__area_map(&crew.area, SLOTS, crew.max_payload) < 0) return -1;
  return weft__zygote_start(&zygote, &crew);
}

/* After every test: nothing is left open and nobody is left alive. */
static int stop(void **state) {
  (void)state;
  weft__zygote_stop(&zygote);
  for (unsigned i = 0; i < SLOTS; i++) weft__procslot_fini(&slots[i]);
  weft__area_unmap(&crew.area);
  CHECK_INT(count_fds(), fds_before);
  CHECK_INT(count_children(getpid()), 0);
  return 0;
}

static void give_birth(unsigned i) {
  assert_int_equal(weft__procslot_request(&slots[i], &zygote), 0);
  assert_int_equal(weft__procslot_birth(&slots[i], weft__procslot_block), 0);
}

/* 1 and the job's code, or what weft__procslot_call says. */
static int call(unsigned i, uint32_t job, const void *in, size_t in_len, struct weft__proccall *c) {
  *c = (struct weft__proccall){.job = job, .in_len = in_len, .out_cap = crew.max_payload};
  memcpy(weft__area_in(&crew.area, i), in, in_len);
  return weft__procslot_call(&slots[i], c, weft__procslot_block);
}

static void expect_echo(unsigned i) {
  struct weft__proccall c;
  assert_int_equal(call(i, JOB_ECHO, "hello", 6, &c), 1);
  assert_int_equal(c.code, 0);
  assert_int_equal(c.out_len, 6);
  assert_string_equal(weft__area_out(&crew.area, i), "hello");
}

static void a_worker_is_born_and_answers(void **state) {
  (void)state;
  give_birth(0);
  assert_true(slots[0].pid > 0);
  assert_int_equal(count_children(zygote.pid), 1);
  for (int i = 0; i < 3; i++) expect_echo(0);
  assert_int_equal(slots[0].seq, 3);
  assert_true(weft__procslot_begun(&slots[0], &crew.area));
}

static void workers_of_all_slots_are_separate_processes(void **state) {
  (void)state;
  for (unsigned i = 0; i < SLOTS; i++)
    assert_int_equal(weft__procslot_request(&slots[i], &zygote), 0);
  for (unsigned i = 0; i < SLOTS; i++) {
    assert_int_equal(weft__procslot_birth(&slots[i], weft__procslot_block), 0);
  }
  assert_int_equal(count_children(zygote.pid), SLOTS);
  for (unsigned i = 0; i < SLOTS; i++) {
    struct weft__proccall c;
    pid_t pid;
    assert_int_equal(call(i, JOB_PID, "", 0, &c), 1);
    memcpy(&pid, weft__area_out(&crew.area, i), sizeof pid);
    assert_int_equal(pid, slots[i].pid);
  }
}

static void a_worker_starts_clean(void **state) {
  (void)state;
  struct weft__proccall c;
  struct probe p;
  give_birth(1);
  assert_int_equal(call(1, JOB_PROBE, "", 0, &c), 1);
  memcpy(&p, weft__area_out(&crew.area, 1), sizeof p);
  assert_int_equal(p.fds, 1); /* its channel */
  assert_int_equal(p.handlers, 0);
  assert_int_equal(p.blocked, 0);
  assert_int_equal(p.parent, zygote.pid);
  assert_int_equal(p.group, zygote.pid);
}

/* Every way to die: the slot learns of it, with its status, and the next process works. */
static void every_death_is_told(void **state) {
  (void)state;
  give_birth(0);
  give_birth(1);
  int fds_of_zygote = count_fds_of(zygote.pid);
  for (int d = 0; d < DEATHS; d++) {
    struct weft__proccall c;
    int r = call(0, JOB_DIE, &d, sizeof d, &c);
    uint32_t how = r == 0 ? weft__procslot_bury(&slots[0], &zygote, weft__procslot_block) : 0;
    if (r != 0 || (int)how != death_answer((enum death)d)) {
      CHECK_FAIL("%s: call %d, death %u", death_names[d], r, how);
    }
    CHECK(weft__procslot_begun(&slots[0], &crew.area));
    CHECK_INT(slots[0].channel, -1);
    CHECK_INT(count_children(zygote.pid), 1);
    if (d == DIE_LEAVING_A_CHILD) kill_and_await(atomic_load(&board->child));
    expect_echo(1);
    give_birth(0);
    expect_echo(0);
  }
  CHECK_INT(count_fds_of(zygote.pid), fds_of_zygote);
}

static void a_worker_that_dies_idle_had_not_begun(void **state) {
  (void)state;
  struct weft__proccall c;
  give_birth(0);
  expect_echo(0);
  kill_and_await(slots[0].pid);
  assert_int_equal(call(0, JOB_ECHO, "x", 1, &c), 0);
  assert_int_equal(weft__procslot_bury(&slots[0], &zygote, weft__procslot_block), SIGKILL);
  assert_false(weft__procslot_begun(&slots[0], &crew.area));
  give_birth(0);
  expect_echo(0);
}

/* The unread call makes the kernel report a reset ahead of the death. */
static void a_death_is_told_behind_a_call_that_nobody_read(void **state) {
  (void)state;
  struct weft__frame f = {.kind = WEFT__FRAME_CALL, .job = JOB_ECHO, .seq = ++slots[0].seq};
  give_birth(0);
  assert_int_equal(kill(slots[0].pid, SIGSTOP), 0);
  assert_int_equal(weft__frame_send(slots[0].channel, &f, -1, 0), 0);
  kill_and_await(slots[0].pid);
  assert_int_equal(weft__procslot_bury(&slots[0], &zygote, weft__procslot_block), SIGKILL);
  assert_false(weft__procslot_begun(&slots[0], &crew.area));
}

static void bury_kills_what_runs(void **state) {
  (void)state;
  give_birth(0);
  struct weft__frame f = {.kind = WEFT__FRAME_CALL, .job = JOB_WAIT, .seq = ++slots[0].seq};
  assert_int_equal(weft__frame_send(slots[0].channel, &f, -1, 0), 0);
  while (atomic_load(&board->running) == 0) sched_yield();
  int pidfd = watch_process(slots[0].pid);
  assert_int_equal(weft__procslot_bury(&slots[0], &zygote, weft__procslot_block), SIGKILL);
  await_end(pidfd);
  assert_true(weft__procslot_begun(&slots[0], &crew.area));
  assert_int_equal(count_children(zygote.pid), 0);
}

static int fail_to_wait(int fd, int events, uint64_t deadline) {
  (void)fd, (void)events, (void)deadline;
  return WEFT_ENOMEM;
}

static void bury_finishes_although_the_wait_fails(void **state) {
  (void)state;
  struct weft__proccall c = {.job = JOB_WAIT};
  give_birth(0);
  assert_int_equal(weft__procslot_call(&slots[0], &c, fail_to_wait), WEFT_ENOMEM);
  assert_int_equal(weft__procslot_bury(&slots[0], &zygote, fail_to_wait), SIGKILL);
  assert_int_equal(count_children(zygote.pid), 0);
}

static int wait_and_kill_zygote(int fd, int events, uint64_t deadline) {
  assert_int_equal(kill(zygote.pid, SIGKILL), 0);
  return weft__procslot_block(fd, events, deadline);
}

static void a_request_to_kill_that_the_zygote_never_read_is_made_good(void **state) {
  (void)state;
  give_birth(0);
  int pidfd = watch_process(slots[0].pid);
  assert_int_equal(kill(zygote.pid, SIGSTOP), 0);
  assert_int_equal(weft__procslot_bury(&slots[0], &zygote, wait_and_kill_zygote), SIGKILL);
  await_end(pidfd);
}

static void a_birth_that_cannot_be_waited_for_leaves_no_process(void **state) {
  (void)state;
  assert_int_equal(kill(zygote.pid, SIGSTOP), 0); /* so that there is something to wait for */
  assert_int_equal(weft__procslot_request(&slots[0], &zygote), 0);
  assert_int_equal(weft__procslot_birth(&slots[0], fail_to_wait), WEFT_ENOMEM);
  assert_int_equal(slots[0].channel, -1);
  assert_int_equal(kill(zygote.pid, SIGCONT), 0);
  give_birth(0); /* the same slot: the zygote takes the first one away */
  assert_int_equal(count_children(zygote.pid), 1);
  expect_echo(0);
}

static void a_kill_for_a_dead_process_is_harmless(void **state) {
  (void)state;
  give_birth(0);
  kill_and_await(slots[0].pid);
  assert_int_equal(weft__zygote_kill(&zygote, 0), 0);
  assert_int_equal(weft__zygote_kill(&zygote, 2), 0);
  assert_int_equal(weft__procslot_bury(&slots[0], &zygote, weft__procslot_block), SIGKILL);
  give_birth(0);
  expect_echo(0);
}

static void a_worker_refuses_what_is_no_call(void **state) {
  (void)state;
  struct weft__frame bad[] = {
      {.kind = WEFT__FRAME_KILL},
      {.kind = WEFT__FRAME_CALL, .job = JOBS},
      {.kind = WEFT__FRAME_CALL, .in_len = crew.max_payload + 1},
      {.kind = WEFT__FRAME_CALL, .out_len = UINT64_MAX},
  };
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    int pidfd;
    give_birth(0);
    pidfd = watch_process(slots[0].pid);
    assert_int_equal(weft__frame_send(slots[0].channel, &bad[i], -1, 0), 0);
    await_end(pidfd);
    assert_int_equal(weft__procslot_bury(&slots[0], &zygote, weft__procslot_block),
                     256 + WEFT__EXIT_REQUEST);
  }
}

static void a_closed_channel_ends_an_idle_worker(void **state) {
  (void)state;
  give_birth(0);
  int pidfd = watch_process(slots[0].pid);
  weft__procslot_fini(&slots[0]);
  await_end(pidfd);
}

/* The zygote ends; its workers go on until their channels close. */
static void workers_outlive_the_zygote_but_no_new_one_is_made(void **state) {
  (void)state;
  int pidfds[2];
  give_birth(0);
  give_birth(1);
  for (unsigned i = 0; i < 2; i++) {
    pidfds[i] = watch_process(slots[i].pid);
    expect_echo(i); /* so it has let go of the zygote's descriptors, which it was born with */
  }
  kill_and_await(zygote.pid);
  expect_echo(0);
  assert_int_equal(weft__procslot_request(&slots[2], &zygote), WEFT_EPROC);
  assert_int_equal(slots[2].channel, -1);
  assert_int_equal(weft__procslot_bury(&slots[0], &zygote, weft__procslot_block), SIGKILL);
  await_end(pidfds[0]);
  expect_echo(1);
  weft__procslot_fini(&slots[1]);
  await_end(pidfds[1]);
}

static void a_running_orphan_is_killed(void **state) {
  (void)state;
  give_birth(0);
  struct weft__frame f = {.kind = WEFT__FRAME_CALL, .job = JOB_WAIT, .seq = ++slots[0].seq};
  assert_int_equal(weft__frame_send(slots[0].channel, &f, -1, 0), 0);
  while (atomic_load(&board->running) == 0) sched_yield();
  kill_and_await(zygote.pid);
  int pidfd = watch_process(slots[0].pid);
  assert_int_equal(weft__procslot_bury(&slots[0], &zygote, weft__procslot_block), SIGKILL);
  await_end(pidfd);
}

static void a_request_under_way_when_the_zygote_dies_fails(void **state) {
  (void)state;
  assert_int_equal(kill(zygote.pid, SIGSTOP), 0);
  assert_int_equal(weft__procslot_request(&slots[0], &zygote), 0);
  kill_and_await(zygote.pid);
  assert_int_equal(weft__procslot_birth(&slots[0], weft__procslot_block), WEFT_EPROC);
  assert_int_equal(slots[0].channel, -1);
}

static void a_stopped_zygote_is_stopped_for_good(void **state) {
  (void)state;
  give_birth(0);
  assert_int_equal(kill(zygote.pid, SIGSTOP), 0);
  /* The teardown must not hang. */
}

static void stop_kills_running_jobs(void **state) {
  (void)state;
  give_birth(0);
  struct weft__frame f = {.kind = WEFT__FRAME_CALL, .job = JOB_WAIT, .seq = ++slots[0].seq};
  assert_int_equal(weft__frame_send(slots[0].channel, &f, -1, 0), 0);
  while (atomic_load(&board->running) == 0) sched_yield();
  /* The teardown ends it, and counts. */
}

static void the_zygote_ends_when_it_is_told_nonsense(void **state) {
  (void)state;
  give_birth(0);
  int worker = watch_process(slots[0].pid);
  int pidfd = watch_process(zygote.pid);
  struct weft__frame f = {.kind = WEFT__FRAME_SPAWN, .slot = SLOTS};
  assert_int_equal(weft__frame_send(zygote.control, &f, -1, 0), 0);
  await_end(pidfd);
  await_end(worker);
}

/* Every process that cannot be made is an error of one request, and the next one works. */
static void failing_system_calls_are_passed_on(void **state) {
  (void)state;
  static const struct {
    enum weft__sys_call call;
    int error;
    int want;
  } faults[] = {
      {WEFT__SYS_socketpair, WEFT_EMFILE, WEFT_EMFILE},
      {WEFT__SYS_fcntl, WEFT_ENOMEM, WEFT_ENOMEM},
      {WEFT__SYS_sendmsg, WEFT_EAGAIN, WEFT_EAGAIN},
      {WEFT__SYS_sendmsg, WEFT_ENOBUFS, WEFT_ENOBUFS},
      {WEFT__SYS_sendmsg, WEFT_EPIPE, WEFT_EPROC},
  };
  for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    int before = count_fds();
    weft__sys_fail(faults[i].call, 1, faults[i].error, false);
    CHECK_INT(weft__procslot_request(&slots[0], &zygote), faults[i].want);
    weft__sys_clear();
    CHECK_INT(slots[0].channel, -1);
    CHECK_INT(count_fds(), before);
  }
  give_birth(0);
  expect_echo(0);
}

static const struct {
  enum weft__sys_call call;
  int error;
} start_faults[] = {{WEFT__SYS_socketpair, WEFT_EMFILE}, {WEFT__SYS_fork, WEFT_EAGAIN}};

static void a_zygote_that_cannot_start_leaves_nothing(void **state) {
  (void)state;
  for (unsigned i = 0; i < sizeof start_faults / sizeof start_faults[0]; i++) {
    struct weft__zygote z = {.pid = -7};
    int before = count_fds();
    weft__sys_fail(start_faults[i].call, 1, start_faults[i].error, false);
    CHECK_INT(weft__zygote_start(&z, &crew), start_faults[i].error);
    weft__sys_clear();
    CHECK_INT(z.pid, -7);
    CHECK_INT(count_fds(), before);
  }
}

/* As libuv does: in a child of fork it closes the descriptors that it knows by number and opens
 * others. In a worker these numbers must not be anything of the pool's. */
static int library_fds[8];
static bool library_loaded;

static void library_after_fork(void) {
  for (int i = 0; library_loaded && i < 8; i++) {
    close(library_fds[i]);
    library_fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
}

static void a_library_that_reopens_its_descriptors_at_fork_does_no_harm(void **state) {
  struct weft__proccall c;
  struct probe p;
  stop(state);
  for (int i = 0; i < 8; i++) library_fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  library_loaded = true;
  assert_int_equal(pthread_atfork(NULL, NULL, library_after_fork), 0);
  assert_int_equal(start(state), 0);
  for (unsigned i = 0; i < SLOTS; i++) give_birth(i);
  for (unsigned i = 0; i < SLOTS; i++) expect_echo(i);
  assert_int_equal(count_children(zygote.pid), SLOTS);
  /* What it opened for the worker is left to it. */
  assert_int_equal(call(0, JOB_PROBE, "", 0, &c), 1);
  memcpy(&p, weft__area_out(&crew.area, 0), sizeof p);
  assert_int_equal(p.fds, 1 + 8);
  library_loaded = false;
  for (int i = 0; i < 8; i++) close(library_fds[i]);
  fds_before -= 8;
}

/* A daemon may have closed them, and then the channels get their numbers. */
static int live_without_standard_descriptors(void *arg) {
  (void)arg;
  for (int fd = 0; fd < 3; fd++) close(fd);
  if (weft__zygote_start(&zygote, &crew) != 0) return 1;
  for (unsigned i = 0; i < SLOTS; i++) {
    if (weft__procslot_request(&slots[i], &zygote) != 0) return 2;
    if (weft__procslot_birth(&slots[i], weft__procslot_block) != 0) return 3;
    struct weft__proccall c;
    if (call(i, JOB_ECHO, "hello", 6, &c) != 1 || c.out_len != 6) return 4;
  }
  weft__zygote_stop(&zygote);
  return 0;
}

static void a_program_without_standard_descriptors_can_have_one(void **state) {
  (void)state;
  assert_int_equal(in_child(live_without_standard_descriptors, NULL), 256);
}

/* A process that holds a zygote with an idle and a busy worker, and is then killed. */
static _Noreturn void be_the_parent(int report) {
  struct weft__proccall c;
  weft__zygote_start(&zygote, &crew);
  for (unsigned i = 0; i < SLOTS; i++) {
    weft__procslot_init(&slots[i], i);
    weft__procslot_request(&slots[i], &zygote);
    weft__procslot_birth(&slots[i], weft__procslot_block);
  }
  pid_t pids[SLOTS + 1] = {zygote.pid, slots[0].pid, slots[1].pid, slots[2].pid};
  if (write(report, pids, sizeof pids) != sizeof pids) _exit(1);
  (void)call(0, JOB_WAIT, "", 0, &c); /* never ends */
  _exit(2);
}

static void the_death_of_the_parent_ends_all(void **state) {
  (void)state;
  int ends[2];
  int pidfds[SLOTS + 1];
  pid_t pids[SLOTS + 1];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t parent = fork();
  if (parent == 0) be_the_parent(ends[1]);
  close(ends[1]);
  assert_int_equal(read(ends[0], pids, sizeof pids), sizeof pids);
  close(ends[0]);
  for (int i = 0; i <= SLOTS; i++) pidfds[i] = watch_process(pids[i]);
  while (atomic_load(&board->running) == 0) sched_yield();
  assert_int_equal(kill(parent, SIGKILL), 0);
  assert_int_equal(waitpid(parent, NULL, 0), parent);
  for (int i = 0; i <= SLOTS; i++) await_end(pidfds[i]);
}

#define WITH_ZYGOTE(test) cmocka_unit_test_setup_teardown(test, start, stop)

static const struct CMUnitTest tests[] = {
    WITH_ZYGOTE(a_worker_is_born_and_answers),
    WITH_ZYGOTE(workers_of_all_slots_are_separate_processes),
    WITH_ZYGOTE(a_worker_starts_clean),
    WITH_ZYGOTE(every_death_is_told),
    WITH_ZYGOTE(a_worker_that_dies_idle_had_not_begun),
    WITH_ZYGOTE(a_death_is_told_behind_a_call_that_nobody_read),
    WITH_ZYGOTE(bury_kills_what_runs),
    WITH_ZYGOTE(bury_finishes_although_the_wait_fails),
    WITH_ZYGOTE(a_request_to_kill_that_the_zygote_never_read_is_made_good),
    WITH_ZYGOTE(a_birth_that_cannot_be_waited_for_leaves_no_process),
    WITH_ZYGOTE(a_kill_for_a_dead_process_is_harmless),
    WITH_ZYGOTE(a_worker_refuses_what_is_no_call),
    WITH_ZYGOTE(a_closed_channel_ends_an_idle_worker),
    WITH_ZYGOTE(workers_outlive_the_zygote_but_no_new_one_is_made),
    WITH_ZYGOTE(a_running_orphan_is_killed),
    WITH_ZYGOTE(a_request_under_way_when_the_zygote_dies_fails),
    WITH_ZYGOTE(a_stopped_zygote_is_stopped_for_good),
    WITH_ZYGOTE(stop_kills_running_jobs),
    WITH_ZYGOTE(the_zygote_ends_when_it_is_told_nonsense),
    WITH_ZYGOTE(failing_system_calls_are_passed_on),
    WITH_ZYGOTE(a_zygote_that_cannot_start_leaves_nothing),
    WITH_ZYGOTE(a_program_without_standard_descriptors_can_have_one),
    WITH_ZYGOTE(a_library_that_reopens_its_descriptors_at_fork_does_no_harm),
    WITH_ZYGOTE(the_death_of_the_parent_ends_all),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
