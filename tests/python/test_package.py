"""The package itself: types, the version, no need of Celery, and of one mind with the contract."""
import ast
import inspect
import os
import re
import subprocess

import pytest
import yaml

import quell
from conftest import PACKAGE, TOP
from quell import types

PYTHON = "/usr/bin/python3"

# Methods that are not called as the contract calls them.
NAMES = {"get_evaluation": "get", "delete_evaluation": "delete", "list_evaluations": "list",
         "count_evaluations": "count",
         "get_output": "output", "get_timeline": "timeline", "get_checkpoint": "checkpoint", "get_submission": "submission",
         "get_task": "task", "get_doctor": "doctor", "get_observation": "observation", "list_cancellations": "cancellations", "listen": "events",
         "get_cancellation": "cancellation", "get_receipt": "receipt", "get_signer": "signer", "get_report": "report",
         "list_keys": "keys", "get_abuse": "abuse", "get_batch": "batch",
         "list_batches": "batches", "list_batch_items": "batch_items", "list_audit": "audit", "list_orphans": "orphans",
         "list_policies": "policies", "get_policy": "policy", "simulate_new_policy": "simulate_policy",
         "get_session": "session", "list_webhooks": "webhooks", "get_webhook": "webhook"}


def modules():
    folder = os.path.join(PACKAGE, "quell")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as text:
                yield name, text.read()


def test_types_are_right(tmp_path):
    if not os.path.exists("/usr/bin/mypy"):
        pytest.skip("mypy is not installed")
    ran = subprocess.run(["/usr/bin/mypy", "--config-file", "pyproject.toml", "--cache-dir",
                          str(tmp_path)], cwd=PACKAGE, text=True, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_it_is_python_3_9():
    for name, text in modules():
        ast.parse(text, name, feature_version=(3, 9))
        assert "from __future__ import annotations" in text, name


def test_the_client_needs_no_celery():
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import quell; quell.Client; "
            "sys.exit(any(name.split('.')[0] in ('celery', 'kombu') for name in sys.modules))")
    subprocess.run([PYTHON, "-c", code, PACKAGE], check=True)


def test_the_version_is_the_projects():
    with open(os.path.join(TOP, "meson.build"), encoding="utf-8") as text:
        version = re.search(r"version: '([\d.]+)'", text.read()).group(1)
    with open(os.path.join(PACKAGE, "pyproject.toml"), encoding="utf-8") as text:
        assert f'version = "{version}"' in text.read()
    assert quell.__version__ == version


@pytest.mark.parametrize("name", ["Evaluation", "Cancellation", "Task"])
def test_types_have_the_contracts_members(name):
    with open(os.path.join(TOP, "docs", "openapi.yaml"), encoding="utf-8") as text:
        schemas = yaml.safe_load(text)["components"]["schemas"]
    assert set(getattr(types, name).__annotations__) == set(schemas[name]["properties"])


def test_both_clients_have_the_same_calls():
    """With the same parameters, types and defaults; what differs is that one awaits."""
    def signatures(made):
        return {name: list(inspect.signature(call).parameters.values())
                for name, call in inspect.getmembers(made, inspect.isfunction)
                if not name.startswith("_")}
    sync, awaits = signatures(quell.Client), signatures(quell.AsyncClient)
    assert len(sync) > 50 and sync == awaits


def test_each_call_of_the_contract_is_there():
    """By operationId; the server's own health, numbers, page and contract are nobody's work."""
    with open(os.path.join(TOP, "docs", "openapi.yaml"), encoding="utf-8") as text:
        paths = yaml.safe_load(text)["paths"]
    calls = {call["operationId"] for path in paths.values() for call in path.values()
             if isinstance(call, dict)} - {"alive", "contract", "metrics", "page"}
    methods = {re.sub("[A-Z]", lambda letter: "_" + letter.group(0).lower(), name)
               for name in calls}
    methods = {NAMES.get(name, name) for name in methods}
    for made in (quell.Client, quell.AsyncClient):
        assert not methods - set(dir(made))
