"""An ordinary Celery deployment: redis-server, a worker, and the service that revokes its tasks."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request

import redis

from quell import die_with_parent, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def program(*words, **env):
    """It and all of its session end with the block."""
    process = subprocess.Popen(words, env={**os.environ, **env, "PYTHONDONTWRITEBYTECODE": "1"},
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, cwd=HERE, start_new_session=True,
                               preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def redis_server():
    """Yields a client; its url is what others are given."""
    folder = tempfile.mkdtemp(prefix="quell-bench-")
    port = free_port()
    try:
        with program("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                     "--dir", folder):
            eventually(lambda: answers(port), what="redis-server")
            client = redis.Redis(port=port)
            client.url = f"redis://127.0.0.1:{port}/0"
            yield client
            client.close()
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def revoke_service(client):
    """Yields the process and the port of the service that one writes first (service.py)."""
    port = free_port()
    with program(PYTHON, "-m", "uvicorn", "service:api", "--port", str(port), "--log-level",
                 "error", BENCH_REDIS=client.url) as process:
        eventually(lambda: answers(port), what="uvicorn")
        # Many first calls at once lock each other out of Celery's pools for ever: one goes ahead.
        Service(port).cancel("first")
        yield process, port


class Service:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/api/eval"

    def cancel(self, eval_id, query=""):
        asked = urllib.request.Request(f"{self.base}/{eval_id}/cancel{query}", method="POST")
        urllib.request.urlopen(asked, timeout=30).close()

    def terminate(self, eval_id):
        self.cancel(eval_id, "?terminate=true")


@contextlib.contextmanager
def worker(client, *flags):
    """Of Debian's Celery; yields its process once it listens."""
    before = client.get("ready")
    with program(PYTHON, "-m", "celery", "-A", "service:app", "worker", "--without-gossip", *flags,
                 BENCH_REDIS=client.url) as process:
        eventually(lambda: client.get("ready") != before or process.poll(), 60, "the worker")
        assert process.poll() is None, "the worker ended"
        yield process
