"""The server of tests/system, on a dockerd that the tests of a file share."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]

import dockerd  # noqa: E402
from quell import eventually, serving  # noqa: E402


@pytest.fixture(scope="module")
def daemon():
    why = dockerd.missing()
    if why:
        pytest.skip(why)
    with dockerd.running() as shared:
        yield shared


@pytest.fixture
def server(daemon):
    flags = ["--workers", "4", "--runtime", "docker", "--docker-host", daemon.host,
             "--docker-image", dockerd.IMAGE]
    with serving(*flags) as one:
        yield one
        one.stop_everything()
        eventually(lambda: not daemon.containers(), what="containers to be removed")
