"""A dockerd of the tests' own, with one image made of this host's programs."""
import contextlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading

import pytest

from conftest import system
from quell.docker import Engine
from quell.errors import DockerError

IMAGE = "quell-test:1"
PROGRAMS = ["/bin/bash", "/bin/busybox", os.path.realpath("/usr/bin/python3")]
LINKS = ["sh", "sleep", "cat", "echo", "rm", "touch", "id", "ls", "test"]


def missing():
    """What a test has to be skipped for, or None."""
    if os.geteuid() != 0:
        return "dockerd needs root"
    for program in ("dockerd", "busybox", "bash"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


def libraries(program):
    ran = subprocess.run(["ldd", program], text=True, capture_output=True, check=False)
    return re.findall(r"(/\S+) \(0x", ran.stdout)


def image():
    """A tar of the programs above with what they need, python3 with its minimal library."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", dereference=True) as tar:
        folders = set()

        def folder(name):
            """With those above it: what is not named would be root's alone."""
            if name and name not in folders:
                folder(os.path.dirname(name))
                folders.add(name)
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                tar.addfile(entry)

        def copy(path):
            folder(os.path.dirname(path.lstrip("/")))
            tar.add(path, path.lstrip("/"))

        for name in ("bin", "tmp", "proc", "dev", "etc", "usr/lib/python3.11/lib-dynload"):
            folder(name)
        for path in {*PROGRAMS, *(lib for one in PROGRAMS for lib in libraries(one))}:
            copy(path)
        for name, target in [("python3", PROGRAMS[2]), *((name, "busybox") for name in LINKS)]:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        listed = subprocess.run(["dpkg", "-L", "libpython3.11-minimal"], text=True,
                                capture_output=True, check=True).stdout.split()
        for path in listed:
            if path.endswith(".py"):
                copy(path)
    return made.getvalue()


@contextlib.contextmanager
def docker_daemon():
    """Yields its DOCKER_HOST."""
    why = missing()
    if why:
        pytest.skip(why)
    folder = tempfile.mkdtemp(prefix="quell-pytest-docker-")
    host = f"unix://{folder}/sock"
    with open(f"{folder}/log", "wb") as log:
        process = subprocess.Popen(
            ["dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/exec",
             f"--pidfile={folder}/pid", "--host", host, "--storage-driver=vfs", "--bridge=none",
             "--iptables=false", "--ip6tables=false", "--ip-forward=false",
             "--exec-opt=native.cgroupdriver=cgroupfs"], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, preexec_fn=system.die_with_parent)

    def answers():
        with open(f"{folder}/log", encoding="utf-8", errors="replace") as said:
            assert process.poll() is None, f"dockerd ended: {said.read()[-3000:]}"
        try:
            return Engine(host).version()
        except DockerError:
            return None

    try:
        system.eventually(answers, 60, "dockerd")
        engine = Engine(host)
        engine.ask("POST", "/images/create", image(), fromSrc="-", repo="quell-test", tag="1")
        yield host
    finally:
        with contextlib.suppress(DockerError):
            for one in Engine(host).ask("GET", "/containers/json", all=1).json:
                Engine(host).ask("DELETE", f"/containers/{one['Id']}", accepts=(404, 409), force=1,
                                 v=1)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class Cutter:
    """Before a daemon's socket: what follows a log gets that many bytes of it, then the end. On HTTP/1.0 the end is
    that of the stream, as it is when the daemon itself ends a follow early."""

    def __init__(self, host, after):
        self.folder = tempfile.mkdtemp(prefix="quell-pytest-cutter-")
        self.host = f"unix://{self.folder}/sock"
        self.behind = host.removeprefix("unix://")
        self.after = after
        self.cuts = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.folder}/sock")
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_how):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        shutil.rmtree(self.folder)

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=[near], daemon=True).start()

    def serve(self, near):
        with near, socket.socket(socket.AF_UNIX) as far, contextlib.suppress(OSError):
            far.connect(self.behind)
            head = near.recv(65536)
            if b"follow=1" in head:
                far.sendall(head.replace(b"HTTP/1.1", b"HTTP/1.0"))
                self.cut(far.makefile("rb"), near)
                return
            far.sendall(head)
            up = threading.Thread(target=self.pump, args=[near, far], daemon=True)
            up.start()
            self.pump(far, near)
            near.shutdown(socket.SHUT_RDWR)
            up.join()

    def cut(self, log, near):
        for line in log:
            near.sendall(line)
            if line == b"\r\n":
                break
        near.sendall(log.read(self.after))
        self.cuts += 1

    @staticmethod
    def pump(source, sink):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
