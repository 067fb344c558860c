/* Datagram sockets for tests: of the loopback interface, at a port that the system has chosen. */
#ifndef WEFT_TEST_DATAGRAM_TEST_H
#define WEFT_TEST_DATAGRAM_TEST_H

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "task_test.h"

static inline weft_datagram *open_with(weft_datagram_opts opts) {
  weft_datagram *d = NULL;
  CHECK_INT(weft_datagram_open(&d, &opts), 0);
  return d;
}

/* An address of this machine that is this process's alone, so that no datagram of a test beside it strays
 * in. */
static inline weft_addr own_address(void) {
  weft_addr here = {0};
  char text[32];
  unsigned pid = (unsigned)getpid();
  snprintf(text, sizeof text, "127.%u.%u.%u", 1 + (pid >> 14) % 254, 1 + (pid >> 7) % 128,
           1 + pid % 128);
  CHECK_INT(weft_addr_parse(&here, text, 0), 0);
  return here;
}

static inline weft_datagram *open_udp(void) {
  weft_addr here = own_address();
  return open_with((weft_datagram_opts){.local = &here});
}

static inline weft_addr address_of(weft_datagram *d) {
  weft_addr a = {0};
  CHECK_INT(weft_datagram_local(d, &a), 0);
  return a;
}

static inline weft_datagram *open_connected_to(weft_datagram *d) {
  weft_addr peer = address_of(d);
  return open_with((weft_datagram_opts){.peer = &peer});
}

/* Nobody has it now. */
static inline weft_addr address_of_nobody(void) {
  weft_datagram *d = open_udp();
  weft_addr a = address_of(d);
  CHECK_INT(weft_datagram_close(d), 0);
  return a;
}

/* The next datagram is this text. */
static inline bool expect_text(weft_datagram *d, const char *text) {
  char buf[256] = "";
  size_t len = 0;
  return CHECK_INT(weft_datagram_receive(d, buf, sizeof buf - 1, &len), 1) &&
         CHECK_UINT(len, strlen(text)) && CHECK_STR(buf, text);
}

static inline void send_text(weft_datagram *d, const char *text) {
  CHECK_INT(weft_datagram_send(d, text, strlen(text)), 0);
}

/* Nothing is there now. */
static inline void expect_nothing(weft_datagram *d) {
  char byte;
  CHECK_INT(weft_datagram_try_receive_from(d, &byte, 1, NULL, NULL), WEFT_EAGAIN);
}

#endif
