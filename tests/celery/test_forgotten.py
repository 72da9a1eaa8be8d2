"""Revokes that plain Celery forgets: with each, the same cancel by Quell holds."""
import concurrent.futures
import os
import time
import uuid

import pytest
from conftest import system

STOCK = {"STOCK_REVOKES_MAX": "500", "STOCK_REVOKE_EXPIRES": "4", "STOCK_VISIBILITY": "2"}


def removed(reply):
    told = reply.expect(200).json
    assert told["cancelled"] and told["outcome"] == "removed", told
    assert told["evidence"] == "verified"


def test_no_worker_is_up(deployed):
    plain, held = deployed.send("mark"), deployed.send("mark")
    deployed.revoke(plain)
    removed(held.cancel(wait=10))
    with deployed.worker():
        deployed.fence()
    assert plain.said == ["ran"] and plain.state == "SUCCESS"
    assert not held.said
    system.eventually(lambda: held.state == "REVOKED", what="the result backend")


def test_worker_is_restarted_before_the_message(deployed):
    plain, held = deployed.sent_before("mark"), deployed.sent_before("mark")
    with deployed.worker():
        deployed.revoke(plain)
        assert held.cancel(ahead="true").status in (200, 202)
    with deployed.worker():
        plain.send_now()
        held.send_now()
        plain.until("ran")
        held.until_state("REVOKED")
        deployed.fence()
    assert not held.said


def ran(deployed):
    return {name.removesuffix(".said") for name in os.listdir(deployed.folder)}


def test_more_are_revoked_than_a_worker_remembers(deployed):
    """60,000 where 50,000 are remembered, a hundredth of each."""
    with deployed.worker("-P", "solo", "-Q", "elsewhere") as worker:
        plain = deployed.push("many", [deployed.key() for _ in range(600)])
        deployed.app.control.revoke(list(plain))
        held = deployed.push("many", [deployed.key() for _ in range(600)])
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            for reply in pool.map(lambda task_id: deployed.quell.post(
                    f"/api/task/{task_id}/cancel?wait=60"), held):
                removed(reply)
        deployed.app.control.add_consumer("many", destination=[worker.node])
        deployed.send("mark", queue="many").until("ran")
    # whatever else was revoked there displaces one too
    assert len(ran(deployed) & set(plain.values())) >= 100
    assert not ran(deployed) & set(held.values())


def submit(quell, count, queue):
    one = {"code": "brief", "language": "python", "queue": queue}
    for at in range(0, count, 10000):
        many = [dict(one, eval_id=f"{queue}-{i}") for i in range(at, min(at + 10000, count))]
        quell.post("/api/eval-batch", {"evaluations": many}).expect(201)


def count(quell, selector):
    return quell.get(f"/api/evaluations/count{system.query(selector=selector)}").expect(200).json[
        "count"]


def stop_all(quell, selector):
    batch = quell.post("/api/batches", {"selector": selector}).expect(202).json["batch_id"]

    def over():
        seen = quell.get(f"/api/batches/{batch}").expect(200).json
        return seen["phase"] == "done"
    system.eventually(over, 120, "the batch to be over")


@pytest.mark.deadline(300)
def test_60000_are_revoked(deployed):
    """At full size, of a worker that remembers as many as Celery's do. Of plain Celery's messages a sample is sent,
    of those that it forgot and of those that it knows."""
    submit(deployed.quell, 60000, "very-many")
    plain = [str(uuid.uuid4()) for _ in range(60000)]
    with deployed.worker("-P", "solo", "-Q", "elsewhere", node="forgetful", STOCK_REVOKES_MAX="50000",
                         STOCK_REVOKE_EXPIRES="10800") as worker:
        deployed.await_worker(worker)
        deployed.app.control.revoke(plain, destination=[worker.node])
        known = system.eventually(
            lambda: deployed.inspect("revoked", worker.node, 10).get(worker.node), 60, "its list")
        asked = set(plain)
        forgotten = asked - set(known)
        assert len(forgotten) >= 10000
        # its list is in the order in which it will forget them, with each of which it is told meanwhile
        samples = [deployed.push("very-many", {deployed.key(): one for one in some})
                   for some in (list(forgotten)[:50], [one for one in known if one in asked][-50:])]
        stop_all(deployed.quell, "queue=very-many")
        system.eventually(lambda: count(deployed.quell, "queue=very-many,status=cancelled") == 60000,
                          60, "their end")
        deployed.app.control.add_consumer("very-many", destination=[worker.node])
        deployed.send("mark", queue="very-many").until("ran")
        total = deployed.inspect("stats", worker.node, 10)[worker.node]["total"]
    assert [len(ran(deployed) & set(some.values())) for some in samples] == [50, 0]
    assert "tasks.evaluate_code" not in total and total["stock.mark"] > 50, total


def lose_subscription(deployed):
    """As Redis does with a subscriber that is too slow: client-output-buffer-limit pubsub."""
    quells = {one["id"] for one in deployed.client.client_list() if "quell" in one["name"]}
    for one in deployed.client.client_list():
        if int(one["psub"]) and one["id"] not in quells and one["name"] != "tests":
            deployed.client.client_kill_filter(_id=one["id"])


def test_worker_is_frozen_during_the_revoke(deployed):
    plain, held = deployed.sent_before("mark"), deployed.sent_before("mark")
    with deployed.worker() as worker:
        deployed.await_worker(worker)  # it listens only after it says that it is ready
        worker.freeze()
        lose_subscription(deployed)
        deployed.revoke(plain)
        told = held.cancel(ahead="true")
        assert told.status in (200, 202)
        worker.thaw()
        deployed.await_worker(worker)
        plain.send_now()
        held.send_now()
        plain.until("ran")
        held.until_state("REVOKED")
    assert not held.said


@pytest.mark.deadline(180)
def test_worker_is_cut_off_during_the_revoke(deployed, proxy):
    """What it held until an ETA comes back when its visibility timeout, shortened to 2 s, has passed."""
    ahead, forgotten = deployed.sent_before("mark"), deployed.sent_before("mark")
    with deployed.worker(broker=proxy.url) as worker:
        plain, held = (deployed.send("mark", countdown=3) for _ in range(2))
        plain.until_place("scheduled")
        held.until_place("scheduled")
        proxy.cut()
        deployed.revoke(plain)
        deployed.revoke(forgotten)
        asked = held.cancel(wait=0)
        assert asked.status in (200, 202)
        assert ahead.cancel(ahead="true").status in (200, 202)
        proxy.mend()
        deployed.await_return(worker)
        forgotten.send_now()
        ahead.send_now()
        forgotten.until("ran")
        ahead.until_state("REVOKED")
        with deployed.worker(node="w2"):  # its start brings back what is unacknowledged
            plain.until("ran")
            deployed.fence()
            told = held.settled()
    assert told["cancelled"], told
    assert not held.said and not ahead.said


def test_eta_lies_beyond_the_workers_memory(deployed):
    """A worker forgets after three hours, shortened to 4 s, when another one's hello comes."""
    with deployed.worker():
        plain, held = (deployed.send("mark", countdown=9) for _ in range(2))
        began = time.monotonic()
        plain.until_place("scheduled")
        held.until_place("scheduled")
        deployed.revoke(plain)
        assert held.cancel(wait=0).status in (200, 202)
        system.eventually(lambda: time.monotonic() > began + 5, what="the limit to pass")
        with deployed.worker("-Q", "elsewhere", node="w2"):
            plain.until("ran")
            told = held.settled()
    assert told["cancelled"], told
    assert not held.said
