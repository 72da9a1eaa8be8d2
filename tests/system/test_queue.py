"""Order of the queue, its time to live, supersedes, and slots."""
import time

import pytest
from programs import SLEEPS, notices
from quell import query


def test_priority_first_then_age(make_server):
    server = make_server("--workers", "1")
    blocker = server.start(SLEEPS)
    submitted = [(priority, server.submit("pass", priority=priority)["eval_id"])
                 for priority in (5, 0, 9, 5, 9, 0, 7)]
    server.kill(blocker).expect(200)
    seen = [server.wait(eval_id, status="succeeded") for _, eval_id in submitted]
    ran = sorted(seen, key=lambda one: (one["started_at"], one["finished_at"]))
    expected = [eval_id for _, eval_id in sorted(submitted, key=lambda one: -one[0])]
    assert [one["eval_id"] for one in ran] == expected


def test_no_more_run_at_once_than_there_are_workers(make_server):
    server = make_server("--workers", "2")
    ids = [server.submit(SLEEPS)["eval_id"] for _ in range(5)]
    for _ in range(5):
        running = server.until_status(ids[0], "running") and ids[0]
        now = server.get("/api/evaluations?status=running,cancelling").json["evaluations"]
        assert len(now) <= 2
        server.kill(running).expect(200)
        ids.remove(running)
        if ids:
            server.until_status(ids[0], "running")


def test_a_slot_is_freed_whatever_the_end_was(make_server):
    server = make_server("--workers", "1")
    for code in ("pass", "raise SystemExit(3)", "import os; os.kill(os.getpid(), 11)"):
        server.run(code)
    eval_id = server.start(SLEEPS)
    server.kill(eval_id).expect(200)
    eval_id = server.submit(command=["/no/such/program"])["eval_id"]
    assert server.wait(eval_id)["status"] == "failed"
    assert server.run("pass")["status"] == "succeeded"


def test_queue_ttl(make_server):
    server = make_server("--workers", "1")
    blocker = server.start(SLEEPS)
    short = server.submit("print('ran')", queue_ttl_s=1)["eval_id"]
    patient = server.submit("print('ran')", queue_ttl_s=600)["eval_id"]
    seen = server.wait(short)
    assert (seen["status"], seen["cause"], seen["started_at"]) == ("cancelled", "queue_ttl", None)
    stop = seen["cancellation"]
    assert stop["outcome"] == "removed" and stop["evidence"] == "verified"
    assert stop["actor"] == "quell:queue_ttl"
    server.kill(blocker).expect(200)
    server.wait(patient, status="succeeded")
    assert server.output(short) == ""


def test_queue_ttl_passes_while_the_server_is_away(make_server):
    server = make_server("--workers", "0")
    eval_id = server.submit("1", queue_ttl_s=1)["eval_id"]
    server.crash()
    time.sleep(1.1)  # the time itself is what has to pass
    server.again()
    assert server.wait(eval_id)["cause"] == "queue_ttl"


def test_supersedes_cancels_the_older_ones(server):
    running = server.start(notices("os.unlink(path)"), supersedes="key-1")
    newer = server.submit("print('newest')", supersedes="key-1")["eval_id"]
    seen = server.wait(running)
    assert (seen["status"], seen["cause"]) == ("cancelled", "superseded")
    assert seen["cancellation"]["mode"] == "cancel"
    assert server.wait(newer)["status"] == "succeeded"


def test_supersedes_in_the_queue(make_server):
    server = make_server("--workers", "0", owners=["alice", "bob"])
    alice, bob = server.owner("alice"), server.owner("bob")
    old = [alice.submit("1", supersedes="k")["eval_id"]]
    other = alice.submit("1", supersedes="other")["eval_id"]
    foreign = bob.submit("1", supersedes="k")["eval_id"]
    new = alice.submit("1", supersedes="k")["eval_id"]
    for eval_id in old:
        seen = alice.wait(eval_id)
        assert (seen["status"], seen["cause"]) == ("cancelled", "superseded")
    for client, eval_id in ((alice, other), (bob, foreign), (alice, new)):
        assert client.show(eval_id)["status"] == "queued"


def test_a_key_twice_in_one_batch_is_refused(idle):
    batch = [{"code": "1", "language": "python", "supersedes": "k"} for _ in range(2)]
    problem = idle.post("/api/eval-batch", {"evaluations": batch}).problem(422)
    assert (problem["field"], problem["index"]) == ("evaluations[1].supersedes", 1)
    assert problem["detail"] == ("evaluations[1]: supersedes k stands twice in one batch: each would "
                                 "replace the other")


@pytest.mark.deadline(120)
def test_a_crowd_passes_through(make_server):
    server = make_server("--workers", "4")
    batch = [{"command": ["true"], "eval_id": f"crowd-{number}"} for number in range(150)]
    server.post("/api/eval-batch", {"evaluations": batch}).expect(201)
    for one in batch:
        server.wait(one["eval_id"], seconds=90, status="succeeded")
    page = server.get("/api/evaluations" + query(status="succeeded", limit=1000)).json
    assert len(page["evaluations"]) == 150
