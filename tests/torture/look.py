"""Looks at what lies in the mailboxes and compares it with what the clients were told."""

import os
import re
from pathlib import Path

import mail_file
from mail import ANSWERED, ID, REFUSED, UNANSWERED, UNSENT

HEADER_LINES = re.compile(rb"(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*")


class Ledger:
    """All mails of a case, what was found of each, and the faults."""

    def __init__(self, kind, maildir):
        self.kind, self.maildir = kind, str(maildir)
        self.mails, self.found, self.faults = {}, {}, []
        self.homes, self.names, self.whole_unanswered = set(), 0, 0

    def enter(self, mails):
        for mail in mails:
            self.mails[mail.ident] = mail
            self.homes.update(self.homes_of(mail))

    def homes_of(self, mail):
        return {self.kind.home(self.maildir, recipient) for recipient in mail.recipients}

    def fault(self, text):
        self.faults.append(text)

    def files(self):
        """Every file that a reader would meet, with its place."""
        for home in sorted(self.homes):
            for folder in self.kind.folders(home):
                try:
                    entries = [entry for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
                except FileNotFoundError:
                    continue
                for entry in entries:
                    yield home, Path(entry.path)

    def take(self, remove=True):
        """Reads and accounts for every file, and removes it, as a reader would. The number of files."""
        number = 0
        for home, path in list(self.files()):
            try:
                octets = path.read_bytes()
            except FileNotFoundError:
                continue
            number += 1
            found = ID.search(octets)
            mail = self.mails.get(found[1].decode()) if found else None
            if mail is None:
                self.fault(f"{path} is half a mail or nobody's: it begins {octets[:80]!r}")
            elif home not in self.homes_of(mail):
                self.fault(f"{path}: {mail} is in a place of none of its recipients")
            else:
                key = (mail.ident, home)
                self.found[key] = self.found.get(key, 0) + 1
                if mail.judged and (self.found[key] > 1 or mail.outcome in (REFUSED, UNSENT)):
                    self.fault(f"{mail} came once more, after its time")
                wrong = self.difference(mail, home, octets)
                if wrong:
                    half = mail.content.replace(b"\r\n", b"\n").find(octets[-20:].replace(b"\r\n", b"\n")) >= 0
                    self.fault(f"{path}: {mail} is not as it was sent: {wrong}{', half a mail' if half else ''}")
            if remove:
                path.unlink(missing_ok=True)
        self.names += number
        return number

    def difference(self, mail, home, octets):
        """What is wrong with a file, or None."""
        if not self.kind.is_postman:
            return foreign_difference(mail, octets)
        queue = "/.OTHER_SERVERS/" in home
        content = mail.content if queue else mail.content.replace(b"\r\n", b"\n")
        if not octets.endswith(content):
            return first_difference(content, octets[octets.find(b"X-Torture-Id:"):])
        head = octets[: len(octets) - len(content)]
        if queue:
            if not head.endswith(b"\r\n\r\n"):
                return "no empty line after the envelope"
            head = head[:-2].replace(b"\r\n", b"\n")
        if b"\r" in head or not HEADER_LINES.fullmatch(head):
            return f"its head is not header lines: {head!r}"
        named = sorted(mail_file.recipients(head))
        own = sorted(recipient for recipient in mail.recipients if self.kind.home(self.maildir, recipient) == home)
        if named != own:
            return f"it names {named}, not {own}"
        return None

    def judge(self, refused_may_stay=False):
        """Judges all mails entered since the last time."""
        for mail in self.mails.values():
            if mail.judged:
                continue
            mail.judged = True
            counts = [self.found.get((mail.ident, home), 0) for home in sorted(self.homes_of(mail))]
            if any(count > 1 for count in counts):
                self.fault(f"{mail} is there {max(counts)} times")
            if mail.outcome == ANSWERED and not all(counts):
                self.fault(f"{mail} is lost: it was answered 250 and is in {sum(map(bool, counts))} of {len(counts)} places")
            none = mail.outcome == UNSENT or (mail.outcome == REFUSED and not refused_may_stay)
            if none and any(counts):
                self.fault(f"{mail} was not taken, and is there")
            if mail.outcome == UNANSWERED and any(counts):
                self.whole_unanswered += 1

    def count(self, outcome):
        return sum(mail.outcome == outcome for mail in self.mails.values())

    def summary(self):
        text = f"{self.count(ANSWERED)} mails answered 250, {self.count(UNANSWERED)} unanswered"
        if self.whole_unanswered:
            text += f" ({self.whole_unanswered} of them in a mailbox)"
        if self.count(REFUSED):
            text += f", {self.count(REFUSED)} refused"
        return text + f"; {self.names} files read"


def first_difference(expected, found):
    at = next((index for index, (one, other) in enumerate(zip(expected, found)) if one != other), min(len(expected), len(found)))
    return f"{len(found)} octets for {len(expected)}, different from octet {at}: {found[at:at + 40]!r} for {expected[at:at + 40]!r}"


def foreign_difference(mail, octets):
    """Another server may add header lines where it likes; what was sent must be there, the body exactly."""
    octets, content = octets.replace(b"\r\n", b"\n"), mail.content.replace(b"\r\n", b"\n")
    head, _, body = octets.partition(b"\n\n")
    sent_head, _, sent_body = content.partition(b"\n\n")
    for line in sent_head.split(b"\n"):
        if line not in head.split(b"\n"):
            return f"the header line {line!r} is missing"
    # mbox-minded servers write `From ` as `>From `, and some end a mail with one more empty line.
    return None if body.rstrip(b"\n") == sent_body.rstrip(b"\n") else first_difference(sent_body, body)
