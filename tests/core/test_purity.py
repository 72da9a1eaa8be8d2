"""The decider is pure: its objects call nothing that does I/O, asks a clock, or keeps a memory."""
import glob
import os
import re
import subprocess

BUILD = os.environ["QUELL_BUILD"]

# Not of the decider: a record owns strings on the heap.
OTHERS = {"record"}

# All of libc that it may call. vsnprintf and snprintf fill a buffer of the caller's; an assert that
# fails ends the program. Of base, ql_words_find compares the words of a table.
ALLOWED = {"memcpy", "memcmp", "memmove", "memset", "strlen", "strcmp", "snprintf", "vsnprintf",
           "__assert_fail", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_", "ql_words_find"}


def symbols(path, option):
    said = subprocess.run(["nm", option, path], text=True, capture_output=True, check=True).stdout
    return {line.split()[-1] for line in said.splitlines()}


def objects():
    found = {re.sub(r"\.c\.o$", "", os.path.basename(path)): path
             for path in glob.glob(f"{BUILD}/src/core/libcore.a.p/*.o")}
    return {name: path for name, path in found.items() if name not in OTHERS}


def test_objects_are_found():
    assert {"step", "ladder", "race", "explain", "state", "words"} <= set(objects())


def test_nothing_impure_is_called():
    own = set().union(*(symbols(path, "--defined-only") for path in objects().values()))
    wanted = {(name, symbol) for name, path in objects().items()
              for symbol in symbols(path, "--undefined-only")}
    assert {(name, symbol) for name, symbol in wanted if symbol not in own | ALLOWED} == set()


def test_the_check_sees_calls():
    """It would be green too if it saw none."""
    assert "vsnprintf" in symbols(objects()["explain"], "--undefined-only")
