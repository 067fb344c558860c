/* Starting child processes: what they are, where they run, what they are given, what is told when
 * they cannot be started. */
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "counts.h"
#include "process_test.h"

/* ---- programs ---- */

TASK_TEST(a_process_runs_and_tells_how_it_ended) {
  static const int codes[] = {0, 1, 7, 255};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    char script[32];
    weft_process_status st;
    snprintf(script, sizeof script, "exit %d", codes[i]);
    weft_process *p = start_script(script, NULL);
    if (!p) return;
    CHECK(weft_process_pid(p) > 0);
    memset(&st, 0xff, sizeof st);
    CHECK_INT(weft_process_wait(p, &st), 0);
    CHECK_INT(st.code, codes[i]);
    CHECK_INT(st.signal, 0);
    CHECK(!st.dumped && st.max_rss > 0 && st.user_time >= 0 && st.system_time >= 0);
    CHECK_INT(weft_process_close(p), 0);
  }
}

TASK_TEST(a_signal_that_ended_it_is_told) {
  static const int signals[] = {SIGKILL, SIGTERM, SIGHUP};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    char script[32];
    weft_process_status st = {0};
    snprintf(script, sizeof script, "kill -%d $$", signals[i]);
    weft_process *p = start_script(script, NULL);
    if (!p) return;
    CHECK_INT(weft_process_wait(p, &st), 0);
    CHECK_INT(st.code, -1);
    CHECK_INT(st.signal, signals[i]);
    CHECK_INT(weft_process_close(p), 0);
  }
}

TASK_TEST(its_time_is_told) {
  weft_process_status st = {0};
  weft_process *p = start_script("i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done", NULL);
  if (!p) return;
  CHECK_INT(weft_process_wait(p, &st), 0);
  CHECK(st.user_time + st.system_time > 0);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(arguments_arrive_as_they_are) {
  weft_process_output out = {0};
  weft_process *p = NULL;
  const char *const argv[] = {"printf", "%s|", "one two", "", "'$HOME'", "*", NULL};
  CHECK_INT(weft_process_spawn(&p, argv, &with_output), 0);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &out, NULL), 0);
  CHECK_STR(out.out, "one two||'$HOME'|*|");
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(the_program_may_be_another_than_the_first_argument) {
  weft_process_output out = {0};
  weft_process *p = NULL;
  weft_process_opts opts = with_output;
  opts.program = "/bin/sh";
  const char *const argv[] = {"another", "-c", "echo $0", NULL};
  CHECK_INT(weft_process_spawn(&p, argv, &opts), 0);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &out, NULL), 0);
  CHECK_STR(out.out, "another\n");
  CHECK_INT(weft_process_close(p), 0);
}

/* ---- what cannot be started ---- */

static int try_to_start(const char *program, const char *cwd) {
  weft_process *p = (weft_process *)(void *)&p, *before = p;
  int r = weft_process_spawn(&p, (const char *const[]){program, NULL},
                             &(weft_process_opts){.cwd = cwd, .out = WEFT_STDIO_PIPE});
  CHECK(r < 0 && p == before);
  return r;
}

