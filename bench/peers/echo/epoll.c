/* echo-epoll port=N: an echo server on plain epoll, one thread: the floor that others are measured from. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, BACKLOG = 1024, READ = 4096 };

static int die(const char *what) {
  perror(what);
  return 1;
}

static int listen_at(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* also of those that it accepts */
  return bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, BACKLOG) < 0 ? -1 : fd;
}

static void accept_all(int set, int listener) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
  }
}

static void echo(int fd) {
  char buf[READ];
  ssize_t n = recv(fd, buf, sizeof buf, 0);
  if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n) close(fd);
}

int main(int argc, char **argv) {
  struct epoll_event events[EVENTS];
  int port = argc > 1 && !strncmp(argv[1], "port=", 5) ? atoi(argv[1] + 5) : 0;
  int set = epoll_create1(EPOLL_CLOEXEC), listener = listen_at(port);
  if (set < 0 || listener < 0) return die("echo-epoll");
  struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(set, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(set, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == listener)
        accept_all(set, listener);
      else
        echo(events[i].data.fd);
    }
  }
}
