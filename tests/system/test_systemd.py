"""deploy/quell.service under a real systemd, booted in a container of its own.

What happens inside is in systemd_inside.py, which runs there and writes what it saw.
"""
import contextlib
import json
import os
import shutil
import subprocess

import pytest
from quell import BUILD, SANITIZED, TOP

DRIVER = """[Unit]
Requires=basic.target
After=basic.target

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /opt/quell/tests/system/systemd_inside.py /result.json /opt/quell
ExecStopPost=/usr/bin/systemctl exit 0
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """The host's own files under a writable layer, so that it has all packages that the host has."""
    if os.geteuid() != 0 or not shutil.which("systemd-nspawn"):
        pytest.skip("booting systemd needs root and systemd-nspawn (package systemd-container)")
    folder = tmp_path_factory.mktemp("machine")
    with contextlib.ExitStack() as stack:
        def mount(*words):
            if subprocess.run(["mount", *words], check=False).returncode:
                pytest.skip(f"mount {' '.join(words)} is refused here")
            stack.callback(subprocess.run, ["umount", "-l", words[-1]], check=False)

        mount("-t", "tmpfs", "quell-test", str(folder))
        for name in ("root", "upper", "work"):
            (folder / name).mkdir()
        mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work",
              "quell-test", str(folder / "root"))
        yield folder / "root"


@pytest.fixture(scope="module", params=["host", "v2"])
def seen(machine, request):
    """What systemd_inside.py saw, on the host's mix of cgroup hierarchies and on v2 alone."""
    if SANITIZED:
        pytest.skip("the unit is tried with the plain build")
    for name in ("quell", "quell-runner"):
        shutil.copy(f"{BUILD}/{name}", machine / "usr/local/bin")
    units = machine / "etc/systemd/system"
    shutil.copy(f"{TOP}/deploy/quell.service", units)
    (units / "drive.service").write_text(DRIVER)
    result = machine / "result.json"
    result.unlink(missing_ok=True)
    environ = {**os.environ, **({"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
                                if request.param == "v2" else {})}
    ran = subprocess.run(
        ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
         f"--machine=quell-test-{os.getpid()}", "--link-journal=no", f"--bind-ro={TOP}:/opt/quell",
         "-D", str(machine), "-b", "systemd.unit=drive.service"], env=environ, text=True, capture_output=True,
        stdin=subprocess.DEVNULL, check=False, timeout=150)
    if not result.exists():
        words = ran.stdout + ran.stderr
        if "drive.service" not in words:
            pytest.skip(f"systemd does not boot here: {words.strip().splitlines()[-1:]}")
        raise AssertionError(words[-3000:])
    found = json.loads(result.read_text())
    print(json.dumps(found, indent=1))
    return found


pytestmark = pytest.mark.deadline(200)


def test_it_starts_and_runs(seen):
    assert seen["first"]["status"] == "succeeded", seen
    assert seen["state"] == "active"


def test_runs_outlive_a_restart(seen):
    assert seen["restart"]["status"] == "failed" and seen["restart"]["exit_code"] == 7
    assert seen["restart"]["output"] == "".join(f"{number}\n" for number in range(60))
    assert seen["restart"]["attempt"] == 1


def test_a_killed_server_comes_back_by_itself(seen):
    assert seen["restarts"] == 1
    assert seen["crash"]["status"] == "cancelled" and seen["crash"]["signal"] == "SIGKILL"
    assert seen["crash"]["cancellation"]["evidence"] == "verified"


def test_runs_go_on_while_the_unit_is_stopped(seen):
    assert seen["stopped"]["state"] == "inactive" and seen["stopped"]["result"] == "success"
    assert seen["stopped"]["alive"] is True
    assert seen["again"]["status"] == "cancelled"


def test_nothing_is_left(seen):
    assert seen["left"] == [] and seen["scopes"] == 1


def test_the_server_has_a_scope_whose_cgroups_are_its_own(seen):
    assert ".scope" in seen["cgroup"]


@pytest.mark.parametrize("user", ["root", "walker"])
def test_make_run_is_lent_a_scope(seen, user):
    assert seen[user]["status"] == "succeeded" and seen[user]["exit"] == 0
    assert ".scope" in seen[user]["cgroup"]
    if user != "root":
        assert "user@" in seen[user]["cgroup"]
