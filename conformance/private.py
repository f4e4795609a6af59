#!/usr/bin/env python3
"""Exim or OpenSMTPD of Debian's package, in a root of its own: private.py exim|opensmtpd FOLDER

Prints its package with the version, and its port on 127.0.0.1 once it greets. Ends with its standard input. The packages exclude each other
and Postfix: they are downloaded and unpacked into FOLDER, and not installed. Needs root.
"""

import pathlib
import shutil
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import servers  # noqa: E402


class OpenSMTPD(servers.OpenSMTPD):
    """One user; what is taken is discarded."""

    def configure(self):
        servers.write(self.root / "etc/mailname", "postman.local\n")
        servers.write(self.root / "etc/smtpd.conf", "\n".join([
            f"listen on 127.0.0.1 port {self.port}",
            'action "local" mda "/bin/cat >/dev/null" virtual { "user" = vmail }',
            f'match from any for domain "{servers.DOMAIN}" action "local"', "",
        ]), 0o600)
        (self.root / "var/lib/opensmtpd/empty").mkdir(parents=True)
        (self.root / "var/spool").mkdir(parents=True)
        (self.root / "var/run").symlink_to("/run")


class Exim(servers.Rooted):
    """The same, without look-ups."""

    name = "exim4-daemon-light"
    users = {"Debian-exim": 5005}
    command = "/usr/sbin/exim4 -bdf"

    def configure(self):
        # A session with many refusals would be cut off, at the third by default: the learner would count them.
        servers.write(self.root / "etc/exim4/exim4.conf", "\n".join([
            f"primary_hostname = {servers.DOMAIN}", f"daemon_smtp_ports = {self.port}", "local_interfaces = 127.0.0.1",
            "host_lookup =", "rfc1413_query_timeout = 0s", "log_file_path = /var/log/exim4/%slog",
            "tls_advertise_hosts =",
            "smtp_accept_max = 0", "smtp_max_synprot_errors = 1000", "smtp_max_unknown_commands = 1000",
            "smtp_accept_max_nonmail = 1000", "acl_smtp_rcpt = known", "acl_smtp_data = all",
            "begin acl", "known:", "  require verify = recipient", "  accept", "all:", "  accept",
            "begin routers", "user:", "  driver = redirect", f"  domains = {servers.DOMAIN}", "  local_parts = user",
            "  data = :blackhole:", "",
        ]))
        for place in ("var/spool/exim4", "var/log/exim4"):
            folder = self.root / place
            folder.mkdir(parents=True)
            shutil.chown(folder, 5005, 5005)


def main(which, folder):
    kind = {"exim": Exim, "opensmtpd": OpenSMTPD}[which]
    home = pathlib.Path(folder)
    home.mkdir()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        servers.Resolver().start()
    except OSError:
        # Another run answers, or nobody: then a look-up takes a second.
        pass
    print(kind.fetch(home), flush=True)
    with kind(home) as server:
        print(server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (servers.Trouble, OSError) as error:
        sys.exit(f"private.py: {error}")
