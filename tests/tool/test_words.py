"""Each word of the API stands once, in a .def table of src/core; whoever needs it asks words.h."""
import re

import pytest
import source

# Tables whose words are nobody else's: three of them as strings in one file are a second list.
TABLES = ["status", "outcome", "evidence", "rung"]
MOST = 2


def words(table):
    text = source.without_comments(source.read(f"src/core/{table}.def"))
    return {match for match in re.findall(r'X\(\w+,\s*"([^"]+)"', text)}


@pytest.mark.parametrize("table", TABLES)
def test_words_are_found(table):
    assert len(words(table)) > 3


@pytest.mark.parametrize("table", TABLES)
def test_no_second_list(table):
    second = []
    for path in source.files("src", ends=(".c", ".h")):
        text = source.without_comments(source.read(path))
        used = words(table) & set(re.findall(r'"([^"\n]*)"', text))
        if len(used) > MOST:
            second.append(f"{path}: {', '.join(sorted(used))}")
    assert not second


def test_states_are_told_by_the_table_of_fields():
    """The SQL columns grow from field_*.def; a hand-written list of them would drift."""
    fields = set(re.findall(r"X\(\w+, (\w+),", source.read("src/core/field_cancel.def")))
    second = []
    for path in source.files("src", ends=(".c", ".h", ".sql")):
        lists = re.findall(r"(?:\b\w+\b\s*,\s*){6,}", source.without_comments(source.read(path)))
        if any(len(fields & set(re.findall(r"\w+", text))) > 6 for text in lists):
            second.append(path)
    assert not second
