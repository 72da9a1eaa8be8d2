"""`quell doctor ID` beside workers of Debian's Celery: why it is still alive, and why it can't be found."""
import os
import subprocess

import pytest
from conftest import system
from deployment import Deployment, Sent, alive

pytestmark = pytest.mark.deadline(150)


@pytest.fixture(scope="module")
def deployed():
    with Deployment("--task-name", "stock.evaluated") as made:
        yield made


@pytest.fixture(scope="module")
def one(deployed):
    """A worker that runs one task at once, and holds one more."""
    with deployed.worker("-c", "1", node="one") as made:
        yield made


def asked(deployed, task, *flags):
    return subprocess.run(
        [system.QUELL, "doctor", *flags, task], text=True, capture_output=True, timeout=60, check=False,
        env={**os.environ, "QUELL_URL": f"http://127.0.0.1:{deployed.quell.port}", "NO_COLOR": "1"})


def says(deployed, task, *words, code=None):
    """Until the doctor's own words are these."""
    said = []

    def told():
        ran = asked(deployed, task)
        said[:] = [ran.returncode, " ".join((ran.stdout + ran.stderr).split())]
        return all(word in said[1] for word in words) and code in (None, ran.returncode)
    try:
        system.eventually(told, 45)
    except AssertionError as failure:
        raise AssertionError(f"of {task} the doctor says {said}, and not {words}") from failure


def submitted(deployed, eval_id, code="work"):
    deployed.quell.submit(eval_id=eval_id, code=code, language="python")
    return Sent(deployed, eval_id, f"celery-{eval_id}")


def test_where_it_runs_and_who_has_prefetched_the_next(deployed, one):
    first = submitted(deployed, "first")
    first.until("began")
    second = submitted(deployed, "second")
    says(deployed, "first", f"{one.node} runs it since 20", f"in its process {first.pids[0]}")
    says(deployed, "second", f"it is prefetched: {one.node} has it and has not begun it")
    deployed.quell.submit(eval_id="third", code="work", language="python", queue="nobodys")
    deployed.quell.submit(eval_id="fourth", code="work", language="python", queue="nobodys")
    says(deployed, "fourth", "its message is in the queue nobodys, 1 before it")
    for sent in (first, second):
        sent.release()
        sent.until("ended")
    for eval_id in ("third", "fourth"):
        assert deployed.quell.cancel(eval_id, {"wait": 20}).expect(200).json["cancelled"]
    says(deployed, "third", "it is not alive: it was cancelled at 20")


def test_until_when_it_waits_for_its_checkpoint(deployed, one):
    sent = submitted(deployed, "patient")
    sent.until("began")
    deployed.quell.cancel("patient", {"escalate": "terminate", "grace": 600}).expect(202)
    says(deployed, "patient", "to stop at its next checkpoint, and has not yet; terminate comes at 20",
         f"in its process {sent.pids[0]}")
    assert deployed.quell.kill("patient", {"wait": 30}).expect(200).json["cancelled"]


def test_revoked_by_plain_celery_and_running_all_the_same(deployed, one):
    """It swallows SIGTERM; Celery has written REVOKED and forgotten about it."""
    sent = submitted(deployed, "stubborn", "stubborn")
    sent.until("began")
    deployed.revoke(sent, terminate=True)
    sent.until("swallowed")
    sent.until_state("REVOKED")
    says(deployed, "stubborn", f"{one.node} runs it", "its result says REVOKED, and that worker runs it yet",
         "quell kill")
    assert deployed.quell.show("stubborn")["status"] == "running", "nothing proves that it stopped"
    told = deployed.quell.kill("stubborn", {"wait": 30}).expect(200).json
    assert told["cancelled"] and told["evidence"] == "verified", told
    assert not alive(sent.pids[0])


def revoke_unseen(deployed, one, sent):
    """Its worker hears of the revoke before anybody's question what it runs."""
    sent.until("held")
    one.freeze()
    deployed.revoke(sent, terminate=True)


def prefetched(deployed, eval_id):
    """Returns what keeps it from its worker's only process."""
    busy = submitted(deployed, f"before-{eval_id}")
    busy.until("began")
    submitted(deployed, eval_id, "stubborn")
    says(deployed, eval_id, "it is prefetched")
    return busy


@pytest.mark.parametrize("before", ["unseen", "prefetched"])
def test_revoked_before_a_worker_said_that_it_runs_it(deployed, one, before):
    """What Quell hears of it is STARTED and REVOKED; by then no worker lists it."""
    sent = Sent(deployed, before, f"celery-{before}")
    sent.hold()
    if before == "prefetched":
        prefetched(deployed, before).release()
    else:
        submitted(deployed, before, "stubborn")
    revoke_unseen(deployed, one, sent)
    sent.let_go()
    sent.until("began")
    one.thaw()
    sent.until("swallowed")
    sent.until_state("REVOKED")
    says(deployed, before, f"{one.node} runs it", f"in its process {sent.pids[0]}",
         "its result says REVOKED, and that worker runs it yet", "quell kill")
    deployed.quell.until_status(before, "running")  # nothing proves that it stopped
    told = deployed.quell.kill(before, {"wait": 30}).expect(200).json
    assert told["cancelled"] and told["evidence"] == "verified", told
    assert not alive(sent.pids[0])


