"""Cancels that come early, late, twice, all at once, or for what nobody knows."""
import collections
import concurrent.futures
import os
import random
import subprocess
import time
import uuid

import pytest
from celeries import PYTHON, environment, knows_unrevoke
from conftest import HERE, system
from deployment import Sent, alive, at_once


forgetful = pytest.mark.skipif(not knows_unrevoke(),
                               reason="from Celery 5.7 on a worker takes no revoke back")


def nowhere(deployed):
    return Sent(deployed, "nobody", str(uuid.uuid4()))


def test_unknown_id(deployed, worker):
    plain, unknown = nowhere(deployed), nowhere(deployed)
    said = deployed.app.control.revoke(plain.id, reply=True, timeout=2)
    assert said[0][worker.node]["ok"]  # as if there were such a task; and it is kept:
    assert plain.id in deployed.inspect("revoked")[worker.node]

    keys = set(deployed.client.keys())
    began = time.monotonic()
    asked = unknown.cancel()
    assert asked.status == 202 and not asked.json["cancelled"]
    answer = system.eventually(lambda: seen if (seen := unknown.cancel()).status != 202 else None,
                               what="an answer")
    answer.problem(404, "not-found")
    assert time.monotonic() - began >= 2
    unknown.record().problem(404, "not-found")
    assert unknown.place["place"] == "unknown"
    assert unknown.id not in deployed.inspect("revoked")[worker.node]
    left = {key for key in set(deployed.client.keys()) - keys if unknown.id.encode() in key}
    assert not left
    deployed.send("mark", key=unknown.key, task_id=unknown.id)
    unknown.until("ran")


def test_unknown_id_with_a_wait(deployed, worker):
    began = time.monotonic()
    nowhere(deployed).cancel(wait=20).problem(404, "not-found")
    assert 2 <= time.monotonic() - began < 15


def one_try(deployed, pause):
    sent = deployed.send("work")
    time.sleep(pause)
    told = sent.cancel(terminate="true", wait=30, grace=5).expect(200).json
    assert told["cancelled"], told
    return sent, told["outcome"]


def in_the_window(deployed):
    """It has begun, and its result does not say so yet."""
    sent = deployed.sent_before("work")
    sent.hold()
    sent.send_now().until("held")
    assert sent.state == "PENDING"
    return sent


