"""What lies in a file beside what was sent."""

import sys


def content(path, last_header, end):
    """What stands in a file behind our own headers."""
    octets = path.read_bytes()
    place = octets.index(b"\n" + last_header)
    return octets[octets.index(end, place + 1) + len(end):]


def check(got, expected, program, where):
    if program == "postfix":
        # A relay puts its trace before the message: one folded Received: field, and nothing else.
        trace = got.removesuffix(expected)
        lines = trace.splitlines()
        assert lines and lines[0].startswith(b"Received: ") and all(line[:1] in b" \t" for line in lines[1:]), (where, trace)
        got = got.removeprefix(trace)
    if got != expected:
        place = next((at for at, (one, other) in enumerate(zip(got, expected)) if one != other), min(len(got), len(expected)))
        sys.exit(f"{where}: differs at octet {place}: {got[place:place + 80]!r}, expected {expected[place:place + 80]!r}")
