"""Mails that can be told again byte for byte, and a client that remembers what it was answered."""

import itertools
import random
import re
import socket
import threading
import time

# What became of a mail, as its client knows it.
ANSWERED = "answered"      # 250 after the dot: it must be there, for each recipient, once
REFUSED = "refused"        # a refusal, whenever: nothing of it may be there
UNANSWERED = "unanswered"  # its dot may have left, no answer came: whole or not at all
UNSENT = "unsent"          # the connection broke before its content: nothing may be there

ID = re.compile(rb"^X-Torture-Id: (\S+)\r?$", re.MULTILINE)


class Mail:
    """One mail: an id that no other has, recipients, content with CR LF line ends."""

    def __init__(self, ident, recipients, content):
        self.ident, self.recipients, self.content = ident, recipients, content
        self.outcome, self.code, self.stage = UNSENT, None, None
        self.judged, self.answered_at = False, None

    def __repr__(self):
        what = f"{self.outcome} {self.code} at {self.stage}" if self.code else self.outcome
        return f"{self.ident} ({what}, {len(self.content)} octets, to {', '.join(self.recipients)})"


class Writer:
    """Writes mails, the same ones for the same seed."""

    def __init__(self, seed, eight_bit=True):
        self.random = random.Random(seed)
        self.numbers = itertools.count(1)
        self.seed, self.eight_bit = seed, eight_bit
        self.lock = threading.Lock()

    def mail(self, recipients, octets=None):
        with self.lock:
            ident = f"{self.seed}-{next(self.numbers)}"
            if octets is None:
                # Mostly small; one in twelve larger than a server likes to keep in memory.
                octets = self.random.choice([0, 300, 300, 1000, 1000, 1000, 3000, 3000, 9000, 9000, 30_000, 200_000])
            lines = [f"X-Torture-Id: {ident}", f"Subject: {octets} octets", "From: <torture@client.example>", ""]
            left = octets
            while left > 0:
                line = self.random.choice(["", ".", "..", ". x", "x" * 70, "From here", "k\u00f6nnte" if self.eight_bit else "k"])
                line += "%032x" % self.random.getrandbits(128) if self.random.random() < 0.8 else ""
                if octets > 50_000:
                    line += "y" * 800
                lines.append(line)
                left -= len(line) + 2
            lines.append(f"end of {ident}")
        return Mail(ident, recipients, "".join(line + "\r\n" for line in lines).encode("latin-1"))


class Lost(Exception):
    """The connection is gone."""


class Client:
    """One SMTP connection, a command at a time."""

    def __init__(self, port, host="127.0.0.1", timeout=60, hello=True):
        try:
            self.socket = socket.create_connection((host, port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise Lost(str(error)) from None
        self.port = self.socket.getsockname()[1]
        self.buffer = b""
        try:
            self.expect(220)
            if hello:
                self.command("EHLO client.example")
        except BaseException:
            self.close()
            raise

    def expect(self, code):
        got, text = self.reply()
        if got != code:
            raise Lost(f"{code} expected, got {text!r}")

    def reply(self):
        """The next reply: its code and its last line. A line that does not end is none."""
        while True:
            while b"\n" not in self.buffer:
                try:
                    octets = self.socket.recv(65536)
                except OSError as error:
                    raise Lost(str(error)) from None
                if not octets:
                    raise Lost("closed")
                self.buffer += octets
            line, self.buffer = self.buffer.split(b"\n", 1)
            if line[3:4] != b"-":
                return int(line[:3]), line.decode("latin-1").rstrip("\r")

    def put(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError as error:
            raise Lost(str(error)) from None

    def command(self, line):
        self.put(line.encode("latin-1") + b"\r\n")
        return self.reply()

    def send(self, mail):
        """Sends a mail and writes down what became of it; True if it was answered with 250.

        Raises Lost, after writing that down too."""
        steps = [("MAIL", "MAIL FROM:<torture@client.example>")]
        steps += [("RCPT", f"RCPT TO:<{recipient}>") for recipient in mail.recipients]
        steps += [("DATA", "DATA")]
        for stage, line in steps:
            code, _ = self.command(line)
            if code not in (250, 354):
                mail.outcome, mail.code, mail.stage = REFUSED, code, stage
                self.command("RSET")
                return False
        mail.outcome = UNANSWERED
        self.put(re.sub(rb"(?m)^\.", b"..", mail.content) + b".\r\n")
        mail.code, _ = self.reply()
        mail.answered_at = time.monotonic()
        mail.stage = "the dot"
        mail.outcome = ANSWERED if mail.code == 250 else REFUSED
        return mail.outcome == ANSWERED

    def close(self):
        self.socket.close()


class Load:
    """Clients that send mail after mail until they are told to stop or the server is gone."""

    def __init__(self, port, clients, mails, on_answer=None):
        """`mails()` makes the next one; `on_answer(mail)` is called the moment its 250 is read."""
        self.sent, self.stop, self.crash = [], threading.Event(), None
        self.mails, self.port, self.on_answer = mails, port, on_answer
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _work(self):
        try:
            client = Client(self.port)
            while not self.stop.is_set():
                mail = self.mails()
                self.sent.append(mail)
                if client.send(mail) and self.on_answer:
                    self.on_answer(mail)
            client.close()
        except Lost:
            pass
        except Exception as error:  # a fault of the harness must not pass as silence
            self.crash = error

    def join(self):
        """Waits for all clients; what they have sent."""
        self.stop.set()
        for thread in self.threads:
            thread.join(90)
            if thread.is_alive():
                raise RuntimeError("a client still waits for its answer after 90 s")
        if self.crash:
            raise self.crash
        return self.sent
