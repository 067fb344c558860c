"""Drives the server examples with real clients: nc, socat, telnet, and asyncio's streams.

    EXAMPLES=build/release/examples python3 -B clients.py [CLASS[.test]]
"""

import asyncio
import hashlib
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

EXAMPLES = os.environ.get("EXAMPLES", "build/release/examples")
SECONDS_MOST = 60  # what takes longer hangs

# In debug mode, on a loaded machine, a program says of a task that got no CPU that it kept its worker.
SLOW = re.compile(r"weft: .* its worker for \d+ ms without suspending.*\n(weft:   in .*\n)*")


class Server:
    """A server example that runs; the end of the block is its Ctrl-C, and its end."""

    # All that it may report, in debug mode, too: clients that have broken off.
    FINE = re.compile(r"(weft: .* failed: .*(WEFT_ECONNRESET|WEFT_EPIPE)\)\n)*")

    def __init__(self, name, *args):
        self._command = [os.path.join(EXAMPLES, name), *args]
        self.reports = ""

    def __enter__(self):
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        found = re.fullmatch(r"serving on (?:(\S+):(\d+)|unix:(\S+))\n", line)
        if not found:
            self._process.kill()
            raise AssertionError(f"{self._command} said {line!r}, {self._process.communicate()}")
        self.host, self.port, self.path = found[1], int(found[2] or 0), found[3]
        return self

    def __exit__(self, *_):
        self.interrupt()
        self.expect_end()

    def interrupt(self, signo=signal.SIGINT):
        if self._process.returncode is not None:
            return
        self._process.send_signal(signo)
        if "TSAN_OPTIONS" in os.environ:
            # ThreadSanitizer keeps a signal for the fiber that was interrupted. When that is the task
            # that waits for the signal, both wait: until there is another one.
            while self._listens_for(seconds=3):
                self._process.send_signal(signo)

    def _listens_for(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                self.connect().close()
            except OSError:
                return False
            time.sleep(0.02)
        return True

    def expect_end(self):
        """It ends, with 0. What it has reported is then in reports."""
        if self._process.returncode is not None:
            return
        try:
            _, reports = self._process.communicate(timeout=SECONDS_MOST)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        self.reports = SLOW.sub("", reports)
        if self._process.returncode != 0:
            raise AssertionError(f"{self._command} ended with {self._process.returncode}\n"
                                 f"{self.reports}")
        if not self.FINE.fullmatch(self.reports):
            raise AssertionError(f"{self._command} reported\n{self.reports}")

    def connect(self):
        if not self.path:
            return socket.create_connection((self.host, self.port), timeout=SECONDS_MOST)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.path)
        return connection


def run(command, data):
    """What a client program prints that is given the data on its input."""
    if not shutil.which(command[0]):
        raise unittest.SkipTest(f"{command[0]} is not installed (scripts/deps)")
    done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS_MOST,
                          check=True)
    return done.stdout


def receive_all(connection):
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def receive(connection, size):
    data = b""
    while len(data) < size and (chunk := connection.recv(size - len(data))):
        data += chunk
    return data


