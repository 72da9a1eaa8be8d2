"""Real servers for the Python client, as the tests in tests/system start them."""
import contextlib
import importlib.util
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PACKAGE = os.path.join(TOP, "clients", "python")
sys.path[:0] = [PACKAGE, HERE]

import quell  # noqa: E402


def load_system():
    """tests/system/quell.py under a name of its own: it has the package's."""
    path = os.path.join(TOP, "tests", "system", "quell.py")
    spec = importlib.util.spec_from_file_location("system_quell", path)
    module = sys.modules["system_quell"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


system = load_system()
serving = system.serving


@pytest.fixture(autouse=True)
def nothing_of_the_users(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("QUELL_", "CELERY_", "DOCKER_", "STORAGE_")) and name != "QUELL_BUILD":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


@pytest.fixture(scope="module")
def server():
    with serving("--workers", "4", owners=["alice"]) as shared:
        yield shared


@pytest.fixture
def make_server():
    with contextlib.ExitStack() as stack:
        yield lambda *flags, **more: stack.enter_context(serving(*flags, **more))


def url_of(server):
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def client(server):
    with quell.Client(url_of(server), server.key) as made:
        yield made
