"""The rights that docs/celery.md gives Quell in Redis are enough, and no more than it says."""
import contextlib
import json
import os
import re
import subprocess

import pytest
from celery import group

from celeries import environment
from conftest import system


def rules(name):
    """The ACL rules of that user in the manual, as arguments of ACL SETUSER."""
    with open(os.path.join(system.TOP, "docs", "celery.md"), encoding="utf-8") as text:
        (block,) = re.findall(rf"^ACL SETUSER {name} (.*?)\n```", text.read(), re.S | re.M)
    words = block.replace("\\\n", " ").split()
    return [word.strip('"').encode().decode("unicode_escape") for word in words]


@pytest.fixture(scope="module")
def granted(deployed):
    """Redis URLs of the two users."""
    for name in ("quell", "quell-observer"):
        # The queue that some tests add, as the manual says.
        more = ["~nobody", "~nobody\x06\x16*"] if name == "quell" else \
            ["%R~nobody", "%R~nobody\x06\x16*"]
        deployed.client.execute_command("ACL", "SETUSER", name, *rules(name), *more)
    deployed.client.execute_command("ACL", "LOG", "RESET")
    host = deployed.redis.url.removeprefix("redis://")
    return {name: f"redis://{name}:SECRET@{host}" for name in ("quell", "quell-observer")}


def refused(deployed):
    """What was, in words: reason, context, object, user."""
    told = [dict(zip(one[::2], one[1::2])) for one in deployed.client.execute_command("ACL", "LOG")]
    return [b" ".join(one[word] for word in (b"reason", b"context", b"object", b"username")).decode()
            for one in told]


@pytest.fixture(autouse=True)
def log_of_refusals(deployed, granted):
    yield
    left = refused(deployed)
    deployed.client.execute_command("ACL", "LOG", "RESET")
    assert left == []


@pytest.fixture
def quell(deployed, granted, monkeypatch):
    """The deployment's server, with these rights alone."""
    with system.serving("--broker", granted["quell"], "--auth", "none") as server:
        monkeypatch.setattr(deployed, "quell", server)
        yield server


def test_all_that_a_server_does(deployed, quell):
    held = deployed.send("mark")
    member = group(deployed.app.tasks["stock.mark"].s(deployed.key()) for _ in range(2)).apply_async()
    ahead = deployed.sent_before("mark")
    held.cancel(wait=10).expect(200)
    quell.post(f"/api/task/{member.results[0].id}/cancel?wait=10").expect(200)
    ahead.cancel(ahead="true", wait=5)
    # before there is a worker: one that is killed takes a message with it, if that comes at once
    queued = quell.post("/api/eval", {"code": "brief", "language": "python"}).expect(201).json
    quell.post(f"/api/eval/{queued['eval_id']}/cancel?wait=10").expect(200)
    quell.post(f"/api/eval/{queued['eval_id']}/restore").expect(200)
    with deployed.worker("-c", "2", node="granted"):
        ahead.send_now().until_state("REVOKED")
        deployed.fence()
        running, polite = deployed.began("work"), deployed.began("polite")
        polite.cancel(wait=10)
        polite.until("stopped")
        assert running.cancel(terminate="true", wait=20).expect(200).json["cancelled"]
        sent = quell.post("/api/eval", {"code": "brief", "language": "python"}).expect(201).json
        for one in (sent, queued):
            quell.wait(one["eval_id"], status="succeeded")
    system.eventually(lambda: quell.get(f"/api/task/{queued['eval_id']}").status, what="an answer")
    assert refused(deployed) == []
    assert not held.said and not ahead.said


def observed(granted):
    ran = subprocess.run(
        [system.QUELL, "doctor", "--json", "--broker", granted["quell-observer"]], text=True,
        capture_output=True, timeout=50, check=False,
        env=environment("", CELERY_RESULT_BACKEND=""))
    assert ran.stdout and ran.returncode == 1, ran
    return json.loads(ran.stdout)


def test_all_that_an_observer_does(deployed, granted):
    orphan = deployed.send("mark", queue="nobody")
    deployed.app.backend.store_result(orphan.id, None, "REVOKED")
    with deployed.worker("-c", "1", node="granted"):
        told = system.eventually(
            lambda: seen if (seen := observed(granted))["complete"] else None,
            what="a busy worker's answer")
    assert {kind["kind"]: kind["count"] for kind in told["kinds"] if kind["count"]} == \
        {"revoke_forgotten": 1, "queue_without_consumer": 1}
    assert refused(deployed) == []


def test_no_more_than_that(deployed, granted):
    import redis
    for name, commands in {
            "quell": [("GET", "session:1"), ("SET", "session:1", "x"), ("FLUSHDB",), ("KEYS", "*"),
                      ("CONFIG", "GET", "*"), ("PUBLISH", "other", "x")],
            "quell-observer": [("LREM", "celery", "0", "x"), ("DEL", "celery"), ("SET", "celery", "x"),
                               ("SET", "celery-task-meta-x", "x"), ("LPUSH", "celery", "x"),
                               ("HSET", "unacked", "x", "y")]}.items():
        with contextlib.closing(redis.Redis.from_url(granted[name])) as client:
            for command in commands:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command)
    deployed.client.execute_command("ACL", "LOG", "RESET")