def reset(connection):
    """Close it so that the peer is told of a reset, not of the end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


TEXT = b"".join(b"line %d\n" % number for number in range(20000))


class EchoServer(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Server("echo_server", "--port", "0"))
        self.port = str(self.server.port)

    def test_nc(self):
        self.assertEqual(run(["nc", "-N", "127.0.0.1", self.port], TEXT), TEXT)

    def test_socat(self):
        address = f"TCP:127.0.0.1:{self.port}"
        self.assertEqual(run(["socat", "-t", "30", "-", address], TEXT), TEXT)

    def test_asyncio_many_at_once(self):
        async def one(seed):
            dice = random.Random(seed)
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            for _ in range(20):
                message = dice.randbytes(dice.randint(1, 20000))
                writer.write(message)
                await writer.drain()
                self.assertEqual(await reader.readexactly(len(message)), message)
            writer.write_eof()
            self.assertEqual(await reader.read(), b"")
            writer.close()
            await writer.wait_closed()

        async def all_of_them():
            await asyncio.gather(*(one(seed) for seed in range(100)))

        asyncio.run(all_of_them())

    def test_asyncio_sends_and_receives_32_mib(self):
        size, chunk = 32 * 1024 * 1024, random.Random(1).randbytes(1024 * 1024)

        async def send(writer):
            for _ in range(size // len(chunk)):
                writer.write(chunk)
                await writer.drain()
            writer.write_eof()

        async def both():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            sending = asyncio.create_task(send(writer))
            digest, got = hashlib.sha256(), 0
            while data := await reader.read(1 << 18):
                digest.update(data)
                got += len(data)
            await sending
            writer.close()
            return got, digest.hexdigest()

        expected = hashlib.sha256(chunk * (size // len(chunk))).hexdigest()
        self.assertEqual(asyncio.run(both()), (size, expected))

    def test_one_byte_at_a_time(self):
        with self.server.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in TEXT[:1000]:
                connection.sendall(bytes([byte]))
                self.assertEqual(connection.recv(1), bytes([byte]))

    def test_who_breaks_off_disturbs_nobody(self):
        with self.server.connect() as other:
            for number in range(20):
                connection = self.server.connect()
                connection.sendall(TEXT)
                if number % 2:
                    connection.recv(10)
                reset(connection)
                other.sendall(b"still there")
                self.assertEqual(receive(other, 11), b"still there")


class EchoServerEnd(unittest.TestCase):
    def test_ctrl_c_ends_idle_connections_without_a_reset(self):
        self.end_with_idle_connections(signal.SIGINT)

    def test_so_does_sigterm(self):
        self.end_with_idle_connections(signal.SIGTERM)

    def end_with_idle_connections(self, signo):
        with Server("echo_server", "--port", "0") as server:
            clients = [server.connect() for _ in range(50)]
            for client in clients[::2]:
                client.sendall(b"hello")
                self.assertEqual(receive(client, 5), b"hello")
            began = time.monotonic()
            server.interrupt(signo)
            for client in clients:
                self.assertEqual(receive_all(client), b"")
                client.close()
            server.expect_end()
            self.assertLess(time.monotonic() - began, 9.5)  # their grace is 10 s
            self.assertEqual(server.reports, "")

    def test_sigterm_under_load_resets_nobody(self):
        """Every message that was sent whole comes back, or the end does: never a reset."""
        async def one(port, answered):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            message, exchanges = b"m" * 1000, 0
            while True:
                writer.write(message)
                try:
                    await writer.drain()
                    if await reader.readexactly(len(message)) != message:
                        return "wrong"
                except asyncio.IncompleteReadError as error:
                    writer.close()
                    return "ended" if not error.partial else "cut"
                exchanges += 1
                if exchanges == 10:
                    answered.release()

        async def all_of_them(server):
            answered = asyncio.Semaphore(0)
            tasks = [asyncio.create_task(one(server.port, answered)) for _ in range(30)]
            for _ in tasks:
                await answered.acquire()
            server.interrupt(signal.SIGTERM)
            return await asyncio.gather(*tasks)

        with Server("echo_server", "--port", "0") as server:
            self.assertEqual(set(asyncio.run(all_of_them(server))), {"ended"})
            server.expect_end()

    def test_a_unix_socket_and_its_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "echo")
            with Server("echo_server", "--unix", path) as server:
                self.assertEqual(server.path, path)
                got = run(["socat", "-t", "30", "-", f"UNIX-CONNECT:{path}"], TEXT)
                self.assertEqual(got, TEXT)
            self.assertFalse(os.path.exists(path))

    def test_a_port_in_use_is_said(self):
        with Server("echo_server", "--port", "0") as server:
            command = [os.path.join(EXAMPLES, "echo_server"), "--port", str(server.port)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MOST,
                                  check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("the address is already in use", done.stderr)


class EchoClient(unittest.TestCase):
    FORM = re.compile(
        r"(\d+) connections, (\d+) bytes: (\d+) requests in ([\d.]+) s, (\d+) a second\n"
        r"latency, us: p50 ([\d.]+), p90 ([\d.]+), p99 ([\d.]+), p99.9 ([\d.]+), worst ([\d.]+)\n")

    def load(self, *args):
        command = [os.path.join(EXAMPLES, "echo_client"), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MOST,
                              check=False)

    def check(self, port, connections, size, seconds=0.3):
        done = self.load("--port", port, "--connections", connections, "--size", size,
                         "--seconds", seconds)
        self.assertEqual((done.returncode, SLOW.sub("", done.stderr)), (0, ""))
        found = self.FORM.fullmatch(done.stdout)
        self.assertTrue(found, done.stdout)
        self.assertEqual((int(found[1]), int(found[2])), (connections, size))
        requests = int(found[3])
        self.assertGreater(requests, 0)
        seconds, rate = float(found[4]), int(found[5])
        self.assertAlmostEqual(rate, requests / seconds, delta=rate / 10 + 1)
        latencies = [float(found[i]) for i in range(6, 11)]
        self.assertEqual(latencies, sorted(latencies))
        self.assertGreater(latencies[0], 0)
        # Each connection has one request under way, so their times add up to the whole.
        self.assertLess(latencies[0] * requests / 2, (seconds + 0.3) * 1e6 * connections)

    def test_the_figures_against_echo_server(self):
        with Server("echo_server", "--port", "0") as server:
            self.check(server.port, 1, 64)
            self.check(server.port, 100, 64)
            self.check(server.port, 3, 1000000, seconds=2)

    def test_an_asyncio_server_serves_it(self):
        with self.python_server("while d := await r.read(4096): w.write(d)") as port:
            self.check(port, 10, 64)

    def test_a_wrong_echo_is_an_error(self):
        with self.python_server("while d := await r.read(4096): w.write(d.swapcase())") as port:
            done = self.load("--port", port, "--seconds", 5)
            self.assertEqual(done.returncode, 1)
            self.assertIn("not what was sent", done.stderr)

    def test_a_server_that_hangs_up_is_an_error(self):
        with self.python_server("w.write(await r.readexactly(64)); w.close()") as port:
            done = self.load("--port", port, "--seconds", 5)
            self.assertEqual(done.returncode, 1)

    def test_nobody_there_is_an_error(self):
        with socket.socket() as bound:  # a port on which nobody listens
            bound.bind(("127.0.0.1", 0))
            done = self.load("--port", bound.getsockname()[1])
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody accepts connections", done.stderr)

    def python_server(self, handler):
        return PythonServer(handler)


class PythonServer:
    """An asyncio server in a process of its own; as a context it gives its port."""

    CODE = """