@pytest.mark.deadline(240)
def test_between_pending_and_started(deployed, worker):
    """200 tries, at any moment from before a worker has it until it runs; and two in the middle of the window."""
    plain, stopped = in_the_window(deployed), in_the_window(deployed)
    deployed.revoke(plain)  # as a service does that reads PENDING: nothing runs that it could terminate
    system.eventually(lambda: plain.id in deployed.inspect("revoked")[worker.node], what="the revoke")
    assert stopped.cancel(terminate="true", wait=20).expect(200).json["cancelled"]
    for sent in (plain, stopped):
        sent.let_go()
        sent.release()
    plain.until("ended")  # all of it, and nobody says so
    plain.until_state("SUCCESS")
    assert stopped.said == ["held"] and stopped.state == "REVOKED"

    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    pauses = [dice.random() * 0.05 for _ in range(200)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tried = list(pool.map(lambda pause: one_try(deployed, pause), pauses))
    print(dict(collections.Counter(outcome for _, outcome in tried)))
    for sent, _ in tried:
        sent.release()
    for _ in range(8):  # more than the worker has processes
        deployed.fence()
    assert not [sent.said for sent, _ in tried if "ended" in sent.said]


@pytest.mark.parametrize("place", ["queued", pytest.param("active", marks=forgetful)])
def test_sent_again_by_its_producer(deployed, worker, place):
    """The same id, after a cancel: plain Celery drops it for as long as it remembers the id. A cancel of that run is a
    cancel of its own."""
    plain, again = (deployed.sent_before("work", queue="nobodys" if place == "queued" else "celery")
                    for _ in range(2))
    for sent in (plain, again):
        sent.send_now().until_place(place)
    deployed.revoke(plain, terminate=True)
    assert again.cancel(terminate="true", wait=20).expect(200).json["cancelled"]
    if place == "active":
        plain.until_state("REVOKED")
    began = len(again.pids)
    for sent in (plain, again):
        sent.options = {}
        sent.send_now()
    again.until("began", times=began + 1)
    deployed.fence()
    assert len(plain.pids) == began
    if place == "queued":
        again.release()
        again.until("ended")
        return
    told = again.cancel(terminate="true", wait=20).expect(200).json
    assert told["cancelled"] and told["outcome"] == "terminated" and told["attempt"] == 2, told
    assert not alive(again.pids[-1])
    told = again.cancel(terminate="true", wait=20).expect(200).json
    assert told["cancelled"] and told["attempt"] == 2, told


@pytest.mark.parametrize("ends", ["SUCCESS", "REVOKED"])
def test_sent_again_and_queued(deployed, worker, ends):
    """Neither that it had finished, nor that it was cancelled, is said of what waits now."""
    sent = deployed.sent_before("work", queue="nobodys" if ends == "REVOKED" else "celery").send_now()
    if ends == "SUCCESS":
        sent.release()
        sent.until_state("SUCCESS")
        assert sent.cancel(wait=20).problem(409)["outcome"] == "finished_first"
        deployed.send("mark", queue="nobodys").until_place("queued")  # it is known to be one from now on
    else:
        assert sent.cancel(wait=20).expect(200).json["outcome"] == "removed"
    sent.options = {"queue": "nobodys"}
    sent.send_now()
    told = sent.cancel(wait=20).expect(200).json
    assert told["cancelled"] and told["outcome"] == "removed" and told["attempt"] == 2, told
    assert sent.place["place"] == "finished" and sent.state == ends  # what a worker wrote stays


def submitted(deployed, eval_id, queue):
    deployed.quell.submit(eval_id=eval_id, code="brief", language="python", queue=queue)
    return Sent(deployed, eval_id, f"celery-{eval_id}").until_place("queued")["task_id"]


def test_revoked_while_it_waits(deployed, worker):
    """From Celery 5.6.2 on a worker that hears a revoke says REVOKED at once, and one that did not hear it runs the task:
    only what is in no queue any more was stopped."""
    waits, taken = submitted(deployed, "waits", "unheard"), submitted(deployed, "taken", "elsewhere")
    plain = deployed.send("mark", queue="unheard")
    for task_id in (waits, plain.id, taken):
        if task_id == taken:
            deployed.client.delete("elsewhere")
        deployed.app.backend.mark_as_revoked(task_id, "revoked")
    deployed.quell.until_status("taken", "cancelled")  # it was said after that of the others
    assert deployed.quell.show("waits")["status"] == "queued"
    with deployed.worker("-c", "1", "-Q", "unheard", "--without-mingle", node="unheard"):
        plain.until("ran")
        deployed.quell.until_status("waits", "succeeded")


def test_revoked_and_dropped(deployed, worker):
    """By plain Celery; a worker writes REVOKED before it acknowledges the message."""
    task_id = submitted(deployed, "dropped", "dropping")
    deployed.app.control.revoke(task_id)
    system.eventually(lambda: task_id in deployed.inspect("revoked")[worker.node], what="the revoke")
    deployed.app.control.add_consumer("dropping", destination=[worker.node])
    deployed.quell.until_status("dropped", "cancelled")
    steps = [step["what"] for step in deployed.quell.timeline("dropped")]
    assert any("its program never ran" in what for what in steps), steps
    told = deployed.quell.kill("dropped", {"wait": 5}).expect(200).json
    assert "by somebody else" in told["message"], told


def test_a_batch_of_others(deployed, worker):
    """Ids that another producer sent, and some that nobody did: each is found, or looked for twice."""
    queued = [deployed.sent_before("mark", queue="nobodys") for _ in range(3)]
    for sent in queued:
        sent.send_now().until_place("queued")
    runs = deployed.began("work")
    nobodys = [nowhere(deployed) for _ in range(2)]
    began = time.monotonic()
    place = deployed.quell.post("/api/batches", {
        "ids": [f"task:{sent.id}" for sent in (*queued, runs, *nobodys)], "mode": "terminate",
        "grace": 5}).expect(202).headers["Location"]
    over = system.eventually(lambda: seen if (seen := deployed.quell.get(place).json)["phase"] == "done"
                             else None, what="the end of the batch")
    assert time.monotonic() - began >= 2
    assert over["progress"]["not_found"] == 2 and over["progress"]["refused"] == 0, over
    for sent in (*queued, runs):
        sent.settled()
        assert sent.record().json["status"] == "cancelled"
    for sent in nobodys:
        sent.record().problem(404, "not-found")
    assert not any(sent.said for sent in queued)
    ids = [sent.id.encode() for sent in queued]
    system.eventually(lambda: not any(one in message for one in ids for message in
                                      deployed.client.lrange("nobodys", 0, -1)),
                      what="the marks of what was taken out to go")


def test_duplicates_at_once(deployed, worker, storage):
    plain = deployed.began("work")
    stopped = deployed.began("work", task_id="celery-duplicates")
    said = at_once([lambda: deployed.app.control.revoke(
        plain.id, terminate=True, reply=True, timeout=5, destination=[worker.node],
        connection=deployed.app.connection())] * 4)
    texts = [reply[0][worker.node]["ok"] for reply in said if reply]
    assert sum("unknown" in text for text in texts) == 3  # one stop, and three that found nothing

    replies = at_once([lambda: stopped.cancel(terminate="true", wait=20)] * 32)
    told = [reply.expect(200).json for reply in replies]
    assert all(one["cancelled"] for one in told)
    assert len({(one["cancellation_id"], one["requested_at"], one["outcome"])
                for one in told}) == 1
    eval_id = told[0]["eval_id"]
    assert eval_id == "duplicates"
    system.eventually(lambda: storage.of(eval_id), what="the storage service to be told")
    deployed.fence()
    wanted = {"status": "cancelled", "error": "Task cancelled by user"}
    assert [dict(body, **wanted) for body in storage.of(eval_id)] == storage.of(eval_id)
    assert len([path for path, _, _ in storage.asked if path.endswith(f"/{eval_id}")]) == 1


def test_finished_and_its_result_expired(deployed, worker):
    plain, finished, seen = (deployed.send("mark") for _ in range(3))
    for sent in (plain, finished, seen):
        sent.until_state("SUCCESS")
    told = seen.cancel(wait=20).problem(409, "finished-first")
    assert told["previous_state"] == "SUCCESS" and not told["cancelled"]
    for sent in (plain, finished, seen):
        deployed.client.pexpire(f"celery-task-meta-{sent.id}", 1)
        system.eventually(lambda: sent.state == "PENDING", what="its result to expire")
    said = deployed.app.control.revoke(plain.id, reply=True, timeout=5,
                                       destination=[worker.node])
    assert "flagged as revoked" in said[0][worker.node]["ok"]  # of a task that has long ended
    finished.cancel(wait=20).problem(404, "not-found")
    seen.cancel(wait=20).problem(409, "finished-first")
    assert finished.meta is None and seen.meta is None


def usual(deployed, count):
    """How many of so many cold cancels come back, of a service with one app and one pool."""
    said = subprocess.run([PYTHON, os.path.join(HERE, "usual.py"), str(count)], check=True, text=True,
                          stdout=subprocess.PIPE, env=environment(
                              deployed.redis.url, STOCK_FOLDER=deployed.folder, PYTHONPATH=HERE))
    return int(said.stdout)


def test_64_cold_cancels_at_once(deployed, worker):
    """The first thing that a new server does. Each of Celery's revokes takes two connections of the
    app's pool, so that as many as it has wait for each other for ever."""
    assert usual(deployed, 1) == 1
    assert usual(deployed, 64) < 64

    running = [deployed.began("work") for _ in range(4)]
    queued = [deployed.send("work") for _ in range(60)]
    sent = running + queued
    deployed.quell.end()
    deployed.quell.again()
    replies = at_once([lambda one=one: one.cancel(terminate="true", wait=30) for one in sent])
    assert all(reply.expect(200).json["cancelled"] for reply in replies)
    for one in sent:
        one.release()
    for _ in range(8):
        deployed.fence()
    assert not [one.said for one in sent if "ended" in one.said]
    assert not any(alive(pid) for one in sent for pid in one.pids)
