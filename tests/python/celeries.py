"""A redis-server and Celery workers for the tests, each on its own, ended by its pid."""
import contextlib
import functools
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import pytest
from celery.exceptions import TaskRevokedError

from conftest import HERE, PACKAGE, system

PYTHON = os.environ.get("QUELL_CELERY_PYTHON", "/usr/bin/python3")  # the workers'


@functools.cache
def version():
    """The workers', (5, 2)."""
    said = subprocess.run([PYTHON, "-c", "import celery; print(celery.__version__)"], check=True,
                          text=True, stdout=subprocess.PIPE).stdout
    return tuple(map(int, said.split(".")[:2]))


def knows_unrevoke():
    """Whether a worker that was told of a revoke can be told to forget it: until Celery 5.6."""
    return version() < (5, 7)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as asked:
            asked.sendall(b"PING\r\n")
            return asked.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


@contextlib.contextmanager
def redis_server():
    """Yields its URL."""
    with tempfile.TemporaryDirectory(prefix="quell-redis-") as folder:
        port = free_port()
        process = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
             "--dir", folder], stdout=subprocess.DEVNULL, preexec_fn=system.die_with_parent)
        try:
            system.eventually(lambda: answers(port), what="redis-server")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait()


def environment(broker, **more):
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(("QUELL_", "CELERY_", "DOCKER_", "STORAGE_"))}
    return {**clean, "CELERY_BROKER_URL": broker, "CELERY_RESULT_BACKEND": broker,
            "PYTHONPATH": os.pathsep.join([PACKAGE, HERE]), "PYTHONDONTWRITEBYTECODE": "1", **more}


class Worker:
    """A worker of Debian's Celery."""

    def __init__(self, broker, *flags, app="deployment", node="w", env=None):
        self.log = []
        self.process = subprocess.Popen(
            [PYTHON, "-m", "celery", "-A", app, "worker", "-n", f"{node}@test", "-l", "INFO",
             "--without-gossip", *flags], env=environment(broker, **(env or {})),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        self.ready = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        if not self.ready.wait(60):
            self.end()
            raise AssertionError("the worker did not start:\n" + "\n".join(self.log[-30:]))

    def read(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if "ready." in line:
                self.ready.set()

    def end(self):
        """All of its session: the pool's processes too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def worker(broker, *flags, **more):
    made = Worker(broker, *flags, **more)
    try:
        yield made
    except BaseException:
        print("the worker's log:", *made.log[-60:], sep="\n  ", file=sys.stderr)
        raise
    finally:
        made.end()


@contextlib.contextmanager
def app_of(broker):
    """deployment.app for this process, speaking to that broker."""
    os.environ["CELERY_BROKER_URL"] = os.environ["CELERY_RESULT_BACKEND"] = broker
    sys.modules.pop("deployment", None)
    import deployment
    try:
        yield deployment.app
    finally:
        # Results unsubscribe when they are dropped, and their Redis is gone by then.
        deployment.app.backend.result_consumer.cancel_for = lambda _task_id: None
        deployment.app.close()
        sys.modules.pop("deployment", None)


class Deployment:
    """A broker, an app, and what tests ask of them."""

    def __init__(self, broker, app):
        self.broker = broker
        self.app = app
        self.redis = app.backend.client
        self.numbers = itertools.count(1)

    def task(self, name):
        return self.app.tasks[f"deployment.{name}"]

    def send(self, task, *args, task_id=None, queue=None, **named):
        """Sends a task; its first argument is a key of its own. Returns (key, result)."""
        key = f"{id(self):x}-{next(self.numbers)}"
        return key, self.task(task).apply_async((key, *args), named, task_id=task_id, queue=queue)

    def began(self, task, *args, **more):
        """Sends it and waits for its first word."""
        key, result = self.send(task, *args, **more)
        assert self.redis.blpop(f"said:{key}", 30), "it did not begin"
        return key, result

    def said(self, key):
        return [word.decode() for word in self.redis.lrange(f"said:{key}", 0, -1)]

    def notice(self, task_id):
        """What Quell writes to ask a task to stop."""
        meta = {"status": "ABORTED", "result": None, "traceback": None, "children": None,
                "date_done": None, "task_id": task_id}
        self.redis.set(f"celery-task-meta-{task_id}", json.dumps(meta))

    def revoked(self, result, seconds=30):
        with pytest.raises(TaskRevokedError, match="stopped"):
            result.get(timeout=seconds)
        assert result.state == "REVOKED"
