/* echo-load echo port=N key=value ...: the clients of the echo servers, the same for all of them. One
 * thread with one epoll set, so that it takes little of the CPUs that it shares with the server.
 *
 *   connections=32   each has one message under way: sends it, awaits all of it, sends the next
 *   size=64          bytes of a message
 *   warm_ms=100      exchanges before this time has passed are not counted
 *   run_ms=500       for so long they are
 *   pid=N            of the server: how much CPU time it has used meanwhile is told, too
 *
 * prints one line of JSON: how many exchanges were made in how many seconds, and how long each took.
 * Every byte is compared with what was sent. */
#include "program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
  int fd;
  size_t got;   /* bytes of the reply */
  int64_t sent; /* when the message was */
};

struct load {
  struct connection *connections;
  long count, open;
  size_t size;
  char *message, *reply;
  int epoll;
  int64_t from, until;         /* the exchanges that begin and end between these are counted */
  clockid_t server;            /* its CPU clock */
  bool clocked;                /* there is one */
  int64_t cpu_from, cpu_until; /* 0: not read yet */
  struct durations took;
};

static int fail(const char *what) {
  fprintf(stderr, "echo-load: %s: %s\n", what, errno ? strerror(errno) : "not what was sent");
  return -1;
}

static int send_message(struct load *l, struct connection *c) {
  c->got = 0;
  c->sent = clock_ns();
  /* One message is under way, so the socket's buffer has room for it. */
  if (send(c->fd, l->message, l->size, MSG_NOSIGNAL) != (ssize_t)l->size) return fail("send");
  return 0;
}

static int open_connection(struct load *l, struct connection *c, long port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  int yes = 1;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0) return fail("socket");
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) return fail("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0) return fail("epoll_ctl");
  l->open++;
  return 0;
}

static void close_connection(struct load *l, struct connection *c) {
  close(c->fd);
  l->open--;
}

static int64_t server_ns(const struct load *l) {
  struct timespec t = {0};
  clock_gettime(l->server, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* With the first exchange that ends in the counted time, and the first that ends after it. */
static void read_server(struct load *l, int64_t now) {
  if (now >= l->from && l->cpu_from == 0) l->cpu_from = server_ns(l);
  if (now >= l->until && l->cpu_until == 0) l->cpu_until = server_ns(l);
}

/* Takes what has come; with all of the reply there the next message goes out, or the connection
 * ends. */
static int on_readable(struct load *l, struct connection *c) {
  ssize_t n;
  int64_t now;
  errno = 0;
  n = recv(c->fd, l->reply, l->size - c->got, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n == 0) errno = ECONNRESET;
  if (n <= 0 || memcmp(l->reply, l->message + c->got, (size_t)n) != 0) return fail("recv");
  c->got += (size_t)n;
  if (c->got < l->size) return 0;
  now = clock_ns();
  if (l->clocked) read_server(l, now);
  if (c->sent >= l->from && now <= l->until) durations_add(&l->took, now - c->sent);
  if (now < l->until) return send_message(l, c);
  close_connection(l, c);
  return 0;
}

static int run(struct load *l) {
  struct epoll_event events[256];
  for (long i = 0; i < l->count; i++)
    if (send_message(l, &l->connections[i]) < 0) return -1;
  while (l->open > 0) {
    int n = epoll_wait(l->epoll, events, sizeof events / sizeof *events, 10000);
    if (n == 0) errno = ETIMEDOUT;
    if (n <= 0) return fail("epoll_wait");
    for (int i = 0; i < n; i++)
      if (on_readable(l, events[i].data.ptr) < 0) return -1;
  }
  return 0;
}

static int echo_load(struct program *p) {
  struct load l = {
      .count = program_number(p, "connections", 32),
      .size = (size_t)program_number(p, "size", 64),
      .epoll = epoll_create1(EPOLL_CLOEXEC),
  };
  int64_t warm = program_number(p, "warm_ms", 100) * 1000000;
  int64_t length = program_number(p, "run_ms", 500) * 1000000;
  long port = program_number(p, "port", 0);
  long pid = program_number(p, "pid", 0);
  l.clocked = pid > 0 && clock_getcpuclockid((pid_t)pid, &l.server) == 0;
  int r = 0;
  l.connections = need(calloc((size_t)l.count, sizeof *l.connections));
  l.message = need(malloc(l.size));
  l.reply = need(malloc(l.size));
  for (size_t i = 0; i < l.size; i++) l.message[i] = (char)('a' + i % 26);
  durations_init(&l.took, (size_t)(length / 1000)); /* nobody answers a million a second */
  for (long i = 0; i < l.count && r == 0; i++) r = open_connection(&l, &l.connections[i], port);
  l.from = clock_ns() + warm;
  l.until = l.from + length;
  if (r == 0) r = run(&l);
  p->wall_s = (double)length * 1e-9;
  program_say(p, "connections", "%ld", l.count);
  program_say(p, "size", "%zu", l.size);
  program_say(p, "requests", "%zu", l.took.count);
  program_say(p, "requests_per_s", "%.1f", (double)l.took.count / p->wall_s);
  if (l.clocked) program_say(p, "server_cpu_s", "%.6f", (double)(l.cpu_until - l.cpu_from) * 1e-9);
  durations_report(&l.took, p, "latency");
  close(l.epoll);
  free(l.connections);
  free(l.message);
  free(l.reply);
  return r;
}

static const char *explain(int code) {
  (void)code; /* fail() has said more */
  return "the exchange failed";
}

int main(int argc, char **argv) {
  static struct program p;
  if (!program_begin(&p, argc, argv)) return 2;
  return program_end(&p, echo_load(&p), explain);
}
