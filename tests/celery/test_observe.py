"""What plain Celery hides, seen by `quell doctor --broker` and `quell serve --observe`, which only read."""
import base64
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest
import yaml

import dockers
from celeries import environment
from conftest import system
from deployment import Proxy
from quell.docker import Engine

READS = {"PING", "CLIENT", "SCRIPT", "SCAN", "SSCAN", "HSCAN", "LLEN", "LRANGE", "GET", "GETRANGE", "PUBSUB",
         "SUBSCRIBE", "PSUBSCRIBE", "EVAL", "EVALSHA", "SELECT", "HELLO", "AUTH"}
SCRIPTS_READ = {"GETRANGE", "PUBLISH", "PUBSUB"}  # a broadcast, and who hears it
INSPECTS = {"active", "reserved", "scheduled", "revoked", "active_queues", "stats", "ping"}


def doctor(url, *flags, **env):
    ran = subprocess.run([system.QUELL, "doctor", "--broker", url, *flags], text=True,
                         capture_output=True, timeout=50, check=False,
                         env=environment("", CELERY_RESULT_BACKEND="", **env))
    assert ran.returncode in (0, 1, 2, 3), ran
    return ran


def report_at_once(deployed, **env):
    ran = doctor(deployed.redis.url, "--json", **env)
    assert ran.stdout, ran.stderr
    told = json.loads(ran.stdout)
    assert ran.returncode == (1 if told["found"] else 0)
    return told


def report(deployed, **env):
    """On a busy machine a worker may answer too late: then it is asked again."""
    return system.eventually(
        lambda: told if (told := report_at_once(deployed, **env))["complete"] else None,
        what="a report of all there is")


def of_kind(told, kind):
    (one,) = (one for one in told["kinds"] if one["kind"] == kind)
    assert one["count"] >= len(one["findings"])
    return one["findings"]


def ids(told, kind):
    return {one["task_id"] for one in of_kind(told, kind)}


@pytest.fixture(autouse=True)
def nothing_is_left(deployed):
    """The lists; who is bound to whom stays."""
    yield
    deployed.client.delete("celery", "nobody", "later", "unacked", "unacked_index")


def test_of_a_sound_deployment_nothing_is_found(deployed, worker):
    deployed.fence()
    told = report(deployed)
    assert told["found"] == 0 and told["unasked"] == []
    (seen,) = told["workers"]
    assert seen["worker"] == worker.node and seen["pool"] == "prefork"
    assert seen["queues"] == ["celery"]
    people = doctor(deployed.redis.url)
    assert people.returncode == 0 and worker.node in people.stdout
    assert "\033" not in people.stdout


class Monitored:
    """What the connections of that name say to Redis."""

    def __init__(self, deployed, names):
        self.names = names
        self.process = subprocess.Popen(
            ["redis-cli", "-p", str(deployed.redis.port), "monitor"], text=True,
            stdout=subprocess.PIPE, preexec_fn=system.die_with_parent)
        assert self.process.stdout.readline() == "OK\n"
        self.client = deployed.client

    def end(self):
        self.client.echo("the end of it")
        lines = []
        while "the end of it" not in (line := self.process.stdout.readline()):
            lines.append(re.match(r'[\d.]+ \[\d+ (\S+)\] "(\w+)"(.*)', line).groups())
        self.process.kill()
        self.process.wait()
        ours = {peer for peer, verb, rest in lines if verb.upper() == "CLIENT"
                and any(f'"{name}"' in rest for name in self.names)}
        return lines, [(verb.upper(), rest) for peer, verb, rest in lines if peer in ours]


def called(said):
    """The commands of the scripts among them."""
    return {verb for _, rest in said for verb in re.findall(r"redis\.p?call\('(\w+)'", rest)}


def kept(deployed):
    """All that Redis has, but the time that the server beside tells it every two seconds."""
    return {key: deployed.client.dump(key) for key in deployed.client.keys()
            if not key.startswith(b"quell:memory:")}


def test_it_only_reads(deployed, worker):
    """Every command of its connections, and every broadcast that it makes."""
    queued = deployed.send("mark", queue="nobody")
    held = deployed.send("mark", countdown=3600)
    held.until_place("scheduled")
    before = kept(deployed)
    monitored = Monitored(deployed, ["quell-observe", "quell-replies", "quell-hear"])
    assert len(of_kind(report(deployed), "queue_without_consumer")) == 1
    _, said = monitored.end()
    assert len(said) > 20
    lists = {rest.split()[0] for verb, rest in said if verb == "BRPOP"}
    assert len(lists) == 1 and "quell.replies.doctor." in lists.pop()
    assert {verb for verb, _ in said} - {"BRPOP"} <= READS
    assert called(said) <= SCRIPTS_READ
    asked = set()
    for verb, rest in said:
        for body in re.findall(r'\\"body\\": ?\\"([\w+/=]+)\\"', rest):
            asked.add(json.loads(base64.b64decode(body))["method"])
    assert asked and asked <= INSPECTS
    assert kept(deployed) == before
    assert queued.place["place"] == "queued"


