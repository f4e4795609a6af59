"""Starting, killing and stopping the server under test: postman, or whoever was named."""

import glob
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

from mail import Client, Lost

READY_SECONDS_MAX = 120


def free_port():
    """A port that nobody listens on, below those that the system gives to clients: one that waits for
    a server on such a port can meet itself there."""
    while True:
        try:
            with socket.create_server(("127.0.0.1", random.randint(10_000, 29_999))) as probe:
                return probe.getsockname()[1]
        except OSError:
            pass


class Kind:
    """What server is tested, and where its mail lands."""

    def __init__(self, binary, command=None, mail=None, recipients=None, settle=0, kill=None):
        self.binary, self.command, self.kill_command = binary, command, kill
        self.is_postman = command is None
        self.patterns = mail or []
        self.recipients = recipients or []
        self.settle = settle

    def some_recipients(self, random, tag=""):
        """One to four of them; for postman own users and other servers, with the tag in their names."""
        count = random.choice([1, 1, 2, 3, 4])
        if not self.is_postman:
            return random.sample(self.recipients, min(count, len(self.recipients)))
        everybody = [f"user{number}{tag}@postman.local" for number in range(4)]
        everybody += [f"{local}@other{number}{tag}.example" for number in range(2) for local in ("a", "b")]
        return random.sample(everybody, count)

    def home(self, maildir, recipient):
        """The key of the place where a recipient's copy lands: recipients of one place share one copy."""
        local, domain = recipient.rsplit("@", 1)
        if self.is_postman:
            own = domain == "postman.local"
            return str(Path(maildir, local) if own else Path(maildir, ".OTHER_SERVERS", domain))
        return "|".join(pattern.format(maildir=maildir, local=local, domain=domain) for pattern in self.patterns)

    def folders(self, home):
        """The folders of a place in which whole mail lies."""
        if self.is_postman:
            return [home] if "/.OTHER_SERVERS/" in home else [home + "/new", home + "/cur"]
        return [folder for pattern in home.split("|") for folder in glob.glob(pattern)]

    def tmp_files(self, maildir):
        """What lies in `tmp` folders, anywhere below."""
        found = []
        for folder, _, files in os.walk(maildir):
            if os.path.basename(folder) == "tmp":
                found += [os.path.join(folder, name) for name in files]
        return found


class Server:
    """A running server."""

    started = []

    def __init__(self, kind, maildir, scratch, free_bytes_min=0, environment=None, wrap=(), settings=""):
        """`wrap`: a command that runs the server, such as strace; `settings`: more of postman's configuration."""
        self.kind, self.maildir, self.scratch, self.wrap = kind, str(maildir), Path(scratch), list(wrap)
        self.environment = dict(os.environ, **(environment or {}))
        self.process, self.port = None, None
        if kind.is_postman:
            self.config = self.scratch / f"postman-{free_bytes_min}.ron"
            self.config.write_text(f'(free_bytes_min: {free_bytes_min}, log: (console_level: "info"), {settings})\n')

    def start(self, ready=True):
        """Starts it and waits until it greets; or does not wait."""
        Server.started.append(self)
        # The log goes to a file of its own; the last lines are shown with a fault.
        self.log = open(self.scratch / "server.log", "ab")
        if self.kind.is_postman:
            command = [self.kind.binary, "--config", str(self.config), "--listen", "127.0.0.1:0"]
            command += ["--maildir", self.maildir]
            self._spawn(command, subprocess.PIPE)
            self.port = self._told_port() if ready else None
        else:
            self.port = free_port()
            places = {"port": self.port, "maildir": self.maildir}
            self._spawn([word.format(**places) for word in shlex.split(self.kind.command)], self.log)
        if ready:
            self._await_greeting()
        return self

    def _spawn(self, command, stdout):
        self.process = subprocess.Popen(
            [*self.wrap, *command], stdin=subprocess.DEVNULL, stdout=stdout, stderr=self.log, env=self.environment, start_new_session=True
        )

    def _told_port(self):
        for line in self.process.stdout:
            found = re.search(rb"address\s+\S+:(\d+)$", line.strip())
            if found:
                return int(found[1])
        raise RuntimeError(f"the server ended at its start: {self.last_words()}")

    def _await_greeting(self):
        until = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                Client(self.port, timeout=10).close()
                return
            except Lost:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the server does not greet: {self.last_words()}") from None
                time.sleep(0.01)

    def last_words(self):
        text = (self.scratch / "server.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-5:]) or "it said nothing"

    def freeze(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def kill(self):
        """kill -9, the whole process group."""
        if self.process and self.process.poll() is None:
            if self.kind.kill_command:
                subprocess.run(self.kind.kill_command, shell=True, check=False)
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._reap()

    def stop(self):
        """SIGTERM, and its exit status."""
        os.killpg(self.process.pid, signal.SIGTERM)
        return self._reap()

    def _reap(self):
        if not self.process:
            return None
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            status = self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.log.close()
        self.process = None
        return status

    @classmethod
    def kill_all(cls):
        """Whatever a case that broke off has left running."""
        while cls.started:
            cls.started.pop().kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
