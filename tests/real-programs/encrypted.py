"""The real programs over TLS: after STARTTLS, and from the first octet. Each verifies the server by a CA of our own.

Postfix does it by each of its levels, and with its cache of connections. A program that knows another CA sends
nothing, which shows that the others have looked.
"""

import os
import pathlib
import re
import smtplib
import ssl
import subprocess

import mail_file
from messages import MESSAGES
from octets import check, content
from programs import SENDER, Postfix, Programs, crlf, run
from server import Server

HERE = pathlib.Path(__file__).resolve().parent
HOST = "localhost"
KINDS = ["starttls", "first"]
CONFIG = """(
    listeners: [(address: "127.0.0.1:0"), (address: "127.0.0.1:0", tls: FirstOctet)],
    certificates: [(chain: "{folder}/ours.pem", key: "{folder}/ours.key")],
    users: Any,
)"""


def sign(folder):
    """Two CAs, `ours` and `others`, and a certificate for `localhost` by the first."""
    def openssl(*words):
        run(["openssl", *(str(word) for word in words)])
    folder.mkdir()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "other-ca"):
        openssl("req", "-x509", *key, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
                "-subj", f"/CN=Postman's tests, {name}", "-days", 30)
    openssl("req", *key, "-keyout", folder / "ours.key", "-out", folder / "ours.csr", "-subj", f"/CN={HOST}")
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST}\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", folder / "ours.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-extfile", folder / "names", "-days", 20, "-out", folder / "ours.pem")


class Encrypted(Programs):
    """The clients over TLS of one kind, which trust the CA of a file and no other."""

    def __init__(self, kind, port, folder, ca):
        super().__init__(port, folder)
        self.kind, self.ca = kind, ca

    def send_swaks(self, message, to):
        path = self.file(message.removesuffix(b"\n"))
        tls = "--tls" if self.kind == "starttls" else "--tls-on-connect"
        run(["swaks", "--server", f"{HOST}:{self.port}", "--from", SENDER, "--to", ",".join(to), "--silent", "2",
             tls, "--tls-verify", "--tls-ca-path", self.ca, "--data", f"@{path}"])

    def send_curl(self, message, to):
        scheme = "smtp" if self.kind == "starttls" else "smtps"
        command = ["curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", self.ca, f"{scheme}://{HOST}:{self.port}",
                   "--mail-from", SENDER, "--upload-file", self.file(crlf(message))]
        run(command + [word for address in to for word in ("--mail-rcpt", address)])

    def send_msmtp(self, message, to):
        starttls = "on" if self.kind == "starttls" else "off"
        run(["msmtp", "--host", HOST, "--port", str(self.port), "--tls=on", f"--tls-starttls={starttls}",
             f"--tls-trust-file={self.ca}", "--from", SENDER, *to], message)

    def send_smtplib(self, message, to):
        context = ssl.create_default_context(cafile=self.ca)
        if self.kind == "starttls":
            client = smtplib.SMTP(HOST, self.port)
            client.starttls(context=context)
        else:
            client = smtplib.SMTP_SSL(HOST, self.port, context=context)
        with client:
            refused = client.sendmail(SENDER, to, crlf(message), mail_options=["BODY=8BITMIME"])
        assert not refused, refused

    def send_nodemailer(self, message, to):
        environment = {**os.environ, "NODE_PATH": str(self.folder / "node_modules"), "TLS": self.kind, "CA": self.ca}
        run(["node", str(HERE / "nodemailer.js"), str(self.port), SENDER, self.file(message), *to], env=environment)

    def send_openssl(self, message, to):
        """A person at `openssl s_client`, who waits for each answer; in both versions."""
        version = "-tls1_2" if "8bit" in to[0] else "-tls1_3"
        command = ["openssl", "s_client", "-connect", f"{HOST}:{self.port}", version, "-quiet", "-CAfile", self.ca,
                   "-verify_return_error", "-verify_hostname", HOST]
        command += ["-starttls", "smtp"] if self.kind == "starttls" else []
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            def expect(code):
                for line in client.stdout:
                    # s_client shows the last line of the answer in the clear, too.
                    if line.startswith(code + b" ") and not line.startswith(b"250 STARTTLS"):
                        return
                raise SystemExit(f"openssl s_client: no {code}; {client.stderr.read()}")

            def say(octets, code):
                client.stdin.write(octets + b"\r\n")
                client.stdin.flush()
                expect(code)
            if self.kind == "first":
                expect(b"220")
            say(b"EHLO x", b"250")
            say(b"MAIL FROM:<%s>" % SENDER.encode(), b"250")
            for address in to:
                say(b"RCPT TO:<%s>" % address.encode(), b"250")
            say(b"DATA", b"354")
            stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in crlf(message).split(b"\r\n"))
            say(stuffed + b".", b"250")
            say(b"QUIT", b"221")


def check_message(server, program, kind, message, address):
    """The message is in its mailbox once, octet by octet, and its trace says that the line was encrypted."""
    files = server.files(address.split("@")[0] + "/new")
    assert len(files) == 1, f"{address}: {len(files)} files"
    check(content(files[0], b"X-Postman-To: " + address.encode(), b"\n"), message, program, address)
    trace = dict(mail_file.fields(files[0].read_bytes().partition(b"\n\n")[0]))["Received"]
    if program == "postfix":
        # The last relay's is the first one.
        trace = mail_file.fields(files[0].read_bytes().partition(b"\n\n")[0])
        trace = next(value for name, value in trace if name == "Received")
    assert " with ESMTPS id " in trace, f"{address}: {trace}"
    found = re.search(r"tls TLS_\w+ \((TLSv1\.[23])\);", trace)
    assert found, f"{address}: {trace}"
    return found[1]


