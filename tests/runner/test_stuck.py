"""Programs that the kernel doesn't let go: told as stuck with the reason, and as gone once they are."""
import os
import time

import pytest
from fuse import Fuse
from test_stop import wait_output
from wire import (ACK, EXITED, FORGET, GONE, IS_STUCK, KILL, LOST, REFUSED, SENT_KILL, STUCK,
                  read, state)

FREEZER = "/sys/fs/cgroup/freezer"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not os.path.exists(f"{FREEZER}/cgroup.procs"),
                       reason="this host has no v1 freezer"),
]


class Freezer:
    """A foreign v1 freezer: what is frozen in it is in D, and SIGKILL waits."""

    def __init__(self, run):
        self.folder = f"{FREEZER}/quell-fixture-{run.name}"
        os.mkdir(self.folder)

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="ascii") as out:
            out.write(str(text))

    def freeze(self, pid):
        self.write("cgroup.procs", pid)
        self.write("freezer.state", "FROZEN")
        deadline = time.monotonic() + 5
        while read(f"{self.folder}/freezer.state") != b"FROZEN\n":
            assert time.monotonic() < deadline

    def thaw(self):
        self.write("freezer.state", "THAWED")

    def close(self):
        self.thaw()
        deadline = time.monotonic() + 5
        while read(f"{self.folder}/cgroup.procs") and time.monotonic() < deadline:
            pass
        os.rmdir(self.folder)


@pytest.fixture
def frozen(place):
    """A released run whose program is frozen, and its freezer."""
    run = place.make("sh", "-c", "echo ready; sleep 100 & wait").run()
    wait_output(run, b"ready")
    freezer = Freezer(run)
    try:
        freezer.freeze(run.held.truth.pid)
        yield run, freezer
    finally:
        freezer.close()


def test_killed_while_frozen(frozen):
    run, freezer = frozen
    assert run.do(KILL).kind == ACK
    told = run.until(STUCK)
    assert str(run.held.truth.pid) in told.text.decode() and b"SIGKILL pending" in told.text
    assert b"state D" in told.text
    assert told.truth.flags & IS_STUCK
    assert run.do(FORGET).kind == REFUSED
    freezer.thaw()
    told = run.until(EXITED)
    assert (told.truth.exit_signal, told.truth.sent) == (9, SENT_KILL)
    assert run.end().truth.flags & IS_STUCK == 0
    assert run.forget() == 0


def test_it_is_told_once_for_each_reason_and_to_each_server(frozen):
    run, freezer = frozen
    run.do(KILL)
    run.until(STUCK)
    with pytest.raises(TimeoutError):
        run.until(STUCK, GONE, timeout=1.2)
    assert run.connect().until(STUCK).truth.flags & IS_STUCK
    freezer.thaw()
    run.end()


def test_its_child_is_frozen_and_the_program_ends(place):
    run = place.make("sh", "-c", "sleep 100 & echo ready; until test -e go; do :; done; exit 5")
    wait_output(run.run(), b"ready")
    child = child_of(run.held.truth.pid)
    freezer = Freezer(run)
    try:
        freezer.freeze(child)
        let_go(run)
        told = run.until(EXITED)
        assert (told.truth.exit_code, told.truth.sent) == (5, 0)
        assert str(child) in run.until(STUCK).text.decode()
    finally:
        freezer.close()
    assert run.end().truth.exit_code == 5
    assert run.forget() == 0


def let_go(run):
    open(f"/proc/{run.held.truth.pid}/root/work/go", "w", encoding="ascii").close()


def child_of(pid):
    for other in filter(str.isdigit, os.listdir("/proc")):
        fields = read(f"/proc/{other}/stat").rpartition(b")")[2].split()
        if fields and int(fields[1]) == pid and state(other) not in "ZX":
            return int(other)
    raise LookupError(f"{pid} has no child")


def test_a_supervisor_that_dies_leaves_a_stuck_run_to_the_next(frozen):
    run, freezer = frozen
    run.do(KILL)
    run.until(STUCK)
    run.kill_supervisor()
    told = run.spawn("recover").until(STUCK, timeout=15)
    assert told.truth.flags & LOST and b"SIGKILL pending" in told.text
    assert run.do(FORGET).kind == REFUSED
    freezer.thaw()
    run.end()
    assert run.forget() == 0


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this host has no /dev/fuse")
def test_a_file_system_that_never_answers(place):
    """The program stands in a system call that SIGKILL doesn't break off."""
    run = place.make("sh", "-c", "mkdir mnt; echo ready; until test -e go; do :; done; exec cat mnt/x")
    wait_output(run.run(), b"ready")
    pid = run.held.truth.pid
    fuse = Fuse(pid, "/work/mnt", f"{place.folder}/control")
    try:
        let_go(run)
        assert fuse.asked.wait(10)
        run.do(KILL)
        told = run.until(STUCK)
        assert f"{pid} (cat), state D".encode() in told.text and b"SIGKILL pending" in told.text
        fuse.release()
        assert run.until(EXITED).truth.exit_signal == 9
        run.end()
        assert run.forget() == 0
    finally:
        fuse.close()
