"""Programs that don't want to end. Nothing of them is left when it is said so."""
import signal
import time

import pytest
from test_stop import wait_output
from wire import ACK, KILL, TERMINATE

DAEMONS = """
import os, signal, time
def daemon(n):
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    if n % 2:
        os.execve('/usr/bin/sleep', ['sleep', '1000'], {})
    while True:
        signal.pause()
for n in range(10):
    daemon(n)
print('ready')
"""

BOMB = """
import os
print('ready')
while True:
    try:
        os.fork()
    except OSError:
        pass
"""

HYDRA = """
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print('ready')
while True:
    try:
        if os.fork():
            os._exit(0)
        os.setsid()
    except OSError:
        pass
"""

ZOMBIES = """
import os, signal
for _ in range(30):
    if os.fork() == 0:
        os._exit(0)
print('ready')
signal.pause()
"""


@pytest.mark.parametrize("code", [DAEMONS + "signal.pause()", BOMB, ZOMBIES],
                         ids=["daemons", "bomb", "zombies"])
def test_killed(place, code):
    run = place.python(code, pids=40).run()
    wait_output(run, b"ready")
    assert run.do(KILL).kind == ACK
    truth = run.end().truth
    assert (truth.exit_signal, truth.unasked) == (signal.SIGKILL, 0)
    assert run.forget() == 0
    assert run.processes() == [] and run.cgroups() == []


@pytest.mark.parametrize("code", [DAEMONS, HYDRA], ids=["daemons", "hydra"])
def test_the_program_ends_and_its_daemons_with_it(place, code):
    run = place.python(code, pids=40).run()
    truth = run.end().truth
    assert truth.exit_code == 0
    assert run.forget() == 0
    assert run.processes() == [] and run.cgroups() == []


def test_orphans_are_reaped(place):
    """Far more of them than the limit of processes, one after another."""
    run = place.python("""
import os
for _ in range(300):
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.waitpid(pid, 0)
print('done')
""", pids=100).run()
    assert run.end().truth.exit_code == 0
    assert run.output() == b"done\n"


def test_terminate_goes_to_the_program_alone(place):
    run = place.make("sh", "-c", "trap 'told=yes' TERM; sleep 1000 & echo ready; "
                     "until test $told; do :; done; kill -0 $! && echo child lives").run()
    wait_output(run, b"ready")
    run.do(TERMINATE)
    run.end()
    assert run.output() == b"ready\nchild lives\n"


def test_environment_wiped_and_name_changed(place):
    run = place.python("""
import ctypes, os
ctypes.CDLL(None).prctl(15, b'kworker/0:0')
os.environ.clear()
os.execve('/usr/bin/python3', ['[kworker/0:0]', '-c', 'import signal; print("ready", flush=True); signal.pause()'], {})
""").run()
    wait_output(run, b"ready")
    run.do(KILL)
    run.end()
    assert run.forget() == 0


def test_thirty_at_once(place):
    runs = [place.python(DAEMONS + "signal.pause()", pids=30).run() for _ in range(6)]
    for run in runs:
        wait_output(run, b"ready")
    began = time.monotonic()
    for run in runs:
        run.ask(KILL)
    for run in runs:
        assert run.end().truth.exit_signal == signal.SIGKILL
    assert time.monotonic() - began < 5
    for run in runs:
        assert run.forget() == 0
