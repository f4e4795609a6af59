"""The acceptance scenarios of the C server that postman succeeds, against a running server.

Each is a function of a port and a folder; it raises AssertionError where the server is wrong.
"""

import re
import threading
import time
from pathlib import Path

import mail_file
from mail import Client

USERS = ["user@postman.local", "client@postman.local"]
OTHERS = ["user@other.server", "client@other.server", "user@good.server.ru", "other@good.server.ru"]
PLACES = {
    "user/new": "user@postman.local",
    "client/new": "client@postman.local",
    ".OTHER_SERVERS/other.server": "user@other.server,client@other.server",
    ".OTHER_SERVERS/good.server.ru": "user@good.server.ru,other@good.server.ru",
}


def say(client, line, code):
    got, text = client.command(line)
    assert got == code, f"{line!r}: {code} expected, got {text!r}"


def begin(client, recipients, sender="test@test.ru"):
    say(client, f"MAIL FROM:<{sender}>", 250)
    for recipient in recipients:
        say(client, f"RCPT TO:<{recipient}>", 250)
    say(client, "DATA", 354)


def end(client):
    client.put(b".\r\n")
    code, text = client.reply()
    assert code == 250, f"after the dot: {text!r}"


def bye(client):
    say(client, "QUIT", 221)
    client.close()


def taken(maildir):
    """Takes all mail: its head's X-Postman-To and its body by place; a second file in a place is an error."""
    mails = {}
    for place in PLACES:
        files = [path for path in Path(maildir, place).glob("*") if path.is_file()]
        assert len(files) == 1, f"{len(files)} files in {place}"
        octets = files[0].read_bytes().replace(b"\r\n", b"\n")
        files[0].unlink()
        head, _, body = octets.partition(b"\n\n")
        assert re.search(rb"^X-Postman-From: (.*)$", head, re.MULTILINE)[1] == b"test@test.ru", head
        assert re.search(rb"^X-Postman-Date: \d+$", head, re.MULTILINE), head
        to = mail_file.recipients(head)
        assert to == PLACES[place].split(","), f"{place}: {to}"
        mails[place] = body
    return mails


def empty_mail(port, maildir):
    client = Client(port)
    begin(client, USERS + OTHERS)
    end(client)
    bye(client)
    assert set(taken(maildir).values()) == {b""}


def big_line(port, maildir):
    lines = [bytes([letter]) * 4000 for letter in b"abc"] + [b"x" * 400] * 100
    client = Client(port)
    begin(client, USERS + OTHERS)
    for number, line in enumerate(lines):
        client.put(line + b"\r\n")
        # What is tested is that the line comes in its own time.
        time.sleep(1 if number < 3 else 0)
    end(client)
    bye(client)
    assert set(taken(maildir).values()) == {b"\n".join(lines) + b"\n"}


def rset(port, _maildir):
    for commands in ([], ["EHLO a.example"], ["EHLO a.example", "MAIL FROM:<a@x.org>"],
                     ["EHLO a.example", "MAIL FROM:<a@x.org>", "RCPT TO:<user@postman.local>"]):
        client = Client(port, hello=False)
        for command in [*commands, "RSET"]:
            say(client, command, 250)
        say(client, "RCPT TO:<user@postman.local>", 503)
        bye(client)


def noop(port, _maildir):
    client = Client(port, hello=False)
    for command in ("NOOP", "EHLO a.example", "NOOP", "MAIL FROM:<a@x.org>", "NOOP", "RCPT TO:<user@postman.local>", "NOOP"):
        say(client, command, 250)
    bye(client)


def invalid_sequence(port, _maildir):
    client = Client(port, hello=False)
    say(client, "mail from: test@test.ru", 503)
    say(client, "hello", 500)
    for command in ("HELO a.example", "HELO a.example", "MAIL FROM:<a@x.org>", "HELO a.example"):
        say(client, command, 250)
    say(client, "RCPT TO:<user@postman.local>", 503)
    bye(client)


def parallel(port, maildir, clients=100, at_once=15):
    """Three kinds of clients: small mail, large mail, and mail that comes a line every 200 ms."""
    gate, errors = threading.Semaphore(at_once), []

    def one(number):
        with gate:
            try:
                client = Client(port, timeout=120)
                begin(client, USERS + OTHERS[:1])
                for count in range((1, 2000, 5)[number % 3]):
                    client.put(b"line %d of %d\r\n" % (count, number))
                    if number % 3 == 2:
                        time.sleep(0.2)
                end(client)
                bye(client)
            except Exception as error:
                errors.append(f"client {number}: {error}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[:3]
    for place in ("user/new", "client/new", ".OTHER_SERVERS/other.server"):
        bodies = []
        for path in [path for path in Path(maildir, place).glob("*") if path.is_file()]:
            bodies.append(path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")[2])
            path.unlink()
        expected = [b"".join(b"line %d of %d\n" % (count, number) for count in range((1, 2000, 5)[number % 3])) for number in range(clients)]
        assert sorted(bodies) == sorted(expected), f"{place}: {len(bodies)} mails, or not the ones that were sent"


ALL = [empty_mail, big_line, rset, noop, invalid_sequence, parallel]
