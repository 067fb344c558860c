/* Servers of weft and clients of others: nc, socat, and asyncio's streams and datagrams. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "task_test.h"

/* ---- the servers: what comes goes back, line by line, or whole ---- */

static int echo_lines(weft_stream *s, void *arg) {
  char *line;
  ssize_t n;
  int r = 0;
  (void)arg;
  while (r == 0 && (n = weft_read_line(s, &line)) > 0) r = weft_write(s, line, (size_t)n);
  return r;
}

static int echo_datagrams(void *datagram) {
  char bytes[2048];
  weft_addr from;
  size_t len;
  int r;
  while ((r = weft_datagram_receive_from(datagram, bytes, sizeof bytes, &len, &from)) > 0)
    if ((r = weft_datagram_send_to(datagram, bytes, len, &from)) < 0) break;
  return r;
}

/* ---- the clients: commands, in which %d is the port ---- */

static bool have(const char *tool) {
  char command[128];
  snprintf(command, sizeof command, "command -v %s > /dev/null", tool);
  return system(command) == 0;
}

/* The command ends well, and prints this. */
static void expect_output(const char *command, int port, const char *want) {
  char line[4096];
  weft_process *p = NULL;
  weft_process_status status;
  weft_process_output out = {0};
  snprintf(line, sizeof line, command, port);
  CHECK_INT(weft_process_shell(&p, line, &(weft_process_opts){.out = WEFT_STDIO_PIPE}), 0);
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &out, &status), 0);
  CHECK_INT(status.code, 0);
  if (out.out) CHECK_STR(out.out, want);
  CHECK_INT(weft_process_close(p), 0);
}

struct client {
  const char *command, *output;
};

static int drive_streams(void *arg) {
  const struct client *c = arg;
  weft_server *v = NULL;
  weft_addr at;
  CHECK_INT(weft_server_start(&v, echo_lines, NULL, &(weft_serve_opts){.host = "127.0.0.1"}), 0);
  CHECK_INT(weft_server_addr(v, 0, &at), 0);
  expect_output(c->command, weft_addr_port(&at), c->output);
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_server_wait_closed(v), 0);
  return weft_server_free(v);
}

static int drive_datagrams(void *arg) {
  const struct client *c = arg;
  weft_datagram *d = NULL;
  weft_addr at;
  weft_addr_loopback(&at, AF_INET, 0);
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.local = &at}), 0);
  CHECK_INT(weft_datagram_local(d, &at), 0);
  weft_task t = weft_spawn(echo_datagrams, d, NULL);
  expect_output(c->command, weft_addr_port(&at), c->output);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  return weft_datagram_close(d);
}

static void drive(weft_fn how, const char *tool, const char *command, const char *output) {
  struct client c = {command, output};
  if (!have(tool)) weft_test_skip("a client that is to be driven is missing");
  CHECK_INT(weft_run(how, &c, NULL), 0);
}

static void nc_is_served(void **state) {
  (void)state;
  drive(drive_streams, "nc", "printf 'one\\ntwo\\nrest' | nc -N 127.0.0.1 %d", "one\ntwo\nrest");
}

static void socat_is_served(void **state) {
  (void)state;
  drive(drive_streams, "socat", "printf 'one\\ntwo\\n' | socat -t 20 - TCP:127.0.0.1:%d",
        "one\ntwo\n");
}

static void clients_of_asyncio_are_served(void **state) {
  static const char program[] = "python3 -c '\n"
                                "import asyncio\n"
                                "async def talk(k):\n"
                                "  r, w = await asyncio.open_connection(\"127.0.0.1\", %d)\n"
                                "  for i in range(20):\n"
                                "    line = b\"%%d %%d\\n\" %% (k, i) * (i + 1)\n"
                                "    w.write(line)\n"
                                "    await w.drain()\n"
                                "    assert await r.readexactly(len(line)) == line\n"
                                "  w.write_eof()\n"
                                "  assert await r.read() == b\"\"\n"
                                "  w.close()\n"
                                "  await w.wait_closed()\n"
                                "async def main():\n"
                                "  await asyncio.gather(*map(talk, range(50)))\n"
                                "  print(\"served\")\n"
                                "asyncio.run(main())'";
  (void)state;
  drive(drive_streams, "python3", program, "served\n");
}

static void nc_gets_its_datagrams_back(void **state) {
  (void)state;
  drive(drive_datagrams, "nc", "printf hello | nc -u -w 1 127.0.0.1 %d", "hello");
}

static void socat_gets_its_datagrams_back(void **state) {
  (void)state;
  drive(drive_datagrams, "socat", "printf hello | socat -t 1 - UDP:127.0.0.1:%d", "hello");
}

static void endpoints_of_asyncio_get_their_datagrams_back(void **state) {
  static const char program[] =
      "python3 -c '\n"
      "import asyncio\n"
      "class Client(asyncio.DatagramProtocol):\n"
      "  def connection_made(self, transport):\n"
      "    self.transport, self.n = transport, 1\n"
      "    self.done = asyncio.get_running_loop().create_future()\n"
      "    self.send()\n"
      "  def send(self):\n"
      "    self.transport.sendto(b\"x\" * self.n)\n"
      "  def datagram_received(self, data, addr):\n"
      "    assert data == b\"x\" * self.n\n"
      "    self.n += 1\n"
      "    if self.n == 200: self.done.set_result(None)\n"
      "    else: self.send()\n"
      "async def talk(k):\n"
      "  t, p = await asyncio.get_running_loop()"
      ".create_datagram_endpoint(Client, remote_addr=(\"127.0.0.1\", %d))\n"
      "  await p.done\n"
      "  t.close()\n"
      "async def main():\n"
      "  await asyncio.gather(*map(talk, range(5)))\n"
      "  print(\"all back\")\n"
      "asyncio.run(main())'";
  (void)state;
  drive(drive_datagrams, "python3", program, "all back\n");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nc_is_served),
    cmocka_unit_test(socat_is_served),
    cmocka_unit_test(clients_of_asyncio_are_served),
    cmocka_unit_test(nc_gets_its_datagrams_back),
    cmocka_unit_test(socat_gets_its_datagrams_back),
    cmocka_unit_test(endpoints_of_asyncio_get_their_datagrams_back),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
