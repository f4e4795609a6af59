"""The servers under test, each in a root of its own, and what can be asked of their processes.

Postfix and OpenSMTPD come from Debian's packages, unpacked and never installed. Each gets a
private root: its package laid over the host's /usr, with an /etc, a /var and users of its own on
the work disk. It runs in a PID namespace that ends with the harness, however that ends.
"""

import errno
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

DOMAIN = "postman.local"
USER = f"user@{DOMAIN}"
TICKS = os.sysconf("SC_CLK_TCK")


class Trouble(Exception):
    """What went wrong, for a person."""


def call(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise Trouble(f"{' '.join(map(str, words))}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Resolver(threading.Thread):
    """Refuses every question at once. A port where nobody listens does that too, but only for some
    questions: the kernel bounds how often it says so, and the others wait for their time-out."""

    address = None

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for number in range(153, 254):
            try:
                self.socket.bind((f"127.0.0.{number}", 53))
            except OSError as error:
                # Another run, of this or of conformance/run, has one of its own.
                if error.errno != errno.EADDRINUSE or number == 253:
                    raise
            else:
                break
        Resolver.address = self.socket.getsockname()[0]

    @classmethod
    def conf(cls):
        """The text of a resolv.conf."""
        return f"nameserver {cls.address}\noptions timeout:1 attempts:1\n"

    def run(self):
        while True:
            question, peer = self.socket.recvfrom(1500)
            if len(question) > 12:
                # The same question; a response, REFUSED.                       RFC 1035 4.1.1
                self.socket.sendto(question[:2] + b"\x81\x85" + question[4:], peer)


def discard(folder):
    """Puts a folder aside, to be removed after the case: removing is work for the disk, and ext4
    without a journal even shuns inodes that were freed within the last minutes, one by one."""
    heap = folder.parent / "discarded"
    heap.mkdir(exist_ok=True)
    folder.rename(heap / str(len(os.listdir(heap))))


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def children(pid):
    """A process and all below it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def cpu_seconds(pid):
    """The CPU time of a process and all below it, those that have ended included. The scheduler
    tells nanoseconds of living threads; ticks alone would lose up to one for each process."""
    seconds = 0
    for each in children(pid):
        process = pathlib.Path(f"/proc/{each}")
        try:
            ticks = [int(field) for field in (process / "stat").read_text().rsplit(")", 1)[1].split()[11:15]]
            threads = [(process / "task" / thread / "schedstat").read_text() for thread in os.listdir(process / "task")]
        except OSError:
            continue
        living = sum(int(thread.split()[0]) for thread in threads) / 1e9
        seconds += max(living, sum(ticks[:2]) / TICKS) + sum(ticks[2:]) / TICKS
    return seconds


def pss_kib(pid):
    """The proportional memory of one process."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise Trouble("no Pss in smaps_rollup")


def slow_syncs(milliseconds):
    """The words before a command whose syncs take so much longer. strace stops only at these calls, and the command
    keeps its process number. It stops a thread at each call until it has seen one of these in it: so the one
    that serves clients and syncs nothing has accept4."""
    if not milliseconds:
        return []
    calls = "fsync,fdatasync,syncfs"
    return ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", f"trace={calls},accept4",
            "-e", f"inject={calls}:delay_enter={milliseconds * 1000}"]


class Server:
    """One run of a server: started fresh, stopped and wiped."""

    name = "?"
    # What comes before the command, in all servers at a time.
    wrap = []

    def __init__(self, home):
        self.home, self.port, self.process = home, free_port(), None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def __enter__(self):
        self.prepare()
        self.start()
        end = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as peer:
                    if peer.recv(4).startswith(b"220"):
                        peer.sendall(b"QUIT\r\n")
                        return self
            except OSError:
                pass
            if time.monotonic() > end or self.process.poll() is not None:
                self.stop()
                raise Trouble(f"{self.name} does not start; see {self.log}")
            time.sleep(0.05)

    def __exit__(self, *_):
        self.stop()
        self.wipe()

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def new(self, user="user"):
        """How many messages a mailbox has."""
        try:
            return len(os.listdir(self.mail / user / "new"))
        except FileNotFoundError:
            return 0

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def wipe(self):
        discard(self.home)


def certificate(postman, folder):
    """A certificate for mail.example.org and its key, by our own command. Its key is ECDSA's (P-256)."""
    folder.mkdir(parents=True, exist_ok=True)
    call(postman, "certificate", "self-signed", "--folder", folder, "mail.example.org")
    return folder / "chain.pem", folder / "key.pem"


class Postman(Server):
    name = "postman"
    binary = None

    def __init__(self, home, is_encrypted=False, **options):
        super().__init__(home / "postman")
        self.mail, self.options, self.log = self.home / "mail", options, self.home / "log"
        if is_encrypted:
            chain, key = certificate(self.binary, self.home / "tls")
            self.options["certificates"] = f'[(chain: "{chain}", key: "{key}")]'

    def prepare(self):
        self.mail.mkdir(parents=True)
        lines = {"port": self.port, "maildir_path": f'"{self.mail}"', **self.options}
        write(self.home / "postman.ron", "(" + ", ".join(f"{key}: {value}" for key, value in lines.items()) + ")")

    def start(self, descriptors=None):
        command = [self.binary, "serve", "--config", self.home / "postman.ron"]
        if descriptors:
            command = ["prlimit", f"--nofile={descriptors}:{descriptors}", *command]
        command = [*self.wrap, *command]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                if self.process.wait(15) != 0:
                    raise Trouble(f"postman ended with status {self.process.returncode}")
            except subprocess.TimeoutExpired:
                super().stop()
                raise Trouble("postman did not stop on SIGTERM") from None

class Before(Postman):
    """Another, older Postman: what has changed since."""

    name = "postman before"


class Naive(Server):
    """A thread for each connection, two syncs for each message, nothing shared: bench/naive.rs."""

    name = "naive"
    binary = None

    def __init__(self, home):
        super().__init__(home / "naive")
        self.mail, self.log = self.home / "mail", self.home / "log"

    def prepare(self):
        self.mail.mkdir(parents=True)

    def start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*self.wrap, self.binary, self.address, self.mail],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)


