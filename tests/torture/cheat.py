#!/usr/bin/env python3
"""A small mail server that keeps no promise it is told to break, to show that the torture notices.

cheat.py --port PORT --maildir DIR --cheat NAME; it delivers to DIR/local/new.  Honest: `none`.
"""

import argparse
import contextlib
import errno
import fcntl
import os
import re
import socketserver
import threading
import time

CHEATS = {
    "none": "keeps every promise",
    "queues": "keeps mail safe in a queue, answers, delivers later; after a kill some of it twice",
    "early": "answers 250, then writes",
    "in-place": "writes straight into `new`, in pieces",
    "twice": "writes each mail again after its answer",
    "no-sync": "syncs nothing",
    "no-folder-sync": "syncs the file, not its folder",
    "no-parent-sync": "does not sync the folder above a new one",
    "early-sync": "syncs the file before its last line",
    "late-sync": "syncs the folder after the answer",
    "clock-names": "names files by the second, and writes over",
    "sweeps-all": "sweeps the living servers' tmp files too",
    "lies-when-full": "answers 250 though it could not write",
    "leaves-copies": "leaves the copies that fitted of a refused mail",
    "one-at-a-time": "serves nobody while one waits for the disk",
    "wrong-code": "answers 550 when the disk is full or broken",
    "changes-dots": "keeps the dots that the client doubled",
}

alone = threading.Lock()


def sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(old, new):
    """Never over another file."""
    os.link(old, new)
    os.unlink(old)


