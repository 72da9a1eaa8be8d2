"""Redis, Docker and Celery workers for the tests of the page. Prints where they are as a line of JSON, and ends
them when its input ends. Where something is not installed, that line says what.
"""
import contextlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
CELERY = os.path.join(os.path.dirname(HERE), "celery")


def load(name):
    """A file of tests/celery, with what stands beside it."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(CELERY, f"{name}.py"))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def missing():
    try:
        import celery  # noqa: F401
        import redis  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed for {sys.executable}"
    return None if shutil.which("redis-server") else "redis-server is not installed"


def main():
    why = missing()
    if why:
        print(json.dumps({"missing": why}), flush=True)
        return
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), "python"))
    load("conftest")
    sys.path.insert(0, CELERY)
    parts = load("deployment")
    import dockers
    with contextlib.ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix="quell-stock-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        redis = parts.Redis()
        stack.callback(redis.close)
        no_docker = dockers.missing()
        docker = None if no_docker else stack.enter_context(dockers.docker_daemon())
        env = {"STOCK_DOCKER": docker} if docker else {}
        place = SimpleNamespace(redis=redis, folder=folder, env=env)
        workers = [parts.Worker(place, "-c", "3", node="prefork", wait=False),
                   parts.Worker(place, "-P", "threads", "-c", "2", "-Q", "threads", node="threads",
                                wait=False)]
        for worker in workers:
            stack.callback(worker.end)
        for worker in workers:
            worker.wait_ready()
        print(json.dumps({"broker": redis.url, "docker": docker, "no_docker": no_docker,
                          "workers": [worker.node for worker in workers]}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
