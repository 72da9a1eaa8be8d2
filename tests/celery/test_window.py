"""Cancels that come early, late, twice, all at once, or for what nobody knows."""
import collections
import concurrent.futures
import random
import time
import uuid

import pytest
from conftest import system
from deployment import Deployment, Sent, alive, at_once


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


@pytest.mark.deadline(120)
def test_between_pending_and_started(deployed, worker):
    """200 tries, at any moment from before a worker has it until it runs."""
    plain = deployed.began("work")
    deployed.revoke(plain)  # it came too late, and nobody says so
    plain.release()
    plain.until("ended")

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


def test_sent_again_by_its_producer(deployed, worker):
    """The same id, after a cancel: plain Celery drops it for as long as it remembers the id."""
    plain, again = (deployed.sent_before("mark", countdown=600) for _ in range(2))
    for sent in (plain, again):
        sent.send_now().until_place("scheduled")
    deployed.revoke(plain)
    again.cancel(wait=0)
    for sent in (plain, again):
        sent.options = {}
        sent.send_now()
    plain.until_state("REVOKED")
    again.until("ran")
    assert not plain.said
