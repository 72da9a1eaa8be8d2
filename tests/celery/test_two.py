"""Two Quells beside one broker, as where each host of workers has one of its own."""
import os
import shutil
import tempfile

import pytest
from conftest import system
from deployment import Sent, alive, at_once


@pytest.fixture(scope="module")
def other(deployed):
    with system.serving("--broker", deployed.redis.quell_url, "--auth", "none") as made:
        yield made


def test_what_the_other_one_took_out_is_over(deployed, other):
    """Nobody else says so: no worker ever had it."""
    deployed.quell.submit(eval_id="taken", code="brief", language="python", queue="nobodys")
    system.eventually(lambda: deployed.client.llen("nobodys"), what="its message")
    told = other.post("/api/task/celery-taken/cancel?wait=20").expect(200).json
    assert told["cancelled"] and told["outcome"] == "removed", told
    deployed.quell.until_status("taken", "cancelled")


def test_both_stop_the_same(deployed, other, worker):
    for name in ("work", "late", "polite"):
        sent = deployed.began(name)
        more = "" if name == "polite" else "&terminate=true&grace=5"
        told = at_once([lambda server=server: server.post(f"/api/task/{sent.id}/cancel?wait=30{more}")
                        for server in (deployed.quell, other)])
        assert all(reply.expect(200).json["cancelled"] for reply in told), told
        assert "ended" not in sent.said and sent.state == "REVOKED"
        assert name == "polite" or not alive(sent.pids[0])


def test_what_the_other_one_sent_and_runs_is_over(deployed, other, worker):
    other.submit(eval_id="others", code="never", language="python")
    other.until_status("others", "running")
    told = deployed.quell.post("/api/task/celery-others/cancel?terminate=true&grace=5&wait=30")
    assert told.expect(200).json["cancelled"]
    other.until_status("others", "cancelled")
    fresh = Sent(deployed, "again", "celery-again", "work")
    fresh.send_now().until("began")
    at_once([lambda server=server: server.post("/api/task/celery-again/cancel?wait=0")
             for server in (deployed.quell, other)])
    fresh.until_state("ABORTED")
    fresh.release()
    for server in (deployed.quell, other):
        server.until_status("again", "succeeded")


def names(deployed):
    return {key.decode().removeprefix("quell:memory:") for key in deployed.client.keys("quell:memory:*")}


def test_one_path_on_two_hosts(deployed):
    """Each has lists of its own for what workers answer, after a restart the same: else they took each other's."""
    folder = tempfile.mkdtemp(prefix="quell-test-")
    here, there = os.path.join(folder, "quell"), os.path.join(folder, "elsewhere")
    known = names(deployed)
    flags = ["--broker", deployed.redis.quell_url, "--auth", "none"]

    def started(path):
        with system.serving(*flags, data=path):
            return system.eventually(lambda: names(deployed) - known, what="its name")
    try:
        first = started(here)
        assert started(here) == first
        os.rename(here, there)
        known |= first
        assert len(started(here)) == 1
        known = names(deployed) - first
        assert started(there) == first
    finally:
        shutil.rmtree(folder)
