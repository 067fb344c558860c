/* From the options of a spawn to posix_spawn, which takes no copy of this process and knows what
 * exec in the child failed with. It is called on a thread of the blocking pool: the thread that
 * calls it waits until the program was loaded.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft/offload.h>

#include "base/sys.h"
#include "core/room.h"
#include "core/worker.h"
#include "io/process.h"
#include "io/stream.h"

extern char **environ;

/* On the stack of the spawning task, which waits for the job. */
struct start {
  struct weft_process *p;
  const char *const *argv;
  const weft_process_opts *opts;
  int source[WEFT__STDIO]; /* what the child gets there, or -1 */
  int own[WEFT__STDIO];    /* a descriptor that only the child is to have, or -1 */
};

/* ---- what the child is given ---- */

static weft_stdio stdio_of(const weft_process_opts *opts, int i) {
  return i == WEFT__STDIN ? opts->in : i == WEFT__STDOUT ? opts->out : opts->err;
}

static int fd_of(const weft_process_opts *opts, int i) {
  return i == WEFT__STDIN ? opts->in_fd : i == WEFT__STDOUT ? opts->out_fd : opts->err_fd;
}

/* Away from the standard streams' places, where another one of the child's would overwrite it: a program
 * may have closed its own. */
static int lift(int *fd) {
  if (*fd >= WEFT__STDIO) return 0;
  int r = weft__sys_fcntl(*fd, F_DUPFD_CLOEXEC, WEFT__STDIO);
  if (r < 0) return r;
  weft__close(*fd);
  *fd = r;
  return 0;
}

/* A pipe of which the child gets one end and p the other. */
static int open_pipe(struct start *s, int i, const void *site) {
  int fds[2];
  int r = weft__sys_child_pipe(fds, O_CLOEXEC);
  if (r < 0) return r;
  r = lift(&fds[0]);
  if (r == 0) r = lift(&fds[1]);
  bool in = i == WEFT__STDIN;
  int ours = fds[in];
  s->own[i] = s->source[i] = fds[!in];
  if (r == 0) r = weft__sys_fcntl(ours, F_SETFL, O_NONBLOCK | (in ? O_WRONLY : O_RDONLY));
  if (r >= 0)
    r = weft__stream_open(&s->p->stream[i], ours, WEFT__STREAM_PIPE, in ? WEFT__CAN_WRITE : 0,
                          site);
  if (r < 0)
    weft__close(ours);
  else
    weft__stream_own(s->p->stream[i]);
  s->p->piped[i] = r >= 0;
  return r < 0 ? r : 0;
}

/* Programs do not expect a pipe that does not block, as all of weft's are: another opening of the same pipe
 * does. It, or WEFT_ENOTSUP when there is none to be had. */
static int reopen(int fd, int flags) {
  struct stat st;
  char path[32];
  if (flags & O_DIRECT || weft__sys_fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
    return WEFT_ENOTSUP;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  /* With O_NONBLOCK first: of one that has a name the other end may be missing. */
  int copy = weft__sys_open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC, 0);
  if (copy == WEFT_EMFILE || copy == WEFT_ENFILE || copy == WEFT_ENOMEM) return copy;
  if (copy < 0) return WEFT_ENOTSUP;
  int r = weft__sys_fcntl(copy, F_SETFL, flags & ~O_NONBLOCK);
  if (r >= 0) r = lift(&copy);
  if (r < 0) weft__close(copy);
  return r < 0 ? r : copy;
}

/* A given descriptor below 3 may be another one's place: a copy elsewhere is not overwritten. */
static int give(struct start *s, int i, int fd) {
  int flags = weft__sys_fcntl(fd, F_GETFL, 0);
  if (flags < 0) return flags;
  int r = flags & O_NONBLOCK ? reopen(fd, flags) : WEFT_ENOTSUP;
  if (r >= 0) s->own[i] = s->source[i] = r;
  if (r != WEFT_ENOTSUP) return r < 0 ? r : 0;
  s->source[i] = fd;
  if (fd >= WEFT__STDIO || fd == i) return 0;
  int copy = weft__sys_fcntl(fd, F_DUPFD_CLOEXEC, WEFT__STDIO);
  if (copy < 0) return copy;
  s->own[i] = s->source[i] = copy;
  return 0;
}

/* Before it counts up to the last one. */
static int look_at_passed(const weft_process_opts *opts) {
  int r = 0;
  for (size_t i = 0; r >= 0 && i < opts->nfds; i++) r = weft__sys_fcntl(opts->fds[i], F_GETFD, 0);
  return r < 0 ? r : 0;
}

static int prepare(struct start *s, const void *site) {
  for (int i = 0; i < WEFT__STDIO; i++) s->source[i] = s->own[i] = -1;
  int passed = look_at_passed(s->opts);
  if (passed < 0) return passed;
  for (int i = 0; i < WEFT__STDIO; i++) {
    weft_stdio how = stdio_of(s->opts, i);
    int r = how == WEFT_STDIO_PIPE ? open_pipe(s, i, site)
            : how == WEFT_STDIO_FD ? give(s, i, fd_of(s->opts, i))
                                   : 0;
    if (r < 0) return r;
  }
  return 0;
}

