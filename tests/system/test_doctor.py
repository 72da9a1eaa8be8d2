"""Why it is still alive, asked of real processes in each state that keeps one; and why it can't be found."""
import os
import shutil
import sys
import tempfile

import pytest
from quell import TOP, eventually

sys.path.insert(0, os.path.join(TOP, "tests", "runner"))

FREEZER = "/sys/fs/cgroup/freezer"

PROGRAM = """import os, signal, sys, time
{set_up}
print("ready", flush=True)
while True:
    time.sleep(600)
"""
IGNORES = PROGRAM.format(set_up="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
BLOCKS = PROGRAM.format(set_up="signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])")
CATCHES = PROGRAM.format(set_up="signal.signal(signal.SIGTERM, lambda *_: None)")
PATIENT = PROGRAM.format(set_up="")
STOPS = PROGRAM.format(set_up="if not os.fork():\n    os.kill(os.getpid(), signal.SIGSTOP)")
HANGS = """import os, time
os.mkdir("mnt")
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
open("mnt/x")
"""
LEAVES = PROGRAM.format(set_up="if not os.fork():\n    os._exit(0)")


def doctor(server, eval_id):
    return server.get(f"/api/eval/{eval_id}/doctor").expect(200).json


def kinds(found):
    return [finding["kind"] for finding in found["findings"]]


def sentence(found, kind):
    return next(finding["what"] for finding in found["findings"] if finding["kind"] == kind)


def program(found):
    return next(one for one in found["processes"] if one["name"].startswith("python"))


def until(server, eval_id, kind):
    return eventually(lambda: (found := doctor(server, eval_id)) and kind in kinds(found) and found,
                      what=kind)


def test_one_that_nobody_stopped(server):
    eval_id = server.start(PATIENT)
    found = doctor(server, eval_id)
    assert found["alive"] and kinds(found) == ["runs"]
    assert "run deadline" in sentence(found, "runs") and found["unasked"] == []
    seen = program(found)
    with open(f"/proc/{seen['pid']}/stat", encoding="utf-8") as stat:
        assert stat.read().rsplit(")", 1)[1].split()[1] == str(seen["parent"])
    server.kill(eval_id).expect(200)
    found = doctor(server, eval_id)
    assert not found["alive"] and kinds(found) == ["finished"] and not found["processes"]
    assert "cancelled at" in sentence(found, "finished")


def test_one_that_waits_for_its_checkpoint(server):
    eval_id = server.start(PATIENT)
    server.cancel(eval_id, {"escalate": "kill", "grace": 600}).expect(202)
    found = until(server, eval_id, "waits_for_a_checkpoint")
    assert "terminate comes at 20" in sentence(found, "waits_for_a_checkpoint")
    server.kill(eval_id).expect(200)


@pytest.mark.parametrize("code,kind,mask", [(IGNORES, "ignores_sigterm", "ignored"),
                                            (BLOCKS, "blocks_sigterm", "blocked"),
                                            (CATCHES, "catches_sigterm", "caught")])
def test_what_a_signal_meets(server, code, kind, mask):
    eval_id = server.start(code)
    server.cancel(eval_id, {"terminate": True, "grace": 600}).expect(202)
    found = until(server, eval_id, kind)
    seen = program(found)
    assert "SIGTERM" in seen[mask] and f"{seen['pid']} (" in sentence(found, kind)
    if mask == "blocked":
        assert "SIGTERM" in until(server, eval_id, kind)["processes"][1]["pending"] or \
            "SIGTERM" in program(doctor(server, eval_id))["pending"]
    assert "kill comes at 20" in sentence(found, "waits_for_its_grace")
    server.kill(eval_id).expect(200)


def test_one_that_is_stopped(server):
    eval_id = server.start(STOPS)
    found = until(server, eval_id, "stopped")
    assert "T" in [one["state"] for one in found["processes"]]
    server.kill(eval_id).expect(200)


def test_a_zombie_and_whose_it_is(server):
    eval_id = server.start(LEAVES)
    found = until(server, eval_id, "zombie")
    parent = next(one for one in found["processes"] if one["state"] != "Z"
                  and one["name"].startswith("python"))
    assert f"its parent {parent['pid']} (python" in sentence(found, "zombie")
    server.kill(eval_id).expect(200)


@pytest.fixture
def frozen(server):
    """A run whose program is frozen by somebody else."""
    if os.geteuid() or not os.path.exists(f"{FREEZER}/cgroup.procs"):
        pytest.skip("needs root and a v1 freezer")
    eval_id = server.start(PATIENT)
    folder = f"{FREEZER}/quell-doctor-{eval_id}"
    os.mkdir(folder)

    def write(name, text):
        with open(f"{folder}/{name}", "w", encoding="ascii") as out:
            out.write(str(text))
    write("cgroup.procs", program(doctor(server, eval_id))["pid"])
    write("freezer.state", "FROZEN")
    yield eval_id
    write("freezer.state", "THAWED")
    server.kill(eval_id)
    server.wait(eval_id)

    def gone():
        with open(f"{folder}/cgroup.procs", encoding="ascii") as procs:
            return not procs.read()
    eventually(gone)
    os.rmdir(folder)


def test_frozen_under_a_kill(server, frozen):
    found = until(server, frozen, "frozen")
    assert kinds(found) == ["runs", "frozen"]
    server.kill(frozen, {"wait": 0}).expect(202)
    found = until(server, frozen, "kill_pending")
    assert "frozen" in kinds(found) and "uninterruptible" not in kinds(found)
    assert program(found)["state"] == "D" and program(found)["pending"] == ["SIGKILL"]


def test_state_d_in_a_file_system_that_hangs(server):
    if os.geteuid() or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root and FUSE")
    from fuse import Fuse
    eval_id = server.start(HANGS)
    pid = program(doctor(server, eval_id))["pid"]
    control = tempfile.mkdtemp(prefix="quell-doctor-")
    fuse = Fuse(pid, "/work/mnt", f"{control}/fuse")
    try:
        with open(f"/proc/{pid}/cwd/go", "w", encoding="ascii"):
            pass
        assert fuse.asked.wait(30)
        server.kill(eval_id, {"wait": 0}).expect(202)
        found = until(server, eval_id, "uninterruptible")
        assert "request_wait_answer" in sentence(found, "uninterruptible")
        assert "kill_pending" in kinds(found)
        fuse.release()
        assert server.wait(eval_id)["status"] == "cancelled"
    finally:
        fuse.close()
        shutil.rmtree(control, ignore_errors=True)


def test_why_it_is_not_found(idle):
    eval_id = idle.submit(PATIENT)["eval_id"]

    def problem(asked):
        return idle.get(f"/api/eval/{asked}/doctor").problem(404, "not-found")
    assert kinds(doctor(idle, eval_id)) == ["waits_for_a_slot"]
    for other in (f"celery-{eval_id}", f"celery-{eval_id}~2", f"{eval_id}~1"):
        assert (problem(other)["why"], problem(other)["meant"]) == ("other_format", [eval_id])
    assert (problem(eval_id[:-2])["why"], problem(eval_id[:-2])["meant"]) == ("prefix", [eval_id])
    assert problem("never-seen-by-anybody")["why"] == "never_seen"
    idle.cancel(eval_id).expect(200)
    idle.insist("DELETE", f"/api/eval/{eval_id}", 204)
    assert problem(eval_id)["why"] == "forgotten"


def test_one_that_expired(idle):
    eval_id = idle.submit(PATIENT, queue_ttl_s=1)["eval_id"]
    idle.wait(eval_id)
    found = doctor(idle, eval_id)
    assert kinds(found) == ["expired"] and "longer than 1 s" in sentence(found, "expired")