class Session(socketserver.StreamRequestHandler):
    def answer(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        try:
            self.talk()
        except OSError:
            pass

    def talk(self):
        self.answer("220 cheat")
        recipients = []
        for line in self.rfile:
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO", b"MAIL", b"RSET"):
                recipients = []
            if verb == b"RCPT":
                recipients.append(re.search(rb"<([^@>]+)@", line)[1].decode())
            if cheat == "one-at-a-time":
                with alone:
                    pass
            if verb == b"QUIT":
                return self.answer("221 bye")
            if verb != b"DATA":
                self.answer("250 ok")
                continue
            self.answer("354 go on")
            content = []
            for line in self.rfile:
                if line == b".\r\n":
                    break
                content.append(line[1:] if line.startswith(b".") and cheat != "changes-dots" else line)
            else:
                return None
            self.take(recipients, b"".join(content).replace(b"\r\n", b"\n"))
            recipients = []
        return None

    def take(self, recipients, content):
        with alone if cheat == "one-at-a-time" else contextlib.nullcontext():
            self.take_now(recipients, content)

    def take_now(self, recipients, content):
        if cheat == "early":
            self.answer("250 taken")
            time.sleep(0.01)
            deliver(recipients, content)
            return
        if cheat == "queues":
            queue(recipients, content)
            return self.answer("250 taken")
        try:
            folders = deliver(recipients, content)
        except OSError as error:
            code = 452 if error.errno in (errno.ENOSPC, errno.EDQUOT) else 451
            code = {"lies-when-full": 250, "wrong-code": 550}.get(cheat, code)
            return self.answer(f"{code} {error.strerror}")
        self.answer("250 taken")
        if cheat == "late-sync":
            for folder in folders:
                sync(folder)
        if cheat == "twice":
            deliver(recipients, content)
        return None


def queue(recipients, content):
    """Safe in the queue, delivered by a thread of its own, then removed from the queue."""
    folder = os.path.join(options.maildir, ".queue")
    name = f"{owner}.{os.urandom(8).hex()}"
    with open(os.path.join(folder, "." + name), "xb") as file:
        file.write(" ".join(recipients).encode() + b"\n" + content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(os.path.join(folder, "." + name), os.path.join(folder, name))
    sync(folder)
    threading.Thread(target=run_queue, args=([name],), daemon=True).start()


def run_queue(names):
    for name in names:
        path = os.path.join(options.maildir, ".queue", name)
        with open(path, "rb") as file:
            recipients, content = file.read().split(b"\n", 1)
        deliver(recipients.decode().split(), content)
        time.sleep(0.01)
        os.unlink(path)


def deliver(recipients, content):
    done, folders = [], []
    try:
        # All are written before the first is moved: a reader takes no copy of a mail that has no room for the others.
        written = (write_one(recipient, content, done) for recipient in recipients)
        written = written if cheat == "leaves-copies" else list(written)
        for path, last in written:
            # Before the move, which on a full disk can fail behind its first half.
            done.append(last)
            if cheat == "clock-names":
                os.rename(path, last)
            elif cheat != "in-place":
                move(path, last)
            folders.append(os.path.dirname(last))
        if cheat not in ("no-sync", "no-folder-sync", "late-sync"):
            for folder in folders:
                sync(folder)
    except OSError:
        for path in done:
            if cheat != "leaves-copies" or "/tmp/" in path[len(options.maildir):]:
                take_back(path)
        raise
    return folders


def take_back(path):
    """Removes a file that may not be there. On a disk so full that it cannot, another's end makes room."""
    for _ in range(200):
        try:
            os.unlink(path)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)


def write_one(recipient, content, done):
    home = os.path.join(options.maildir, recipient)
    for folder in (home, home + "/tmp", home + "/new", home + "/cur"):
        try:
            os.mkdir(folder)
        except FileExistsError:
            pass
        if cheat not in ("no-sync", "no-folder-sync", "late-sync", "no-parent-sync") and folder not in durable:
            sync(os.path.dirname(folder))
            durable.add(folder)
    name = f"{owner}.{os.urandom(8).hex()}"
    last = os.path.join(home, "new", f"{int(time.time())}" if cheat == "clock-names" else f"{int(time.time())}_{name}")
    path = last if cheat == "in-place" else os.path.join(home, "tmp", name)
    done.append(path)
    with open(path, "xb", buffering=0) as file:
        for begin in range(0, len(content), 500 if cheat == "in-place" else len(content)):
            piece = content[begin:begin + 500] if cheat == "in-place" else content
            if cheat == "in-place":
                time.sleep(0.001)
            if file.write(piece) != len(piece):
                raise OSError(errno.ENOSPC, "short write")
        if cheat != "no-sync":
            os.fsync(file.fileno())
        if cheat == "early-sync":
            file.write(b"the last line\n")
    return path, last


def sweep():
    """Removes what the dead left: each server holds a lock on a file of its name while it lives."""
    locks = os.path.join(options.maildir, ".locks")
    os.makedirs(locks, exist_ok=True)
    own = open(os.path.join(locks, owner), "w")
    fcntl.flock(own, fcntl.LOCK_EX)
    living = {owner}
    for name in os.listdir(locks):
        if name != owner:
            try:
                with open(os.path.join(locks, name)) as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(file.name)
            except BlockingIOError:
                living.add(name)
            except FileNotFoundError:
                pass
    if cheat == "sweeps-all":
        living = set()
    for folder, _, names in os.walk(options.maildir):
        for name in names if os.path.basename(folder) == "tmp" else []:
            if name.split(".")[0] not in living:
                try:
                    os.unlink(os.path.join(folder, name))
                except FileNotFoundError:
                    pass
    return own


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--maildir", required=True)
    parser.add_argument("--cheat", choices=CHEATS, default="none")
    options = parser.parse_args()
    cheat, durable, owner = options.cheat, set(), os.urandom(8).hex()
    os.makedirs(options.maildir, exist_ok=True)
    held = sweep()
    os.makedirs(os.path.join(options.maildir, ".queue"), exist_ok=True)
    run_queue([name for name in os.listdir(os.path.join(options.maildir, ".queue")) if not name.startswith(".")])
    with Listener(("127.0.0.1", options.port), Session) as listener:
        listener.serve_forever()
