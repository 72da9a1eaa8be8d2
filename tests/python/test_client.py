"""The client that blocks, against the real server."""
import io
import os
import tarfile
import threading

import pytest

import quell
from conftest import system, url_of

ENDLESS = "print('ready', flush=True)\nwhile True: pass"
HEEDS = """
import os, time
print('ready', flush=True)
while not os.path.exists(os.environ['QUELL_CANCEL']): time.sleep(0.01)
os.remove(os.environ['QUELL_CANCEL'])
"""


def started(client, code, **members):
    """Submits and follows until it said ready; returns the id."""
    eval_id = client.submit(code, "python", **members)["eval_id"]
    for piece in client.follow(eval_id):
        if b"ready" in piece:
            return eval_id
    raise AssertionError(f"it ended: {client.get(eval_id)}")


def insist(ask):
    """Asks again while that is refused: the last run's files are removed after its end."""
    def look():
        try:
            return ask()
        except quell.Conflict:
            return None
    return system.eventually(look)


def test_submit_wait_and_output(client):
    made = client.submit("print('hello')", "python", eval_id="first", labels={"of": "test"})
    assert made["eval_id"] == "first" and made["task_id"] == "celery-first"
    done = client.wait("first", 30)
    assert done["status"] == "succeeded" and done["exit_code"] == 0
    assert client.output("first") == b"hello\n" and client.output("first", offset=4) == b"o\n"
    assert client.output("first", stream="stderr") == b""
    assert [step["status"] for step in client.timeline("first")][-1] == "succeeded"
    insist(lambda: client.delete("first") or True)
    with pytest.raises(quell.NotFound):
        client.get("first")


def test_a_command_and_its_exit(client):
    eval_id = client.submit(command=["sh", "-c", "echo no >&2; exit 3"])["eval_id"]
    done = client.wait(eval_id)
    assert (done["status"], done["exit_code"], done["cause"]) == ("failed", 3, "exit")
    assert b"".join(client.follow(eval_id)) == b"no\n"


def test_wait_gives_up_at_its_deadline(client):
    eval_id = started(client, ENDLESS)
    with pytest.raises(TimeoutError, match="still running after 0.2 s"):
        client.wait(eval_id, 0.2)
    assert client.kill(eval_id, wait=30)["cancelled"]


def test_kill_terminate_and_cancel_say_what_they_proved(client):
    killed = client.kill(started(client, ENDLESS), wait=30, reason="enough")
    assert killed["cancelled"] and killed["killed"] and killed["evidence"] == "verified"
    assert killed["reason"] == "enough"
    ended = client.terminate(started(client, ENDLESS), wait=30, grace=5)
    assert ended["outcome"] == "terminated" and ended["cancelled"]
    stopped = client.cancel(started(client, HEEDS), wait=30)
    assert stopped["outcome"] == "stopped" and stopped["mode"] == "cancel"
    assert client.cancellation(stopped["cancellation_id"])["outcome"] == "stopped"
    found = [row["cancellation_id"] for row in client.cancellations(mode="cancel")]
    assert stopped["cancellation_id"] in found


def test_a_gentle_cancel_alone_is_under_way(client):
    eval_id = started(client, ENDLESS)
    asked = client.cancel(eval_id)
    assert not asked["cancelled"] and asked["settled_at"] is None
    assert client.kill(eval_id, wait=30)["cancelled"]


def test_what_had_finished_is_an_answer_and_not_cancelled(client):
    eval_id = client.submit("pass", "python")["eval_id"]
    client.wait(eval_id)
    late = client.cancel(eval_id)
    assert late["cancelled"] is False and late["previous_state"] == "SUCCESS"
    assert late["outcome"] == "finished_first" and "type" not in late


