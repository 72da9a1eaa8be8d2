"""Hosts with other cgroups than this one: seen from a mount namespace that has only some of them."""
import os

import pytest
from test_hostile import BOMB, DAEMONS
from test_stop import wait_output
from wire import KILL, LOST, OOM

UNIFIED = "/sys/fs/cgroup/unified"
V1_ONLY = f"mount --make-rprivate / && umount {UNIFIED}"
NONE = "mount --make-rprivate / && umount -l /sys/fs/cgroup"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not os.path.ismount(UNIFIED), reason="this host's cgroups aren't hybrid"),
]


@pytest.mark.parametrize("code", [DAEMONS + "signal.pause()", BOMB], ids=["daemons", "bomb"])
def test_v1_alone(place, code):
    run = place.python(code, pids=40)
    run.host = V1_ONLY
    run.run()
    wait_output(run, b"ready")
    groups = run.cgroups()
    assert groups and not [group for group in groups if group.startswith(UNIFIED)]
    run.do(KILL)
    assert run.end().truth.unasked == 0
    assert run.forget() == 0 and run.cgroups() == []


def test_v1_alone_limits_memory(place):
    run = place.python("x = bytearray(200 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1",
                       memory_mb=64)
    run.host = V1_ONLY
    assert run.run().end().truth.flags & OOM


def test_v1_alone_recovers(place):
    run = place.python(BOMB, pids=40)
    run.host = V1_ONLY
    wait_output(run.run(), b"ready")
    run.kill_supervisor()
    assert run.spawn("recover").end().truth.flags == LOST
    assert run.forget() == 0 and run.cgroups() == []


@pytest.mark.parametrize("code", [DAEMONS + "signal.pause()", BOMB], ids=["daemons", "bomb"])
def test_none(place, code):
    run = place.python(code, pids=40)
    run.host = NONE
    wait_output(run.run(), b"ready")
    assert run.cgroups() == []
    run.do(KILL)
    assert run.end().truth.unasked == 1 << 1
    assert run.forget() == 0


def test_the_folder_that_it_is_given(place):
    folder = f"{UNIFIED}/quell-fixture-{os.getpid()}"
    os.mkdir(folder)
    try:
        run = place.make("sleep", "100", cgroup=folder).run()
        assert [os.path.dirname(group) for group in run.cgroups() if UNIFIED in group] == [folder]
        run.do(KILL)
        assert run.end().truth.unasked == 0
        assert run.forget() == 0
    finally:
        os.rmdir(folder)


def test_a_folder_that_is_not_there(place):
    """What can't be had is left out; the probe says so beforehand."""
    run = place.make("true", cgroup=f"{UNIFIED}/nowhere").run()
    assert run.end().truth.exit_code == 0
    assert run.forget() == 0