/* A file with these bytes, which may be executed. */
static void make_file(char *path, const char *bytes, mode_t mode) {
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  CHECK(write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
  CHECK_INT(fchmod(fd, mode), 0);
  CHECK_INT(close(fd), 0);
}

TASK_TEST(what_keeps_a_program_from_running_is_told_by_the_spawn) {
#if !WEFT_TEST_EMULATED /* which forgets what exec said */
  char text[] = "/tmp/weft-text-XXXXXX", garbage[] = "/tmp/weft-garbage-XXXXXX";
  make_file(text, "no program", 0644);
  make_file(garbage, "\x01\x02\x03\x04", 0755);
  int open_before = count_open();
  CHECK_INT(try_to_start("/nowhere/at-all", NULL), WEFT_ENOENT);
  CHECK_INT(try_to_start("weft-no-such-program", NULL), WEFT_ENOENT);
  CHECK_INT(try_to_start(text, NULL), WEFT_EACCES);
  CHECK_INT(try_to_start("/", NULL), WEFT_EACCES);
  CHECK_INT(try_to_start(garbage, NULL), WEFT_ENOEXEC);
  CHECK_INT(try_to_start("true", "/nowhere/at-all"), WEFT_ENOENT);
  CHECK_INT(try_to_start("true", text), WEFT_ENOTDIR);
  CHECK_INT(count_open(), open_before);
  unlink(text);
  unlink(garbage);
#endif
}

TASK_TEST(an_argument_that_is_too_long_is_e2big) {
#if !WEFT_TEST_EMULATED
  weft_process *p = NULL;
  char *huge = malloc(4 << 20);
  memset(huge, 'x', 4 << 20);
  huge[(4 << 20) - 1] = 0;
  CHECK_INT(weft_process_spawn(&p, (const char *const[]){"true", huge, NULL}, NULL), WEFT_E2BIG);
  CHECK_PTR(p, NULL);
  free(huge);
#endif
}

/* ---- where it runs ---- */

TASK_TEST(it_starts_in_the_given_directory) {
  char got[256];
  weft_process_opts opts = with_output;
  opts.cwd = "/usr";
  run_script("pwd", &opts, got, sizeof got);
  CHECK_STR(got, "/usr\n");
}

TASK_TEST(it_has_the_given_environment_or_the_own_one) {
  char got[256];
  weft_process_opts opts = with_output;
  CHECK_INT(setenv("WEFT_TEST_VALUE", "inherited", 1), 0);
  run_script("echo $WEFT_TEST_VALUE", &opts, got, sizeof got);
  CHECK_STR(got, "inherited\n");
  opts.env = (const char *const[]){"OTHER=given", NULL};
  run_script("echo $WEFT_TEST_VALUE$OTHER", &opts, got, sizeof got);
  CHECK_STR(got, "given\n");
}

/* "GROUP SESSION" of the shell. */
#define GROUP_AND_SESSION "set -- $(cat /proc/$$/stat); echo $5 $6"

TASK_TEST(it_may_have_a_session_or_a_group_of_its_own) {
  weft_process_output out;
  for (int kind = 0; kind < 3; kind++) {
    char want[64];
    weft_process_opts opts = with_output;
    opts.new_session = kind == 1;
    opts.new_group = kind == 2;
    weft_process *p = start_script(GROUP_AND_SESSION, &opts);
    if (!p) return;
    CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &out, NULL), 0);
    pid_t pid = weft_process_pid(p);
    snprintf(want, sizeof want, "%d %d\n", kind > 0 ? pid : getpgrp(), kind == 1 ? pid : getsid(0));
    CHECK_STR(out.out, want);
    CHECK_INT(weft_process_close(p), 0);
  }
}

TASK_TEST(it_may_join_the_group_of_another) {
  char got[64], want[64];
  weft_process_opts opts = with_output;
  opts.new_group = true;
  weft_process *leader = start_endless("", &opts);
  if (!leader) return;
  opts = with_output;
  opts.group = weft_process_pid(leader);
  run_script(GROUP_AND_SESSION, &opts, got, sizeof got);
  snprintf(want, sizeof want, "%d %d\n", opts.group, getsid(0));
  CHECK_STR(got, want);
  CHECK_INT(weft_process_close(leader), 0);
}

/* ---- signals ---- */

