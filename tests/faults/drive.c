/* The harness's process has one thread and never runs weft itself, so that each child begins as a
 * program does. */
#include "drive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_KEPT = 6000 };

struct slot {
  pid_t pid; /* 0: free */
  const struct scenario *scenario;
  struct point point;
  double deadline;
  bool overdue;
  int output;            /* a file without a name */
  struct report *report; /* shared with the child, as faults */
  void *faults;
};

struct drive {
  unsigned jobs, limit_s;
  void (*done)(const struct outcome *o, void *arg);
  void *arg;
  sigset_t before;
  struct slot slots[];
};

const char *verdict_name(enum verdict v) {
  static const char *const names[VERDICTS] = {"not reached", "held", "crash",       "leak",
                                              "hang",        "lost", "wrong result"};
  return names[v];
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *shared(size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) abort();
  return p;
}

struct drive *drive_new(unsigned jobs, unsigned limit_s,
                        void (*done)(const struct outcome *o, void *arg), void *arg) {
  struct drive *d = calloc(1, sizeof *d + jobs * sizeof d->slots[0]);
  if (!d) abort();
  *d = (struct drive){.jobs = jobs, .limit_s = limit_s, .done = done, .arg = arg};
  for (unsigned i = 0; i < jobs; i++) {
    d->slots[i].report = shared(sizeof *d->slots[i].report);
    d->slots[i].faults = shared(weft__sys_share_size());
    d->slots[i].output = memfd_create("output", MFD_CLOEXEC);
    if (d->slots[i].output < 0) abort();
  }
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, &d->before);
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* what a killed child leaves behind comes here */
  return d;
}

/* Ends what a child that was killed had made. */
static void kill_strays(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  while (waitpid(-1, NULL, WNOHANG) >= 0) {
    FILE *f = fopen(path, "re");
    if (!f) return;
    for (int pid; fscanf(f, "%d", &pid) == 1;) kill(pid, SIGKILL);
    fclose(f);
    (void)waitpid(-1, NULL, 0);
  }
}

void drive_free(struct drive *d) {
  kill_strays();
  for (unsigned i = 0; i < d->jobs; i++) {
    munmap(d->slots[i].report, sizeof *d->slots[i].report);
    munmap(d->slots[i].faults, weft__sys_share_size());
    close(d->slots[i].output);
  }
  sigprocmask(SIG_SETMASK, &d->before, NULL);
  free(d);
}

/* ---- the end of a child ---- */

/* The end of what it printed, where a crash says why. */
static void read_output(const struct slot *s, char *buf, size_t size) {
  off_t end = lseek(s->output, 0, SEEK_END);
  off_t from = end > (off_t)(size - 1) ? end - (off_t)(size - 1) : 0;
  ssize_t n = pread(s->output, buf, size - 1, from);
  buf[n > 0 ? n : 0] = '\0';
}

static enum verdict judge(const struct slot *s, int status, const char *output) {
  const struct report *r = s->report;
  if (s->overdue) return VERDICT_HANG;
  if (strstr(output, "LeakSanitizer: detected memory leaks")) return VERDICT_LEAK;
  if (status != 0 || !r->finished) return VERDICT_CRASH;
  if (r->lost) return VERDICT_LOST;
  if (r->leak) return VERDICT_LEAK;
  if (r->text[0] != '\0') return VERDICT_WRONG;
  return r->reached || s->point.kind == POINT_NONE ? VERDICT_HELD : VERDICT_NOT_REACHED;
}

static void end(struct drive *d, struct slot *s, int status) {
  char output[OUTPUT_KEPT];
  read_output(s, output, sizeof output);
  struct outcome o = {.scenario = s->scenario,
                      .point = s->point,
                      .verdict = judge(s, status, output),
                      .report = s->report,
                      .output = output};
  s->pid = 0;
  d->done(&o, d->arg);
}

/* Reaps what has ended; true if a place became free. */
static bool reap(struct drive *d) {
  bool freed = false;
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    for (unsigned i = 0; i < d->jobs; i++) {
      if (d->slots[i].pid != pid) continue;
      end(d, &d->slots[i], status);
      freed = true;
    }
  return freed;
}

static void kill_overdue(struct drive *d, double now) {
  for (unsigned i = 0; i < d->jobs; i++) {
    struct slot *s = &d->slots[i];
    if (s->pid == 0 || s->overdue || now < s->deadline) continue;
    s->overdue = true;
    kill(s->pid, SIGKILL);
  }
}

/* Waits for the end of one child, or for a deadline. */
static void wait_a_while(struct drive *d) {
  sigset_t child;
  double next = now_s() + 1;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  for (unsigned i = 0; i < d->jobs; i++)
    if (d->slots[i].pid && !d->slots[i].overdue && d->slots[i].deadline < next)
      next = d->slots[i].deadline;
  double left = next - now_s();
  if (left < 0) left = 0;
  struct timespec t = {.tv_sec = (time_t)left,
                       .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
  (void)sigtimedwait(&child, NULL, &t);
  kill_overdue(d, now_s());
}

/* ---- the beginning ---- */

static struct slot *free_slot(struct drive *d) {
  for (unsigned i = 0; i < d->jobs; i++)
    if (d->slots[i].pid == 0) return &d->slots[i];
  return NULL;
}

/* Only 0, 1 and 2 are open in a child, so that a limit of descriptors means what it says. */
static void become_child(const struct drive *d, const struct slot *s) {
  int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, 0) < 0 || dup2(s->output, 1) < 0 || dup2(s->output, 2) < 0) abort();
  close_range(3, ~0U, 0);
  sigprocmask(SIG_SETMASK, &d->before, NULL);
}

void drive_start(struct drive *d, const struct scenario *scenario, const struct point *p,
                 const struct residue *expected) {
  struct slot *s;
  while (!reap(d) && !free_slot(d)) wait_a_while(d);
  s = free_slot(d);
  memset(s->report, 0, sizeof *s->report);
  memset(s->faults, 0, weft__sys_share_size());
  if (ftruncate(s->output, 0) != 0 || lseek(s->output, 0, SEEK_SET) != 0) abort();
  s->scenario = scenario;
  s->point = *p;
  s->overdue = false;
  s->deadline = now_s() + d->limit_s;
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) {
    perror("fork");
    abort();
  }
  if (pid == 0) {
    become_child(d, s);
    child_main(scenario, p, expected, s->report, s->faults);
  }
  s->pid = pid;
}

void drive_finish(struct drive *d) {
  for (;;) {
    bool busy = false;
    reap(d);
    for (unsigned i = 0; i < d->jobs; i++) busy |= d->slots[i].pid != 0;
    if (!busy) return;
    wait_a_while(d);
  }
}