import asyncio
async def handle(r, w):
    try:
        {handler}
    except ConnectionError:
        pass
    w.close()
async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

    def __init__(self, handler):
        self._code = self.CODE.replace("{handler}", handler)

    def __enter__(self):
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen([sys.executable, "-c", self._code],
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return int(self._process.stdout.readline())

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()


PROMPT = "?> "
RULE = "\u2500" * 66
UNICODE_DATA = "/usr/share/unicode/UnicodeData.txt"
NAMES = """0020;SPACE;Zs
0041;LATIN CAPITAL LETTER A;Lu
0061;LATIN SMALL LETTER A;Ll
0000;<control>;Cc
00DF;LATIN SMALL LETTER SHARP S;Ll
0F40;TIBETAN LETTER KA;Lo
265A;BLACK CHESS KING;So
2654;WHITE CHESS KING;So
265B;BLACK CHESS QUEEN;So
FF0D;FULLWIDTH HYPHEN-MINUS;Pd
1FA00;NEUTRAL CHESS KING;So
10FFFD;A LETTER A SECOND LETTER;Lo
"""


def characters(text):
    fields = (line.split(";") for line in text.split("\n") if line)
    return [(code, name) for code, name, *_ in fields if not name.startswith("<")]


def answer(names, query):
    """What charfinder has to say to a query, worked out in another way than it does."""
    words = set(re.findall(r"[A-Z0-9_]+", query.upper()))
    lines = [f"U+{code}\t{chr(int(code, 16))}\t{name}\r\n" for code, name in names
             if words and words <= set(re.findall(r"[A-Z0-9_]+", name))]
    return "".join(lines) + f"{RULE} {len(lines)} found\r\n"


class Charfinder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        path = os.path.join(folder, "UnicodeData.txt")
        with open(path, "w", encoding="ascii") as file:
            file.write(NAMES)
        cls.names = characters(NAMES)
        cls.server = cls.enterClassContext(Server("charfinder", "--port", "0", "--file", path))
        cls.port = str(cls.server.port)

    def expected(self, *queries, end=True):
        """All that it says until the conversation's end; `end`: after a prompt."""
        said = "".join(PROMPT + (answer(self.names, query) if query.strip() else "")
                       for query in queries)
        return said + (PROMPT if end else "")

    def talk(self, data, *, close=True):
        """The conversation with a client that sends this, and then the end of its input."""
        with self.server.connect() as connection:
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
            return receive_all(connection).decode()

    def test_nc(self):
        got = run(["nc", "-N", "127.0.0.1", self.port], b"chess black\nletter\n")
        self.assertEqual(got.decode(), self.expected("chess black", "letter"))

    def test_socat(self):
        got = run(["socat", "-t", "30", "-", f"TCP:127.0.0.1:{self.port},crnl"], b"king\nno such\n")
        # With crnl socat turns the answers' line ends into its own, too.
        self.assertEqual(got.decode(), self.expected("king", "no such").replace("\r\n", "\n"))

    def test_asyncio(self):
        async def one(query):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            for _ in range(5):
                self.assertEqual(await reader.readexactly(len(PROMPT)), PROMPT.encode())
                writer.write(query.encode() + b"\n")
                await writer.drain()
                wanted = answer(self.names, query).encode()
                self.assertEqual(await reader.readexactly(len(wanted)), wanted)
            writer.write(b"\x04")
            self.assertEqual(await reader.read(), PROMPT.encode())
            writer.close()

        async def all_of_them():
            words = ("a", "letter", "chess", "king", "black queen", "hyphen", "none of these")
            await asyncio.gather(*(one(words[i % len(words)]) for i in range(50)))

        asyncio.run(all_of_them())

    def test_line_ends(self):
        for end in (b"\n", b"\r\n", b"\r\0", b"\r"):
            with self.subTest(end=end):
                self.assertEqual(self.talk(b"king" + end + b"queen" + end),
                                 self.expected("king", "queen"))

    def test_case_punctuation_and_repetition_do_not_matter(self):
        for query in ("Chess KING", "king, chess!", "\tking  chess ", "chess chess-king"):
            self.assertEqual(self.talk(query.encode() + b"\n"), self.expected("king chess"))

    def test_an_empty_line_asks_again(self):
        self.assertEqual(self.talk(b"\n \t\n\r\nking\n"), self.expected("", "", "", "king"))

    def test_without_a_word_nothing_is_found(self):
        self.assertEqual(self.talk(b"!?\n"), self.expected("!?"))
        self.assertIn(" 0 found", self.talk("\u265a \u00e9\n".encode()))

    def test_a_last_line_needs_no_end(self):
        self.assertEqual(self.talk(b"king\nqueen"), self.expected("king", "queen", end=False))

    def test_the_end_of_the_input_ends_it(self):
        self.assertEqual(self.talk(b""), PROMPT)

    def test_a_control_character_ends_it(self):
        for byte in (0, 3, 4, 7, 27, 127):
            with self.subTest(byte=byte):
                got = self.talk(b"king\n" + bytes([byte]) + b"queen\n", close=False)
                self.assertEqual(got, self.expected("king"))

    def test_what_is_not_utf8_ends_it(self):
        for data in (b"caf\xe9", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"a\xe2\x82",
                     b"\x80"):
            with self.subTest(data=data):
                got = self.talk(b"king\n" + data + b"\nqueen\n", close=False)
                self.assertEqual(got, self.expected("king"))

    def test_a_line_that_is_too_long_ends_it(self):
        self.assertEqual(self.talk(b"king\n" + b"x" * 5000, close=False), self.expected("king"))

    def test_too_many_words_are_refused(self):
        self.assertIn("too many words", self.talk(b"letter " * 17 + b"\n"))

    IAC_WILL, IAC_WONT, IAC_DO, IAC_DONT = b"\xff\xfb", b"\xff\xfc", b"\xff\xfd", b"\xff\xfe"

    def test_telnet_options_are_refused(self):
        data = (self.IAC_WILL + b"\x1f" + b"ki" + self.IAC_DO + b"\n" + b"ng" + self.IAC_WONT + b"\x01"
                + self.IAC_DONT + b"\x03" + b"\xff\xfa\x1f\0\x50\xff\xff\n\xff\xf0" + b"\r\n\xff\xf1")
        with self.server.connect() as connection:
            self.assertEqual(receive(connection, 3), PROMPT.encode())
            for byte in data:  # cut everywhere
                connection.sendall(bytes([byte]))
            connection.shutdown(socket.SHUT_WR)
            got = receive_all(connection)
        wanted = self.IAC_DONT + b"\x1f" + self.IAC_WONT + b"\n"
        self.assertEqual(got[:6], wanted)
        self.assertEqual(PROMPT + got[6:].decode(), self.expected("king"))

    def test_telnet_interrupt_ends_it(self):
        for command in (0xF4, 0xF3, 0xEC):
            got = self.talk(b"king\r\nqu" + bytes([0xFF, command]) + self.IAC_DO + b"\x06",
                            close=False)
            self.assertEqual(got, self.expected("king"))

    def test_telnet(self):
        program = shutil.which("telnet")
        if not program:
            self.skipTest("telnet is not installed")
        with subprocess.Popen([program, "127.0.0.1", self.port], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
            got = self.read_until(client, PROMPT)
            self.assertTrue(got.endswith(PROMPT), got)
            client.stdin.write(b"chess king\n")
            client.stdin.flush()
            got = self.read_until(client, PROMPT)
            self.assertEqual(got.replace("\r\n", "\n"),
                             (answer(self.names, "chess king") + PROMPT).replace("\r\n", "\n"))
            client.stdin.close()
            client.wait(SECONDS_MOST)

    def read_until(self, client, text):
        got = b""
        while not got.endswith(text.encode()):
            ready, _, _ = select.select([client.stdout], [], [], SECONDS_MOST)
            self.assertTrue(ready, f"only {got!r} came")
            data = os.read(client.stdout.fileno(), 65536)
            if not data:
                break
            got += data
        return got.decode()


class CharfinderEnd(unittest.TestCase):
    @unittest.skipUnless(os.path.exists(UNICODE_DATA), "unicode-data is not installed")
    def test_the_whole_of_unicode(self):
        with open(UNICODE_DATA, encoding="ascii") as file:
            names = characters(file.read())
        with Server("charfinder", "--port", "0") as server, server.connect() as connection:
            for query in ("letter", "black king", "cat face", "wonderful"):
                wanted = (PROMPT + answer(names, query)).encode()
                connection.sendall(query.encode() + b"\n")
                self.assertEqual(receive(connection, len(wanted)), wanted, query)

    @unittest.skipUnless(os.path.exists(UNICODE_DATA), "unicode-data is not installed")
    def test_ctrl_c_ends_every_conversation(self):
        with Server("charfinder", "--port", "0") as server:
            clients = [server.connect() for _ in range(20)]
            for number, client in enumerate(clients):
                self.assertEqual(receive(client, 3), PROMPT.encode())
                if number % 2:
                    client.sendall(b"in the middle of a li")
            began = time.monotonic()
            server.interrupt()
            for client in clients:
                self.assertEqual(receive_all(client), b"")
                client.close()
            server.expect_end()
            self.assertLess(time.monotonic() - began, 10)

    def test_a_file_without_names_is_an_error(self):
        command = [os.path.join(EXAMPLES, "charfinder"), "--file", "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MOST,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no names in /dev/null", done.stderr)


if __name__ == "__main__":
    unittest.main()
