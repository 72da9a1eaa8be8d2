"""What a program can see, reach and use up."""
import ast
import os
import signal
import subprocess

import pytest
import wire
from wire import FAILED_START, HELD, KILL, OOM


def said(place, code, **spec):
    run = place.python(code, **spec).run()
    truth = run.end().truth
    assert truth.exit_code == 0, run.output()
    return run.output(1).decode().strip()


SYSCALL = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    r = libc.syscall(*args)
    return 0 if r >= 0 else ctypes.get_errno()
def name(error):
    return errno.errorcode.get(error, error)
"""


def test_it_has_no_rights(place):
    text = said(place, "print(open('/proc/self/status').read())")
    for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{caps}:\t0000000000000000" in text
    assert "NoNewPrivs:\t1" in text and "Seccomp:\t2" in text


@pytest.mark.root
def test_it_has_a_uid_of_its_own(place):
    assert said(place, "import os; print(os.getresuid(), os.getresgid(), os.getgroups())",
                uid=70007) == "(70007, 70007, 70007) (70007, 70007, 70007) []"


@pytest.mark.parametrize("what, error", [
    ("272, 0x10000000", "EPERM"),  # unshare(CLONE_NEWUSER)
    ("272, 0x20000", "EPERM"),  # unshare(CLONE_NEWNS)
    ("56, 0x10000000 | 17, 0", "EPERM"),  # clone(CLONE_NEWUSER)
    ("56, 0x40000000 | 17, 0", "EPERM"),  # clone(CLONE_NEWNET)
    ("435, 0, 0", "ENOSYS"),  # clone3
    ("308, 0, 0", "EPERM"),  # setns
    ("165, 0, 0, 0, 0, 0", "EPERM"),  # mount
    ("428, 0, 0, 0", "EPERM"),  # open_tree
    ("161, 0", "EPERM"),  # chroot
    ("250, 0, 0, 0, 0, 0", "EPERM"),  # keyctl
    ("321, 0, 0, 0", "EPERM"),  # bpf
    ("298, 0, 0, 0, 0, 0", "EPERM"),  # perf_event_open
    ("101, 0, 0, 0, 0", "EPERM"),  # ptrace
    ("304, 0, 0, 0", "EPERM"),  # open_by_handle_at
    ("169, 0", "EPERM"),  # reboot
    ("175, 0, 0, 0", "EPERM"),  # init_module
    ("246, 0, 0, 0, 0", "EPERM"),  # kexec_load
    ("425, 1, 0", "ENOSYS"),  # io_uring_setup
    ("41, 40, 1, 0", "EAFNOSUPPORT"),  # socket(AF_VSOCK)
    ("41, 17, 3, 0", "EAFNOSUPPORT"),  # socket(AF_PACKET)
    ("16, 0, 0x5412, 0", "EPERM"),  # ioctl(TIOCSTI)
])
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86_64's")
def test_denied_calls(place, what, error):
    assert said(place, SYSCALL + f"print(name(call({what})))") == error


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the instructions are x86_64's")
def test_calls_of_the_32_bit_machine_are_denied(place):
    """int 0x80 with mount's number there, which here is getpid's neighbour."""
    text = said(place, """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")  # mov eax, 20 (getpid); int 0x80; ret
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
""")
    assert text == "-38"


def test_its_root_is_read_only_and_not_the_hosts(place):
    text = said(place, """
import os
print(sorted(os.listdir('/')))
for path in ('/', '/usr', '/etc', '/quell', '/dev', '/usr/bin', '/proc/sys/kernel/hostname'):
    try:
        open(path if path.startswith('/proc') else path + '/x', 'w').write('x')
        print('wrote', path)
    except OSError:
        pass
print(sorted(os.listdir('/etc')))
""")
    assert "wrote" not in text
    assert not {"root", "home", "var", "sys", "boot"} & set(ast.literal_eval(text.split("\n")[0]))
    assert "shadow" not in text


def test_places_to_write(place):
    assert said(place, """
