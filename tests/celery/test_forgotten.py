"""Revokes that plain Celery forgets: with each, the same cancel by Quell holds."""
import concurrent.futures
import os
import time

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


def test_more_are_revoked_than_a_worker_remembers(deployed):
    """60,000 where 50,000 are remembered, a hundredth of each."""
    forget(deployed, 600, 500, "many")


@pytest.mark.deadline(1800)
@pytest.mark.skipif("QUELL_FULL_SIZE" not in os.environ,
                    reason="60,000 ids take minutes: set QUELL_FULL_SIZE=1")
def test_60000_are_revoked(deployed):
    forget(deployed, 60000, 50000, "very-many")


def forget(deployed, count, remembered, queue):
    with deployed.worker("-P", "solo", "-Q", "elsewhere",
                         STOCK_REVOKES_MAX=str(remembered)) as worker:
        plain = deployed.push(queue, [deployed.key() for _ in range(count)])
        deployed.app.control.revoke(list(plain))
        held = deployed.push(queue, [deployed.key() for _ in range(count)])
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            for reply in pool.map(lambda task_id: deployed.quell.post(
                    f"/api/task/{task_id}/cancel?wait=60"), held):
                removed(reply)
        deployed.app.control.add_consumer(queue, destination=[worker.node])
        deployed.send("mark", queue=queue).until("ran", 30 + count / 100)
    ran = {name.removesuffix(".said") for name in os.listdir(deployed.folder)}
    # whatever else was revoked there displaces one too
    assert len(ran & set(plain.values())) >= count - remembered
    assert not ran & set(held.values())


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
        deployed.await_worker(worker)
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
