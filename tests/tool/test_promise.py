"""docs/promise.md says what src/core's tables and the golden traces say, no more and no less."""
import os
import re

import pytest
import source

PAGE = "docs/promise.md"
TRACES = "tests/core/traces"
SENT = {("NONE", "KILL"): "anything", ("NONE", "NONE"): "nothing",
        ("NOTICE", "KILL"): "a notice, or more", ("NOTICE", "NOTICE"): "notice",
        ("TERMINATE", "TERMINATE"): "SIGTERM", ("KILL", "KILL"): "SIGKILL"}


def rows_of(name):
    """The fields of each X() of a .def table but NONE."""
    text = source.without_comments(source.read(f"src/core/{name}.def"))
    rows = [re.findall(r'"[^"]*"|\w+', row) for row in re.findall(r"^X\((.*)\)", text, re.M)]
    return [[field.strip('"') for field in row] for row in rows if row[:2] != ["NONE", "NULL"]]


def table_of(first):
    """The cells of the page's table whose head begins with `first`, without their backquotes."""
    text = source.read(PAGE)
    found = re.search(rf"^\| {re.escape(first)}.*\n\|[-:| ]+\n((?:\|.*\n)+)", text, re.M)
    assert found, f"no table of {first}"
    return [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]]
            for line in found.group(1).splitlines()]


def steps():
    """(sentence, trace) of the table of all that can happen."""
    found = []
    for _is, _comes, says, traces in table_of("it is | what comes"):
        says, traces = says.split("<br>"), traces.split("<br>")
        assert len(says) == len(traces), says
        found += zip(says, traces)
    return found


def races():
    return table_of("| sent before the end")


def trace(name):
    return source.read(f"{TRACES}/{name}.trace")


def all_traces():
    return {name.removesuffix(".trace") for name in os.listdir(os.path.join(source.TOP, TRACES))}


@pytest.mark.parametrize("name,first", [("cause", "cause"), ("evidence", "evidence"),
                                        ("rung", "rung | what it does")])
def test_words_and_their_meanings(name, first):
    assert table_of(first) == [row[1:] for row in rows_of(name)]


def test_outcomes():
    wanted = [row[1:3] + [row[3].lower()] for row in rows_of("outcome")]
    assert table_of("outcome") == wanted


def test_statuses():
    told = [row[:3] for row in table_of("status")]
    assert told == [[word, celery, "yes" if settled == "1" else "no"]
                    for _name, word, celery, settled in rows_of("status")]


def test_modes():
    told = [row[:3] for row in table_of("mode")]
    assert told == [[word, low.lower(), top.lower()] for _name, word, low, top in rows_of("mode")]


def test_races_stand_in_the_order_in_which_they_are_judged():
    told = [[cells[0], cells[1], cells[3], cells[4], cells[5]] for cells in races()]
    assert told == [
        [str(number), SENT[low, high], "a finish" if ruling == "FINISH" else ruling.lower(),
         meaning, f"race_{row.lower()}"]
        for number, (row, low, high, _end, _fact, ruling, meaning) in enumerate(rows_of("race"), 1)]


@pytest.mark.parametrize("row", rows_of("race"), ids=lambda row: row[0].lower())
def test_each_race_has_a_trace_that_ends_so(row):
    text = trace(f"race_{row[0].lower()}")
    if "LOST" not in row[0]:  # where nobody tells of an exit, there is no sentence about it
        assert row[6] in text
    if row[5] == "FINISH":
        assert re.search(r"= done (succeeded|failed) ", text)
    else:
        assert f"outcome {row[5].lower()}" in text


def test_each_trace_is_named_and_no_other():
    named = {name for _sentence, name in steps()} | {cells[5] for cells in races()}
    named |= set(re.findall(rf"\(\.\./{TRACES}/(\w+)\.trace\)", source.read(PAGE)))
    assert named == all_traces()


@pytest.mark.parametrize("sentence,name", steps())
def test_sentences_are_quoted(sentence, name):
    wanted = ".*".join(re.escape(part) for part in sentence.split("…"))
    assert re.search(rf"^\t{wanted}$", trace(name), re.M), f"{name} never says: {sentence}"