def test_revoked_and_running(deployed, worker):
    told_only, said_so = deployed.began("work"), deployed.began("work")
    deployed.revoke(told_only)
    system.eventually(lambda: told_only.id in deployed.inspect("revoked")[worker.node],
                      what="the revoke")
    # As every worker writes at once from Celery 5.6.2 on, whatever runs.
    deployed.app.backend.store_result(said_so.id, None, "REVOKED")
    told = report(deployed)
    assert ids(told, "revoked_but_running") == {told_only.id, said_so.id}
    for one in of_kind(told, "revoked_but_running"):
        assert one["worker"] == worker.node
        assert str(told_only.pids[0] if one["task_id"] == told_only.id else said_so.pids[0]) in \
            one["what"]
    told_only.release()
    said_so.release()
    told_only.until("ended")
    said_so.until_state("SUCCESS")
    assert ids(report(deployed), "revoked_but_running") == set()


def test_revokes_that_are_forgotten(deployed, worker):
    """One worker knows; the one that has the task started later, and asked nobody."""
    busy = deployed.send("work", queue="later")
    next_one = deployed.send("mark", queue="later")
    orphan = deployed.send("mark", queue="nobody")
    deployed.revoke(next_one)
    deployed.app.backend.store_result(orphan.id, None, "REVOKED")
    with deployed.worker("-c", "1", "-Q", "later", "--without-mingle", node="late") as late:
        busy.until("began")
        next_one.until_place("reserved")
        told = report(deployed)
        found = {one["task_id"]: one for one in of_kind(told, "revoke_forgotten")}
        assert set(found) == {next_one.id, orphan.id}
        assert found[next_one.id]["worker"] == late.node or late.node in found[next_one.id]["what"]
        assert found[orphan.id]["queue"] == "nobody"
        busy.release()
        assert next_one.until("ran") == ""  # so it was


def test_a_revoke_that_ends_before_its_task(deployed, worker):
    far, near = deployed.send("mark", countdown=5 * 3600), deployed.send("mark", countdown=3600)
    far.until_place("scheduled")
    near.until_place("scheduled")
    for sent in (far, near):
        deployed.revoke(sent)
    system.eventually(lambda: {far.id, near.id} <= set(deployed.inspect("revoked")[worker.node]),
                      what="the revokes")
    assert ids(report(deployed), "revoke_expires") == {far.id}


@pytest.mark.deadline(120)
def test_a_worker_that_can_keep_no_more(deployed):
    with deployed.worker("-c", "1", "-Q", "elsewhere", node="full") as full:
        deployed.app.control.revoke([f"t{number}" for number in range(50000)],
                                    destination=[full.node])
        system.eventually(lambda: len(deployed.inspect("revoked")[full.node]) >= 50000,
                          what="50,000 revokes")
        (one,) = of_kind(report(deployed), "revokes_full")
        assert one["worker"] == full.node and "50000" in one["what"]


def test_what_cancel_marked_is_no_finding(deployed, worker):
    """Of a group's member Quell leaves a message in its place that any worker drops."""
    from celery import group
    sent = group(deployed.app.tasks["stock.mark"].s(deployed.key()) for _ in range(2)).apply_async(
        queue="nobody")
    deployed.quell.post(f"/api/task/{sent.results[0].id}/cancel?wait=10").expect(200)
    system.eventually(lambda: deployed.client.get(f"celery-task-meta-{sent.results[0].id}"),
                      what="its result")
    told = report(deployed)
    assert ids(told, "revoke_forgotten") == set()
    assert [one["queue"] for one in of_kind(told, "queue_without_consumer")] == ["nobody"]


def test_a_worker_that_does_not_answer_is_named(deployed, worker):
    deployed.send("mark", queue="nobody")
    with deployed.worker("-c", "1", "-Q", "elsewhere", node="frozen") as frozen:
        deployed.await_worker(frozen)
        frozen.freeze()
        told = report_at_once(deployed)
        assert not told["complete"] and told["unasked"]
        assert of_kind(told, "queue_without_consumer") == []  # it may be that one
        assert any("nobody" in sentence for sentence in told["unasked"])
        frozen.thaw()


def start_container(engine, eval_id):
    made = engine.ask("POST", "/containers/create", {
        "Image": dockers.IMAGE, "Cmd": ["sleep", "60"], "Labels": {"quell.eval_id": eval_id},
        "NetworkDisabled": True, "HostConfig": {"NetworkMode": "none"}}).json["Id"]
    engine.ask("POST", f"/containers/{made}/start")
    return made


class Counting:
    """A way to dockerd, with the calls that went through it."""

    def __init__(self, docker):
        self.docker = docker.removeprefix("unix://")
        self.folder = tempfile.mkdtemp(prefix="quell-counting-")
        self.host = f"unix://{self.folder}/socket"
        self.calls = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.folder}/socket")
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(self.docker)
                threading.Thread(target=Proxy.copy, args=[there, here], daemon=True).start()
                threading.Thread(target=self.count, args=[here, there], daemon=True).start()

    def count(self, here, there):
        with contextlib.suppress(OSError):
            while data := here.recv(65536):
                self.calls += re.findall(r"^([A-Z]+) (?:/v[\d.]+)?(/[^ ?]*)\S* HTTP/1", data.decode(), re.M)
                there.sendall(data)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def docker():
    with dockers.docker_daemon() as host:
        yield host


