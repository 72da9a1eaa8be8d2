"""Workers that go. In a warm shutdown they say so, answer nothing any more, and run what they run to its end; others die
of what they run, and its state stays STARTED."""
import base64
import json
import signal

import pytest
from conftest import system
from deployment import Sent, alive, at_once

STOCK = {"STOCK_VISIBILITY": "3600"}


@pytest.fixture
def leaving(deployed):
    """Told to go when `leave` is called; it takes what is sent to the queue `leaving`."""
    with deployed.worker("-c", "3", "-Q", "leaving", node="leaving") as made:
        deployed.await_worker(made)

        def leave():
            made.process.send_signal(signal.SIGTERM)
            system.eventually(lambda: any(f"{made.node}: " in line and ", left " in line
                                          for line in deployed.quell.log), what="its farewell")
            return made
        yield leave


def until_ended(made):
    made.process.wait(30)


def until_listed(deployed, node, begun):
    """It said how many tasks it began, and Quell then asked what it runs, and had the answer before it asked again."""
    beat, asked = False, 0
    listener = deployed.client.pubsub()
    listener.psubscribe("/0.celeryev/worker.heartbeat", "/0.celery.pidbox")
    while asked < 2:
        message = listener.get_message(timeout=30)
        assert message, "neither a heartbeat nor a question"
        if message["type"] != "pmessage":
            continue
        body = json.loads(base64.b64decode(json.loads(message["data"])["body"]))
        beat |= body.get("hostname") == node and body["processed"] >= begun
        asked += beat and body.get("method") == "active"
    listener.close()


@pytest.mark.deadline(120)
def test_what_it_runs_is_not_said_to_be_cancelled(deployed, leaving):
    """Of another producer, and never seen to run: neither is it unknown, nor was it taken out."""
    early, late = (deployed.began(name, queue="leaving") for name in ("work", "late"))
    made = leaving()
    deployed.revoke(early, terminate=True)
    assert not early.place["complete"] and not late.place["complete"]
    told = [reply.json for reply in at_once(
        [lambda sent=sent: sent.cancel(terminate="true", wait=4) for sent in (early, late)])]
    assert not any(one["cancelled"] for one in told), told
    assert alive(early.pids[0]) and alive(late.pids[0])  # and plain Celery's word did nothing either
    for sent in (early, late):
        sent.release()
        sent.until("ended")
    until_ended(made)
    assert deployed.quell.wait(f"task:{late.id}")["status"] == "succeeded"
    assert deployed.quell.wait(f"task:{early.id}")["status"] == "succeeded"


@pytest.mark.deadline(120)
def test_what_is_known_to_run_there_is_ended(deployed, leaving):
    """Its worker hears no revoke any more: on Quell's host there is another hand."""
    deployed.quell.submit(eval_id="leaves", code="never", language="python", queue="leaving")
    sent = Sent(deployed, "leaves", "celery-leaves")
    deployed.quell.until_status("leaves", "running")
    pid = system.eventually(lambda: sent.place["pid"], what="its process")
    until_listed(deployed, sent.place["worker"], 1)
    made = leaving()
    told = deployed.quell.cancel("leaves", {"terminate": True, "grace": 1, "wait": 30})
    assert told.expect(200).json["cancelled"] and told.json["killed"], told.json
    assert not alive(pid)
    until_ended(made)
    assert deployed.quell.get("/api/eval/leaves").json["status"] == "cancelled"


@pytest.mark.deadline(120)
@pytest.mark.parametrize("anew", [True, False], ids=["begun-anew", "away"])
def test_what_it_died_with_is_over(deployed, anew):
    """Never seen by Quell while it ran. Plain Celery's revoke leaves it at STARTED, and who waits for it waits on."""
    with deployed.worker("-c", "2", node="dying") as dying:
        deployed.await_worker(dying)
        early, late = deployed.began("work"), deployed.began("late")
        dying.end()
        if anew:
            dying.ready.clear()
            dying.begin()
            dying.wait_ready()
            deployed.await_worker(dying)
        deployed.revoke(early)
        assert early.state == late.state == "STARTED"
        for reply in at_once([lambda sent=sent: sent.cancel(terminate="true", wait=30)
                              for sent in (early, late)]):
            told = reply.expect(200).json
            assert told["cancelled"] and told["outcome"] == "killed", told
            assert told["evidence"] == "verified" and not told["unasked"], told
        for sent in (early, late):
            sent.until_state("REVOKED")
        if anew:
            deployed.fence()
    assert len(early.pids) == len(late.pids) == 1


@pytest.mark.deadline(120)
def test_what_a_worker_forgot_may_run_yet(deployed):
    """As where it lost Redis before its pool had told it that the task began: it lists nothing, and its process lives."""
    with deployed.worker("-c", "1", node="forgets") as forgets:
        deployed.await_worker(forgets)
        before = deployed.began("work")
        pid = before.pids[0]
        before.release()
        before.until_state("SUCCESS")
        sent = deployed.sent_before("work")
        deployed.client.set(f"celery-task-meta-{sent.id}", json.dumps({
            "task_id": sent.id, "status": "STARTED", "result": {"pid": pid, "hostname": forgets.node},
            "traceback": None, "children": []}))
        told = sent.cancel(terminate="true", grace=1, wait=30).expect(200).json
        assert told["cancelled"] and told["outcome"] == "killed", told
        assert not alive(pid)
