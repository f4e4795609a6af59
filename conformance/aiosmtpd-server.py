"""aiosmtpd with a handler that takes all but one user: aiosmtpd-server.py PORT"""

import sys
import threading

from aiosmtpd.controller import Controller


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        return "250 OK"


Controller(Handler(), hostname="127.0.0.1", port=int(sys.argv[1])).start()
threading.Event().wait()
