"""Takes apart what lies in a mailbox or in the queue; docs/mailbox.md tells the form in words."""

import re

# A comma within a quoted string ends no address.
ADDRESS = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^",])+')


def fields(head):
    """The fields of a header, each with its name and its unfolded value, in their order."""
    text = head.decode("ascii", "surrogateescape")
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", text)
    return [tuple(line.split(": ", 1)) for line in re.split(r"\r?\n", unfolded) if ": " in line]


def addresses(value):
    return [address.strip() for address in ADDRESS.findall(value)]


def recipients(head):
    """Those that a file names."""
    return addresses(dict(fields(head))["X-Postman-To"])
