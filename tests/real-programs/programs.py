"""The real programs, each as a function that sends one message. None means: refused."""

import os
import pathlib
import smtplib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
SENDER = "sender@example.org"


def crlf(message):
    return message.replace(b"\n", b"\r\n")


def run(command, stdin=b"", **more):
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, **more)
    if done.returncode != 0:
        raise SystemExit(f"{command[:4]}: exit status {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}")


class Programs:
    """The clients, for a server at a port; `folder` is theirs to use."""

    def __init__(self, port, folder):
        self.port, self.folder = port, folder

    def all(self):
        return {name[5:]: getattr(self, name) for name in dir(self) if name.startswith("send_")}

    def file(self, message):
        path = self.folder / "message"
        path.write_bytes(message)
        return str(path)

    def send_swaks(self, message, to):
        # swaks replaces %WORDS% in what it sends; our messages have none. It ends with a line end of its own.
        path = self.file(message.removesuffix(b"\n"))
        run(["swaks", "--server", f"127.0.0.1:{self.port}", "--from", SENDER, "--to", ",".join(to),
             "--silent", "2", "--data", f"@{path}"])

    def send_curl(self, message, to):
        command = ["curl", "--silent", "--show-error", f"smtp://127.0.0.1:{self.port}", "--mail-from", SENDER,
                   "--upload-file", self.file(crlf(message))]
        run(command + [word for address in to for word in ("--mail-rcpt", address)])

    def send_msmtp(self, message, to):
        run(["msmtp", "--host", "127.0.0.1", "--port", str(self.port), "--from", SENDER, *to], message)

    def send_smtplib(self, message, to):
        with smtplib.SMTP("127.0.0.1", self.port) as client:
            refused = client.sendmail(SENDER, to, crlf(message), mail_options=["BODY=8BITMIME"])
        assert not refused, refused

    def send_nodemailer(self, message, to):
        environment = {**os.environ, "NODE_PATH": str(self.folder / "node_modules")}
        run(["node", str(HERE / "nodemailer.js"), str(self.port), SENDER, self.file(message), *to], env=environment)

    def send_postfix(self, message, to):
        # Postfix takes the message, and relays it when it sees fit; who reads waits for it.
        run(["sendmail", "-i", "-C", str(self.folder / "postfix"), "-f", SENDER, *to], message)


MASTER = """
pickup    unix  n - n 1   1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 1 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
smtp      unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
showq     unix  n - n - - showq
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix of our own: it listens nowhere, and relays all to us. `services` join its own ones."""

    def __init__(self, folder, services="", **more):
        self.config, spool = folder / "postfix", folder / "spool"
        for place in (self.config, spool, folder / "lib"):
            place.mkdir()
        folder.chmod(0o755)
        main = {
            "compatibility_level": 3.6, "queue_directory": spool, "data_directory": folder / "lib",
            "myhostname": "relay.example.org", "mydestination": "", "inet_interfaces": "127.0.0.1",
            "maillog_file": folder / "maillog",
            "maillog_file_prefixes": folder, "message_size_limit": 100 << 20, "disable_dns_lookups": "yes",
            "smtp_host_lookup": "native", "default_destination_recipient_limit": 200,
            # The queue manager looks for new mail at once, not in its usual rhythm.
            "queue_run_delay": "5s", "minimal_backoff_time": "5s",
            **more,
        }
        (self.config / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in main.items()))
        (self.config / "master.cf").write_text(MASTER.lstrip() + services)
        subprocess.run(["chown", "postfix", str(folder / "lib")], check=True)
        run(["postfix", "-c", str(self.config), "start"])

    def is_idle(self):
        listed = subprocess.run(["postqueue", "-c", str(self.config), "-p"], capture_output=True, timeout=30)
        return b"Mail queue is empty" in listed.stdout

    def log(self):
        path = self.config.parent / "maillog"
        return path.read_text() if path.exists() else ""

    def wait_for(self, is_so, what):
        for _ in range(600):
            if is_so():
                return
            time.sleep(0.1)
        raise SystemExit(f"Postfix, {what}: {self.log()[-4000:]}")

    def drain(self):
        self.wait_for(self.is_idle, "which kept mail")

    def stop(self):
        subprocess.run(["postfix", "-c", str(self.config), "stop"], capture_output=True, timeout=60)
