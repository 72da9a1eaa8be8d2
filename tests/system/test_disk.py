"""A full disk: 503, nothing half written, and service again once there is room."""
import os
import re
import subprocess

import pytest
from conftest import serving
from programs import SLEEPS
from quell import Server, eventually, members

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a small disk to fill needs root (mount)")


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "quell-test", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("tmpfs can't be mounted here")
    yield str(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


class Filler:
    def __init__(self, folder):
        self.path = f"{folder}/filler"

    def fill(self):
        with open(self.path, "ab", buffering=0) as out:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while out.write(b"\0" * size) == size:
                        pass
                except OSError:
                    continue

    def empty(self):
        os.unlink(self.path)


def submit_until_refused(server, most=200):
    """Submits until the disk takes no more; returns the accepted ids and the refusal."""
    accepted = []
    for number in range(most):
        body = {"code": "#" * 100000, "language": "python", "eval_id": f"full-{number}"}
        reply = server.post("/api/eval", body)
        if reply.status != 201:
            return accepted, reply, f"full-{number}"
        accepted.append(f"full-{number}")
    raise AssertionError("a full disk took everything")


@pytest.mark.deadline(120)
def test_submissions(disk):
    with serving("--workers", "0", data=disk) as server:
        filler = Filler(disk)
        before = server.submit("1")["eval_id"]
        filler.fill()
        accepted, refusal, refused = submit_until_refused(server)
        assert "disk" in refusal.problem(503)["type"] + refusal.json["detail"]
        server.get(f"/api/eval/{refused}").problem(404)
        assert server.get("/healthz").status == 200
        assert server.get("/readyz").status == 503
        for eval_id in (before, *accepted):
            assert server.show(eval_id)["status"] == "queued"
        filler.empty()
        server.submit("1", eval_id=refused)
        eventually(lambda: server.get("/readyz").status == 200, what="readiness")
        server.cancel(before).expect(200)
        server.end()
        server.again()
        assert server.show(before)["status"] == "cancelled"
        for eval_id in (*accepted, refused):
            assert server.show(eval_id)["status"] == "queued"


@pytest.mark.deadline(120)
def test_a_stop_is_refused_or_true(disk):
    with serving("--workers", "2", data=disk) as server:
        filler = Filler(disk)
        eval_id = server.start(SLEEPS)
        filler.fill()
        submit_until_refused(server)
        reply = server.kill(eval_id)
        if reply.status == 503:
            assert server.show(eval_id)["status"] == "running"
        filler.empty()
        stop = server.kill(eval_id, {"wait": 30}).expect(200).json
        assert stop["cancelled"] is True and stop["evidence"] == "verified"


@pytest.mark.deadline(120)
def test_runs_end_truly(disk):
    """What ends while nothing can be written is settled when it can."""
    with serving("--workers", "1", data=disk) as server:
        filler = Filler(disk)
        eval_id = server.start("import time; print('ready'); time.sleep(1); raise SystemExit(5)")
        filler.fill()
        submit_until_refused(server)
        eventually(lambda: not members(eval_id), what="its end")
        filler.empty()
        seen = server.wait(eval_id)
        assert (seen["status"], seen["exit_code"]) == ("failed", 5)


def test_no_room_at_the_start(disk):
    filler = Filler(disk)
    filler.fill()
    status, said = Server("--workers", "0", data=disk).refused()
    assert status == 1 and re.search("space|room|full", said)
