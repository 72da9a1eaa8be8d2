"""A message says nothing of an owner: an id that another producer's task has is nobody's for asking."""
import uuid

import pytest
from conftest import system
from deployment import Sent


@pytest.fixture
def quell(deployed):
    """A server beside the deployment that knows its users."""
    with system.serving("--broker", deployed.redis.quell_url, owners=["mallory"]) as server:
        yield server


def of_evaluation(deployed, name, **options):
    """Another producer's task, which is an evaluation by its id."""
    eval_id = f"e{uuid.uuid4().hex}"
    return eval_id, Sent(deployed, deployed.key(), f"celery-{eval_id}", name, options)


def submit(client, eval_id):
    return client.post("/api/eval", {"eval_id": eval_id, "code": "1", "language": "python"})


def messages(deployed):
    return deployed.client.llen("celery")


def test_a_user_can_not_take_what_another_producer_sent(deployed, quell):
    mallory = quell.owner("mallory")
    eval_id, sent = of_evaluation(deployed, "work")
    sent.send_now()
    waiting = messages(deployed)
    assert "is queued" in submit(mallory, eval_id).problem(409, "conflict")["detail"]
    assert messages(deployed) == waiting
    with deployed.worker("-c", "2"):
        sent.until("began")
        assert "runs" in submit(mallory, eval_id).problem(409, "conflict")["detail"]
        mallory.get(f"/api/eval/{eval_id}").problem(404, "not-found")
        mallory.kill(eval_id).problem(404, "not-found")
        sent.release()
        sent.until_place("finished")  # its result says so before its worker does
        assert "has finished" in submit(mallory, eval_id).problem(409, "conflict")["detail"]
    assert sent.said[-1] == "ended"


def test_ids_that_are_free_are_theirs(deployed, quell):
    """Many at once share their looks."""
    mallory = quell.owner("mallory")
    batch = [{"eval_id": f"f{uuid.uuid4().hex}", "code": "1", "language": "python"} for _ in range(700)]
    made = mallory.post("/api/eval-batch", {"evaluations": batch}).expect(201).json["evaluations"]
    assert [one["eval_id"] for one in made] == [one["eval_id"] for one in batch]
    taken, sent = of_evaluation(deployed, "mark")
    sent.send_now()
    batch = [{**one, "eval_id": f"g{one['eval_id']}"} for one in batch]
    batch[650]["eval_id"] = taken
    mallory.post("/api/eval-batch", {"evaluations": batch}).problem(409, "conflict")
    mallory.get(f"/api/eval/{batch[0]['eval_id']}").problem(404, "not-found")
    for one in made:
        mallory.cancel(one["eval_id"], {"wait": 0})


def test_who_may_stop_all_takes_it_up(deployed, quell):
    eval_id, sent = of_evaluation(deployed, "mark")
    sent.send_now()
    assert submit(quell, eval_id).expect(201).json["owner"]
    quell.cancel(eval_id, {"wait": 20}).expect(200)
