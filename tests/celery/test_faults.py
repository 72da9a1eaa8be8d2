"""Cancels while what they need is away."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest
from conftest import system
from deployment import Proxy, Sent, alive, passed


def test_storage_is_down(deployed, worker, storage):
    """A service that revokes and then PUTs by itself has one try, and nobody knows of it afterwards."""
    storage.stop()
    plain = deployed.began("work", task_id="celery-untold")
    deployed.revoke(plain, terminate=True)
    plain.until_state("REVOKED")
    body = json.dumps({"status": "cancelled", "error": "Task cancelled by user"}).encode()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(urllib.request.Request(
            f"{storage.url}/evaluations/untold", body, {"Content-Type": "application/json"},
            method="PUT"), timeout=10)

    began = time.monotonic()
    stopped = deployed.began("work", task_id="celery-unheard")
    told = stopped.cancel(terminate="true", wait=20).expect(200).json
    assert told["cancelled"] and not any(alive(pid) for pid in stopped.pids)
    assert time.monotonic() - began < 15
    away = system.eventually(
        lambda: one if (one := deployed.quell.get("/readyz").json["dependencies"]["storage"])
        ["backlog"] else None, what="its backlog")
    assert away["backlog"] == 1
    storage.start()
    system.eventually(lambda: storage.of("unheard"), what="the storage service to be told")
    assert [body["status"] for body in storage.of("unheard")] == ["cancelled"]
    assert not storage.of("untold")
    system.eventually(
        lambda: deployed.quell.get("/readyz").json["dependencies"]["storage"]["backlog"] == 0,
        what="an empty backlog")


def batch_over(quell, reply):
    """Its progress, but for what was said of none."""
    batch_id = reply.expect(202).json["batch_id"]

    def look():
        batch = quell.get(f"/api/batches/{batch_id}").expect(200).json
        return batch if batch["phase"] == "done" else None
    progress = system.eventually(look, what="the batch is over")["progress"]
    return batch_id, {word: count for word, count in progress.items() if count}


@pytest.mark.deadline(120)
def test_an_undo_goes_on_over_a_crash(deployed, worker):
    """Celery's own revoke has none. What is put back runs, once each."""
    quell, many = deployed.quell, 200
    ids = deployed.push("many", [f"many{i}" for i in range(many)])
    batch_id, said = batch_over(quell, quell.post("/api/batches", {
        "ids": [f"task:{task_id}" for task_id in ids]}))
    assert said == {"total": many, "asked": many, "removed": many}
    assert deployed.client.llen("many") == 0
    undo = quell.post(f"/api/batches/{batch_id}/undo")
    system.eventually(lambda: deployed.client.llen("many"), what="the first to be put back")
    quell.crash()
    quell.again()
    assert batch_over(quell, undo)[1] == {"total": many, "asked": many, "restored": many}
    sent = [Sent(deployed, key, task_id) for task_id, key in ids.items()]
    system.eventually(lambda: deployed.client.llen("many") == many, what="all to be put back")
    deployed.app.control.add_consumer("many", destination=[worker.node])
    for one in sent:
        one.until("ran", 50)
    deployed.fence(queue="many")
    deployed.app.control.cancel_consumer("many", destination=[worker.node])
    assert all(one.said == ["ran"] for one in sent)


def test_an_undo_waits_for_what_its_batch_began(deployed):
    """What Quell sent itself is said to be stopping, and taken out after that."""
    quell, many = deployed.quell, 100
    quell.post("/api/eval-batch", {"evaluations": [
        {"eval_id": f"own{i}", "code": "brief", "language": "python", "queue": "own"}
        for i in range(many)]}).expect(201)
    batch_id, said = batch_over(quell, quell.post("/api/batches", {
        "selector": "queue=own,status=queued"}))
    assert said == {"total": many, "asked": many, "stopping": many}
    undo = quell.post(f"/api/batches/{batch_id}/undo")
    assert batch_over(quell, undo)[1] == {"total": many, "asked": many, "restored": many}
    system.eventually(lambda: deployed.client.llen("own") == many, what="all to be sent again")
    assert quell.show("own7")["attempt"] == 2


