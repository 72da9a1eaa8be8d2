"""An ordinary Celery deployment for the tests, with Quell beside it."""
import importlib.util
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


def load_shared():
    """tests/python/conftest.py, under a name of its own."""
    folder = os.path.join(os.path.dirname(HERE), "python")
    spec = importlib.util.spec_from_file_location("python_conftest",
                                                  os.path.join(folder, "conftest.py"))
    module = sys.modules["python_conftest"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:0] = [HERE, folder]
    return module


shared = load_shared()
PACKAGE, system = shared.PACKAGE, shared.system

from deployment import Deployment, Proxy  # noqa: E402


@pytest.fixture(scope="module")
def storage():
    """Counts what it is told."""
    sys.path.append(os.path.join(os.path.dirname(HERE), "system"))
    from storage import Storage
    with Storage() as made:
        yield made


@pytest.fixture(scope="module")
def deployed(request, storage):
    """Redis, the app and Quell; a file's STOCK says what of Celery is shortened there."""
    with Deployment("--storage-url", storage.url,
                    env=getattr(request.module, "STOCK", {})) as made:
        yield made


@pytest.fixture(scope="module")
def worker(deployed):
    """Prefork, four processes; shared by the tests of a file."""
    with deployed.worker("-c", "4") as made:
        yield made


@pytest.fixture
def proxy(deployed):
    """A way to Redis that can be cut."""
    made = Proxy(deployed.redis.port)
    yield made
    made.close()