TASK_TEST(its_signals_are_at_their_default_and_none_is_blocked) {
  char got[256];
  sigset_t some, before;
  struct sigaction hup, usr1, ignore = {.sa_handler = SIG_IGN};
  sigemptyset(&some);
  sigaddset(&some, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &some, &before);
  sigaction(SIGUSR1, &ignore, &usr1);
  run_script("grep -E 'SigBlk|SigIgn' /proc/self/status", &with_output, got, sizeof got);
  CHECK_STR(got, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  sigaction(SIGHUP, &ignore, &hup); /* as nohup does */
  run_script("grep SigIgn /proc/self/status", &with_output, got, sizeof got);
  CHECK_STR(got, "SigIgn:\t0000000000000001\n");
  sigaction(SIGHUP, &hup, NULL);
  sigaction(SIGUSR1, &usr1, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- its standard streams ---- */

TASK_TEST(nothing_comes_from_null_and_what_goes_there_is_lost) {
  weft_process_output out = {0};
  weft_process_opts opts = {.in = WEFT_STDIO_NULL, .out = WEFT_STDIO_NULL, .err = WEFT_STDIO_PIPE};
  weft_process *p = start_script("cat; echo lost; echo kept >&2", &opts);
  if (!p) return;
  CHECK_PTR(weft_process_stdin(p), NULL);
  CHECK_PTR(weft_process_stdout(p), NULL);
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &out, NULL), 0);
  CHECK_PTR(out.out, NULL);
  CHECK_STR(out.err, "kept\n");
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(errors_may_go_where_the_output_goes) {
  char got[64];
  weft_process_opts opts = with_output;
  opts.err = WEFT_STDIO_STDOUT;
  run_script("echo one; echo two >&2; echo three", &opts, got, sizeof got);
  CHECK_STR(got, "one\ntwo\nthree\n");
}

TASK_TEST(it_may_read_and_write_given_descriptors) {
  char got[16] = "";
  int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
  CHECK_INT(write(in, "content", 7), 7);
  CHECK_INT(lseek(in, 0, SEEK_SET), 0);
  weft_process_opts opts = {.in = WEFT_STDIO_FD, .in_fd = in, .out = WEFT_STDIO_FD, .out_fd = out};
  weft_process *p = start_script("tr a-z A-Z", &opts);
  CHECK_INT(weft_process_wait(p, NULL), 0);
  CHECK_INT(weft_process_close(p), 0);
  CHECK_INT(pread(out, got, sizeof got, 0), 7);
  CHECK_STR(got, "CONTENT");
  CHECK_INT(close(in), 0); /* which has stayed open */
  CHECK_INT(close(out), 0);
}

/* A place that is filled first may be what another one asks for. */
TASK_TEST(the_own_standard_streams_may_change_places) {
  char got[512], want[512], name[3][128];
  for (int i = 0; i < 3; i++) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", i);
    ssize_t n = readlink(path, name[i], sizeof name[i] - 1);
    name[i][n < 0 ? 0 : n] = 0;
  }
  int fds[2];
  CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
  weft_process_opts opts = {.in = WEFT_STDIO_FD,
                            .in_fd = 1,
                            .out = WEFT_STDIO_FD,
                            .out_fd = 2,
                            .err = WEFT_STDIO_FD,
                            .err_fd = 0,
                            .fds = &fds[1],
                            .nfds = 1};
  char script[256];
  snprintf(script, sizeof script,
           "l() { readlink /proc/$$/fd/$1; }; x=$(l 0; l 1; l 2); echo \"$x\" >/dev/fd/%d", fds[1]);
  weft_process *p = start_script(script, &opts);
  CHECK_INT(weft_process_wait(p, NULL), 0);
  CHECK_INT(weft_process_close(p), 0);
  close(fds[1]);
  ssize_t n = read(fds[0], got, sizeof got - 1);
  got[n < 0 ? 0 : n] = 0;
  snprintf(want, sizeof want, "%s\n%s\n%s\n", name[1], name[2], name[0]);
  CHECK_STR(got, want);
  close(fds[0]);
}

/* ---- descriptors ---- */

/* The shell itself opens one to look: the first that is free, and a copy of 10 and above. */
#define DESCRIPTORS "ls /proc/self/fd | tr '\\n' ' '"

TASK_TEST(it_has_no_descriptor_but_those_it_is_given) {
  char got[256];
  int careless = open("/dev/null", O_RDONLY), careful = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int high = fcntl(careless, F_DUPFD, 100);
  run_script(DESCRIPTORS, &with_output, got, sizeof got);
  CHECK_STR(got, "0 1 2 3 ");
  int given = fcntl(careful, F_DUPFD_CLOEXEC, 200), kept = fcntl(careful, F_DUPFD, given + 1);
  int second = fcntl(careful, F_DUPFD, kept + 1);
  char want[64];
  weft_process_opts opts = with_output;
  opts.fds = (const int[]){second, given};
  opts.nfds = 2;
  run_script(DESCRIPTORS, &opts, got, sizeof got);
  snprintf(want, sizeof want, "0 1 2 %d %d 3 ", given, second);
  CHECK_STR(got, want);
  CHECK(fcntl(given, F_GETFD) & FD_CLOEXEC);
  int all[] = {careless, careful, high, given, kept, second};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) CHECK_INT(close(all[i]), 0);
}