def test_redis_is_down(deployed, worker):
    """For 3 s: what plain Celery is asked then is lost, what Quell is asked then holds."""
    plain, held = deployed.send("mark", queue="quiet"), deployed.send("mark", queue="quiet")
    deployed.redis.stop()
    down = time.monotonic()
    with pytest.raises(Exception, match="refused|closed|lost|Connection"):
        deployed.app.control.broadcast("revoke", arguments={"task_id": plain.id},
                                       connection=deployed.app.connection_for_write(
                                           transport_options={"max_retries": 1}))
    told = held.cancel(wait=0)
    assert told.status == 202 and not told.json["cancelled"]
    system.eventually(lambda: time.monotonic() - down >= 3, what="3 s")
    assert not deployed.quell.get("/readyz").json["dependencies"]["broker"]["state"] == "ok"
    deployed.redis.start()
    assert held.settled()["cancelled"]
    with deployed.worker("-c", "1", "-Q", "quiet", node="after"):
        deployed.fence(queue="quiet")
        plain.until("ran")
    assert not held.said
    deployed.await_return(worker)


def test_redis_is_frozen(deployed, worker):
    """Nobody hears of it but by the lack of answers: it shows, with the reason, and is logged once."""
    def broker():
        return deployed.quell.get("/readyz").json["dependencies"]["broker"]

    def logged(word):
        return [line for line in deployed.quell.log[before:] if f" broker: {word}" in line]
    system.eventually(lambda: broker()["state"] == "ok", what="the broker")
    before = len(deployed.quell.log)
    os.kill(deployed.redis.process.pid, signal.SIGSTOP)
    try:
        away = system.eventually(lambda: one if (one := broker())["state"] != "ok" else None,
                                 what="that it is missed")
        assert "does not answer" in away["detail"] and away["since"]
        system.eventually(lambda: logged("away"), what="its line in the log")
        told = subprocess.run([system.QUELL, "doctor", "--broker", deployed.redis.url], text=True,
                              capture_output=True, timeout=50, check=False)
        assert told.returncode == 3 and "does not answer" in told.stderr, told
    finally:
        os.kill(deployed.redis.process.pid, signal.SIGCONT)
    system.eventually(lambda: logged("is back"), 60, what="its return in the log")
    assert "does not answer" in logged("away")[0] and broker()["state"] == "ok"
    assert len(logged("away")) == len(logged("is back")) == 1
    deployed.await_return(worker)


def test_it_ran_while_quell_was_cut_off(deployed, proxy):
    """It began and ended while Quell did not reach Redis: nobody publishes its result again."""
    task = Sent(deployed, "cut-off", "celery-cut-off")
    task.release()
    with system.serving("--broker", proxy.url, "--auth", "none", "--task-name",
                        "stock.evaluated") as quell:
        quell.post("/api/eval", {"eval_id": "cut-off", "code": "0", "language": "python",
                                 "queue": "cut-off"}).expect(201)
        system.eventually(lambda: deployed.client.llen("cut-off"), what="its message")
        proxy.cut()
        with deployed.worker("-c", "1", "-Q", "cut-off", node="cut-off"):
            task.until_state("SUCCESS")
        assert quell.get("/api/eval/cut-off").expect(200).json["status"] == "queued"
        proxy.mend()
        assert quell.wait("cut-off", 30)["status"] == "succeeded"


