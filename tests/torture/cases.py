"""The cases but for the plug: kill -9, full and broken file systems, the clock, company."""

import glob
import os
import re
import subprocess
import threading
import time
from pathlib import Path

from disks import Filler, Image, Skip, need, tmpfs
from look import Ledger
from mail import ANSWERED, REFUSED, Client, Load, Lost
from server import Server

CLIENTS = 6
FAULTS_MAX = 12


def await_sweep(kind, maildir, ledger):
    """After a start nothing of a dead server stays in tmp. It is swept in the background."""
    if not kind.is_postman:
        return
    # Once it was not swept, nobody waits as long again.
    until = time.monotonic() + (0.5 if ledger.faults else 15)
    while left := kind.tmp_files(maildir):
        if time.monotonic() > until:
            ledger.fault(f"tmp is not swept after a restart: {left[:3]}")
            return
        time.sleep(0.01)


def settle(torture, server, ledger):
    """A server with a queue of its own needs to be started and some time until the mail is there."""
    if not torture.kind.settle:
        return
    until = time.monotonic() + torture.kind.settle
    with server:
        while time.monotonic() < until:
            ledger.take()
            answered = [mail for mail in ledger.mails.values() if mail.outcome == ANSWERED and not mail.judged]
            if all(ledger.found.get((mail.ident, home)) for mail in answered for home in ledger.homes_of(mail)):
                return
            time.sleep(0.2)


class Reader(threading.Thread):
    """A mail reader: what it sees in `new` it moves to `cur`, as seen."""

    def __init__(self, kind, ledger_homes, maildir):
        super().__init__(daemon=True)
        self.homes, self.maildir, self.done, self.moved = ledger_homes, maildir, threading.Event(), 0

    def run(self):
        while not self.done.is_set():
            for new in glob.glob(f"{self.maildir}/*/new"):
                cur = Path(new).parent / "cur"
                for name in os.listdir(new):
                    try:
                        os.rename(f"{new}/{name}", cur / f"{name}:2,S")
                        self.moved += 1
                    except FileNotFoundError:
                        pass
            time.sleep(0.002)

    def finish(self):
        self.done.set()
        self.join()


def kill(torture, reader=False):
    """kill -9 under load; each time all mailboxes are compared with what the clients were told."""
    kind, kills = torture.kind, torture.kills // 4 if reader else torture.kills
    maildir = torture.scratch / "mail"
    maildir.mkdir()
    ledger = torture.ledger = Ledger(kind, maildir)
    server = Server(kind, maildir, torture.scratch)
    in_tmp = moved = done = 0
    for number in range(kills):
        if number % 8 == 7:
            # One in eight is killed while it starts.
            server.start(ready=False)
            time.sleep(torture.random.uniform(0.0, 0.02))
            server.kill()
            done += 1
            continue
        server.start()
        await_sweep(kind, maildir, ledger)
        beside = Reader(kind, ledger.homes, maildir) if reader else None
        if beside:
            beside.start()
        load = Load(server.port, CLIENTS, lambda: torture.writer.mail(kind.some_recipients(torture.random)))
        time.sleep(torture.random.uniform(0.0, 0.15))
        server.kill()
        ledger.enter(load.join())
        if beside:
            beside.finish()
            moved += beside.moved
        in_tmp += bool(kind.tmp_files(maildir))
        settle(torture, server, ledger)
        ledger.take()
        ledger.judge()
        done += 1
        if len(ledger.faults) > FAULTS_MAX:
            break
    if kind.is_postman:
        with server:
            await_sweep(kind, maildir, ledger)
            one_more(torture, ledger, server)
            status = server.stop()
        if status != 0:
            ledger.fault(f"after SIGTERM it ends with status {status}, not 0")
        elif left := [str(path) for path in Path(maildir).glob(".owner.*") if not path.name.endswith(".new")]:
            ledger.fault(f"an orderly end leaves {left}")
    text = f"{done} kills, {in_tmp} of them left files in tmp; {ledger.summary()}"
    return text + (f"; a reader moved {moved} files to cur" if reader else "")


def reader(torture):
    """kill -9 under load while a reader moves files from `new` to `cur`."""
    return kill(torture, reader=True)


