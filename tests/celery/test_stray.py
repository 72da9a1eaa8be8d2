"""What lives on though it is settled: shown, left alone with too few marks, ended with the proof."""
import contextlib
import os
import subprocess

import pytest
from conftest import system
from deployment import Deployment, Sent, alive
from dockers import IMAGE, docker_daemon
from quell.docker import Engine

pytestmark = pytest.mark.deadline(180)


@pytest.fixture(scope="module")
def docker():
    with docker_daemon() as host:
        yield host


@pytest.fixture(scope="module")
def deployed(docker):
    with Deployment("--docker-host", docker, "--task-name", "stock.evaluated", "--orphan-age", "0s",
                    env={"STOCK_DOCKER": docker}) as made:
        yield made


def orphans(deployed, reap=False):
    """Of a look at all places, by name: on a busy machine a worker may answer too late."""
    def whole():
        if not reap:
            told = deployed.quell.get("/api/orphans").expect(200).json
        else:
            told = deployed.quell.post("/api/orphans/reap", {"dry_run": False}).expect(200).json
        return told if not told["partial"] else None
    return {one["name"]: one for one in system.eventually(whole, what="a look at all places")["orphans"]}


def of_eval(found, eval_id):
    return next((one for one in found.values() if one["eval_id"] == eval_id), None)


def began(deployed, eval_id):
    """Submitted to Quell, and it runs."""
    deployed.quell.submit(eval_id=eval_id, code="1", language="python")
    sent = Sent(deployed, eval_id, f"celery-{eval_id}")
    sent.until("began")
    deployed.quell.until_status(eval_id, "running")
    return sent


@contextlib.contextmanager
def container(docker, **labels):
    engine = Engine(docker)
    made = engine.ask("POST", "/containers/create", {
        "Image": IMAGE, "Cmd": ["sleep", "600"], "NetworkDisabled": True,
        "Labels": {name.replace("_", ".", 1): value for name, value in labels.items()},
        "HostConfig": {"NetworkMode": "none", "RestartPolicy": {"Name": "always"}}}).json["Id"]
    engine.ask("POST", f"/containers/{made}/start")
    try:
        yield made
    finally:
        engine.ask("DELETE", f"/containers/{made}", accepts=(404, 409), force=1)


def runs(docker, made):
    return Engine(docker).ask("GET", f"/containers/{made}/json").json["State"]["Running"]


def test_a_container_that_comes_after_its_task(deployed, docker, worker):
    """Of one that was cancelled it is ours to end; of one that succeeded it may be another's under that id."""
    _, done = began(deployed, "left"), began(deployed, "done")
    assert deployed.quell.cancel("left", {"terminate": True, "wait": 30}).expect(200).json["cancelled"]
    with contextlib.ExitStack() as stack:
        def start(**labels):
            return stack.enter_context(container(docker, **labels))
        its_own = start(quell_eval_id="done")
        found = orphans(deployed)
        assert not of_eval(found, "done"), "its task runs"
        done.release()
        assert deployed.quell.wait("done")["status"] == "succeeded"
        system.eventually(lambda: not runs(docker, its_own), what="its end with its task's")

        left, later = start(quell_eval_id="left"), start(quell_eval_id="done")
        unknown = start(quell_eval_id="nobodys")
        others = [start(other="left"), start(quell_eval_id="left", quell_server="0123456789abcdef")]
        found = {one["name"].split("@")[0]: one for one in orphans(deployed).values()}
        assert set(found) == {left, later, unknown}
        assert found[left]["kind"] == "container" and found[left]["verdict"] == "orphan"
        assert found[left]["marks"] == ["label", "idle", "settled"] and not found[left]["outcome"]
        for one in (later, unknown):
            assert found[one]["verdict"] == "unsure" and found[one]["marks"] == ["label", "idle"]
        assert runs(docker, left), "one look is not enough"

        reaped = next(one for name, one in orphans(deployed, reap=True).items() if left in name)
        assert reaped["outcome"] == "reaped", reaped
        assert not runs(docker, left)
        assert all(runs(docker, one) for one in [*others, unknown, later])
        again = orphans(deployed, reap=True)
        assert not any(left in name or one["outcome"] for name, one in again.items())
        assert all(runs(docker, one) for one in [*others, unknown, later])

    rows = deployed.quell.get("/api/audit?verb=orphan-reap").expect(200).json["rows"]
    assert [row["row"]["reason"] for row in rows if left in (row["row"]["target"] or "")] == [
        "container: label, idle, settled"]
    told = deployed.quell.get("/metrics").expect(200).text
    assert 'quell_orphans_found_total{kind="container"} 1' in told
    assert 'quell_orphans_reaped_total{kind="container"} 1' in told