class Rooted(Server):
    """A server in a private root."""

    packages = None  # the folder of the unpacked packages
    users = {}

    def __init__(self, home):
        super().__init__(home / self.name)
        self.root, self.log = self.home / "root", self.home / "log"
        self.package, self.mail = self.packages / self.name, self.root / "mail"
        self.mounts = []

    @classmethod
    def fetch(cls, home):
        """Downloads and unpacks the package, with those of its libraries that the host lacks."""
        Rooted.packages = home / "packages"
        debs, package = home / "debs" / cls.name, cls.packages / cls.name
        debs.mkdir(parents=True)
        package.mkdir(parents=True)
        wanted = [cls.name]
        for line in call("apt-cache", "depends", cls.name).splitlines():
            words = line.replace("|", " ").split()
            if words[:1] == ["Depends:"] and words[1].startswith("lib"):
                status = subprocess.run(["dpkg-query", "-W", "-f=${Status}", words[1]], capture_output=True, text=True)
                if "install ok installed" not in status.stdout:
                    wanted.append(words[1])
        for attempt in range(3):
            try:
                call("apt-get", "download", *wanted, cwd=debs)
                break
            except Trouble:
                if attempt == 2:
                    raise
                # A fresh machine has no lists yet.
                subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
        for deb in sorted(debs.glob("*.deb")):
            call("dpkg", "-x", deb, package)
        for place in ("lib", "bin", "sbin"):
            if (package / place).is_dir() and not (package / place).is_symlink():
                shutil.copytree(package / place, package / "usr" / place, dirs_exist_ok=True, symlinks=True)
        version = call("dpkg-deb", "-f", next(debs.glob(f"{cls.name}_*.deb")), "Version").strip()
        return f"{cls.name} {version}"

    def mount(self, *words):
        call("mount", *words)
        self.mounts.append(words[-1])

    def prepare(self):
        for place in ("usr", "dev", "proc", "tmp", "run", "mail", "etc"):
            (self.root / place).mkdir(parents=True)
        for place in ("bin", "sbin", "lib", "lib64"):
            (self.root / place).symlink_to(f"usr/{place}")
        self.mount("-t", "overlay", "overlay", "-o", f"lowerdir={self.package}/usr:/usr", self.root / "usr")
        # Not the whole of /dev: who removes this folder too early would remove the host's devices. A mounted file is in their way.
        for name in ("null", "zero", "full", "random", "urandom"):
            (self.root / "dev" / name).touch()
            self.mount("--bind", f"/dev/{name}", self.root / "dev" / name)
        for name in ("ld.so.cache", "ld.so.conf", "services", "protocols"):
            if os.path.exists(f"/etc/{name}"):
                shutil.copy(f"/etc/{name}", self.root / "etc" / name)
        users = {"root": 0, "nobody": 65534, "vmail": 5000, **self.users}
        write(self.root / "etc/passwd", "".join(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in users.items()))
        write(self.root / "etc/group", "".join(f"{name}:x:{uid}:\n" for name, uid in users.items()))
        write(self.root / "etc/shadow", "".join(f"{name}:*:19000::::::\n" for name in users), 0o600)
        write(self.root / "etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
        write(self.root / "etc/hosts", "127.0.0.1 localhost bench.test\n")
        write(self.root / "etc/resolv.conf", Resolver.conf())
        os.chown(self.mail, 5000, 5000)
        self.configure()

    def start(self):
        # The shell is the namespace's first process; its end is everybody's.
        space = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={self.root}/proc"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*space, "chroot", self.root, "/bin/sh", "-c", f"{self.command} & wait"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environment},
            )

    environment = {}

    def wipe(self):
        for _ in range(50):
            while self.mounts:
                if subprocess.run(["umount", self.mounts[-1]], capture_output=True, check=False).returncode != 0:
                    break
                self.mounts.pop()
            if not self.mounts:
                break
            time.sleep(0.1)
        if self.mounts:
            # Never remove through a mount.
            raise Trouble(f"cannot unmount {self.mounts}")
        super().wipe()


