"""Who wins the race: each row of the rule, with real programs."""
import pytest
from programs import CATCHES_TERM, ENDS_UNDER_TERM, IGNORES_TERM, SLEEPS, notices


def ended(server, eval_id):
    seen = server.wait(eval_id)
    stop = seen["cancellation"]
    return seen["status"], stop["outcome"] if stop else None, seen["exit_code"], seen["signal"]


# after a notice alone


@pytest.mark.parametrize("last,expected", [
    ("sys.exit(0)", ("succeeded", "finished_first", 0, None)),
    ("os.unlink(path)", ("cancelled", "stopped", 0, None)),
    ("os.unlink(path); sys.exit(3)", ("cancelled", "stopped", 3, None)),
    ("sys.exit(75)", ("cancelled", "stopped", 75, None)),
    ("os.kill(os.getpid(), 9)", ("cancelled", None, None, "SIGKILL")),
    ("sys.exit(3)", ("cancelled", None, 3, None)),
], ids=["exit-0", "word", "word-and-exit-3", "exit-75", "signal", "exit-3"])
def test_after_a_notice(server, last, expected):
    eval_id = server.start(notices(last))
    server.cancel(eval_id)
    status, outcome, code, signal = ended(server, eval_id)
    assert (status, code, signal) == (expected[0], *expected[2:])
    assert outcome == expected[1] or expected[1] is None and outcome != "finished_first"
    assert (server.show(eval_id)["cause"] == "user") == (status == "cancelled")


def test_a_new_file_in_its_place_is_no_word(server):
    """The removal is known by inode: a program can't undo it, and renaming over it is removal."""
    eval_id = server.start(notices(
        "os.rename(path, path + '.moved') if os.access(os.path.dirname(path), os.W_OK) else None\n"
        "sys.exit(0)"))
    server.cancel(eval_id)
    assert ended(server, eval_id)[0] in ("succeeded", "cancelled")


# after SIGTERM


@pytest.mark.parametrize("code,expected", [
    (SLEEPS, ("cancelled", "terminated", None, "SIGTERM")),
    (CATCHES_TERM.format(code=0), ("cancelled", "terminated", 0, None)),
    (CATCHES_TERM.format(code=9), ("cancelled", "terminated", 9, None)),
    (ENDS_UNDER_TERM.format(code=0), ("succeeded", "finished_first", 0, None)),
    (ENDS_UNDER_TERM.format(code=4), ("failed", "finished_first", 4, None)),
], ids=["dies", "catches-exit-0", "catches-exit-9", "not-caught-exit-0", "not-caught-exit-4"])
def test_after_sigterm(server, code, expected):
    eval_id = server.start(code)
    server.cancel(eval_id, {"terminate": True, "grace": 20})
    assert ended(server, eval_id) == expected


# after SIGKILL


@pytest.mark.parametrize("code", [SLEEPS, IGNORES_TERM], ids=["plain", "ignores-term"])
def test_after_sigkill(server, code):
    eval_id = server.start(code)
    server.kill(eval_id)
    assert ended(server, eval_id) == ("cancelled", "killed", None, "SIGKILL")


# close calls: whoever wins, status, outcome and what the program did must agree


MARKS = "print('ready'); import time; time.sleep({seconds}); print('finished')"


@pytest.mark.parametrize("stop", ["cancel", "terminate", "kill"])
@pytest.mark.deadline(120)
def test_close_calls_are_told_truly(server, stop):
    seen = set()
    for number in range(24):
        eval_id = server.start(MARKS.format(seconds=0.004 * number))
        if stop == "kill":
            server.kill(eval_id)
        else:
            server.cancel(eval_id, {"terminate": stop == "terminate"})
        status, outcome, code, signal = ended(server, eval_id)
        finished = "finished" in server.output(eval_id)
        if status == "succeeded":
            assert finished and code == 0 and outcome in (None, "finished_first")
        else:
            assert status == "cancelled" and code is None
            assert signal == {"terminate": "SIGTERM", "kill": "SIGKILL"}[stop]
        seen.add((status, outcome))
    print("seen:", sorted(map(str, seen)))


@pytest.mark.deadline(120)
def test_a_stop_right_after_submission_is_never_lost(server):
    seen = []
    for number in range(30):
        eval_id = server.submit("print('ran'); import time; time.sleep(600)")["eval_id"]
        server.kill(eval_id, {"wait": 30}).expect(200)
        ended_as = ended(server, eval_id)
        assert ended_as[0] == "cancelled"
        if ended_as[1] in ("removed", "discarded"):
            assert server.output(eval_id) == "", "it never ran, and yet it spoke"
        seen.append(ended_as[1])
    print("outcomes:", {outcome: seen.count(outcome) for outcome in sorted(set(seen))})