def test_revoked_and_nobody_knows_which_process_it_had(deployed, one):
    sent = Sent(deployed, "unknown-process", "celery-unknown-process")
    sent.hold()
    submitted(deployed, "unknown-process", "stubborn")
    revoke_unseen(deployed, one, sent)
    deployed.quell.crash()
    sent.let_go()
    sent.until("began")
    one.thaw()
    sent.until("swallowed")
    sent.until_state("REVOKED")
    deployed.quell.again()
    told = deployed.quell.kill("unknown-process", {"wait": 30}).json
    assert not told["cancelled"] and told["outcome"] == "unconfirmed", told
    says(deployed, "unknown-process", "its result says REVOKED", "no proof that it did",
         "whether that one swallowed SIGTERM is not known")
    assert alive(sent.pids[0]), "nobody knew whom to kill"
    sent.release()
    sent.until("ended")
    deployed.quell.until_status("unknown-process", "succeeded", seconds=45)
    told = deployed.quell.show("unknown-process")["cancellation"]
    assert told["outcome"] == "finished_first" and not told["cancelled"], told


def test_a_task_that_somebody_else_sent_and_revoked(deployed, one):
    plain = deployed.began("work")
    # As every worker writes at once from Celery 5.6.2 on, whatever runs.
    deployed.app.backend.store_result(plain.id, None, "REVOKED")
    says(deployed, plain.id, "the broker knows a task of that id", f"{one.node} runs it",
         f"in its process {plain.pids[0]}", "its result says REVOKED, and that worker runs it yet",
         f"`quell cancel task:{plain.id}` takes it up", code=1)
    plain.release()
    plain.until("ended")


def test_an_evaluation_that_somebody_else_sent(deployed, one):
    sent = deployed.began("work", task_id="celery-elsewhere")
    says(deployed, "elsewhere", "the broker knows a task that was sent for it",
         f"{one.node} runs it", "`quell cancel elsewhere` takes it up", code=1)
    sent.release()
    sent.until("ended")


def test_a_worker_that_says_nothing_any_more(deployed, one):
    with deployed.worker("-c", "1", "-Q", "apart", node="frozen") as frozen:
        deployed.quell.submit(eval_id="lost", code="work", language="python", queue="apart")
        sent = Sent(deployed, "lost", "celery-lost")
        sent.until("began")
        deployed.quell.until_status("lost", "running")
        frozen.freeze()
        says(deployed, "lost", f"{frozen.node}: Celery 5", "silent for")
        says(deployed, "mistyped", "whether there is such a task is not known", code=1)
        frozen.thaw()
        deployed.await_worker(frozen)
        sent.release()
        assert deployed.quell.wait("lost", 60)["status"] == "succeeded"


def test_a_solo_worker_at_work(deployed, one):
    """It says nothing while it works: its task's own word at its begin is told, and what else is known."""
    with deployed.worker("-P", "solo", "-Q", "alone", node="solo") as solo:
        sent = deployed.began("work", queue="alone")
        seen = sent.until_place("active")
        assert [seen["worker"], seen["pid"]] == [solo.node, sent.pids[0]], seen
        assert not seen["complete"] and f"does not answer: {solo.node}: Celery" in seen["note"], seen
        assert "at its last heartbeat" in seen["note"], seen
        says(deployed, sent.id, f"{solo.node} began it", f"in its process {sent.pids[0]}", code=1)
        sent.release()
        sent.until("ended")
        assert sent.until_place("finished")["state"] == "SUCCESS"


def test_why_it_is_not_found(deployed, one):
    sent = submitted(deployed, "known")
    sent.release()
    deployed.quell.wait("known")
    says(deployed, "celery-known", "is the id of a task", "known", code=1)
    says(deployed, "known~1", "of a cancellation", code=1)
    says(deployed, "know", "whose ids begin so", code=1)
    plain = deployed.send("mark")
    plain.until_state("SUCCESS")
    says(deployed, plain.id, "its result says SUCCESS since 20", code=1)
    deployed.client.delete(f"celery-task-meta-{plain.id}")  # as Redis does after a day
    for nobody in (plain.id, "never-seen"):
        says(deployed, nobody, "nor does any queue, worker or result know such a task",
             "its result may have expired", code=1)
    deployed.quell.insist("DELETE", "/api/eval/known", 204)
    says(deployed, "known", "it was forgotten", code=1)
