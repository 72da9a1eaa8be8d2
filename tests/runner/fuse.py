"""A FUSE file system that answers INIT and its root's GETATTR, and nothing else, ever.

What asks it for more blocks in the kernel: in S at first, in D as soon as it is killed. Aborting the
connection lets it go.
"""
import ctypes
import os
import struct
import threading

INIT, GETATTR = 26, 3
NEWNS, DETACH = 0x20000, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *args):
    if function(*args):
        raise OSError(ctypes.get_errno(), function.__name__)


class Fuse:
    """Mounted at `where` in the mount namespace of the process `pid`."""

    def __init__(self, pid, where, control):
        self.device = os.open("/dev/fuse", os.O_RDWR)
        self.asked = threading.Event()
        options = f"fd={self.device},rootmode=40755,user_id=0,group_id=0,allow_other"
        child = os.fork()
        if child == 0:
            try:
                namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
                call(LIBC.setns, namespace, NEWNS)
                call(LIBC.mount, b"quell-test", where.encode(), b"fuse.test", 0, options.encode())
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        self.number = self.connection(pid, where)
        self.control = control
        os.mkdir(control)
        call(LIBC.mount, b"none", control.encode(), b"fusectl", 0, None)
        threading.Thread(target=self.serve, daemon=True).start()

    @staticmethod
    def connection(pid, where):
        """From mountinfo: a stat of the mount would ask the file system."""
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as mounts:
            devices = [fields[2] for fields in map(str.split, mounts) if fields[4] == where]
        return int(devices[0].split(":")[1])

    def serve(self):
        try:
            while True:
                request = os.read(self.device, 1 << 20)
                _, opcode, unique, node = struct.unpack_from("IIQQ", request)
                if opcode == INIT:
                    self.answer(unique, struct.pack("4I2H2I4H8I", 7, 31, 0, 0, 12, 10, 4096, 1,
                                                    0, 0, 0, 0, *[0] * 8)[:64])
                elif opcode == GETATTR and node == 1:
                    self.answer(unique, struct.pack("Q2I6Q10I", 3600, 0, 0, 1, 0, 0, 0, 0, 0,
                                                    0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0))
                else:
                    self.asked.set()
        except OSError:
            pass  # aborted

    def answer(self, unique, body):
        os.write(self.device, struct.pack("IiQ", 16 + len(body), 0, unique) + body)

    def release(self):
        try:
            with open(f"{self.control}/{self.number}/abort", "w", encoding="ascii") as abort:
                abort.write("1")
        except FileNotFoundError:
            pass  # the mount is gone

    def close(self):
        self.release()
        call(LIBC.umount2, self.control.encode(), DETACH)
        os.close(self.device)