def test_quell_begins_anew_while_redis_is_away(deployed, proxy):
    """A worker that lost Redis comes back after Quell, which never heard of it: a stop waits for it."""
    of_worker = Proxy(deployed.redis.port)
    running = Sent(deployed, "away", "celery-away", "work", {"queue": "away"})
    with system.serving("--broker", proxy.url, "--auth", "none") as quell, \
            contextlib.closing(of_worker), \
            deployed.worker("-c", "1", "-Q", "away", node="away", broker=of_worker.url,
                            STOCK_KEEPS_GARBAGE="1") as worker:
        running.send_now()
        running.until("began")
        # a worker that loses Redis before its pool has told it that a task began forgets that task
        system.eventually(lambda: deployed.inspect("active", worker.node).get(worker.node),
                          what="its worker to know that it runs")
        proxy.cut()
        of_worker.cut()
        path = "/api/task/celery-away/cancel?terminate=true&wait=0"
        assert quell.post(path).status == 202
        quell.crash()
        quell.again()
        system.eventually(lambda: "broker" in quell.get("/readyz").text, what="its dependencies")
        proxy.mend()
        system.eventually(
            lambda: quell.get("/readyz").json["dependencies"]["broker"]["state"] == "ok",
            what="the broker")
        met = time.monotonic()
        system.eventually(lambda: passed(5, met), what="5 s")  # two looks, 2 s apart
        assert quell.get("/api/eval/away").expect(200).json["status"] == "cancelling"
        of_worker.mend()
        quell.until_status("away", "cancelled", seconds=60)
        assert not any(alive(pid) for pid in running.pids)


def test_quell_begins_anew_after_a_restore(deployed):
    """Another producer's task, whose id says to nobody whose evaluation it is: its end is seen all the same."""
    ran, runs = (deployed.send(name, queue="restored") for name in ("mark", "work"))
    for sent in (ran, runs):
        assert sent.cancel(wait=20).expect(200).json["outcome"] == "removed"
        deployed.quell.post(f"/api/eval/task:{sent.id}/restore").expect(200)
    system.eventually(lambda: deployed.client.llen("restored") == 2, what="their messages")
    deployed.quell.end()
    with deployed.worker("-c", "1", "-Q", "restored", node="restored"):
        ran.until_state("SUCCESS")
        runs.until("began")
        deployed.quell.again()
        deployed.quell.until_status(f"task:{ran.id}", "succeeded")
        deployed.quell.until_status(f"task:{runs.id}", "running")
        runs.release()
        deployed.quell.until_status(f"task:{runs.id}", "succeeded")


def test_nothing_is_submitted_while_redis_is_away(deployed, proxy):
    """Who is told 201 believes that it will run; who is told 503 comes again, with the same id."""
    sent = {"eval_id": "untold", "code": "brief", "language": "python", "queue": "untold"}
    with system.serving("--broker", proxy.url, "--auth", "none") as quell:
        proxy.cut()
        system.eventually(
            lambda: quell.get("/readyz").json["dependencies"]["broker"]["state"] != "ok",
            what="that the broker is away")
        refused = quell.post("/api/eval", sent).expect(503)
        assert "the broker is away" in refused.json["detail"] and refused.headers["Retry-After"]
        quell.get("/api/eval/untold").expect(404)
        proxy.mend()
        system.eventually(lambda: quell.post("/api/eval", sent).status == 201, what="its queue")
        assert quell.cancel("untold", {"wait": 20}).expect(200).json["cancelled"]


def test_quell_begins_anew_while_a_worker_is_cut_off(deployed):
    """Redis is there all the time, so nothing but what Quell kept says that somebody else may have it."""
    of_worker = Proxy(deployed.redis.port)
    with system.serving("--broker", deployed.redis.url, "--auth", "none") as quell, \
            contextlib.closing(of_worker), \
            deployed.worker("-c", "1", "-Q", "cut", node="cut", broker=of_worker.url) as worker:
        running = deployed.began("work", task_id="celery-cut", queue="cut")
        system.eventually(lambda: deployed.inspect("active", worker.node).get(worker.node),
                          what="its worker to know that it runs")
        assert quell.post("/api/task/celery-cut/cancel").status == 202
        quell.until_status("cut", "cancelling")
        system.eventually(lambda: quell.get("/api/eval/cut").json["worker"], what="its worker")
        of_worker.cut()
        quell.crash()
        quell.again()
        met = time.monotonic()
        system.eventually(lambda: passed(4, met), what="4 s")  # two looks, 2 s apart
        assert quell.get("/api/eval/cut").expect(200).json["status"] == "cancelling"
        assert alive(running.pids[0])