static void close_own(struct start *s) {
  for (int i = 0; i < WEFT__STDIO; i++)
    if (s->own[i] >= 0) weft__close(s->own[i]);
}

/* ---- the actions of the child ---- */

static int add_stdio(const struct start *s, posix_spawn_file_actions_t *actions) {
  for (int i = 0; i < WEFT__STDIO; i++) {
    int r = 0;
    weft_stdio kind = stdio_of(s->opts, i);
    if (s->source[i] >= 0)
      r = posix_spawn_file_actions_adddup2(actions, s->source[i], i);
    else if (kind == WEFT_STDIO_NULL)
      r = posix_spawn_file_actions_addopen(actions, i, "/dev/null",
                                           i == WEFT__STDIN ? O_RDONLY : O_WRONLY, 0);
    else if (kind == WEFT_STDIO_STDOUT)
      r = posix_spawn_file_actions_adddup2(actions, WEFT__STDOUT, i);
    if (r != 0) return -r;
  }
  return 0;
}

static bool is_passed(const weft_process_opts *opts, int fd) {
  for (size_t i = 0; i < opts->nfds; i++)
    if (opts->fds[i] == fd) return true;
  return false;
}

/* All that is not passed is closed: others may have opened it without close-on-exec. A descriptor
 * that is copied to itself loses close-on-exec. */
static int add_descriptors(const weft_process_opts *opts, posix_spawn_file_actions_t *actions) {
  int next = WEFT__STDIO;
  for (size_t i = 0; i < opts->nfds; i++)
    if (opts->fds[i] >= next) next = opts->fds[i] + 1;
  for (int fd = WEFT__STDIO; fd < next; fd++) {
    int r = is_passed(opts, fd) ? posix_spawn_file_actions_adddup2(actions, fd, fd)
                                : posix_spawn_file_actions_addclose(actions, fd);
    if (r != 0) return -r;
  }
  return -posix_spawn_file_actions_addclosefrom_np(actions, next);
}

static int add_actions(const struct start *s, posix_spawn_file_actions_t *actions) {
  int r = add_stdio(s, actions);
  if (r == 0) r = add_descriptors(s->opts, actions);
  if (r == 0 && s->opts->cwd) r = -posix_spawn_file_actions_addchdir_np(actions, s->opts->cwd);
  return r;
}

/* Handlers are gone after an exec anyway; this is about signals that are ignored. */
static void default_signals(sigset_t *ret) {
  static const int kept[] = {SIGHUP, SIGINT, SIGQUIT};
  memset(ret, 0xff, sizeof *ret); /* sigfillset leaves two out, which the child then ignores */
  for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
    struct sigaction now;
    if (sigaction(kept[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN) sigdelset(ret, kept[i]);
  }
}

static int set_attributes(const weft_process_opts *opts, posix_spawnattr_t *attr) {
  sigset_t signals;
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  default_signals(&signals);
  int r = posix_spawnattr_setsigdefault(attr, &signals);
  sigemptyset(&signals);
  if (r == 0) r = posix_spawnattr_setsigmask(attr, &signals);
  if (opts->new_session) flags |= POSIX_SPAWN_SETSID;
  if (opts->new_group || opts->group) {
    flags |= POSIX_SPAWN_SETPGROUP;
    if (r == 0) r = posix_spawnattr_setpgroup(attr, opts->group);
  }
  if (r == 0) r = posix_spawnattr_setflags(attr, flags);
  return -r;
}

/* ---- on the pool's thread ---- */

static int spawn_with(struct start *s, posix_spawn_file_actions_t *actions,
                      posix_spawnattr_t *attr) {
  const char *file = s->opts->program ? s->opts->program : s->argv[0];
  char *const *env = s->opts->env ? (char *const *)(uintptr_t)s->opts->env : environ;
  int r = add_actions(s, actions);
  if (r == 0) r = set_attributes(s->opts, attr);
  if (r == 0)
    r = weft__sys_posix_spawnp(&s->p->pid, file, actions, attr, (char *const *)(uintptr_t)s->argv,
                               env);
  return r;
}

static int start_job(void *arg) {
  struct start *s = arg;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  int r = -posix_spawn_file_actions_init(&actions);
  if (r < 0) return r;
  r = -posix_spawnattr_init(&attr);
  if (r == 0) {
    r = spawn_with(s, &actions, &attr);
    posix_spawnattr_destroy(&attr);
  }
  posix_spawn_file_actions_destroy(&actions);
  /* Refused: the job that waits does without. It is not reaped yet, so the number is its own,
   * unless the program takes the status of all children away. */
  if (r == 0) s->p->pidfd = weft__sys_pidfd_open(s->p->pid, 0);
  return r;
}

int weft__process_start(struct weft_process *p, const char *const *argv,
                        const weft_process_opts *opts, const void *site) {
  struct start s = {.p = p, .argv = argv, .opts = opts};
  int r = prepare(&s, site);
  if (r == 0) r = weft_to_thread(start_job, &s);
  close_own(&s);
  return r;
}