def check_clients(server, folder, named):
    ca, other = str(folder / "tls/ca.pem"), str(folder / "tls/other-ca.pem")
    for kind, port in zip(KINDS, server.ports):
        sends = Encrypted(kind, port, folder, ca).all()
        wrongs = Encrypted(kind, port, folder, other).all()
        for name in sorted(named - {"postfix"}):
            to = lambda what: f"{name}-{kind}-{what}@postman.local"
            versions = set()
            for what in ("plain", "8bit", "dots", "attachment"):
                sends[name](MESSAGES[what], [to(what)])
                versions.add(check_message(server, name, kind, MESSAGES[what], to(what)))
            try:
                wrongs[name](MESSAGES["plain"], [to("wrong")])
            except (SystemExit, ssl.SSLError, BrokenPipeError):
                assert not server.files(to("wrong").split("@")[0] + "/new"), f"{name}: stored"
            else:
                raise SystemExit(f"{name}, {kind}: it takes a certificate of an unknown CA")
            print(f"{name}, {kind}, {', '.join(sorted(versions))}: octet by octet; nothing for an unknown CA", flush=True)


# Postfix, by the way that a recipient's name says: its level and options, and what its log says of the handshake.
OTHERS = " -o smtp_tls_CAfile={tls}/other-ca.pem"
FIRST = " -o smtp_tls_wrappermode=yes"
KEPT = " -o smtp_tls_connection_reuse=yes -o smtp_connection_cache_destinations=localhost"
WAYS = {
    "may": ("may" + OTHERS, "Untrusted"),
    "encrypt": ("encrypt", "Trusted"),
    "verify": ("verify", "Verified"),
    "secure": ("secure", "Verified"),
    "first": ("secure" + FIRST, "Verified"),
    "kept": ("secure" + KEPT, "Verified"),
}
AGAIN = 8


def check_postfix(server, folder):
    """A transport for each way. `kept` hands its connections on; `wrong` has another CA."""
    ways = WAYS | {"wrong": ("secure" + OTHERS, "Untrusted")}
    services, transports = "tlsmgr unix - - n 1000? 1 tlsmgr\ntlsproxy unix - - n - 0 tlsproxy\n", ""
    for name, (options, _) in ways.items():
        # One at a time, or there is nothing to keep a connection for.
        most, options = 1 if name == "kept" else "-", options.format(tls=folder / "tls")
        services += f"{name} unix - - n - {most} smtp -o syslog_name=postfix/{name} -o smtp_tls_security_level={options}\n"
        port = server.ports[1 if FIRST in options else 0]
        transports += f"/^postfix-{name}-/ {name}:[{HOST}]:{port}\n"
    place = folder / "relay"
    place.mkdir()
    (folder / "transports").write_text(transports)
    postfix = Postfix(place, services, transport_maps=f"regexp:{folder / 'transports'}", smtp_tls_loglevel=1,
                      inet_protocols="ipv4", smtp_tls_security_level="may", smtp_tls_CAfile=folder / "tls/ca.pem")
    sends = Programs(0, place).all()["postfix"]
    try:
        to = lambda name, what: f"postfix-{name}-{what}@postman.local"
        sent = [(name, what) for name in WAYS for what in ("plain", "8bit", "dots", "attachment")]
        sent += [("kept", f"again-{number}") for number in range(AGAIN)]
        message = lambda what: MESSAGES["plain" if what.startswith("again") else what]
        for name, what in sent:
            sends(message(what), [to(name, what)])
        postfix.drain()
        for name, what in sent:
            check_message(server, "postfix", name, message(what), to(name, what))
        log = postfix.log()
        for name, (_, expected) in WAYS.items():
            # What is kept is encrypted by a process of its own.
            who = "tlsproxy" if name == "kept" else f"{name}/smtp"
            lines = re.findall(rf"postfix/{who}\[.*: (\w+) TLS connection established to ", log)
            assert set(lines) == {expected}, (name, expected, lines)
        kept = len(re.findall(r"to=<postfix-kept-\S+ .*conn_use=\d+", log))
        assert kept >= AGAIN // 2, f"{kept} of the messages came over a connection that was kept:\n{log[-6000:]}"
        sends(MESSAGES["plain"], [to("wrong", "plain")])
        refused = r"to=<postfix-wrong-plain@.*status=deferred \(Server certificate not (trusted|verified)\)"
        postfix.wait_for(lambda: re.search(refused, postfix.log()), "and an unknown CA")
        assert not server.files("postfix-wrong-plain/new")
    finally:
        postfix.stop()
    print(f"postfix, {', '.join(WAYS)}: octet by octet; {kept} over a connection that was kept; "
          "nothing for an unknown CA", flush=True)


def check_encrypted(binary, folder, named):
    sign(folder / "tls")
    config = folder / "encrypted.ron"
    config.write_text(CONFIG.format(folder=folder / "tls"))
    place = folder / "encrypted"
    place.mkdir()
    server = Server(binary, place, "postman.local", listens=("--config", str(config)))
    try:
        check_clients(server, folder, named)
        if "postfix" in named:
            check_postfix(server, folder)
        server.stop()
    finally:
        if server.process.poll() is None:
            server.process.kill()