@pytest.fixture
def counting(docker):
    made = Counting(docker)
    yield made
    made.close()


@pytest.mark.deadline(180)
def test_of_docker_it_only_reads(deployed, worker, counting):
    """One is asked by a doctor, and by a server that only looks; the server is asked to kill it, too."""
    left = start_container(Engine(f"unix://{counting.docker}"), "gone")

    def found(told):
        return {one["container"] for one in of_kind(told, "container_without_task")} == {left}
    assert found(report(deployed, DOCKER_HOST=counting.host))
    by_doctor = set(counting.calls)
    counting.calls.clear()
    with observer(deployed, "--docker-host", counting.host) as server:
        system.eventually(lambda: found(server.get("/api/observe").json), what="the container")
        server.post("/api/eval/gone/kill").problem(403, "forbidden")
    by_server = set(counting.calls)
    assert ("GET", "/containers/json") in by_doctor & by_server
    assert {verb for verb, _ in by_doctor | by_server} == {"GET"}
    state = Engine(counting.host).ask("GET", f"/containers/{left}/json").json["State"]
    assert state["Running"]
    Engine(counting.host).ask("DELETE", f"/containers/{left}", force=1)


@pytest.mark.deadline(180)
def test_a_container_without_a_task(deployed, worker, docker):
    engine = Engine(docker)
    left = start_container(engine, "gone")
    its_own = deployed.began("work", task_id="celery-here")
    start_container(engine, "here")
    told = report(deployed, DOCKER_HOST=docker)
    assert told["containers"] == 2
    (one,) = of_kind(told, "container_without_task")
    assert one["eval_id"] == "gone" and one["container"] == left
    its_own.release()


def test_a_redis_that_is_away():
    ran = doctor("redis://127.0.0.1:1/0")
    assert ran.returncode == 3 and ran.stderr.startswith("quell: ")
    ran = doctor("local")
    assert ran.returncode == 2


@contextlib.contextmanager
def observer(deployed, *flags):
    with system.serving("--broker", deployed.redis.url, "--observe", "--auth", "none",
                        *flags) as made:
        system.eventually(lambda: made.get("/api/observe").status == 200, what="a report")
        yield made


def schema():
    with open(os.path.join(system.TOP, "docs", "openapi.yaml"), encoding="utf-8") as text:
        return yaml.safe_load(text)["components"]["schemas"]["Observation"]


def fits(value, wanted):
    """The members of a report, and those in its lists."""
    if isinstance(value, dict):
        assert set(value) == set(wanted["required"]) == set(wanted["properties"])
        for name, inner in value.items():
            fits(inner, wanted["properties"][name])
    elif isinstance(value, list):
        for inner in value:
            fits(inner, wanted["items"])
    elif "enum" in wanted:
        assert value in wanted["enum"]


def test_a_server_that_only_looks(deployed, worker):
    running = deployed.began("work")
    deployed.app.backend.store_result(running.id, None, "REVOKED")
    deployed.send("mark", queue="nobody")
    with observer(deployed) as server:
        told = server.get("/api/observe").expect(200).json
        fits(told, schema())
        assert ids(told, "revoked_but_running") == {running.id}
        assert server.get(f"/api/task/{running.id}").expect(200).json["place"] == "active"
        for path in (f"/api/task/{running.id}/cancel", f"/api/task/{running.id}/cancel?terminate=true",
                     "/api/eval/x/kill", "/api/eval/x/cancel"):
            assert "only looks" in server.post(path).problem(403, "forbidden")["detail"]
        server.post("/api/eval", {"code": "1", "language": "python"}).problem(403, "forbidden")
        before = told["at"]
        running.release()
        running.until_state("SUCCESS")
        system.eventually(lambda: ids(server.get("/api/observe").json, "revoked_but_running") == set(),
                          what="the next report")
        assert server.get("/api/observe").json["at"] > before


def test_a_server_that_only_looks_writes_and_answers_nothing(deployed):
    """A worker that starts says hello to all: this one says nothing, and makes no key."""
    with observer(deployed) as server:
        before = server.get("/api/observe").json["at"]
        keys = set(deployed.client.keys("quell*"))
        monitored = Monitored(deployed, ["quell-observe", "quell"])
        reconnected = deployed.client.client_list()
        with deployed.worker("-c", "1", node="new") as new:
            system.eventually(lambda: server.get("/api/observe").json["at"] != before,
                              what="the next report")
            server.get("/api/task/nobodys").expect(200)
            assert new.node in deployed.inspect("ping")
        lines = monitored.end()[0]
    quells = {one["addr"] for one in reconnected if one["name"].startswith("quell")}
    said = [(verb.upper(), rest) for peer, verb, rest in lines if peer in quells]
    verbs = {verb for verb, _ in said}
    assert verbs and verbs <= READS | {"BRPOP"}, verbs - READS
    assert called(said) <= SCRIPTS_READ
    assert set(deployed.client.keys("quell*")) == keys
