"""What a program in the sandbox can't see, reach or become."""
import json
import os
import socket

import pytest
from programs import SLEEPS


def said(server, code, **more):
    seen = server.run(code, **more)
    assert seen["status"] == "succeeded", server.output(seen["eval_id"])
    return server.output(seen["eval_id"]).strip()


def test_no_network(server):
    out = said(server, """
import os, socket
up = [name for name in os.listdir('/sys/class/net')] if os.path.isdir('/sys/class/net') else []
try:
    socket.create_connection(('1.1.1.1', 53), 2)
    print('connected')
except OSError as error:
    print('refused')
print(socket.if_nameindex())
""")
    assert out.startswith("refused") and "eth" not in out


def test_the_servers_own_port_is_out_of_reach(server):
    assert said(server, f"""
import socket
try:
    socket.create_connection(('127.0.0.1', {server.port}), 2)
    print('connected')
except OSError:
    print('refused')
""") == "refused"


def test_abstract_sockets_of_the_host_are_out_of_reach(server):
    listening = socket.socket(socket.AF_UNIX)
    name = f"\0quell-test-{os.getpid()}"
    listening.bind(name)
    listening.listen()
    with listening:
        assert said(server, f"""
import socket
try:
    socket.socket(socket.AF_UNIX).connect({name!r})
    print('connected')
except OSError:
    print('refused')
""") == "refused"


@pytest.mark.parametrize("path", ["/usr/bin/x", "/usr/x", "/x", "/etc/x", "/proc/sys/kernel/hostname",
                                  "/bin/x", "/dev/x"])
def test_the_system_is_read_only(server, path):
    assert said(server, f"""
try:
    open({path!r}, 'w').write('x')
    print('written')
except OSError:
    print('refused')
""") == "refused"


def test_the_hosts_files_are_not_there(server, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush")
    os.chmod(secret, 0o644)
    out = said(server, f"""
import os
for path in ({str(secret)!r}, {server.data!r}, '/root', '/home', '/etc/shadow', '/var/lib', '/boot'):
    try:
        listing = os.listdir(path) if os.path.isdir(path) else open(path).read()
        print(path, bool(listing))
    except OSError:
        print(path, False)
print(sorted(os.listdir('/tmp')))
""")
    assert "True" not in out and out.endswith("[]")


def test_processes_of_the_host_are_not_there(server):
    out = said(server, """
import os
print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))
print(os.getppid())
""")
    pids = json.loads(out.splitlines()[0])
    assert pids[0] == 1 and len(pids) <= 4


def test_who_it_is(server):
    out = said(server, """
import os
print(os.getuid(), os.geteuid(), os.getgid(), os.getgroups())
for line in open('/proc/self/status'):
    if line.startswith(('Cap', 'NoNewPrivs', 'Seccomp:')):
        print(line.split()[0], line.split()[1])
""")
    lines = out.splitlines()
    uid, euid = lines[0].split()[:2]
    assert uid == euid and uid not in ("0", "65534")
    found = dict(line.split(": ", 1) if ": " in line else line.split() for line in lines[1:])
    found = {name.rstrip(":"): value for name, value in found.items()}
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[name], 16) == 0, name
    assert found["NoNewPrivs"] == "1" and found["Seccomp"] == "2"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives each slot a uid of its own")
def test_neighbours_have_other_uids(server):
    code = "import os, time; print('uid', os.getuid()); print('ready'); time.sleep(600)"
    ids = [server.start(code) for _ in range(3)]
    uids = {server.output(eval_id).split()[1] for eval_id in ids}
    assert len(uids) == 3
    for eval_id in ids:
        server.kill(eval_id).expect(200)


@pytest.mark.parametrize("call", [
    "unshare(0x10000000)", "unshare(0x00020000)", "unshare(0x40000000)", "setuid(0)", "chroot(b'/')",
    "mount(b'none', b'/tmp', b'tmpfs', 0, 0)", "umount2(b'/proc', 2)",
    "setns(0, 0)", "reboot(0)", "swapon(b'/x', 0)",
    "pivot_root(b'/', b'/')", "sethostname(b'x', 1)",
])
def test_what_it_may_not_do(server, call):
    assert said(server, f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print('refused' if libc.{call} == -1 else 'allowed')
""") == "refused"


def test_no_new_user_namespace_by_clone(server):
    out = said(server, "import subprocess; print(subprocess.run(['unshare', '-Ur', 'true']).returncode)")
    assert out != "0"


def test_setuid_programs_give_nothing(server):
    out = said(server, """
import os, subprocess
for name in ('su', 'mount', 'passwd', 'chfn'):
    path = f'/usr/bin/{name}'
    if os.path.exists(path):
        subprocess.run([path, '--version'], capture_output=True)
print(os.geteuid())
""")
    assert out != "0"


def test_signals_do_not_leave(server):
    neighbour = server.start(SLEEPS)
    server.run("""
import os
for pid in range(2, 5000):
    if pid != os.getpid():
        try: os.kill(pid, 9)
        except OSError: pass
""")
    assert server.show(neighbour)["status"] == "running"
    server.kill(neighbour).expect(200)


def test_it_can_not_end_its_own_pid_1(server):
    seen = server.run("import os\nos.kill(1, 9)\nos.kill(1, 15)\nprint('still here')")
    assert server.output(seen["eval_id"]) == "still here\n" and seen["status"] == "succeeded"


def test_descriptors_of_the_server_are_closed(server):
    out = said(server, "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))")
    assert len(json.loads(out)) <= 4  # 0, 1, 2 and the one that lists


def test_attempts_leave_nothing_to_each_other(server):
    code = "import os; print(os.listdir('/tmp'), os.listdir('.')); open('/tmp/a', 'w').write('x')"
    first, second = said(server, code), said(server, code)
    assert first == second
