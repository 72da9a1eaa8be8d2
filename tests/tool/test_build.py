"""What the build made: no mutable globals, and the small runner is small."""
import glob
import os
import re
import subprocess

import pytest
import source

# The only state outside of a struct: the log level, parsed arguments, and what a signal handler
# must reach. `file: symbol`.
GLOBALS = set()

# What the runner may be linked to: it starts in a fraction of the time that the server's need.
RUNNER_NEEDS = {"libc.so.6", "libseccomp.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def output(*command):
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout


def objects():
    return sorted(glob.glob(f"{source.BUILD}/src/**/*.o", recursive=True))


def test_objects_are_found():
    assert len(objects()) > 5


def test_no_mutable_globals():
    """Constant tables with pointers are in .data.rel.ro, which the loader makes read-only."""
    found = set()
    for path in objects():
        name = re.sub(r"^.*/|\.c\.o$", "", path)
        for line in output("objdump", "-t", path).splitlines():
            match = re.match(r"\w+ .{6}[O ] (?:\.t?bss|\.t?data|\*COM\*)(?!\.rel\.ro)\S*\t\w+ "
                             r"(\w+)", line)
            if match:
                found.add(f"{name}: {match.group(1)}")
    assert found <= GLOBALS


def test_runner_is_linked_to_little():
    path = next(iter(glob.glob(f"{source.BUILD}/**/quell-runner", recursive=True)), None)
    if not path:
        pytest.skip("there is no quell-runner in this build")
    needs = set(re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-d", path)))
    assert needs <= RUNNER_NEEDS


def test_programs_are_named_as_documented():
    if not os.path.exists(f"{source.BUILD}/quell"):
        pytest.skip("there is no quell in this build")
    assert os.path.exists(f"{source.BUILD}/quell-runner")
