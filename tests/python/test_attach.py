"""attach(): what an app's revokes become. The server is a small one of two routes, which remembers what
it was asked, and is held to the contract; the broker is one that must not be used.
"""
import http.server
import json
import os
import threading

import pytest
import yaml
from celery import Celery
from celery.result import GroupResult

import quell
from conftest import TOP, url_of
from quell.calls import Stop

UNKNOWN, FINISHED = "unknown", "finished"


def cancellation(task_id, **members):
    return {"cancellation_id": f"{task_id}~1", "eval_id": f"task:{task_id}", "task_id": task_id,
            "attempt": 1, "mode": "cancel", "previous_state": "STARTED", "cancelled": False,
            "killed": False, "outcome": None, "evidence": "recorded", "unasked": [],
            "message": f"asked {task_id}", "reason": None, "actor": "user:admin",
            "requested_at": None, "settled_at": None, "stop_ms": None, "steps": [], "next": None,
            **members}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        task_id = self.path.split("/")[-1]
        self.answer(200, {"task_id": task_id, "place": "queued", "queue": "celery", "position": 3,
                          "worker": None, "pid": None, "since": None, "eta": None, "state": None,
                          "complete": True, "note": None})

    def do_POST(self):
        _, api, task, task_id, verb = self.path.split("/")
        assert (api, task, verb) == ("api", "task", "cancel")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((task_id, body))
        if task_id == UNKNOWN:
            self.answer(404, {"type": "urn:quell:problem:not-found", "title": "Not found",
                              "status": 404, "detail": "no such task"})
        elif task_id == FINISHED:
            self.answer(409, {**cancellation(task_id, outcome="finished_first"), "status": 409,
                              "type": "urn:quell:problem:finished-first", "title": "Finished",
                              "detail": "it had finished"})
        else:
            self.answer(202, cancellation(task_id))

    def answer(self, status, members):
        body = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a group asks for all of its members at once


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as made:
        made.asked = []
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def client(server):
    with quell.Client(f"http://127.0.0.1:{server.server_address[1]}", "key") as made:
        yield made


@pytest.fixture
def app(client):
    made = Celery("attached", broker="redis://127.0.0.1:9/0", backend="cache+memory://")
    assert quell.attach(made, client) is client
    return made


def test_a_revoke_asks_quell(app, server):
    assert app.AsyncResult("a").revoke() is None
    app.control.revoke("b")
    assert server.asked == [("a", {"wait": 0.0}), ("b", {"wait": 0.0})]


def test_terminate_is_one_and_sigkill_leaves_no_grace(app, server):
    app.AsyncResult("a").revoke(terminate=True)
    app.control.terminate("b")
    app.control.revoke("c", terminate=True, signal="KILL")
    app.control.revoke("d", terminate=True, signal=9, destination=["w@h"])
    app.control.revoke("e", signal="SIGKILL")
    forced = {"terminate": True, "wait": 0.0}
    assert [body for _, body in server.asked] == [
        forced, forced, {**forced, "grace": 0.0}, {**forced, "grace": 0.0}, {"wait": 0.0}]
    with pytest.raises(ValueError, match="SIGUSR1"):
        app.control.revoke("f", terminate=True, signal="SIGUSR1")
    assert len(server.asked) == 5


def test_waiting_and_its_answer(app, server):
    said = app.control.revoke("a", reply=True, timeout=5)
    assert said[0]["quell"]["ok"] == "asked a" and server.asked[0][1]["wait"] == 5
    assert said[0]["quell"]["cancellation"]["task_id"] == "a"
    app.AsyncResult("b").revoke(wait=True)
    assert server.asked[1][1]["wait"] == 1


def test_a_group_asks_for_each_member(app, server):
    members = [app.AsyncResult(f"m{n}") for n in range(40)]
    GroupResult("g", members, app=app).revoke()
    assert sorted(task_id for task_id, _ in server.asked) == sorted(one.id for one in members)


def test_what_had_finished_or_is_unknown_is_no_error(app, server, caplog):
    said = app.control.revoke([UNKNOWN, FINISHED, "a"], reply=True)
    assert [one["quell"]["cancellation"] and one["quell"]["cancellation"]["outcome"]
            for one in said] == [None, "finished_first", None]
    assert "no such task" in caplog.text and len(server.asked) == 3


def test_ahead_and_reason(client, server):
    made = Celery("ahead", broker="memory://")
    quell.attach(made, client, ahead=True, reason="closing")
    made.control.revoke("a")
    assert server.asked == [("a", {"wait": 0.0, "ahead": True, "reason": "closing"})]


def test_quell_away_is_said():
    made = Celery("away", broker="memory://", backend="cache+memory://")
    quell.attach(made, quell.Client("http://127.0.0.1:9", "key"))
    with pytest.raises(quell.Unreachable, match="quell serve"):
        made.AsyncResult("a").revoke()


def test_a_server_without_a_broker_is_said(make_server):
    server = make_server("--workers", "0")
    made = Celery("local", broker="memory://")
    quell.attach(made, quell.Client(url_of(server), server.key))
    with pytest.raises(quell.NotFound, match="no broker"):
        made.control.revoke("a", terminate=True)


def test_the_small_server_keeps_the_contract(client, server):
    with open(os.path.join(TOP, "docs", "openapi.yaml"), encoding="utf-8") as text:
        components = yaml.safe_load(text)["components"]
    schemas = components["schemas"]
    assert set(client.task("a")) == set(schemas["Task"]["properties"])
    assert set(client.cancel_task("a")) == set(schemas["Cancellation"]["properties"])
    body = components["requestBodies"]["taskStop"]["content"]["application/json"]["schema"]
    assert set(Stop._fields) == set(body["properties"])
    how = {"terminate": True, "grace": 1, "escalate": "kill", "reason": "r", "wait": 2, "ahead": True,
           "confirm": True}
    client.cancel_task("b", **how)
    assert server.asked[-1] == ("b", how) and set(how) == set(body["properties"])


def test_detach_gives_the_revoke_back(app, server):
    quell.detach(app)
    assert "revoke" not in vars(app.control) and callable(app.control.revoke)
    quell.detach(app)
    assert not server.asked


def test_where_a_task_is(client):
    assert client.task("a")["position"] == 3
