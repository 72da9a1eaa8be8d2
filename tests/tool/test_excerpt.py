"""What tools/test shows of a failed test: its assertion, however long the logs are; and what a second run makes of it."""
import importlib.machinery
import importlib.util
import os

import source

LOG = [f"# worker: line {i}" for i in range(1000)]
PLAN = ["1..2"]


def load():
    loader = importlib.machinery.SourceFileLoader("tool", os.path.join(source.TOP, "tools", "test"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tool", loader))
    loader.exec_module(module)
    return module


TOOL = load()
MOST = TOOL.FIRST + TOOL.BEFORE + TOOL.AFTER + TOOL.TAIL


def shown(lines, command, errors=()):
    results = TOOL.Results()
    results.add({"name": "quell:x / y", "result": "FAIL", "stdout": "\n".join(lines),
                 "stderr": "\n".join(errors), "command": command}, "")
    assert all(len(text) <= 2 * MOST for _, text in results.failed)
    return results, ["\n".join(text) for _, text in results.failed]


def test_pytest_says_why_before_its_result():
    one = ["# >       assert status == 200", "# E       assert 503 == 200", "# test_x.py:5: AssertionError"]
    other = ["# >       assert name == 'x'", "# E       assert 'y' == 'x'", "# test_x.py:9: AssertionError"]
    results, texts = shown([*PLAN, *one, *LOG, "not ok 1 - test_one", *other, *LOG, "not ok 2 - test_other"],
                           ["tests/run-pytest", "test_x.py"])
    assert [name for name, _ in results.failed] == ["x / y: test_one", "x / y: test_other"]
    for text, mine, others in zip(texts, (one, other), (other, one)):
        assert all(line in text for line in mine) and not any(line in text for line in others)
        assert "line 999" in text and "line 500" not in text and "[…]" in text


def test_a_deep_trace_keeps_the_assertion():
    frames = [line for i in range(100) for line in (f"# >   call({i})", f"# file.py:{i}: ", "# _ _ _")]
    _, texts = shown([*PLAN, *frames, "# E   TimeoutError: not done", *LOG, "not ok 1 - test_one"],
                     ["tests/run-pytest", "test_x.py"])
    assert "# E   TimeoutError: not done" in texts[0] and "call(0)" in texts[0]


def test_cmocka_says_why_after_its_result():
    lines = [*PLAN, "not ok 1 - one", "# 0x1 != 0x2", "# x.c:7: error: Failure!", "ok 2 - two",
             "not ok 3 - three", "# 0x3 != 0x4", "# x.c:9: error: Failure!", "# not ok - tests"]
    _, texts = shown(lines, ["build/tests/x"], LOG)
    assert "0x1 != 0x2" in texts[0] and "x.c:7" in texts[0] and "x.c:9" not in texts[0]
    assert "0x3 != 0x4" in texts[1] and "x.c:9" in texts[1] and "x.c:7" not in texts[1]
    assert all("line 999" in text for text in texts)


def test_node_says_why_in_lines_below():
    lines = ["TAP version 13", "# Subtest: one", "not ok 1 - one", "  ---", "  error: 'no button'", "  ...",
             "# Subtest: two", "    # Subtest: inside", "    ok 1 - inside", "ok 2 - two", *LOG]
    _, texts = shown(lines, ["tests/web/run", "page.test"])
    assert len(texts) == 1 and "no button" in texts[0] and "Subtest: two" not in texts[0]


def test_a_program_that_ends_early_shows_what_the_sanitizer_saw():
    errors = ["==1==ERROR: LeakSanitizer: detected memory leaks", "", "Direct leak of 8 byte(s)", "#0 calloc",
              "#1 open_all serve.c:1", *LOG]
    results, texts = shown(["1..1", "ok 1 - one"], ["build/tests/x"], errors)
    assert results.passed == 1 and "(fail)" in results.failed[0][0]
    assert "open_all" in texts[0] and "line 999" in texts[0]


def entry(result, line, suites="celery_system"):
    return {"name": f"quell:{suites} / y", "result": result, "stdout": f"1..1\n{line}", "stderr": "",
            "command": ["tests/run-pytest", "test_x.py"]}


FAILED, HELD = entry("FAIL", "# E   no answer\nnot ok 1 - one"), entry("OK", "ok 1 - one")


def ran(monkeypatch, first, second):
    tries = [first, *([one] for one in second)]
    monkeypatch.setattr(TOOL, "attempt", lambda *args: tries.pop(0))
    results = TOOL.Results()
    TOOL.run(results, "build-test", [])
    assert not tries
    return results


def test_what_starved_beside_others_is_named_and_told(monkeypatch, capsys):
    results = ran(monkeypatch, [FAILED], [HELD])
    assert (results.passed, results.failed) == (1, [])
    results.show("FLAKY", results.flaky)
    assert "FLAKY  celery_system / y: one" in (said := capsys.readouterr().out) and "no answer" in said


def test_what_fails_by_itself_too_has_failed(monkeypatch):
    results = ran(monkeypatch, [FAILED], [FAILED])
    assert (results.passed, len(results.failed), results.flaky) == (0, 1, [])


def test_no_second_run_for_what_is_all_ours_nor_for_many(monkeypatch):
    assert len(ran(monkeypatch, [entry("FAIL", "not ok 1 - one", "core")], []).failed) == 1
    assert len(ran(monkeypatch, [FAILED] * (TOOL.AGAIN_MAX + 1), []).failed) == TOOL.AGAIN_MAX + 1
