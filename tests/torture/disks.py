"""File systems that can be filled, broken and unplugged: tmpfs and images on loop devices."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import struct
import subprocess
import time
from pathlib import Path

# _IOR('X', 125, __u32), and its flag: stop without flushing the log.   linux/fs.h, xfs_fs.h
FS_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2
# _IOWR('X', 119, int) and its opposite: writes wait, however long.   linux/fs.h
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878

PACKAGES = {"mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs", "mkfs.btrfs": "btrfs-progs", "chattr": "e2fsprogs"}


class Skip(Exception):
    """A case that this machine cannot run, and why. A missing tool can be installed, a kernel cannot."""

    def __init__(self, reason, tool=False):
        super().__init__(reason)
        self.tool = tool


def need(tool):
    if shutil.which(tool) is None and not os.path.exists(f"/usr/sbin/{tool}"):
        raise Skip(f"{tool} is not installed (package {PACKAGES.get(tool, tool)})", tool=True)


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Skip(f"`{' '.join(command)}` failed: {result.stderr.strip() or result.returncode}")


def need_root():
    if os.geteuid() != 0:
        raise Skip("only root may mount file systems")


def need_filesystem(kind):
    subprocess.run(["modprobe", "-q", kind], check=False) if shutil.which("modprobe") else None
    known = [line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()]
    if kind not in known:
        raise Skip(f"this kernel has no {kind}")


def unmount(place):
    """Unmounts; a process that is just ending may hold it a moment longer."""
    for _ in range(100):
        result = subprocess.run(["umount", str(place)], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return
        time.sleep(0.05)
    subprocess.run(["umount", "-l", str(place)], check=False)
    raise RuntimeError(f"cannot unmount {place}: {result.stderr.strip()}")


@contextlib.contextmanager
def tmpfs(place, options):
    need_root()
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    try:
        yield place
    finally:
        unmount(place)


class Image:
    """A file system in a file."""

    # Nothing may reach the disk by the clock while a case waits to pull the plug.
    OPTIONS = {"ext4": "commit=300", "xfs": "defaults", "btrfs": "commit=300"}

    def __init__(self, kind, scratch, size="512M", make=()):
        need_root()
        need_filesystem(kind)
        need(f"mkfs.{kind}")
        self.kind, self.place, self.file = kind, scratch / f"{kind}-mounted", scratch / f"{kind}.img"
        self.place.mkdir(exist_ok=True)
        self.file.unlink(missing_ok=True)
        run("truncate", "-s", size, str(self.file))
        run(f"mkfs.{kind}", "-q", *make, str(self.file))
        self.mounted = False

    def mount(self):
        # Synced inodes of mkfs are not what is tested.
        run("mount", "-o", f"loop,{self.OPTIONS[self.kind]}", str(self.file), str(self.place))
        self.mounted = True
        return self

    def unmount(self):
        if self.mounted:
            unmount(self.place)
            self.mounted = False

    @contextlib.contextmanager
    def hanging(self):
        """As long as this lasts, whoever writes to the file system hangs."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, FIFREEZE, struct.pack("i", 0))
            try:
                yield
            finally:
                fcntl.ioctl(handle, FITHAW, struct.pack("i", 0))
        finally:
            os.close(handle)

    def shut_down(self):
        """Ends the file system where it stands: what is not on its device yet never will be."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, FS_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(handle)

    def break_bitmaps(self):
        """Lets ext4 find no block for what it has taken already: no bitmap of blocks has its checksum any more."""
        need("dumpe2fs")
        told = subprocess.check_output(["dumpe2fs", str(self.file)], text=True, stderr=subprocess.DEVNULL)
        size = int(re.search(r"^Block size:\s+(\d+)", told, re.M)[1])
        with self.file.open("r+b") as image:
            for block in re.findall(r"Block bitmap at (\d+)", told):
                image.seek(int(block) * size + size // 2)
                octet = image.read(1)
                image.seek(-1, os.SEEK_CUR)
                image.write(bytes([octet[0] ^ 0xFF]))

    def keep_copy(self):
        """Copies the image as it is on its device now; `use_copy` puts the copy in its place."""
        run("cp", "--sparse=always", str(self.file), f"{self.file}.copy")

    def use_copy(self):
        os.replace(f"{self.file}.copy", self.file)

    def __enter__(self):
        return self.mount()

    def __exit__(self, *_):
        self.unmount()


class Filler:
    """Takes a file system's space or its inodes, and gives some back."""

    def __init__(self, folder, inodes=False):
        self.folder, self.inodes, self.held = folder / "filler", inodes, []
        self.folder.mkdir(exist_ok=True)

    def fill(self):
        """Takes all that is left; the number of pieces held."""
        octets = 1 << 20
        while True:
            path = self.folder / f"piece{len(self.held):06}"
            try:
                with open(path, "xb", buffering=0) as file:
                    self.held.append(path)
                    if not self.inodes:
                        # Written, not reserved: tmpfs and ext4 then count the same blocks.
                        written = file.write(b"f" * octets)
                        if written < octets:
                            raise OSError(errno.ENOSPC, "short")
                        os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                # A piece that did not fit whole is none: smaller ones take its place.
                if self.held and self.held[-1] == path:
                    self.give_back(1)
                if self.inodes or octets == 4096:
                    return len(self.held)
                octets //= 16
                if octets == 4096:
                    # The last pieces are single blocks, so that single blocks can be given back.
                    self.give_back(1)

    def give_back(self, pieces):
        """Frees the last pieces taken, the smallest ones."""
        for _ in range(min(pieces, len(self.held))):
            self.held.pop().unlink(missing_ok=True)

    def give_all_back(self):
        self.give_back(len(self.held))
