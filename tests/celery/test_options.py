"""An application with options of its own for Redis: what Celery's documentation of priorities has, and prefixes."""
import json

import pytest
from conftest import system
from deployment import Deployment, Sent

STEPS = ",".join(str(step) for step in range(10))


@pytest.fixture(scope="module")
def deployed():
    import os
    os.environ["STOCK_PRIORITIES"] = "1"
    try:
        with Deployment("--priority-steps", STEPS, "--priority-separator", ":",
                        env={"STOCK_PRIORITIES": "1"}) as made:
            yield made
    finally:
        del os.environ["STOCK_PRIORITIES"]


def test_each_step_is_looked_through(deployed):
    """A server that does not know of them does not see what waits in most of them."""
    with system.serving("--broker", deployed.redis.quell_url, "--auth", "none") as plain:
        held = deployed.send("mark", queue="steps", priority=7)
        assert deployed.client.llen("steps:7") == 1
        assert plain.get(f"/api/task/{held.id}").expect(200).json["place"] != "queued"
    first = deployed.send("mark", queue="steps", priority=1)
    colon = deployed.send("mark", queue="of:steps", priority=9)
    assert held.place["queue"] == "steps" and held.place["position"] == 1
    for sent in (held, first, colon):
        assert sent.cancel(wait=20).expect(200).json["outcome"] == "removed"
    deployed.quell.post(f"/api/eval/task:{held.id}/restore").expect(200)
    system.eventually(lambda: deployed.client.llen("steps:7"), what="it to be where it was")
    own = deployed.quell.submit(code="brief", language="python", queue="steps", priority=0)["eval_id"]
    (wire,) = system.eventually(lambda: deployed.client.lrange("steps:9", 0, -1), what="its message")
    assert json.loads(wire)["properties"]["priority"] == 9
    with deployed.worker("-c", "1", "-Q", "steps,of:steps"):
        held.until("ran")
        deployed.quell.until_status(own, "succeeded")
        assert Sent(deployed, "", f"celery-{own}").state == "SUCCESS"
    assert not first.said and not colon.said


def test_what_is_no_list_of_steps_is_refused(deployed):
    server = system.Server("--broker", deployed.redis.quell_url, "--auth", "none",
                           "--priority-steps", "3,6")
    status, said = server.refused()
    assert status == 2 and "rise from 0" in said