def one_more(torture, ledger, server, recipients=None, octets=1000):
    """One mail in a session of its own, entered into the ledger."""
    mail = torture.writer.mail(recipients or torture.kind.some_recipients(torture.random), octets)
    ledger.enter([mail])
    client = Client(server.port)
    client.send(mail)
    client.close()
    return mail


def three(kind):
    return ["user0@postman.local", "user1@postman.local", "a@other0.example"] if kind.is_postman else kind.recipients[:3]


def expect_refusal(torture, ledger, mail, code, when):
    """A refused mail got the right code; other servers may choose among the 4xx."""
    right = mail.code == code if torture.kind.is_postman else 400 <= (mail.code or 0) < 500
    if mail.outcome == REFUSED and not right:
        ledger.fault(f"{when}: {mail} should have got {code}")


def full(torture, place, inodes, what):
    """The file system is full to the last block or inode; then piece by piece there is room again."""
    kind, maildir = torture.kind, place / "mail"
    maildir.mkdir()
    ledger = torture.ledger = Ledger(kind, maildir)
    with Server(kind, maildir, torture.scratch) as server:
        first = one_more(torture, ledger, server, three(kind))
        if first.outcome != ANSWERED:
            ledger.fault(f"before anything is full {first} is refused")
        ledger.take()
        filler = Filler(place, inodes)
        filler.fill()
        client, accepted_at, sizes = Client(server.port), None, (3000, 200_000)
        for given in range(40):
            for octets in sizes if not inodes else (3000,):
                mail = torture.writer.mail(three(kind), octets)
                ledger.enter([mail])
                try:
                    client.send(mail)
                    if client.command("NOOP")[0] != 250:
                        ledger.fault(f"after {mail} the session does not go on")
                except Lost:
                    ledger.fault(f"with {given} {what} free the session ended: {mail}")
                    client = Client(server.port)
                expect_refusal(torture, ledger, mail, 452, f"{given} {what} free")
                if mail.outcome == REFUSED and kind.is_postman and (left := kind.tmp_files(maildir)):
                    ledger.fault(f"{mail}: {left[:3]} stays in tmp")
                if mail.outcome == ANSWERED and octets == 3000 and accepted_at is None:
                    accepted_at = given
                ledger.take()
                ledger.judge()
            if accepted_at is not None or len(ledger.faults) > FAULTS_MAX:
                break
            filler.give_back(1)
        if ledger.count(REFUSED) == 0:
            ledger.fault(f"nothing was refused: the file system was not full, or a full one is no reason here")
        crowd = full_for_many(torture, ledger, server, filler)
        filler.give_all_back()
        for octets in sizes:
            mail = torture.writer.mail(three(kind), octets)
            ledger.enter([mail])
            client.send(mail)
            if mail.outcome != ANSWERED:
                ledger.fault(f"there is room again, and {mail} is not taken")
        client.close()
        ledger.take()
        ledger.judge()
    return f"a mail of three copies is taken again from {accepted_at} free {what} on; {crowd}; {ledger.summary()}"


def full_for_many(torture, ledger, server, filler):
    """Clients that compete for the last blocks or inodes, while a reader takes what is delivered."""
    kind = torture.kind
    filler.fill()
    filler.give_back(12)

    def make():
        everybody = three(kind)
        mail = torture.writer.mail(torture.random.sample(everybody, torture.random.randint(1, len(everybody))), 3000)
        ledger.enter([mail])
        return mail

    load = Load(server.port, CLIENTS, make)
    for _ in range(20):
        time.sleep(0.02)
        ledger.take()
    sent = load.join()
    ledger.take()
    ledger.judge()
    for mail in sent:
        expect_refusal(torture, ledger, mail, 452, "competing for the last free ones")
    if kind.is_postman and (left := kind.tmp_files(ledger.maildir)):
        ledger.fault(f"after the competition {left[:3]} stay in tmp")
    answered = sum(mail.outcome == ANSWERED for mail in sent)
    return f"{CLIENTS} clients competing for 12: {answered} mails taken, {len(sent) - answered} not"


def full_tmpfs(torture):
    """A tmpfs filled to the last block."""
    with tmpfs(torture.scratch / "tmpfs", "size=4m") as place:
        return full(torture, place, False, "blocks")