def test_quell_dies_between_a_signal_and_its_proof(deployed, worker):
    """Its worker lists the task no more, and says REVOKED: whether its process is gone only who remembers that can see."""
    stopped, lives = deployed.began("lingers"), deployed.began("lingers")
    for sent in (stopped, lives):
        sent.cancel(terminate="true", grace=60).expect(202)
        sent.until("leaves")
        sent.until_state("REVOKED")
    deployed.quell.crash()
    stopped.release()
    system.eventually(lambda: not alive(stopped.pids[0]), what="its process to end")
    deployed.quell.again()
    told = stopped.settled()
    assert told["cancelled"] and told["outcome"] == "terminated", told
    assert told["evidence"] == "exited" and told["unasked"] == ["host"], told  # its children
    place = lives.place
    assert place["place"] == "active" and place["pid"] == lives.pids[0] and alive(lives.pids[0]), place
    told = lives.cancel(terminate="true", grace=0, wait=40).expect(200).json
    assert told["cancelled"] and told["outcome"] == "killed" and not alive(lives.pids[0]), told


def test_quell_begins_anew_and_nothing_of_a_cut_off_worker_is_on_record(deployed):
    """Its task was never seen, and is unacknowledged: that nobody who answers has it proves nothing."""
    of_worker = Proxy(deployed.redis.port)
    with system.serving("--broker", deployed.redis.url, "--auth", "none") as quell, \
            contextlib.closing(of_worker), \
            deployed.worker("-c", "1", "-Q", "unseen", node="unseen", broker=of_worker.url) as worker:
        running = deployed.began("late", queue="unseen")
        system.eventually(lambda: any(f"{worker.node}: Celery" in line for line in quell.log),
                          what="its worker to be known")
        of_worker.cut()
        quell.crash()
        quell.again()
        assert quell.post(f"/api/task/{running.id}/cancel?terminate=true").status == 202

        def looked():
            shown = quell.get(f"/api/eval/task:{running.id}").expect(200).json
            return shown if shown["cancellation"]["unasked"] or shown["finished_at"] else None
        shown = system.eventually(looked, what="a look at all places")
        assert shown["status"] == "cancelling" and shown["cancellation"]["unasked"] == ["workers"], shown
        assert alive(running.pids[0])
        worker.end()  # which is seen, as it is remembered by its process too
        assert quell.wait(f"task:{running.id}")["cancellation"]["cancelled"]
        assert not alive(running.pids[0])


def test_redis_comes_back_from_an_older_copy(deployed):
    """As after a crash, with snapshots or with a replica that was behind: what was taken out is there again."""
    kept, stopped = (deployed.send("mark", queue="older") for _ in range(2))
    submitted = deployed.quell.submit(code="brief", language="python", queue="older")["eval_id"]
    system.eventually(lambda: deployed.client.llen("older") == 3, what="all three in the queue")
    older = tempfile.mkdtemp(prefix="quell-older-")
    shutil.copytree(deployed.redis.folder, older, dirs_exist_ok=True)
    assert stopped.cancel(wait=20).expect(200).json["outcome"] == "removed"
    assert deployed.quell.cancel(submitted, {"wait": 20}).expect(200).json["cancelled"]
    assert deployed.client.llen("older") == 1
    deployed.redis.stop()
    shutil.rmtree(deployed.redis.folder)
    os.rename(older, deployed.redis.folder)
    deployed.redis.start()
    system.eventually(lambda: deployed.client.llen("older") == 1, what="both to be taken out again")
    with deployed.worker("-c", "1", "-Q", "older", node="older"):
        kept.until("ran")
        deployed.fence(queue="older")
    assert not stopped.said
    assert deployed.quell.get(f"/api/eval/{submitted}").json["status"] == "cancelled"
