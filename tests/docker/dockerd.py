"""A Docker daemon of the test's own, with one image made from the host's busybox."""
import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile

from quell import die_with_parent, eventually

IMAGE = "quell-test:1"
BUSYBOX = "/bin/busybox"


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def missing():
    """Why no daemon can be started here, or None."""
    if os.geteuid():
        return "dockerd needs root"
    if not shutil.which("dockerd"):
        return "dockerd is not installed"
    return None if os.path.exists(BUSYBOX) else "busybox-static is not installed"


def image():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "tmp", "proc", "dev"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        tar.add(os.path.realpath(BUSYBOX), "bin/busybox")
        for name in ("sh", "sleep", "cat", "echo", "rm", "test", "seq"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return out.getvalue()


class Dockerd:
    def __init__(self, *more):
        self.more = more
        self.folder = tempfile.mkdtemp(prefix="quell-docker-")
        self.socket = f"{self.folder}/socket"
        self.host = f"unix://{self.socket}"
        self.process = None

    def start(self):
        flags = [f"--data-root={self.folder}/data", f"--exec-root={self.folder}/exec",
                 f"--pidfile={self.folder}/pid", f"--host={self.host}", "--storage-driver=vfs",
                 "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
                 "--exec-opt=native.cgroupdriver=cgroupfs", *self.more]
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(["dockerd", *flags], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)
        eventually(self.answers, 60, "dockerd")

    def answers(self):
        assert self.process.poll() is None, open(f"{self.folder}/log").read()[-2000:]
        with contextlib.suppress(OSError):
            return self.ask("GET", "/_ping")[0] == 200
        return False

    def ask(self, method, path, body=None, kind="application/json"):
        """The status and what was said, as JSON where it is some."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        with contextlib.closing(Connection(self.socket)) as connection:
            connection.request(method, path, body, {"Content-Type": kind} if body else {})
            reply = connection.getresponse()
            text = reply.read()
        with contextlib.suppress(ValueError):
            return reply.status, json.loads(text)
        return reply.status, text

    def load(self):
        status, said = self.ask("POST", "/images/create?fromSrc=-&repo=quell-test&tag=1", image(),
                                "application/x-tar")
        assert status == 200, said

    def containers(self):
        return self.ask("GET", "/containers/json?all=1")[1]

    def kill(self):
        """All at once, and its containerd with it, so that another can start in the same folder."""
        with open(f"{self.folder}/exec/containerd/containerd.pid") as file:
            containerd = int(file.read())
        self.process.kill()
        self.process.wait(60)
        eventually(lambda: not os.path.exists(f"/proc/{containerd}"), 60, "containerd to end")

    def stop(self):
        for container in self.containers():
            self.ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        for line in reversed(open("/proc/self/mounts").readlines()):
            where = line.split()[1]
            if where.startswith(self.folder):
                subprocess.run(["umount", "-l", where], check=False)
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def running(*more):
    daemon = Dockerd(*more)
    daemon.start()
    try:
        daemon.load()
        yield daemon
    finally:
        daemon.stop()