def full_ext4(torture):
    """A loop-mounted ext4 filled to the last block."""
    with Image("ext4", torture.scratch, "32M", ("-m", "0")) as image:
        return full(torture, image.place, False, "blocks")


def inodes_tmpfs(torture):
    """A tmpfs out of inodes."""
    with tmpfs(torture.scratch / "tmpfs", "size=16m,nr_inodes=200") as place:
        return full(torture, place, True, "inodes")


def inodes_ext4(torture):
    """A loop-mounted ext4 out of inodes."""
    with Image("ext4", torture.scratch, "32M", ("-m", "0", "-N", "256")) as image:
        return full(torture, image.place, True, "inodes")


def reserve(torture):
    """Below the reserve of free space MAIL gets 452, before content is sent."""
    kind = torture.kind
    if not kind.is_postman:
        raise Skip("the reserve is an option of postman's")
    with tmpfs(torture.scratch / "tmpfs", "size=64m") as place:
        ledger = torture.ledger = Ledger(kind, place / "mail")
        with Server(kind, place / "mail", torture.scratch, free_bytes_min=32 << 20) as server:
            if (mail := one_more(torture, ledger, server)).outcome != ANSWERED:
                ledger.fault(f"above the reserve {mail} is refused")
            client = Client(server.port)
            code, text = client.command(f"MAIL FROM:<a@x.org> SIZE={40 << 20}")
            if code != 452:
                ledger.fault(f"a mail of 40 MiB into 32 MiB above the reserve: {text}")
            client.command("RSET")
            (place / "filler").write_bytes(b"f" * (40 << 20))
            # The server looks at the space now and then while mail comes, not before each MAIL.
            taken, until = 0, time.monotonic() + 5
            while (mail := one_more(torture, ledger, server)).outcome == ANSWERED and time.monotonic() < until:
                taken += 1
                time.sleep(0.05)
            if (mail.code, mail.stage) != (452, "MAIL"):
                ledger.fault(f"below the reserve for five seconds, and {mail} should have got 452 at MAIL")
            (place / "filler").unlink()
            tries, until = 1, time.monotonic() + 5
            while one_more(torture, ledger, server).outcome != ANSWERED and time.monotonic() < until:
                tries += 1
                time.sleep(0.05)
            if time.monotonic() > until:
                ledger.fault("there is room again, and for five seconds no mail is taken")
            client.close()
        ledger.take()
        ledger.judge()
    return f"{taken} mails taken before the look that found it, then {mail.code} at {mail.stage}; taken again at try {tries}; {ledger.summary()}"


def hang(torture):
    """The disk hangs (a frozen ext4): only who waits for it waits; when it goes on, so do they."""
    kind, waiting_max = torture.kind, 4
    with Image("ext4", torture.scratch, "64M") as image:
        maildir = image.place / "mail"
        maildir.mkdir()
        ledger = torture.ledger = Ledger(kind, maildir)
        with Server(kind, maildir, torture.scratch, settings=f"commits_waiting_max: {waiting_max}") as server:
            one_more(torture, ledger, server, three(kind))
            beside = Client(server.port, timeout=20)
            mails = [torture.writer.mail(three(kind), octets) for octets in (500, 1000, 3000, 9000)]
            ledger.enter(mails)
            clients, refused = [Client(server.port) for _ in mails], None

            def send(client, mail):
                try:
                    client.send(mail)
                except Lost as error:
                    ledger.fault(f"{mail}: the session is lost: {error}")

            threads = [threading.Thread(target=send, args=pair) for pair in zip(clients, mails)]
            with image.hanging():
                for thread in threads:
                    thread.start()
                # Other sessions are answered, again and again, and new ones are taken.
                begin = time.monotonic()
                try:
                    while time.monotonic() < begin + 1.5:
                        for command in ("NOOP", "EHLO client.example", "RSET"):
                            if (code := beside.command(command)[0]) != 250:
                                ledger.fault(f"while the disk hangs {command} gets {code}")
                        time.sleep(0.05)
                    Client(server.port, timeout=20).close()
                    if kind.is_postman:
                        refused = beside.command("MAIL FROM:<a@x.org>")[0]
                        if refused != 452:
                            ledger.fault(f"{waiting_max} messages wait for the disk, the bound is {waiting_max}, and MAIL gets {refused}")
                except Lost as error:
                    ledger.fault(f"while the disk hangs another session is not answered in twenty seconds: {error}")
                early = [mail for mail in mails if mail.outcome in (ANSWERED, REFUSED)]
                if early:
                    ledger.fault(f"the disk hangs, and {early[0]} has its answer")
            for thread in threads:
                thread.join(90)
            beside.close()
            if late := [mail for mail in mails if mail.outcome != ANSWERED]:
                ledger.fault(f"the disk goes on, and {late[0]} is not taken")
            if (mail := one_more(torture, ledger, server)).outcome != ANSWERED:
                ledger.fault(f"the disk goes on, and {mail} is not taken")
        ledger.take()
        ledger.judge()
    return f"{len(mails)} mails waited; meanwhile others were answered, and new mail got {refused}; {ledger.summary()}"