static int list_descriptors(void *arg) {
  (void)arg;
  weft_process_output out = {0};
  weft_process *p = start_script(DESCRIPTORS, &with_pipes);
  if (!p) return 0;
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &out, NULL), 0);
  CHECK_STR(out.out, "0 1 2 3 ");
  return weft_process_close(p);
}

TASK_TEST(of_processes_that_start_at_once_none_gets_the_pipes_of_another) {
  weft_group g = WEFT_GROUP_INIT;
  int open_before = count_open();
  for (int i = 0; i < count(50); i++) weft_group_spawn(&g, list_descriptors, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(count_open(), open_before);
}

/* ---- wrong use ---- */

TASK_TEST(options_that_make_no_sense_are_einval) {
  weft_process *p = NULL;
  static const char *const argv[] = {"true", NULL}, *const none[] = {NULL};
  static const int standard[] = {2};
  const weft_process_opts bad[] = {
      {.in = WEFT_STDIO_STDOUT},
      {.out = WEFT_STDIO_STDOUT},
      {.out = WEFT_STDIO_FD, .out_fd = -1},
      {.err = (weft_stdio)77},
      {.new_session = true, .new_group = true},
      {.new_group = true, .group = 1},
      {.group = -1},
      {.grace = -1},
      {.fds = standard, .nfds = 1},
      {.nfds = 1},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK_INT(weft_process_spawn(&p, argv, &bad[i]), WEFT_EINVAL);
  CHECK_INT(weft_process_spawn(&p, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_spawn(&p, none, NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_shell(&p, NULL, NULL), WEFT_EINVAL);
  CHECK_PTR(p, NULL);
}

TASK_TEST(a_descriptor_that_is_not_open_is_ebadf) {
#if !WEFT_TEST_EMULATED
  weft_process *p = NULL;
  static const char *const argv[] = {"true", NULL};
  static const int closed[] = {777};
  CHECK_INT(weft_process_spawn(&p, argv, &(weft_process_opts){.out = WEFT_STDIO_FD, .out_fd = 777}),
            WEFT_EBADF);
  CHECK_INT(weft_process_spawn(&p, argv, &(weft_process_opts){.fds = closed, .nfds = 1}),
            WEFT_EBADF);
  CHECK_PTR(p, NULL);
#endif
}

TASK_TEST(a_descriptor_that_no_process_can_have_is_ebadf) {
  weft_process *p = NULL;
  static const char *const argv[] = {"true", NULL};
  static const int high[] = {INT_MAX, 1 << 30};
  for (size_t i = 0; i < 2; i++)
    CHECK_INT(weft_process_spawn(&p, argv, &(weft_process_opts){.fds = &high[i], .nfds = 1}),
              WEFT_EBADF);
  CHECK_PTR(p, NULL);
}

TASK_TEST(no_process_is_einval) {
  int before = count_open();
  weft_process_status st;
  CHECK_INT(weft_process_spawn(NULL, (const char *const[]){"true", NULL}, NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_shell(NULL, "true", NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_pid(NULL), WEFT_EINVAL);
  CHECK_PTR(weft_process_stdin(NULL), NULL);
  CHECK_PTR(weft_process_stdout(NULL), NULL);
  CHECK_PTR(weft_process_stderr(NULL), NULL);
  CHECK_INT(weft_process_close_stdin(NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_communicate(NULL, NULL, 0, 0, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_wait(NULL, &st), WEFT_EINVAL);
  CHECK_INT(weft_process_poll(NULL, &st), WEFT_EINVAL);
  CHECK_INT(weft_process_signal(NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_process_terminate(NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_kill(NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_signal_group(NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_process_stop(NULL, 0, &st), WEFT_EINVAL);
  CHECK_INT(weft_process_close(NULL), 0);
  CHECK_INT(count_open(), before);
}

/* As a daemon's are: pipes must not take their places, where the child's are put. */
TASK_TEST(the_own_standard_streams_may_be_closed) {
  int saved[2] = {fcntl(0, F_DUPFD_CLOEXEC, 100), fcntl(1, F_DUPFD_CLOEXEC, 100)};
  weft_process_opts opts = {.in = WEFT_STDIO_NULL, .out = WEFT_STDIO_NULL, .err = WEFT_STDIO_PIPE};
  weft_process_output output = {0};
  weft_process *p = NULL;
  close(0);
  close(1);
  int r = weft_process_shell(&p, "echo said >&2", &opts);
  if (r == 0) r = weft_process_communicate(p, NULL, 0, 0, &output, NULL);
  char said[16] = "";
  snprintf(said, sizeof said, "%s", output.err ? output.err : "");
  CHECK_INT(weft_process_close(p), 0);
  for (int i = 0; i < 2; i++) {
    dup2(saved[i], i);
    close(saved[i]);
  }
  CHECK_INT(r, 0);
  CHECK_STR(said, "said\n");
}

static void outside_a_task_no_process_is_started(void **state) {
  (void)state;
  weft_process *p = NULL;
  CHECK_INT(weft_process_spawn(&p, (const char *const[]){"true", NULL}, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_process_shell(&p, "true", NULL), WEFT_ENOTASK);
  CHECK_INT(weft_process_close(NULL), 0);
  CHECK_PTR(p, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_process_runs_and_tells_how_it_ended),
    cmocka_unit_test(a_signal_that_ended_it_is_told),
    cmocka_unit_test(its_time_is_told),
    cmocka_unit_test(arguments_arrive_as_they_are),
    cmocka_unit_test(the_program_may_be_another_than_the_first_argument),
    cmocka_unit_test(what_keeps_a_program_from_running_is_told_by_the_spawn),
    cmocka_unit_test(an_argument_that_is_too_long_is_e2big),
    cmocka_unit_test(it_starts_in_the_given_directory),
    cmocka_unit_test(it_has_the_given_environment_or_the_own_one),
    cmocka_unit_test(it_may_have_a_session_or_a_group_of_its_own),
    cmocka_unit_test(it_may_join_the_group_of_another),
    cmocka_unit_test(its_signals_are_at_their_default_and_none_is_blocked),
    cmocka_unit_test(nothing_comes_from_null_and_what_goes_there_is_lost),
    cmocka_unit_test(errors_may_go_where_the_output_goes),
    cmocka_unit_test(it_may_read_and_write_given_descriptors),
    cmocka_unit_test(the_own_standard_streams_may_change_places),
    cmocka_unit_test(it_has_no_descriptor_but_those_it_is_given),
    cmocka_unit_test(of_processes_that_start_at_once_none_gets_the_pipes_of_another),
    cmocka_unit_test(options_that_make_no_sense_are_einval),
    cmocka_unit_test(a_descriptor_that_is_not_open_is_ebadf),
    cmocka_unit_test(a_descriptor_that_no_process_can_have_is_ebadf),
    cmocka_unit_test(no_process_is_einval),
    cmocka_unit_test(the_own_standard_streams_may_be_closed),
    cmocka_unit_test(outside_a_task_no_process_is_started),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
