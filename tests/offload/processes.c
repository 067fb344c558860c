#include "processes.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft_test.h"

static int count_entries(const char *path) {
  int n = 0;
  DIR *dir = opendir(path);
  if (!CHECK(dir != NULL)) return -1;
  while (readdir(dir) != NULL) n++;
  closedir(dir);
  return n - 2; /* "." and ".." */
}

int count_fds(void) {
  return count_entries("/proc/self/fd") - 1; /* the directory itself */
}

int count_fds_of(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  return count_entries(path);
}

int count_mappings(void) {
  int n = 0;
  FILE *f = fopen("/proc/self/maps", "re");
  if (!CHECK(f != NULL)) return -1;
  for (int c; (c = getc(f)) != EOF;) n += c == '\n';
  fclose(f);
  return n;
}

static pid_t parent_of(const char *pid) {
  char path[64];
  char stat[512] = "";
  int parent = -1;
  snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
  FILE *f = fopen(path, "re");
  if (!f) return -1; /* it has just gone */
  size_t n = fread(stat, 1, sizeof stat - 1, f);
  fclose(f);
  stat[n] = '\0';
  const char *p = strrchr(stat, ')');
  if (p) (void)sscanf(p + 1, " %*c %d", &parent);
  return parent;
}

int count_children(pid_t pid) {
  int n = 0;
  DIR *dir = opendir("/proc");
  if (!CHECK(dir != NULL)) return -1;
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    if (e->d_name[0] >= '0' && e->d_name[0] <= '9') n += parent_of(e->d_name) == pid;
  }
  closedir(dir);
  return n;
}

int watch_process(pid_t pid) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
  CHECK(pidfd >= 0);
  return pidfd;
}

void await_end(int pidfd) {
  if (pidfd < 0) return; /* said by watch_process */
  struct pollfd p = {.fd = pidfd, .events = POLLIN};
  int r;
  do {
    r = poll(&p, 1, -1);
  } while (r < 0 && errno == EINTR);
  CHECK_INT(r, 1);
  close(pidfd);
}

void kill_and_await(pid_t pid) {
  if (!CHECK(pid > 1)) return; /* 0 and below mean whole groups */
  int pidfd = watch_process(pid);
  CHECK_INT(kill(pid, SIGKILL), 0);
  await_end(pidfd);
}

int in_child(int (*fn)(void *arg), void *arg) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) _exit(fn(arg));
  CHECK(pid > 0);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 256 + WEXITSTATUS(status);
}

void *share_memory(size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  return p;
}
