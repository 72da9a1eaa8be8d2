"""Containers of tasks, in a real dockerd: labelled, heard, and gone with their task however it ends."""
import contextlib
import json
import time

import pytest
from celery.exceptions import TaskRevokedError

from celeries import Deployment, app_of, redis_server, worker
from conftest import system
from dockers import IMAGE, Cutter, docker_daemon
from quell.container import Container, body_of
from quell.docker import Engine
from quell.errors import DockerError

ENDLESS = ["bash", "-c", "echo up; while :; do sleep 0.1; done"]
STUBBORN = ["bash", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]

LOOKS = """
trap 'echo "$x"; exit 7' TERM
x=$(id -u)
touch /no 2>/dev/null || x="$x read-only"
touch /tmp/yes && x="$x tmp"
echo up
while :; do sleep 0.1; done
"""


@pytest.fixture(scope="module")
def host():
    with docker_daemon() as made:
        yield made


@pytest.fixture(scope="module")
def engine(host):
    return Engine(host)


@pytest.fixture(scope="module")
def broker():
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module")
def prefork(broker, host):
    with worker(broker, "-c", "3", env={"DOCKER_HOST": host}), app_of(broker) as app:
        yield Deployment(broker, app)


def labelled(engine, eval_id):
    filters = '{"label":["quell.eval_id=%s"]}' % eval_id
    return engine.ask("GET", "/containers/json", all=1, filters=filters).json


def test_it_runs_labelled_and_bounded_and_is_gone_after(prefork, engine):
    key, result = prefork.began("boxed", IMAGE, ["bash", "-c", LOOKS], memory_mb=64,
                                task_id="celery-labels")
    box, = labelled(engine, "labels")
    assert box["Labels"]["quell.task_id"] == "celery-labels"
    limits = engine.ask("GET", f"/containers/{box['Id']}/json").json["HostConfig"]
    assert limits["Memory"] == 64 << 20 and limits["CapDrop"] == ["ALL"] and limits["PidsLimit"]
    engine.ask("POST", f"/containers/{box['Id']}/kill", signal="SIGTERM")
    assert result.get(timeout=30) == [7, False]
    assert prefork.said(key) == ["65534 read-only tmp\n"] and not labelled(engine, "labels")


def test_a_cancel_ends_it(prefork, engine):
    _, result = prefork.began("boxed", IMAGE, ENDLESS, task_id="celery-cancelled")
    prefork.notice(result.id)
    prefork.revoked(result)
    assert not labelled(engine, "cancelled")


def test_one_that_ignores_sigterm_is_killed_after_the_grace(prefork, engine):
    _, result = prefork.began("boxed", IMAGE, STUBBORN, task_id="celery-stubborn", grace=1)
    prefork.notice(result.id)
    prefork.revoked(result)
    assert not labelled(engine, "stubborn")


def test_a_terminate_ends_it(prefork, engine):
    """SIGTERM in the pool's process: the `with` is left by SystemExit."""
    _, result = prefork.began("boxed", IMAGE, ENDLESS, task_id="celery-terminated")
    result.revoke(terminate=True)
    with pytest.raises(TaskRevokedError, match="terminated"):
        result.get(timeout=30)
    system.eventually(lambda: not labelled(engine, "terminated"), what="the container to go")


def test_a_cancel_before_it_starts_starts_nothing(prefork, engine):
    since = time.time()
    key, result = prefork.began("early", IMAGE, ["echo", "up"], task_id="celery-early")
    assert labelled(engine, "early")[0]["State"] == "created"
    prefork.notice(result.id)
    prefork.revoked(result)
    assert not prefork.said(key) and not labelled(engine, "early")
    filters = '{"label":["quell.eval_id=early"]}'
    events = engine.ask("GET", "/events", since=since - 1, until=time.time() + 0.1, filters=filters)
    seen = [json.loads(line)["Action"] for line in events.body.splitlines()]
    assert "create" in seen and "destroy" in seen and "start" not in seen


def test_an_image_that_is_missing_is_said(prefork, engine):
    _, result = prefork.send("boxed", "no/such:image", ["true"], task_id="celery-missing")
    with pytest.raises(Exception, match="docker pull no/such:image"):
        result.get(timeout=30)
    assert not labelled(engine, "missing")


def test_another_ones_container_of_that_name_is_let_be(prefork, engine):
    _, first = prefork.began("boxed", IMAGE, ENDLESS, task_id="celery-named", name="its-name")
    _, second = prefork.send("boxed", IMAGE, ["true"], task_id="celery-other", name="its-name")
    with pytest.raises(Exception, match="its-name"):
        second.get(timeout=30)
    assert labelled(engine, "named")[0]["State"] == "running"
    prefork.notice(first.id)
    prefork.revoked(first)
    assert not labelled(engine, "named")


