"""Tasks that run: what a terminate leaves behind, and the pools that know none."""
import contextlib
import json
import signal

import pytest
from celeries import PYTHON, version
from conftest import system
from deployment import alive

STOCK = {"STOCK_VISIBILITY": "1"}


def gone(*sent):
    return not any(alive(pid) for one in sent for pid in one.pids)


def test_sigterm_is_swallowed(deployed, worker):
    plain, stopped = deployed.began("stubborn"), deployed.began("stubborn")
    deployed.revoke(plain, terminate=True)
    plain.until("swallowed")
    plain.until_state("REVOKED")
    assert alive(plain.pids[0])  # revoked, and at work

    told = stopped.cancel(terminate="true", grace=1, wait=20).expect(200).json
    assert told["cancelled"] and told["killed"] and told["outcome"] == "killed", told
    assert told["previous_state"] == "STARTED"  # and not what was not known yet when it was asked
    assert gone(stopped) and "swallowed" in stopped.said
    plain.release()
    plain.until("ended")
    assert "ended" not in stopped.said


def test_subprocess_is_left(deployed, worker):
    plain, stopped = deployed.began("parent"), deployed.began("parent")
    orphan, child = int(plain.until("child")), int(stopped.until("child"))
    deployed.revoke(plain, terminate=True)
    system.eventually(lambda: gone(plain), what="its process to go")
    assert alive(orphan)

    told = stopped.cancel(terminate="true", grace=5, wait=20).expect(200).json
    assert told["cancelled"], told
    assert gone(stopped) and not alive(child)
    system.os.kill(orphan, signal.SIGKILL)


def test_who_is_asked_and_returns_had_finished(deployed, worker):
    """An AbortableTask as Celery's documentation has it says nothing but SUCCESS: that counts, and it was asked."""
    eval_id = deployed.quell.submit(code="heeds", language="python")["eval_id"]
    deployed.quell.until_status(eval_id, "running")
    told = deployed.quell.cancel(eval_id, {"wait": 20}).problem(409)
    assert told["outcome"] == "finished_first" and told["previous_state"] == "SUCCESS", told
    steps = [step["what"] for step in told["steps"]]
    assert any("exited with 0: its worker wrote its result" in step for step in steps), steps


def put_back(deployed, task_id, marked=False):
    """Once more into a queue, as after a visibility timeout."""
    deployed.send("work", task_id=task_id, queue="quiet")
    message = json.loads(deployed.client.lpop("quiet"))
    message["headers"]["redelivered"] = True
    if marked:
        message["headers"]["expires"] = "2000-01-01T00:00:00+00:00"
    message["properties"]["delivery_info"]["redelivered"] = True
    deployed.client.rpush("quiet", json.dumps(message))


@pytest.mark.parametrize("marked", [False, True], ids=["plain", "marked"])
def test_what_was_put_back_runs_yet(deployed, worker, marked):
    """That its copy is taken out of the queue proves nothing of the run. It may have been marked where it was not
    acknowledged, before it was put back."""
    sent = deployed.began("work", task_id=f"put-back-{marked}")
    put_back(deployed, sent.id, marked)
    told = sent.cancel(terminate="true", wait=20).expect(200).json
    assert told["cancelled"] and told["outcome"] == "terminated" and gone(sent), told


@pytest.mark.deadline(120)
def test_what_was_put_back_runs_where_nobody_says_so(deployed):
    """A solo worker is at it, which answers nothing and acknowledges nothing. The copy that is taken out meanwhile is
    found to be taken out with each repeat."""
    with deployed.worker("-P", "solo", "-Q", "alone", node="alone") as made:
        deployed.await_worker(made)
        sent = deployed.began("work", queue="alone")
        assert sent.cancel(terminate="true", grace=1, wait=0).status == 202
        put_back(deployed, sent.id)
        told = sent.settled()
        assert told["outcome"] == "unconfirmed" and not told["cancelled"], told
        sent.release()
        sent.until("ended")


def test_a_failure_says_why(deployed, worker):
    eval_id = deployed.quell.submit(code="fails", language="python")["eval_id"]
    assert deployed.quell.wait(eval_id, status="failed")["error"] == "ValueError: as it was asked to"


def test_a_worker_is_logged_once(deployed, worker):
    """All are asked again when another one comes: what is known already is no news."""
    def lines(node):
        return [line for line in deployed.quell.log if f" {node}: Celery " in line]
    with deployed.worker("-c", "1", "-Q", "elsewhere", node="second") as second:
        system.eventually(lambda: any("prefork" in line for line in lines(second.node)),
                          what="a line of the second worker")
        assert sum("prefork" in line for line in lines(worker.node)) == 1
        assert not [line for line in deployed.quell.log if "of unknown version" in line]