def test_restore_and_resume(client, make_server):
    idle = make_server("--workers", "0")
    with quell.Client(url_of(idle), idle.key) as other:
        eval_id = other.submit("pass", "python")["eval_id"]
        assert other.cancel(eval_id, wait=10)["outcome"] == "removed"
        assert other.restore(eval_id)["attempt"] == 2
        with pytest.raises(quell.Conflict):
            other.restore(eval_id)
    saves = """
import os
kept = os.path.join(os.environ['QUELL_CHECKPOINT'], 'n')
if os.path.exists(kept): print('found', open(kept).read()); raise SystemExit
open(kept, 'w').write('41')
print('ready', flush=True)
while True: pass
"""
    eval_id = started(client, saves)
    assert client.terminate(eval_id, wait=30)["cancelled"]
    with tarfile.open(fileobj=io.BytesIO(client.checkpoint(eval_id))) as tar:
        assert any(name.endswith("n") for name in tar.getnames())
    assert insist(lambda: client.resume(eval_id))["attempt"] == 2
    assert client.wait(eval_id, 30)["status"] == "succeeded"
    assert client.output(eval_id) == b"found 41\n"


def test_list_goes_through_the_pages(client, monkeypatch):
    monkeypatch.setattr(quell.calls, "PAGE", 3)
    batch = [{"command": ["true"], "labels": {"page": "yes"}} for _ in range(8)]
    made = client.submit_batch(batch)
    ids = [row["eval_id"] for row in client.list(label=("page", "yes"))]
    assert sorted(ids) == sorted(row["eval_id"] for row in made) and len(ids) == 8
    assert len(list(client.list(label=("page", "yes"), limit=4))) == 4
    for eval_id in ids:
        client.wait(eval_id)
    assert not list(client.list(label=("page", "yes"), status=["queued", "running"]))


def test_an_idempotency_key_replays(client):
    first = client.submit("pass", "python", idempotency_key="one")
    assert client.submit("pass", "python", idempotency_key="one")["eval_id"] == first["eval_id"]


def test_follow_streams_while_it_runs(client):
    eval_id = client.submit(HEEDS.replace("print('ready'", "print('ready ' + 'x' * 100000"),
                            "python")["eval_id"]
    seen = b""
    for piece in client.follow(eval_id):
        seen += piece
        if seen.endswith(b"x\n"):
            client.cancel(eval_id)
    assert len(seen) == 100007 and client.wait(eval_id)["status"] == "cancelled"


def test_events_tell_of_changes_and_resume(client):
    stream = client.events()
    eval_id = "told"
    threading.Timer(0.1, client.submit, ["pass", "python"], {"eval_id": eval_id}).start()
    seen = []
    for event in stream:
        if event.kind == "evaluation" and event.data["eval_id"] == eval_id:
            seen.append(event)
            if event.data["status"] == "succeeded":
                break
    assert seen[0].data["status"] in ("queued", "running")
    again = next(client.events(seen[0].id))
    assert again.id != seen[0].id and again.kind in ("evaluation", "cancellation")


def test_policies(client):
    late = {"name": "late", "selector": "label.kind=late", "mode": "kill",
            "trigger": {"kind": "run_deadline", "after_s": 0.2}}
    eval_id = client.submit("import time; time.sleep(60)", "python",
                            labels={"kind": "late"})["eval_id"]
    try:
        seen = client.simulate_policy(late, since="now")["would_stop"]
        assert seen in (0, 1)
        made = client.create_policy(late, confirm=True)
        assert made["enabled"] and made["created_by"] == "user:admin"
        assert client.wait(eval_id, 30)["cause"] == "policy"
        assert client.simulate_policy("late")["would_stop"] >= 1
        assert not client.disable_policy("late")["enabled"]
        assert client.enable_policy("late")["enabled"]
        assert [policy["name"] for policy in client.policies()] == ["late"]
        assert client.policy("late")["last"]["eval_id"] == eval_id
        with pytest.raises(quell.Conflict):
            client.create_policy(late)
        with pytest.raises(quell.Invalid):
            client.create_policy({**late, "name": "other", "selector": ""})
    finally:
        client.delete_policy("late")
    with pytest.raises(quell.NotFound):
        client.policy("late")