def test_where_a_worker_is_silent_nothing_is_said_of_containers(deployed, docker, worker):
    with container(docker, quell_eval_id="nobodys"), \
            deployed.worker("-c", "1", "-Q", "elsewhere", node="frozen") as frozen:
        deployed.await_worker(frozen)
        assert of_eval(orphans(deployed), "nobodys")
        frozen.freeze()
        told = deployed.quell.get("/api/orphans").expect(200).json
        assert told["partial"] and not of_eval({one["name"]: one for one in told["orphans"]}, "nobodys")
        frozen.thaw()


def test_a_task_that_plain_celery_calls_revoked(deployed, worker):
    """No record of ours: shown, and nobody touches it."""
    running = deployed.began("work")
    # As every worker writes at once from Celery 5.6.2 on, whatever runs.
    deployed.app.backend.store_result(running.id, None, "REVOKED")
    for _ in range(3):
        found = of_eval(orphans(deployed, reap=True), f"task:{running.id}")
        assert found["kind"] == "task" and found["marks"] == ["worker", "revoked"]
        assert found["verdict"] == "unsure" and found["outcome"] is None
        assert worker.node in found["what"] and str(running.pids[0]) in found["what"]
    running.release()
    running.until_state("SUCCESS")
    assert not of_eval(orphans(deployed), f"task:{running.id}")


def test_a_task_that_nobody_can_end_is_stuck(deployed):
    """Its message comes back from elsewhere after its cancel, and its worker's pool is of threads."""
    deployed.quell.submit(eval_id="back", code="1", language="python", queue="later")
    (message,) = system.eventually(lambda: deployed.client.lrange("later", 0, -1), what="its message")
    assert deployed.quell.cancel("back", {"wait": 20}).expect(200).json["outcome"] == "removed"
    with deployed.worker("-c", "1", "-P", "threads", "-Q", "later", "--without-mingle",
                         node="threads") as threads:
        deployed.await_worker(threads)
        deployed.client.lpush("later", message)
        sent = Sent(deployed, "back", "celery-back")
        sent.until("began")
        first = of_eval(orphans(deployed), "back")
        assert first["kind"] == "task" and {"worker", "settled"} <= set(first["marks"])
        found = system.eventually(
            lambda: one if (one := of_eval(orphans(deployed, reap=True), "back"))["outcome"] else None,
            what="a try to end it")
        assert found["outcome"] == "stuck" and "can't end a running task" in found["why"], found
        assert deployed.quell.show("back")["status"] == "cancelled"
        sent.release()
        sent.until("ended")
        system.eventually(lambda: not of_eval(orphans(deployed), "back"), what="its end")


def test_a_task_that_came_back_after_its_cancel_is_ended(deployed):
    """Nothing is written of its start, as Celery has it by default: `quell orphans` sees it, and it is ended."""
    def quell(*words):
        return subprocess.run(
            [system.QUELL, "orphans", "--url", f"http://127.0.0.1:{deployed.quell.port}",
             "--key", deployed.quell.key, *words], stdout=subprocess.PIPE, text=True, timeout=60).stdout

    messages = {}
    for eval_id in ("zombie-1", "zombie-2", "zombie-3"):
        deployed.quell.submit(eval_id=eval_id, code="1", language="python", queue="late")
        (messages[eval_id],) = system.eventually(lambda: deployed.client.lrange("late", 0, -1),
                                                 what="its message")
        told = deployed.quell.cancel(eval_id, {"wait": 20}).expect(200).json
        assert told["outcome"] == "removed"
        system.eventually(lambda: not deployed.client.llen("late"), what="the queue to be empty")
    with deployed.worker("-c", "1", "-Q", "late", "--without-mingle", node="late",
                         STOCK_UNTRACKED="1") as late:
        deployed.await_worker(late)
        for eval_id, message in messages.items():
            deployed.client.lpush("late", message)
            sent = Sent(deployed, eval_id, f"celery-{eval_id}")
            sent.until("began")
            pid = sent.pids[0]
            first = system.eventually(
                lambda: of_eval(orphans(deployed), eval_id) or not alive(pid), what="it to be seen")
            if first is not True:
                break  # else a look at the worker that has just come saw it, and had it ended at once
        assert first is not True
        assert first["verdict"] == "orphan" and {"worker", "settled"} <= set(first["marks"])
        assert str(pid) in first["what"] and first["name"] in quell()
        assert os.path.exists(f"/proc/{pid}"), "a look ends nothing"
        reaped = system.eventually(
            lambda: one if (one := of_eval(orphans(deployed, reap=True), eval_id))["outcome"] else None,
            what="its end")
        assert reaped["outcome"] == "reaped" and reaped["name"] == first["name"], str(reaped)
        system.eventually(lambda: not os.path.exists(f"/proc/{pid}"), what="its worker to bury it")
        assert "ended" not in sent.said
        assert not of_eval(orphans(deployed), eval_id)
        assert deployed.quell.show(eval_id)["status"] == "cancelled"
    rows = deployed.quell.get("/api/audit?verb=orphan-reap").expect(200).json["rows"]
    assert [row["row"]["reason"] for row in rows if eval_id in (row["row"]["target"] or "")] == [
        f"task: {', '.join(reaped['marks'])}"]