def test_late_acknowledged_and_delivered_twice(deployed):
    """A visibility timeout, shortened to 1 s, passes; the sweep of a worker's start sends it again."""
    with deployed.worker("-c", "4", "-Q", "late", node="w1"):
        plain, stopped = (deployed.began("late", queue="late") for _ in range(2))
        system.eventually(lambda: deployed.client.zcount(
            "unacked_index", 0, system.time.time() - 1.5) == 2, what="their time to pass")
        with deployed.worker("-Q", "elsewhere", node="w2"):
            for sent in (plain, stopped):
                sent.until("began", times=2)
            deployed.revoke(plain, terminate=True)
            plain.until_state("REVOKED")
            told = stopped.cancel(terminate="true", grace=2, wait=20).expect(200).json
            assert told["cancelled"], told
            assert gone(stopped)
            assert not gone(plain)  # the older of the two is at work
            plain.release()
            plain.until("ended")
            assert "ended" not in stopped.said
    with deployed.worker("-c", "1", "-Q", "late", node="w3"):
        deployed.fence(queue="late")
    assert len(stopped.pids) == 2


@contextlib.contextmanager
def sent_twice(deployed, task_id):
    """Two messages of one id, as of a producer that sends again what it did not see end: each in a worker of its own."""
    with deployed.worker("-c", "1", "-Q", "one", node="one") as one, \
            deployed.worker("-c", "1", "-Q", "two", node="two") as two:
        for made in (one, two):
            deployed.await_worker(made)
        yield [deployed.began("stubborn", task_id=task_id, queue=queue) for queue in ("one", "two")]


def test_sent_twice_and_one_of_them_succeeds(deployed):
    """The result is of one of them: it says nothing of the other, which swallowed its SIGTERM and is at work."""
    with sent_twice(deployed, "twice") as (runs, ends):
        runs.cancel(terminate="true", grace=60).expect(202)
        for sent in (runs, ends):
            sent.until("swallowed")
        ends.release()
        ends.until_state("SUCCESS")
        ends.until("ended")
        assert alive(runs.pids[0])
        told = runs.cancel(terminate="true", grace=0, wait=40).problem(409)
        assert gone(runs), told
        assert told["outcome"] == "finished_first", told
        assert "ended" not in runs.said


POOLS = ["prefork", "gevent", "threads", "solo"]
if PYTHON != "/usr/bin/python3":  # the newest is tried with it (tools/test-matrix)
    POOLS.append("eventlet")


@pytest.mark.deadline(120)
@pytest.mark.parametrize("pool", POOLS)
def test_pool(deployed, pool):
    """Prefork, eventlet, and gevent from 5.5 on can end a task; what asks whether it was aborted
    stops on each."""
    ends = pool in ("prefork", "eventlet") or (pool == "gevent" and version() >= (5, 5))
    flags = ["-P", pool, "-Q", pool] + ([] if pool == "solo" else ["-c", "4"])
    with deployed.worker(*flags, node=pool) as made:
        deployed.await_worker(made)  # it listens only after it says that it is ready
        plain = deployed.began("work", queue=pool)
        deployed.revoke(plain, terminate=True)
        if ends:
            plain.until_state("REVOKED")
        if pool == "prefork":
            system.eventually(lambda: gone(plain), what="its end")
        plain.release()
        deployed.fence(queue=pool)
        if ends:
            assert "ended" not in plain.said
        else:
            plain.until("ended")  # its neighbours may be done before it

        waiting = deployed.send("mark", queue=f"not-{pool}")
        assert waiting.cancel(wait=10).expect(200).json["outcome"] == "removed"

        polite = deployed.began("polite", queue=pool)
        told = polite.cancel(wait=0).expect(202).json
        told = polite.settled()
        if told["cancelled"]:
            assert told["outcome"] == "stopped", told
            polite.until("stopped")
        else:  # a solo worker says nothing while it works: nobody may know that it runs
            assert pool == "solo" and told["outcome"] == "unconfirmed", told
            assert "ended" not in polite.said
            polite.release()
            polite.until("ended")
            polite.until_state("SUCCESS")
            seen = system.eventually(lambda: one if (one := polite.record().json)["status"] ==
                                     "succeeded" else None, what="Quell to see its end")
            assert seen["cancellation"]["outcome"] == "finished_first", seen

        rude = deployed.began("work", queue=pool)
        told = rude.cancel(terminate="true", grace=1, wait=30).json
        if pool != "solo" and not ends:  # where a solo worker's task runs nobody may know
            seen = rude.doctor()
            assert [vain["mode"] for vain in seen["vain"]] == ["terminate", "kill"], seen
            assert "prefork" in seen["vain"][0]["why"] or pool == "gevent", seen
        if ends:
            assert told["cancelled"] and (gone(rude) or pool != "prefork"), told
        else:
            assert not told["cancelled"], told
        rude.release()
        deployed.fence(queue=pool)
        if ends:
            assert "ended" not in rude.said
        else:
            rude.until("ended")  # its neighbours may be done before it
