"""From a spec to the program's first instruction, and what its end looks like."""
import os
import signal

import pytest
from wire import (ACK, EXITED, FAILED_START, FORGET, GONE, INSPECT, KILL, REFUSED,
                  RELEASE, RUNNING, SALVAGE, SENT_KILL, SENT_NONE, UNSTARTED, Closed)


def test_true(place):
    run = place.make("true").start()
    assert run.held.truth.pid > 0 and run.held.truth.pidns > 0
    assert run.do(RELEASE).kind == ACK
    assert run.until(RUNNING).truth.flags == 0
    exited = run.until(EXITED).truth
    assert (exited.exit_code, exited.exit_signal, exited.sent) == (0, 0, SENT_NONE)
    assert run.end().truth.unasked == 0
    assert run.forget() == 0
    assert not os.path.exists(run.folder)
    assert not run.cgroups()


def test_it_is_held_until_it_is_released(place):
    run = place.make("sh", "-c", "echo ran").start()
    assert run.do(INSPECT).kind == ACK
    assert run.output() == b""
    with pytest.raises(TimeoutError):
        run.receive(timeout=0.2)
    run.do(RELEASE)
    run.end()
    assert run.output() == b"ran\n"


@pytest.mark.parametrize("code", [0, 1, 75, 137, 255])
def test_exit_status(place, code):
    truth = place.make("sh", "-c", f"exit {code}").run().end().truth
    assert (truth.exit_code, truth.exit_signal) == (code, 0)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT"])
def test_its_own_signal(place, name):
    run = place.make("sh", "-c", f"kill -{name[3:]} $$").run()
    truth = run.end().truth
    assert (truth.exit_code, truth.exit_signal, truth.sent) == (
        -1, getattr(signal, name), SENT_NONE)


def test_no_such_program(place):
    run = place.make("no-such-program").run()
    assert run.end().truth.exit_code == 127
    assert run.output(2) == b"quell: cannot run 'no-such-program': No such file or directory\n"


def test_no_program_at_all(place):
    run = place.make("/work").run()
    assert run.end().truth.exit_code == 126


def test_arguments_and_environment_arrive_whole(place):
    odd = "a b\n\t$x '\"\\ \u00e9"
    run = place.make("python3", "-c", "import sys, os; print(ascii([sys.argv[1:], os.environ['ODD']]))",
                     odd, "", env=[f"ODD={odd}", "QUELL_EVAL_ID=forged", "LANG=C"])
    run.run().end()
    assert run.output(1).decode().strip() == ascii([[odd, ""], odd])


def test_environment(place):
    run = place.make("env", "-0", env=["HOME=/tmp", "QUELL_ATTEMPT=9"], eval_id="e.1:x", attempt=3)
    run.run().end()
    pairs = run.output(1).decode().split("\0")
    names = [pair.partition("=")[0] for pair in pairs]
    assert len(names) == len(set(names))
    assert {"QUELL_EVAL_ID=e.1:x", "QUELL_ATTEMPT=3", "HOME=/tmp", f"QUELL_RUN={run.name}",
            "QUELL_CHECKPOINT=/quell/checkpoint", "QUELL_CANCEL=/quell/cancel/notice"} <= set(pairs)


def test_code_is_in_the_working_folder(place):
    run = place.python("import os\nprint(os.getcwd(), sorted(os.listdir()))")
    run.run().end()
    assert run.output(1) == b"/work ['main.py']\n"


@pytest.mark.parametrize("wrong, says", [
    ({"memory_mb": 0}, "memory_mb can't be '0'"),
    ({"pids": "many"}, "pids can't be 'many'"),
    ({"code_name": "../main.py"}, "code_name can't be"),
    ({"instance": "UP/../x"}, "instance can't be"),
    ({"keep": "keep"}, "keep can't be 'keep'"),
    ({"keep": "/nowhere/keep"}, "make the keep folder /nowhere/keep"),
    ({"keep": "/etc/passwd"}, "open the keep folder /etc/passwd"),
    ({"what": "1"}, "a key that isn't known: 'what'"),
    ({"incarnation": "0123456789abcdef"}, "another run than its folder"),
    ({"checkpoint": "/nowhere.tar"}, "open /nowhere.tar"),
    ({"code_name": "main.py"}, "open code"),
])
def test_a_wrong_spec_is_refused(place, wrong, says):
    run = place.make("true", **wrong).spawn()
    told = run.receive()
    assert told.kind == FAILED_START and says in told.text.decode()
    assert run.do(RELEASE).kind == REFUSED
    assert run.forget() == 0
    assert not os.path.exists(run.folder)


def test_a_spec_without_a_program_is_refused(place):
    assert b"the spec has no argv" in place.make().spawn().receive().text


def test_a_cut_spec_is_refused(place):
    run = place.make("true")
    run.write("spec", b"incarnation=")
    assert b"cut short" in run.spawn().receive().text


@pytest.mark.root
def test_root_runs_nothing_as_root(place):
    assert b"--uid-base" in place.make("true", uid=0).spawn().receive().text


def test_killed_while_held_it_never_ran(place):
    run = place.make("sh", "-c", "echo ran").start()
    run.ask(KILL)
    exited = run.until(RUNNING, EXITED)
    assert exited.kind == EXITED and exited.truth.flags == UNSTARTED
    assert (exited.truth.exit_signal, exited.truth.sent) == (signal.SIGKILL, SENT_KILL)
    run.end()
    assert run.do(RELEASE).kind == REFUSED
    assert run.output() == b""


def test_killed_while_it_is_set_up(place):
    """Whether it came to be held is the clock's; that nothing of it is left is not."""
    for _ in range(10):
        run = place.make("sh", "-c", "echo ran").spawn()
        run.ask(KILL)
        told = run.until(FAILED_START, GONE)
        assert told.kind == GONE or b"killed before it was set up" in told.text
        assert run.output() == b"" and run.forget() == 0


def test_asks_are_fenced(place):
    run = place.make("sleep", "100").start()
    refused = run.do(KILL, incarnation=run.incarnation ^ 1)
    assert refused.kind == REFUSED and b"alone" in refused.text
    assert run.do(RELEASE, epoch=5).kind == ACK
    assert run.do(RELEASE, epoch=5).kind == ACK
    assert run.do(SALVAGE).kind == REFUSED
    assert run.do(FORGET).kind == REFUSED
    assert run.do(99).kind == REFUSED
    run.ask(KILL)
    run.end()


def test_a_message_of_another_version_ends_the_connection(place):
    run = place.make("sleep", "100").run()
    run.conn.send(b"x" * 100)
    with pytest.raises(Closed):
        run.until(GONE)
    run.connect().until(RUNNING)
    run.ask(KILL)
    run.end()


def test_inspect_tells_everything_again(place):
    run = place.make("sh", "-c", "echo 1; exit 3").run()
    run.end()
    run.do(SALVAGE)
    run.tells.clear()
    run.do(INSPECT)
    assert [tell.split("(")[0] for tell in run.tells] == [
        "RUNNING", "EXITED", "GONE", "SALVAGED", "ACK"]
