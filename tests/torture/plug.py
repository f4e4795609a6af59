"""The plug: right after a 250 the file system ends, as it is on its device at that moment."""

import subprocess
import threading
import time
from pathlib import Path

from cases import FAULTS_MAX, await_sweep, one_more
from disks import Image
from look import Ledger
from mail import ANSWERED, UNANSWERED, Load
from server import Server

CLIENTS = 4


def frozen(server):
    """Stops the server in its tracks and waits until each of its threads has stopped."""
    server.freeze()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        states = []
        for status in Path(f"/proc/{server.process.pid}/task").glob("*/stat"):
            states.append(status.read_text().rsplit(")", 1)[1].split()[0])
        if all(state in "TtZ" for state in states):
            return
        time.sleep(0.001)
    raise RuntimeError("the server does not stop in 30 s")


class Fuse:
    """Blows at the n-th 250, in the very thread that read it."""

    def __init__(self, number, pull):
        self.left, self.pull, self.lock, self.blown, self.error = number, pull, threading.Lock(), threading.Event(), None

    def answered(self, _mail):
        with self.lock:
            self.left -= 1
            if self.left != 0:
                return
            self.blown_at = time.monotonic()
            try:
                self.pull()
            except Exception as error:
                self.error = error
            self.blown.set()


def plug(torture, filesystem, by_copy, rounds):
    kind = torture.kind
    size = "512M" if filesystem == "xfs" else "256M"
    image = Image(filesystem, torture.scratch, size).mount()
    try:
        maildir = image.place / "mail"
        maildir.mkdir()
        subprocess.run(["sync", "-f", str(image.place)], check=True)
        ledger = torture.ledger = Ledger(kind, maildir)
        left_in_tmp = done = too_late = 0
        for number in range(rounds):
            server = Server(kind, maildir, torture.scratch)
            try:
                server.start()
                await_sweep(kind, maildir, ledger)
                # New folders in two rounds of three: their names must be safe as well.
                tag = f"r{number}" if number % 3 else ""
                pull = (lambda: frozen(server)) if by_copy else image.shut_down
                fuse = Fuse(torture.random.randint(1, 25), pull)
                load = Load(server.port, CLIENTS, lambda: torture.writer.mail(kind.some_recipients(torture.random, tag)), fuse.answered)
                if not fuse.blown.wait(60):
                    raise RuntimeError(f"no 250 in 60 s: {server.last_words()}")
                if fuse.error:
                    raise fuse.error
                if by_copy:
                    image.keep_copy()
            finally:
                server.kill()
            sent = load.join()
            for mail in sent:
                # A machine without power answers nobody. One that lost its file system goes on, and XFS
                # lets some syncs of that moment succeed: such an answer is none. A frozen
                # server sends nothing: what is read after it stood still was sent before.
                if not by_copy and mail.outcome == ANSWERED and mail.answered_at > fuse.blown_at:
                    mail.outcome, too_late = UNANSWERED, too_late + 1
            ledger.enter(sent)
            image.unmount()
            if by_copy:
                image.use_copy()
            image.mount()
            left_in_tmp += bool(kind.tmp_files(maildir))
            ledger.take()
            # A dead disk does not let a server take anything back.
            ledger.judge(refused_may_stay=True)
            # What was read and removed here stays removed.
            subprocess.run(["sync", "-f", str(image.place)], check=True)
            done += 1
            if len(ledger.faults) > FAULTS_MAX:
                break
        maildir.mkdir(exist_ok=True)
        with Server(kind, maildir, torture.scratch) as server:
            await_sweep(kind, maildir, ledger)
            if (mail := one_more(torture, ledger, server)).outcome != ANSWERED:
                ledger.fault(f"after the last remount {mail} is not taken")
        ledger.take()
        ledger.judge()
        how = "frozen and copied" if by_copy else "shut down"
        late = f"{too_late} answers that came after the plug count as none; " if too_late else ""
        return f"{how} {done} times, files in tmp after {left_in_tmp}; {late}{ledger.summary()}"
    finally:
        image.unmount()


def plug_ext4(torture):
    """ext4 shut down without flushing its log, right after a 250."""
    return plug(torture, "ext4", False, torture.rounds)


def plug_xfs(torture):
    """XFS shut down without flushing its log, right after a 250."""
    return plug(torture, "xfs", False, torture.rounds)


def copy_ext4(torture):
    """The server frozen right after a 250, and its ext4 copied as it is on the device."""
    return plug(torture, "ext4", True, torture.rounds)


def copy_xfs(torture):
    """The server frozen right after a 250, and its XFS copied as it is on the device."""
    return plug(torture, "xfs", True, torture.rounds)


def copy_btrfs(torture):
    """The server frozen right after a 250, and its btrfs copied as it is on the device."""
    return plug(torture, "btrfs", True, torture.rounds)