import os
for path in ('/tmp', '/work', '/dev/shm', '/quell/checkpoint', '/dev/null'):
    open(path if path == '/dev/null' else path + '/x', 'w').write('x')
print(open('/tmp/x').read())
""") == "x"


def test_scratch_is_bounded(place):
    error, megabytes = map(int, said(place, """
total = 0
out = open('/tmp/x', 'wb', buffering=0)
try:
    while True:
        total += out.write(b'x' * 65536)
except OSError as e:
    print(e.errno, total >> 20)
""", memory_mb=128).split())
    assert error == 28 and 60 <= megabytes <= 64


def test_it_has_no_network_but_itself(place):
    text = said(place, """
import socket
print(sorted(name for _, name in socket.if_nameindex()))
server = socket.create_server(('127.0.0.1', 0))
socket.create_connection(server.getsockname())
try:
    socket.create_connection(('192.0.2.1', 80), timeout=5)
except OSError as e:
    print(e.errno)
""")
    assert text == "['lo']\n101"


def test_it_sees_its_own_processes_alone(place):
    text = said(place, "import os; print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))")
    assert text == "[1, 2]"


def test_it_cannot_touch_its_pid_1(place):
    text = said(place, """
import os, signal
for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
    os.kill(1, number)
for path in ('/proc/1/mem', '/proc/1/environ', '/proc/1/cwd/x'):
    try:
        print(open(path, 'rb').read(1))
    except OSError as e:
        print(e.errno)
print(open('/proc/1/stat').read().split()[2])
""")
    assert text == "13\n13\n13\nS"


def test_descriptors_are_the_three_streams(place):
    assert said(place, "import os; print(sorted(os.listdir('/proc/self/fd'))[:3], "
                       "len(os.listdir('/proc/self/fd')))") == "['0', '1', '2'] 4"


def test_signals_and_limits_are_as_a_shell_gives_them(place):
    text = said(place, """
import resource
print([line for line in open('/proc/self/status') if line.startswith(('SigBlk', 'ShdPnd'))])
print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE))
""")
    assert text == "['ShdPnd:\\t0000000000000000\\n', 'SigBlk:\\t0000000000000000\\n']\n(0, 0) (4096, 4096)"


def enforces(limit):
    """Skips the test where the host's own word is that it doesn't."""
    said_it = subprocess.run([wire.RUNNER, "--probe"], capture_output=True, text=True, check=True)
    return pytest.mark.skipif(f"no {limit} limit" in said_it.stdout,
                              reason=f"this host enforces no {limit} limit")


@enforces("pids")
def test_processes_are_limited(place):
    text = said(place, """
import os, signal
count = 0
pids = []
try:
    while True:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        pids.append(pid)
except OSError as e:
    print(e.errno, len(pids))
""", pids=20)
    error, count = map(int, text.split())
    assert error == 11 and 18 <= count <= 20


@enforces("memory")
def test_memory_is_limited(place):
    run = place.python("x = bytearray(200 << 20); x[::4096] = b'x' * len(x[::4096]); print(1)",
                       memory_mb=64).run()
    truth = run.end().truth
    assert (truth.exit_signal, truth.flags, run.output(1)) == (signal.SIGKILL, OOM, b"")


@enforces("memory")
def test_a_child_that_is_out_of_memory_is_told(place):
    run = place.make("sh", "-c", "head -c 200m /dev/zero | tail -c 200m >/dev/null; echo $?",
                     memory_mb=64).run()
    truth = run.end().truth
    assert truth.flags & OOM


def test_too_little_for_the_sandbox_itself(place):
    """Whether it fits is the kernel's; that it is told, and not waited for, is ours."""
    run = place.make("true", memory_mb=1).spawn()
    told = run.until(HELD, FAILED_START)
    if told.kind == HELD:
        run.do(KILL)
        run.end()
    assert run.forget() == 0