def test_a_stream_of_events_is_the_lease_of_a_session(client):
    client.create_policy({"name": "gone", "selector": "session=*", "mode": "kill",
                          "trigger": {"kind": "session_ended"}})
    with pytest.raises(quell.NotFound):
        next(client.events(session="notebook"))
    client.heartbeat_session("notebook", 1)
    stream = client.events(session="notebook")
    waiting = client.submit(command=["sleep", "60"], session="notebook")["eval_id"]
    next(stream)  # it stands
    client.wait(client.submit(command=["sleep", "2"])["eval_id"])
    assert client.session("notebook")["state"] == "leased"
    assert client.get(waiting)["status"] == "running"
    stream.close()
    stopped = client.wait(waiting, 30)
    assert stopped["cause"] == "policy" and "was lost" in stopped["cancellation"]["reason"]
    assert client.session("notebook")["state"] == "lost"
    client.heartbeat_session("notebook")
    assert client.end_session("notebook")["state"] == "ended"
    client.delete_policy("gone")


def test_reports(client):
    eval_id = started(client, ENDLESS)
    client.put_report(eval_id, output="half", result={"n": 1}, reported_status="working")
    kept = client.report(eval_id)
    assert (kept["output"], kept["result"], kept["reported_status"]) == ("half", {"n": 1}, "working")
    client.put_report(eval_id, status="cancelled", error="no more")
    assert client.get(eval_id)["cancellation"]["reason"] == "no more"
    client.kill(eval_id, wait=30)


def test_refusals_have_their_classes(client, server):
    with pytest.raises(quell.Invalid) as refused:
        client.submit("pass", "python", priority=12)
    assert refused.value.problem["field"] == "priority" and refused.value.status == 422
    with pytest.raises(quell.NotFound):
        client.kill("nobody")
    client.submit("pass", "python", eval_id="twice")
    with pytest.raises(quell.Conflict):
        client.submit("pass", "python", eval_id="twice")
    with pytest.raises(quell.AttemptMismatch):
        client.kill("twice", attempt=7)
    with pytest.raises(quell.Unauthorized):
        quell.Client(url_of(server), "wrong-key-0123456789").get("twice")
    with pytest.raises(quell.NotFound):
        quell.Client(url_of(server), server.owners["alice"]).get("twice")
    assert client.ready()["status"] == "ready"


def test_a_server_that_is_away_is_said(client):
    nobody = quell.Client("http://127.0.0.1:9", "key", patience=0.2)
    with pytest.raises(quell.Unreachable, match="quell serve"):
        nobody.get("x")
    with pytest.raises(quell.Unreachable, match="0.2 s"):
        nobody.wait("x")
    with pytest.raises(quell.Unreachable):
        next(nobody.events())
    with pytest.raises(quell.QuellError, match="http"):
        quell.Client("ftp://there")


def test_wait_and_follow_outlive_a_restart(make_server):
    server = make_server("--workers", "1")
    with quell.Client(url_of(server), server.key) as client:
        eval_id = started(client, HEEDS)
        said, ends = [], []
        threads = [threading.Thread(target=lambda: said.extend(client.follow(eval_id))),
                   threading.Thread(target=lambda: ends.append(client.wait(eval_id)))]
        for thread in threads:
            thread.start()
        server.listen = f"127.0.0.1:{server.port}"
        server.crash()
        server.again()
        assert client.cancel(eval_id, wait=30)["outcome"] == "stopped"
        for thread in threads:
            thread.join(30)
        assert b"".join(said) == b"ready\n" and ends[0]["status"] == "cancelled"


def test_a_forked_child_makes_its_own_connections(client):
    client.ready()
    assert client._idle
    pid = os.fork()
    if pid == 0:
        os._exit(0 if client._take() is None else 1)
    assert os.waitpid(pid, 0)[1] == 0 and client.ready()["status"] == "ready"


def test_the_key_is_found_like_the_command_line_does(server, monkeypatch, tmp_path):
    monkeypatch.setenv("QUELL_URL", url_of(server))
    with pytest.raises(quell.Unauthorized):
        next(quell.Client().list())
    monkeypatch.setenv("QUELL_DATA", server.data)
    assert list(quell.Client().list(limit=1)) is not None
    monkeypatch.setenv("QUELL_KEY", "bad key")
    with pytest.raises(quell.QuellError, match="without spaces"):
        quell.Client()
    monkeypatch.delenv("QUELL_KEY")
    assert quell.Client("http://quell.example.org")._key is None