class Postfix(Rooted):
    name = "postfix"
    users = {"postfix": 5001, "postdrop": 5002}
    environment = {"LD_LIBRARY_PATH": "/usr/lib/postfix"}
    command = "/usr/lib/postfix/sbin/master -d"

    def __init__(self, home, is_encrypted=False):
        super().__init__(home)
        self.is_encrypted = is_encrypted

    def encrypt(self, etc):
        """Lines for main.cf and master.cf: the same certificate, tickets by tlsmgr(8) as Debian has it."""
        chain, key = certificate(Postman.binary, etc / "tls")
        inside = lambda path: f"/etc/postfix/tls/{path.name}"  # noqa: E731
        return ([f"smtpd_tls_cert_file = {inside(chain)}", f"smtpd_tls_key_file = {inside(key)}", "smtpd_tls_security_level = may"],
                ["tlsmgr unix - - n 1000? 1 tlsmgr"])

    def configure(self):
        etc, spool = self.root / "etc/postfix", self.root / "var/spool/postfix"
        for place in ("dynamicmaps.cf", "postfix-files"):
            for found in self.package.glob(f"**/{place}"):
                etc.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, etc / place)
        # Debian's defaults, but for what names the machine; mail goes to Maildirs by virtual(8).
        boxes = ["user", *(f"{number}user" for number in range(2, 51))]
        write(etc / "boxes", "".join(f"{box}@{DOMAIN} {box}/\n" for box in boxes))
        keys, services = self.encrypt(etc) if self.is_encrypted else ([], [])
        write(etc / "main.cf", "\n".join([
            *keys,
            "compatibility_level = 3.6", "myhostname = bench.test", "mydestination =", "inet_interfaces = 127.0.0.1",
            "inet_protocols = ipv4", "mynetworks = 127.0.0.0/8", "alias_maps =", "message_size_limit = 104857600",
            "mailbox_size_limit = 0", "virtual_mailbox_limit = 0", "smtpd_client_connection_count_limit = 0",
            "smtpd_peername_lookup = no", "disable_dns_lookups = yes", "import_environment = LD_LIBRARY_PATH PATH",
            f"virtual_mailbox_domains = {DOMAIN}", "virtual_mailbox_maps = texthash:/etc/postfix/boxes",
            "virtual_mailbox_base = /mail", "virtual_uid_maps = static:5000", "virtual_gid_maps = static:5000", "",
        ]))
        services += [
            f"127.0.0.1:{self.port} inet n - n - - smtpd", "cleanup unix n - n - 0 cleanup",
            "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
            "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify",
            "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp",
            "error unix - - n - - error", "retry unix - - n - - error", "virtual unix - n n - - virtual",
            "anvil unix - - n - 1 anvil", "showq unix n - n - - showq",
        ]
        write(etc / "master.cf", "\n".join(services) + "\n")
        for place in ("active bounce corrupt defer deferred flush hold incoming private saved trace".split()):
            (spool / place).mkdir(parents=True)
            os.chown(spool / place, 5001, 0)
            (spool / place).chmod(0o700)
        for place in ("maildrop", "public"):
            (spool / place).mkdir()
            os.chown(spool / place, 5001, 5002)
        (spool / "pid").mkdir()
        (self.root / "var/lib/postfix").mkdir(parents=True)
        os.chown(self.root / "var/lib/postfix", 5001, 5001)


class OpenSMTPD(Rooted):
    name = "opensmtpd"
    users = {"opensmtpd": 5003, "opensmtpq": 5004}
    command = "/usr/sbin/smtpd -F"

    def configure(self):
        write(self.root / "etc/mailname", "bench.test\n")
        write(self.root / "etc/smtpd.conf", "\n".join([
            f"listen on 127.0.0.1 port {self.port}", "smtp max-message-size 100M",
            'action "local" maildir "/mail/%{rcpt.user}" virtual { "@" = vmail }',
            f'match from any for domain "{DOMAIN}" action "local"', "",
        ]), 0o600)
        (self.root / "var/lib/opensmtpd/empty").mkdir(parents=True)
        (self.root / "var/spool").mkdir(parents=True)
        (self.root / "var/run").symlink_to("/run")