def readonly(torture):
    """A folder is made read-only while the server runs (chattr +i: root minds it), then the file system."""
    kind = torture.kind
    need("chattr")
    with Image("ext4", torture.scratch, "64M") as image:
        maildir = image.place / "mail"
        maildir.mkdir()
        ledger = torture.ledger = Ledger(kind, maildir)
        with Server(kind, maildir, torture.scratch) as server:
            def send(recipients, expected, when, octets=1000):
                mail = one_more(torture, ledger, server, recipients, octets)
                if mail.outcome != (ANSWERED if expected == 250 else REFUSED):
                    ledger.fault(f"{when}: {mail}")
                expect_refusal(torture, ledger, mail, expected, when)
                if kind.is_postman and (left := kind.tmp_files(maildir)):
                    ledger.fault(f"{when}: {left[:3]} stays in tmp")

            send(three(kind), 250, "before")
            folders = [kind.folders(kind.home(maildir, recipient))[0] for recipient in three(kind)]
            if kind.is_postman:
                folders += [f"{maildir}/user0/tmp", f"{maildir}/.OTHER_SERVERS/other0.example/tmp"]
            for folder in dict.fromkeys(folders):
                subprocess.run(["chattr", "+i", folder], check=True)
                try:
                    for octets in (1000, 200_000):
                        send(three(kind), 451, f"{folder} is read-only", octets)
                    beside = [one for one in three(kind) if not folder.startswith(kind.home(maildir, one).split("|")[0])]
                    if beside and not kind.patterns:
                        send(beside, 250, f"{folder} is read-only, another is not")
                finally:
                    subprocess.run(["chattr", "-i", folder], check=True)
                send(three(kind), 250, f"{folder} is writable again")
            ledger.take()
            ledger.judge()
            # An error of the disk makes ext4 read-only under the server's hands.
            subprocess.run(["sync", "-f", str(image.place)], check=True)
            subprocess.run(["mount", "-o", "remount,errors=remount-ro", str(image.place)], check=True)
            device = os.path.basename(subprocess.check_output(["findmnt", "-no", "SOURCE", str(image.place)], text=True).strip())
            Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("torture\n")
            for octets in (1000, 200_000):
                send(three(kind), 451, "the file system is read-only", octets)
        image.unmount()
        # Its error is on record; fsck is what an operator would run.
        subprocess.run(["fsck.ext4", "-fy", str(image.file)], capture_output=True, check=False)
        image.mount()
        with Server(kind, maildir, torture.scratch) as server:
            send(three(kind), 250, "the file system is writable again")
        ledger.take()
        ledger.judge()
    return f"{len(set(folders))} folders one after another, then the file system; {ledger.summary()}"


