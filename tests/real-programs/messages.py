"""What every real program sends: five messages, as octets with LF line ends."""

import base64
import random

HEAD = b"""From: Sender <sender@example.org>
To: Receiver <receiver@postman.local>
Subject: %(subject)s
Date: Tue, 24 Nov 2026 12:00:00 +0000
Message-ID: <%(subject)s.1@example.org>
MIME-Version: 1.0
"""


def message(subject, headers, body):
    return HEAD % {b"subject": subject} + headers + b"\n" + body


def attachment():
    """A text part and 10 MiB of noise as base64; the seed makes it the same each time."""
    noise = base64.encodebytes(random.Random(5321).randbytes(10 << 20))
    return (
        b"--edge\nContent-Type: text/plain; charset=us-ascii\n\nSee the attachment.\n"
        b"--edge\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        b'Content-Disposition: attachment; filename="noise.bin"\n\n' + noise + b"--edge--\n"
    )


UTF8 = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"

MESSAGES = {
    "plain": message(b"plain", b"", b"A plain message.\n\nWith an empty line.\n"),
    "attachment": message(b"attachment", b'Content-Type: multipart/mixed; boundary="edge"\n', attachment()),
    "8bit": message(b"8bit", UTF8, "Grüße, 你好, добрый день, \u00a0.\n".encode() * 20),
    "dots": message(b"dots", b"", b".\n..\n...\n.a dot\n..two dots\n\n.\n\nFrom here\n. \n" * 5),
    "many": message(b"many", b"", b"One to many.\n"),
}

# One message to so many mailboxes, and to two domains of other servers.
MANY = 100
OTHERS = ["joe@other.server", "ann@other.server", "joe@good.server.ru"]


def recipients(program, kind):
    """Each program and kind has mailboxes of its own, so that each file tells who sent it."""
    if kind != "many":
        return [f"{program}-{kind}@postman.local"]
    own = [f"{program}-many-{number}@postman.local" for number in range(MANY)]
    return own + [f"{program}-{other}" for other in OTHERS]


MARK, MBOX = b"\xef\xbb\xbf", b"From alice@example.org Thu Jan  1 00:00:00 1970\n"
# What some senders put before their header: it must hide nothing from a reader.
BEFORE = {
    "mark": MARK,
    "mbox-line": MBOX,
    "mark-and-mbox-line": MARK + MBOX,
    "mbox-line-and-mark": MBOX + MARK,
    "mbox-lines": MBOX + b">" + MBOX,
    "long-mbox-line": b"From " + b"alice@example.org " * 100 + b"\n",
}
# Content without a header is a body, and what a reader shows of it.
BODIES = {
    "body": (b"No header.\nx: y\n", "No header."),
    "mark-and-body": (MARK + b"No header.\n", "No header."),
    "from-and-body": (b"From here on\nit is text.\n", "From here on"),
}
# So many recipients that their field needs many lines; commas within quoted strings are theirs.
MANY_AT_ONE_DOMAIN = [f"reader-{number}@third.server" for number in range(900)]
MANY_AT_ONE_DOMAIN += [f'"a,{number}@victim.example,\\\\\\"c"@third.server' for number in range(100)]
