"""Servers for the tests. Each is real, on a free loopback port, with a data folder of its own."""
import contextlib
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from quell import serving  # noqa: E402


@pytest.fixture(scope="module")
def server():
    """Runs what it is given; shared by the tests of a file."""
    with serving("--workers", "6") as shared:
        yield shared


@pytest.fixture(scope="module")
def idle():
    """Runs nothing: what is submitted stays queued."""
    with serving("--workers", "0") as shared:
        yield shared


@pytest.fixture
def make_server():
    """Starts servers for one test: make_server(*flags, data=, env=, uid=, owners=)."""
    with contextlib.ExitStack() as stack:
        yield lambda *flags, **more: stack.enter_context(serving(*flags, **more))


@pytest.fixture(autouse=True)
def server_is_alive(request):
    """Whatever a test sent, a shared server is still there after it."""
    yield
    for name in ("server", "idle"):
        if name in request.fixturenames:
            shared = request.getfixturevalue(name)
            assert shared.process.poll() is None, "the server ended"
            assert shared.get("/healthz").status == 200