def no_place(torture):
    """An ext4 that drops what it has taken, because it finds no block for it when it writes it behind the writer's back."""
    kind = torture.kind
    # All blocks are one group, with one bitmap and its checksum.
    with Image("ext4", torture.scratch, "128M", ("-b", "4096", "-O", "metadata_csum")) as image:
        maildir = image.place / "mail"
        maildir.mkdir()
        ledger = torture.ledger = Ledger(kind, maildir)
        with Server(kind, maildir, torture.scratch) as server:
            one_more(torture, ledger, server, three(kind))
            ledger.take()
            ledger.judge()
        image.unmount()
        image.break_bitmaps()
        image.mount()
        with Server(kind, maildir, torture.scratch) as server:
            for recipients in (three(kind), three(kind)[:1], three(kind)):
                mail = one_more(torture, ledger, server, recipients, 5000)
                if mail.outcome != REFUSED:
                    ledger.fault(f"no block can be had: {mail}")
        # What is not on the disk is nowhere now.
        image.unmount()
        image.mount()
        ledger.take(remove=False)
        ledger.judge()
        if kind.is_postman and (left := kind.tmp_files(maildir)):
            ledger.fault(f"{left[:3]} stays in tmp")
    return f"of many files and of one; {ledger.summary()}"


def clock(torture):
    """The clock stands still, then goes back five years, then the server starts anew in the same second."""
    kind, maildir = torture.kind, torture.scratch / "mail"
    maildir.mkdir()
    library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
    if library is None:
        raise Skip("libfaketime is not installed (package faketime)", tool=True)
    # In the mail folder: a server that locks itself in may read nothing else.
    stamp = maildir / ".clock"
    environment = {
        "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC",
    }
    ledger = torture.ledger = Ledger(kind, maildir)
    recipients = ["user0@postman.local", "a@other0.example"] if kind.is_postman else kind.recipients[:1]
    early, late = "2020-12-19 22:16:15", "2026-01-01 00:00:00"
    for times in ((late, early), (early, late), (early,)):
        stamp.write_text(times[0])
        with Server(kind, maildir, torture.scratch, environment=environment) as server:
            for moment in times:
                stamp.write_text(moment)
                # 40 mails into one mailbox and one queue in the same second.
                left = iter(range(40))
                lock = threading.Lock()

                def send():
                    client = Client(server.port)
                    while True:
                        with lock:
                            if next(left, None) is None:
                                break
                        mail = torture.writer.mail(recipients, 500)
                        ledger.enter([mail])
                        client.send(mail)
                    client.close()

                threads = [threading.Thread(target=send) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(90)
    if refused := ledger.count(REFUSED):
        ledger.fault(f"{refused} mails are refused because of the clock")
    dates = {}
    for _, path in ledger.files():
        for date in re.findall(rb"^X-Postman-Date: (\d+)", path.read_bytes(), re.MULTILINE):
            dates[int(date)] = dates.get(int(date), 0) + 1
    # 1608416175 is the early moment. The proof that the server saw the clock go back.
    if kind.is_postman and set(dates) != {1608416175, 1767225600}:
        ledger.fault(f"the clock was not what it should be: {dates}")
    ledger.take()
    ledger.judge()
    return f"3 runs; {ledger.summary()}" + (f"; files by date {dates}" if dates else "")


def two(torture):
    """Two servers on one maildir: one is killed and started again and again, the other must not notice."""
    kind, maildir = torture.kind, torture.scratch / "mail"
    maildir.mkdir()
    ledger = torture.ledger = Ledger(kind, maildir)
    for name in ("one", "other"):
        (torture.scratch / name).mkdir()
    mortal, steady = (Server(kind, maildir, torture.scratch / name) for name in ("one", "other"))
    make = lambda: torture.writer.mail(kind.some_recipients(torture.random))
    kills = max(torture.kills // 10, 3)
    steady.start()
    beside = Load(steady.port, CLIENTS, make)
    try:
        for _ in range(kills):
            mortal.start()
            load = Load(mortal.port, CLIENTS, make)
            time.sleep(torture.random.uniform(0.02, 0.2))
            mortal.kill()
            ledger.enter(load.join())
        sent = beside.join()
        ledger.enter(sent)
        for mail in sent:
            if mail.outcome != ANSWERED:
                ledger.fault(f"the steady server suffers from the other's death: {mail}")
        with mortal:
            await_sweep(kind, maildir, ledger)
    finally:
        mortal.kill()
        steady.kill()
    ledger.take()
    ledger.judge()
    return f"{kills} kills of one, {len(sent)} mails to the other; {ledger.summary()}"
