"""The same as an ordinary user, in «weak mode»: a user namespace, and no cgroup that is ours."""
import os
import subprocess

import pytest
import wire
from test_hostile import BOMB, DAEMONS, HYDRA
from test_stop import wait_output
from wire import (ACK, CATCHES_TERM, GONE, KILL, LOST, NOTICE, SAID_STOPPED, SALVAGE, SALVAGED,
                  TERMINATE)

USER = 65533
CGROUP = 1 << 1  # the check that can't be asked

pytestmark = pytest.mark.root  # to become that user


def test_true(place):
    run = place.make("sh", "-c", "id -u; cat /proc/self/uid_map; grep CapEff /proc/self/status",
                     uid=USER).run()
    truth = run.end().truth
    assert (truth.exit_code, truth.unasked) == (0, CGROUP)
    assert run.output(1).split() == [b"65533", b"65533", b"65533", b"1", b"CapEff:", b"0" * 16]
    assert run.cgroups() == []
    assert run.forget() == 0


@pytest.mark.parametrize("code", [DAEMONS + "signal.pause()", BOMB], ids=["daemons", "bomb"])
def test_killed(place, code):
    run = place.python(code, uid=USER, pids=40).run()
    wait_output(run, b"ready")
    assert run.do(KILL).kind == ACK
    assert run.end().truth.exit_signal == 9
    assert run.forget() == 0
    assert run.processes() == []


@pytest.mark.parametrize("code", [DAEMONS, HYDRA], ids=["daemons", "hydra"])
def test_its_daemons_end_with_it(place, code):
    run = place.python(code, uid=USER, pids=40).run()
    assert run.end().truth.exit_code == 0
    assert run.forget() == 0
    assert run.processes() == []


def test_processes_are_limited(place):
    run = place.python("""
import os, signal
count = 0
try:
    while True:
        if os.fork() == 0:
            signal.pause()
        count += 1
except OSError as e:
    print(e.errno, count)
    os.killpg(0, 9)
""", uid=USER, pids=20).run()
    run.end()
    error, count = map(int, run.output(1).split())
    assert error == 11 and 18 <= count <= 20


def test_stop_notice_checkpoint(place):
    run = place.python("""
import os, signal, sys
def stop(*_):
    open(os.environ['QUELL_CHECKPOINT'] + '/a', 'w').write('1')
    os.unlink(os.environ['QUELL_CANCEL'])
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print('ready')
while True:
    signal.pause()
""", uid=USER).run()
    wait_output(run, b"ready")
    assert run.do(NOTICE, text=b"{}").kind == ACK
    assert run.do(TERMINATE).kind == ACK
    assert run.end().truth.flags == CATCHES_TERM | SAID_STOPPED
    run.ask(SALVAGE)
    assert run.until(SALVAGED).truth.checkpoint_bytes > 0
    again = place.make("cat", "/quell/checkpoint/a", uid=USER,
                       checkpoint=f"{run.keep}/checkpoint.tar").run()
    again.end()
    assert again.output() == b"1"


@pytest.mark.deadline(120)
def test_a_killed_supervisor_leaves_nothing(place):
    for i in range(10):
        run = place.python(DAEMONS + "signal.pause()", uid=USER, pids=40).spawn()
        if i % 2:
            run.until(wire.HELD)
            run.do(wire.RELEASE)
        if i % 4 == 3:
            wait_output(run, b"ready")
        run.kill_supervisor()
        assert run.wait_nothing() == []
        told = run.spawn("recover").until(GONE, wire.FAILED_START)
        assert told.kind == wire.FAILED_START or told.truth.flags & LOST
        assert run.forget() == 0


def test_the_probe_says_so():
    said = subprocess.run(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                           wire.RUNNER, "--probe"], capture_output=True, text=True, check=True)
    assert "weak mode" in said.stdout and "no memory limit" in said.stdout
    assert said.stdout.count("\n") == 1


def test_the_probe_leaves_nothing():
    said = subprocess.run([wire.RUNNER, "--probe"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("sandbox: ")
    assert not [name for name in os.listdir("/tmp") if name.startswith("quell-probe-")]
