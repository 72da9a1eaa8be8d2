"""Who may include whom: the table of docs/design.md, held against each #include."""
import re

import pytest
import source

ALL = "base core proof runner store fetch outlet runtime rules sweeper broker engine http cli daemon".split()
SEAMS = ["store/store.h", "runtime/runtime.h", "broker/broker.h", "outlet/outlet.h", "outlet/poster.h",
         "sweeper/finder.h"]
MAY = {
    "base": [],
    "core": ["base"],
    "proof": ["base"],
    "runner": ["base", "proof"],
    "store": ["base", "core"],
    "fetch": ["base"],
    "outlet": ["base", "core", "fetch"],
    "runtime": ["base", "core", "proof", "runner/proto.h", "fetch"],
    "rules": ["base", "core", "store/store.h"],
    "sweeper": ["base", "proof", "rules", "runner/cgroup.h", "runner/file.h"],
    "broker": ["base", "core", "proof", "outlet", "runtime", "sweeper/finder.h"],
    "engine": ["base", "core", "rules", *SEAMS],
    "http": ["base", "core", "rules", "engine"],
    "cli": ["base", "core", "rules"],
    "daemon": ALL,
}

# Libraries that only one part may know; the others reach them through it.
LIBRARIES = {
    "sqlite3.h": ["store"],
    "microhttpd.h": ["http"],
    "seccomp.h": ["runner"],
    "curl/curl.h": ["fetch", "cli", "daemon"],
    "hiredis/hiredis.h": ["broker"],
    "uv.h": ["store", "fetch", "outlet", "runtime", "sweeper", "broker", "engine", "http", "daemon"],
    "jansson.h": ["store", "rules", "outlet", "runtime", "broker", "http", "cli", "daemon"],
}


def includes(folder):
    for path in source.files(f"src/{folder}", ends=(".c", ".h", ".def")):
        for number, line in enumerate(source.lines(path), 1):
            match = re.match(r'\s*#\s*include\s+(["<])([^">]+)', line)
            if match:
                yield f"{path}:{number}", match.group(1), match.group(2)


def test_each_folder_has_a_rule():
    folders = {path.split("/")[1] for path in source.files("src") if path.count("/") > 1}
    assert folders <= set(MAY)


@pytest.mark.parametrize("folder", MAY)
def test_includes(folder):
    allowed = MAY[folder] + [folder]
    wrong = [f"{where}: {name}" for where, kind, name in includes(folder) if kind == '"'
             and name not in allowed and name.split("/")[0] not in allowed]
    assert not wrong


@pytest.mark.parametrize("folder", MAY)
def test_includes_are_written_from_src(folder):
    wrong = [f"{where}: {name}" for where, kind, name in includes(folder)
             if kind == '"' and ("/" not in name or "." in name.split("/")[0]
                                 or name.endswith(".c"))]
    assert not wrong


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_stays_where_it_belongs(library):
    wrong = [where for folder in MAY if folder not in LIBRARIES[library]
             for where, _, name in includes(folder) if name == library]
    assert not wrong


def test_headers_are_guarded_by_their_path():
    wrong = []
    for path in source.files("src", ends=(".h",)):
        guard = "QL_" + re.sub(r"\W", "_", path.removeprefix("src/")).upper()
        text = source.read(path)
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            wrong.append(f"{path}: wants {guard}")
    assert not wrong
