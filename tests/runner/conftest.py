"""A place for runs; what they leave behind fails the test that started them."""
import os
import shutil
import tempfile

import pytest
import wire


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.runs = []

    def make(self, *argv, **spec):
        self.runs.append(wire.Run(self.folder, list(argv), **spec))
        return self.runs[-1]

    def python(self, code, **spec):
        return self.make("python3", "-u", "main.py", code=code, **spec)


@pytest.fixture
def place():
    # Not pytest's own folder: an ordinary user's supervisor must reach it.
    folder = tempfile.mkdtemp(prefix="quell-runner-")
    os.chmod(folder, 0o711)
    here = Place(folder)
    yield here
    left = [one for run in here.runs for one in run.close()]
    shutil.rmtree(folder, ignore_errors=True)
    assert not left


def pytest_configure(config):
    config.addinivalue_line("markers", "root: needs root on the host")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
