/* The simulated descriptors: their numbers, what they stand for, and who waits for them. For the
 * files of the simulated network. */
#ifndef WEFT_BASE_SIM_FD_H
#define WEFT_BASE_SIM_FD_H

#include "base/sim_link.h"

enum {
  WEFT__SIM_FD_FIRST = 1 << 24, /* the kernel's are below fs.nr_open, 2^20 by default */
  WEFT__SIM_FDS = 1 << 14,      /* more are refused with WEFT_EMFILE */
};

/* Fields are the playing thread's. */
struct weft__sim_fd {
  struct weft__list all;       /* in the list of a simulation's */
  int fd;                      /* -1 once it is closed */
  int status;                  /* O_NONBLOCK and how it was opened: F_GETFL */
  bool cloexec;                /* F_GETFD */
  bool linger;                 /* a close resets */
  struct weft__sim_link *link; /* or NULL: a socket that is not connected */
  int who;                     /* which end of it is ours */
  int family;                  /* of a socket: AF_UNIX */
  struct weft__sim_name name;  /* what it is bound to */
  bool listens;
  unsigned backlog, npending; /* how many may wait to be accepted, and how many do */
  struct weft__list pending;
  const char *made; /* "socketpair": by which call, */
  uint64_t made_at; /* and when */
};

/* Gives f the lowest number that is free. */
int weft__sim_fd_open(struct weft__sim_fd **ret, const char *made, int status, bool cloexec);
/* f stands for that end of the stream. */
void weft__sim_fd_attach(struct weft__sim_fd *f, struct weft__sim_link *l, int who);
/* The number is free again; the memory lasts until the end of the simulation. */
void weft__sim_fd_close(struct weft__sim_fd *f);
/* NULL when it is not open. */
struct weft__sim_fd *weft__sim_fd_find(int fd);

/* What poll says at that time, if nobody does anything until then. */
int weft__sim_fd_state(const struct weft__sim_fd *f, uint64_t at);
/* When one of the events (or an error, or a hang-up) comes: now at the earliest. */
uint64_t weft__sim_fd_when(const struct weft__sim_fd *f, int events);

/* Something was done to the end or by it: wakes who waits for that. NULL is allowed. */
void weft__sim_fd_changed(struct weft__sim_fd *f);

/* The simulated thread sleeps until one of n watches is ready, or until the deadline. Of each, file
 * and events are set; ready is not called. */
void weft__sim_fds_wait(struct weft__sim_watch *w, size_t n, uint64_t deadline);

/* The open one after f (NULL: the first), or NULL. */
struct weft__sim_fd *weft__sim_fd_next(const struct weft__sim_fd *f);
/* One that somebody waits for, or NULL. */
struct weft__sim_fd *weft__sim_fd_watched(void);
/* Forgets all of a simulation. */
void weft__sim_fds_end(void);

#endif