def test_killed_for_a_cancel_is_no_failure(prefork, engine):
    """Quell kills the container, and says so in the result backend a moment later."""
    _, result = prefork.began("boxed", IMAGE, ENDLESS, task_id="celery-killed")
    box, = labelled(engine, "killed")
    engine.ask("POST", f"/containers/{box['Id']}/kill")
    prefork.notice(result.id)
    prefork.revoked(result)


def test_killed_by_anybody_else_is_an_end(prefork, engine):
    _, result = prefork.began("boxed", IMAGE, ENDLESS, task_id="celery-shot")
    box, = labelled(engine, "shot")
    engine.ask("POST", f"/containers/{box['Id']}/kill")
    assert result.get(timeout=30) == [137, False]


def test_what_its_task_throws_ends_it(prefork, engine):
    _, result = prefork.began("breaks", IMAGE, ENDLESS, task_id="celery-broken")
    with pytest.raises(ValueError, match="in between"):
        result.get(timeout=30)
    assert not labelled(engine, "broken")


def test_much_output_comes_whole(prefork):
    command = ["python3", "-c", "for n in range(200000): print(n)"]
    key, result = prefork.send("boxed", IMAGE, command)
    assert result.get(timeout=60) == [0, False]
    said = "".join(prefork.said(key)).split()
    assert [word for word in said if word.isdigit()] == [str(n) for n in range(200000)]


@contextlib.contextmanager
def counting(cutter, once):
    """A container that says 3,000 lines of seven bytes, each in a frame of fifteen, and ends when it is told to. What is
    followed of it is cut; once is called after that."""
    command = ["bash", "-c", "trap over=1 TERM; for n in {1000..3999}; do echo n $n; done\n"
               "until [ $over ]; do sleep 0.05; done; echo over"]
    todo = [once]

    def tick():
        if cutter.cuts and todo:
            todo.pop()(box)

    body = body_of(IMAGE, command, {}, env={}, memory_mb=64, pids=16, cpus=1, network=False,
                   user=None, options={})
    box = Container(Engine(cutter.host), body, tick, grace=0)
    box.create()
    try:
        box.start()
        yield box
    finally:
        box.end()


LINES = [*(f"n {n}" for n in range(1000, 4000)), "over"]
FRAME = 15


@pytest.mark.parametrize("after", [FRAME, FRAME * 1000, FRAME * 1000 + 11])
def test_a_follow_that_ends_early_loses_nothing(host, after):
    """Between two frames, or within one."""
    with Cutter(host, after) as cutter, counting(cutter, Container.signal) as box:
        assert b"".join(box.output()).decode().splitlines() == LINES
        assert box.wait() == (0, False) and cutter.cuts == 1


def test_what_was_missed_of_one_that_was_stopped_comes_too(host):
    with Cutter(host, FRAME * 1000) as cutter, counting(cutter, Container.signal) as box:
        said = next(iter(box.output()))
        box.stop(20)
        assert (said + b"".join(box.rest(20))).decode().splitlines() == LINES


def test_one_that_was_removed_meanwhile_has_no_more_output(host):
    def remove(box):
        box.engine.ask("DELETE", f"/containers/{box.id}", force=1)

    with Cutter(host, FRAME * 1000) as cutter, counting(cutter, remove) as box:
        assert b"".join(box.output()).decode().splitlines() == LINES[:1000]
        with pytest.raises(DockerError, match="removed by somebody else"):
            box.wait()


def test_memory_is_bounded(prefork):
    _, result = prefork.send("boxed", IMAGE, ["python3", "-c", "x = bytearray(200 << 20)"],
                             memory_mb=32)
    assert result.get(timeout=30) == [137, True]


@pytest.mark.deadline(120)
def test_in_threads_too(broker, host, engine, prefork):
    """Where no signal ends a task, its own look at the cancel does."""
    with worker(broker, "-P", "threads", "-c", "2", "-Q", "threads", node="t",
                env={"DOCKER_HOST": host}):
        _, result = prefork.began("boxed", IMAGE, ENDLESS, task_id="celery-threads",
                                  queue="threads")
        prefork.notice(result.id)
        prefork.revoked(result)
        assert not labelled(engine, "threads")


def test_a_daemon_that_is_away_is_said():
    with pytest.raises(DockerError, match="did not answer.*DOCKER_HOST"):
        Engine("unix:///nowhere").ask("GET", "/containers/json")
    with pytest.raises(DockerError, match="unix:///path"):
        Engine("gopher://x").ask("GET", "/containers/json")
