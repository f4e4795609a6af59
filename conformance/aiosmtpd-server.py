"""aiosmtpd with a handler that takes all but one user: aiosmtpd-server.py CLEAR [STARTTLS TLS CHAIN KEY]

CLEAR, STARTTLS and TLS are ports: without a certificate, with one, and encrypted from the first octet.
"""

import ssl
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


listeners = [(sys.argv[1], {})]
if len(sys.argv) > 2:
    starttls, tls, chain, key = sys.argv[2:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    listeners += [(starttls, {"tls_context": context}), (tls, {"ssl_context": context})]
for port, how in listeners:
    Controller(Handler(), hostname="127.0.0.1", port=int(port), **how).start()
threading.Event().wait()
