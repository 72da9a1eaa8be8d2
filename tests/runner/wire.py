"""quell-runner as its server would use it: proto.h in Python."""
import ctypes
import fcntl
import os
import secrets
import select
import signal
import socket
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("QUELL_BUILD", os.path.join(TOP, "build"))
RUNNER = os.path.join(BUILD, "quell-runner")

MAGIC = 0x31525151
VERSION = 2
RELEASE, NOTICE, TERMINATE, KILL, INSPECT, SALVAGE, FORGET = range(1, 8)
(ACK, REFUSED, HELD, FAILED_START, RUNNING, EXITED, STUCK, GONE, SALVAGED, OUTPUT) = range(1, 11)
TELLS = ("", "ACK", "REFUSED", "HELD", "FAILED_START", "RUNNING", "EXITED", "STUCK", "GONE",
         "SALVAGED", "OUTPUT")
CATCHES_TERM, SAID_STOPPED, OOM, LOST, UNSTARTED, TRUNCATED, IS_STUCK, IS_SALVAGED = (
    1 << bit for bit in range(8))
SENT_NONE, SENT_NOTICE, SENT_TERMINATE, SENT_KILL = range(4)


class Ask(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_uint32), ("version", ctypes.c_uint16),
                ("kind", ctypes.c_uint16), ("incarnation", ctypes.c_uint64),
                ("epoch", ctypes.c_int32), ("text_len", ctypes.c_uint32),
                ("text", ctypes.c_char * 2048)]


class Truth(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in
                ("phase", "flags", "sent", "exit_code", "exit_signal", "unasked", "passed",
                 "pid")] + [
        ("pid_start", ctypes.c_uint64), ("pidns", ctypes.c_uint64),
        ("output_bytes", ctypes.c_int64), ("checkpoint_bytes", ctypes.c_int64),
        ("cpu_us", ctypes.c_int64), ("cpu_burnt_us", ctypes.c_int64)]


class Tell(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_uint32), ("version", ctypes.c_uint16),
                ("kind", ctypes.c_uint16), ("incarnation", ctypes.c_uint64),
                ("epoch", ctypes.c_int32), ("answers", ctypes.c_int32), ("truth", Truth),
                ("text", ctypes.c_char * 512)]


def read(path):
    try:
        with open(path, "rb") as text:
            return text.read()
    except OSError:
        return b""


def state(pid):
    """R, S, D ... of a process; X when there is none."""
    return read(f"/proc/{pid}/stat").decode(errors="replace").rpartition(")")[2][1:2] or "X"


class Closed(Exception):
    """The supervisor closed the connection."""


