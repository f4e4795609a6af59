"""A postman of our own, on ports of its own."""

import pathlib
import subprocess
import sys


class Server:
    """A server for a domain. Its mail folder and its log lie in `folder`; `options` say where it listens."""

    def __init__(self, binary, folder, domain, *options, listens=("--listen", "127.0.0.1:0")):
        self.maildir, self.log_path = folder / domain, folder / f"{domain}.log"
        self.binary, self.sessions = binary, folder / f"{domain}-sessions"
        command = [binary, *listens, "--maildir", self.maildir, "--domain", domain,
                   "--transcripts", self.sessions, *options]
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.ports = []
        for line in self.process.stdout:
            words = line.split()
            if words[:1] == ["address"] or self.ports and words and words[0].startswith("127.0.0.1:"):
                address = next(word for word in words if word.startswith("127.0.0.1:"))
                self.ports.append(int(address.rsplit(":", 1)[1]))
            if words[:1] == ["page"]:
                self.page = words[1]
            if "swaks" in line:
                self.port = self.ports[0]
                return
        sys.exit(f"postman did not start: {self.log_path.read_text()}")

    def files(self, place):
        folder = self.maildir / place
        return [path for path in folder.iterdir() if path.is_file()] if folder.exists() else []

    def end(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, "postman must end with 0"

    def stop(self):
        self.end()
        # Each session of each program goes again as it went.
        sessions = sorted(self.sessions.glob("*.smtp"))
        subprocess.run([self.binary, "fsm", "play", *map(str, sessions)], check=True, stdout=subprocess.DEVNULL)
        print(f"{len(sessions)} sessions play", flush=True)
