"""Scripts parse, can be run, and ask for the interpreter that the packages bring."""
import ast
import os
import re
import shutil
import subprocess

import pytest
import source

INTERPRETERS = {"#!/bin/sh": "sh", "#!/bin/bash": "bash", "#!/usr/bin/python3": "python"}


def scripts():
    found = []
    for path in source.files(".ci", "tools", "tests", "bench", "deploy"):
        with open(os.path.join(source.TOP, path), "rb") as start:
            first = start.readline()
        if first.startswith(b"#!"):
            found.append((path, first.decode().strip()))
    return found


SCRIPTS = scripts()


def test_scripts_are_found():
    assert {"tools/bootstrap", "tools/test", ".ci/run"} <= {path for path, _ in SCRIPTS}


@pytest.mark.parametrize("path,first", SCRIPTS, ids=[path for path, _ in SCRIPTS])
def test_script(path, first):
    assert first in INTERPRETERS, "a pyenv or a user's shell may come first on PATH"
    assert os.access(os.path.join(source.TOP, path), os.X_OK)
    if INTERPRETERS[first] == "python":
        ast.parse(source.read(path), path)
        return
    subprocess.run([INTERPRETERS[first], "-n", path], cwd=source.TOP, check=True)
    text = source.read(path)
    assert not re.search(r"`", re.sub(r"#.*|'[^']*'|\"[^\"]*\"", "", text)), "use $(…)"
    assert not re.search(r"^\s*cd\s+[^|&;\n]*$", text, re.M), "a cd that fails goes unnoticed"
    assert not re.search(r"\b(pkill|killall)\b", text), "end processes by their id"


def test_python_files_parse():
    for path in source.files("tools", "tests", "bench", "clients", ends=(".py",)):
        ast.parse(source.read(path), path)


def test_packages_are_well_formed():
    seen = set()
    for line in source.lines("tools/packages"):
        if line.startswith("#"):
            continue
        kind, package, why = line.split(" ", 2)
        assert kind in ("build", "test", "page") and re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package) and why
        assert package not in seen
        seen.add(package)
    assert len(seen) > 15


def test_the_systemd_unit_is_valid(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "quell.service"
    unit.write_text(source.read("deploy/quell.service").replace("/usr/local/bin/quell", "/bin/true"))
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], text=True,
                         capture_output=True, check=False)
    assert ran.returncode == 0 and not ran.stderr