class Run:
    """One run folder and the connection to its supervisor."""

    def __init__(self, folder, argv, uid=None, **spec):
        self.incarnation = secrets.randbits(63) | 1 << 63
        self.name = f"{self.incarnation:016x}"
        if uid is not None:  # whose server's run folders are its own
            folder = os.path.join(folder, f"of-{self.name}")
            os.mkdir(folder, 0o700)
            os.chown(folder, uid, uid)
        self.folder = os.path.join(folder, self.name)
        self.keep = os.path.join(folder, f"keep-{self.name}")
        self.uid = uid
        self.epoch = 0
        self.conn = self.process = self.held = None
        self.killed = False
        self.host = None  # shell commands that make the supervisor's view of the host
        self.tells = []
        os.mkdir(self.folder, 0o700)
        code = spec.pop("code", None)
        pairs = {"incarnation": self.name, "instance": "test", "eval_id": "e-1", "attempt": 1,
                 "keep": self.keep, "output_max": 10 << 20, "memory_mb": 256, "pids": 64,
                 "cpu_milli": 1000, "argv": argv}
        if os.geteuid() == 0 and uid is None:
            pairs["uid"] = 70001
        if code is not None:
            self.write("code", code.encode())
            pairs["code_name"] = "main.py"
        pairs.update(spec)
        self.write("spec", b"".join(
            f"{key}={one}".encode() + b"\0" for key, value in pairs.items()
            for one in (value if isinstance(value, list) else [value]) if one is not None))
        if uid is not None:
            for path in (self.folder, *self.files()):
                os.chown(path, uid, uid)

    def files(self):
        return [os.path.join(self.folder, name) for name in os.listdir(self.folder)]

    def write(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as out:
            out.write(data)

    def spawn(self, mode="start"):
        """Starts a supervisor on the folder, with the descriptors that it wants."""
        lock = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                spare = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (lock, theirs.fileno())]
                os.dup2(spare[0], 3)
                os.dup2(spare[1], 4)
                if self.uid is not None:
                    os.setgroups([])
                    os.setresgid(self.uid, self.uid, self.uid)
                    os.setresuid(self.uid, self.uid, self.uid)
                argv = [RUNNER, mode, self.folder]
                if self.host:
                    argv = ["unshare", "-m", "sh", "-c", f'{self.host} && exec "$@"', "sh", *argv]
                os.execvp(argv[0], argv)
            finally:
                os._exit(99)
        os.close(lock)
        theirs.close()
        self.process = pid
        self.pidfd = os.pidfd_open(pid)
        if self.conn:
            self.conn.close()
        self.conn = ours
        return self

    def connect(self):
        """As another server would."""
        if self.conn:
            self.conn.close()
        self.conn = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = os.open(self.folder, os.O_PATH)
        deadline = time.monotonic() + 5
        while self.conn.connect_ex(f"/proc/self/fd/{folder}/sock"):
            assert time.monotonic() < deadline, "the supervisor doesn't listen"
        os.close(folder)
        return self

    def ask(self, kind, text=b"", epoch=None, incarnation=None):
        """Sends without waiting; returns the epoch."""
        if epoch is None:
            self.epoch += 1
            epoch = self.epoch
        ask = Ask(magic=MAGIC, version=VERSION, kind=kind, epoch=epoch, text_len=len(text),
                  incarnation=incarnation or self.incarnation, text=text)
        self.conn.send(bytes(ask))
        return epoch

    def receive(self, timeout=10):
        if not select.select([self.conn], [], [], timeout)[0]:
            raise TimeoutError(f"nothing was told in {timeout} s after {self.tells}")
        data = self.conn.recv(65536)
        if not data:
            raise Closed()
        tell = Tell.from_buffer_copy(data)
        self.tells.append(f"{TELLS[tell.kind]}({tell.text.decode()})")
        return tell

    def until(self, *kinds, timeout=10):
        """The next tell of one of the kinds; FAILED_START is never passed over."""
        deadline = time.monotonic() + timeout
        while True:
            tell = self.receive(max(0.001, deadline - time.monotonic()))
            if tell.kind in kinds:
                return tell
            assert tell.kind != FAILED_START, tell.text

    def do(self, kind, **more):
        """Asks, and returns the ACK or the refusal to it."""
        epoch = self.ask(kind, **more)
        while True:
            tell = self.until(ACK, REFUSED)
            if tell.answers == kind and tell.epoch == epoch:
                return tell

    def start(self):
        self.spawn()
        self.held = self.until(HELD)
        return self

    def run(self):
        self.start()
        assert self.do(RELEASE).kind == ACK
        return self

    def end(self, timeout=10):
        """What was told at GONE."""
        return self.until(GONE, timeout=timeout)

    def wait_process(self, timeout=10):
        """The supervisor's exit status, once it has ended."""
        assert select.select([self.pidfd], [], [], timeout)[0], "the supervisor is still there"
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        os.close(self.pidfd)
        self.process = None
        return status

    def forget(self):
        assert self.do(FORGET).kind == ACK
        return self.wait_process()

    def kill_supervisor(self):
        self.killed = True
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        assert self.wait_process() == -signal.SIGKILL

    def wait_nothing(self, timeout=5):
        """Processes of the run that are still there at the deadline."""
        deadline = time.monotonic() + timeout
        while self.processes() and time.monotonic() < deadline:
            pass
        return self.processes()

    def processes(self):
        """Everything that carries the run's name: in environment, arguments or cgroup."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            text = b"".join(read(f"/proc/{pid}/{file}")
                            for file in ("environ", "cmdline", "cgroup"))
            if self.name.encode() in text and state(pid) not in "ZX":
                found.append(f"{self.name}: process {pid} {read(f'/proc/{pid}/cmdline')}")
        return found

    def cgroups(self):
        return [os.path.join(where, name) for where, below, _ in os.walk("/sys/fs/cgroup")
                for name in below if self.name in name]

    def close(self):
        """Ends a supervisor that is still there; returns what is left, which should be nothing."""
        if self.process:
            self.kill_supervisor()
        left = self.wait_nothing()
        groups = self.cgroups()
        if self.killed and not left:
            for group in groups:
                os.rmdir(group)
            groups = []
        if self.conn:
            self.conn.close()
        return left + groups

    def output(self, stream=None):
        """The bytes kept, or those of one stream, by the index."""
        text, spans = read(f"{self.keep}/output"), read(f"{self.keep}/index")
        at, out = 0, b""
        for i in range(0, len(spans), 8):
            size = int.from_bytes(spans[i:i + 4], "little")
            if stream in (None, int.from_bytes(spans[i + 4:i + 8], "little")):
                out += text[at:at + size]
            at += size
        return out

    def status(self):
        with open(f"{self.folder}/status", "rb") as text:
            return text.read()
