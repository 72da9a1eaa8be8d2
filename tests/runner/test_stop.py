"""Signals, what they meet, and the order in which both are told."""
import signal
import time

import pytest
from wire import (ACK, CATCHES_TERM, EXITED, KILL, NOTICE, REFUSED, RELEASE, SAID_STOPPED, SENT_KILL,
                  SENT_NONE, SENT_NOTICE, SENT_TERMINATE, TERMINATE, UNSTARTED)

CATCHES = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
print('ready')
while True:
    signal.pause()
"""


def wait_output(run, text, timeout=10):
    deadline = time.monotonic() + timeout
    while text not in run.output():
        assert time.monotonic() < deadline, f"it said {run.output()}"


def test_terminate(place):
    run = place.make("sleep", "100").run()
    assert run.do(TERMINATE).kind == ACK
    truth = run.end().truth
    assert (truth.exit_signal, truth.sent, truth.flags) == (signal.SIGTERM, SENT_TERMINATE, 0)


def test_terminate_of_one_that_catches_it(place):
    run = place.python(CATCHES.format(code=5)).run()
    wait_output(run, b"ready")
    run.do(TERMINATE)
    truth = run.end().truth
    assert (truth.exit_code, truth.sent, truth.flags) == (5, SENT_TERMINATE, CATCHES_TERM)


def test_stopped_by_its_own_word(place):
    run = place.python(CATCHES.format(code=75)).run()
    wait_output(run, b"ready")
    run.do(TERMINATE)
    assert run.end().truth.flags == CATCHES_TERM | SAID_STOPPED


def test_terminate_then_kill(place):
    run = place.make("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done").run()
    wait_output(run, b"ready")
    run.do(TERMINATE)
    with pytest.raises(TimeoutError):
        run.until(EXITED, timeout=0.3)
    run.do(KILL)
    truth = run.end().truth
    assert (truth.exit_signal, truth.sent) == (signal.SIGKILL, SENT_KILL)
    assert truth.flags == 0  # ignored isn't caught


def test_terminate_reaches_a_stopped_program(place):
    run = place.python("import os, signal\nprint('ready')\nos.kill(os.getpid(), signal.SIGSTOP)").run()
    wait_output(run, b"ready")
    run.do(TERMINATE)
    assert run.end().truth.exit_signal == signal.SIGTERM


def test_terminate_while_held(place):
    run = place.make("sh", "-c", "echo ran").start()
    run.do(TERMINATE)
    truth = run.end().truth
    assert (truth.exit_signal, truth.flags) == (signal.SIGTERM, UNSTARTED)
    assert run.output() == b""


def test_a_terminate_is_sent_once_for_its_epoch(place):
    run = place.python("""
import os, signal
def count(*_):
    os.write(1, b'term\\n')
signal.signal(signal.SIGTERM, count)
os.write(1, b'ready\\n')
while True:
    signal.pause()
""").run()
    wait_output(run, b"ready\n")
    for _ in range(3):
        assert run.do(TERMINATE, epoch=100).kind == ACK
        wait_output(run, b"ready\nterm\n")
    run.do(TERMINATE, epoch=101)
    wait_output(run, b"ready\nterm\nterm\n")
    run.do(KILL)
    run.end()
    assert run.output() == b"ready\nterm\nterm\n"


def test_what_is_asked_after_the_end_is_refused(place):
    run = place.make("true").run()
    assert run.end().truth.sent == SENT_NONE
    assert b"has ended" in run.do(TERMINATE).text
    assert run.do(RELEASE, epoch=500).kind == REFUSED
    assert run.do(KILL).kind == ACK


def test_the_order_of_exit_and_kill_is_true(place):
    """Around the exit: either it was seen before the signal, or it wasn't and died by it."""
    seen = set()
    for round_ in range(30):
        run = place.make("sh", "-c", "exit 3", pids=8).run()
        end = time.monotonic() + round_ * 0.0002
        while time.monotonic() < end:
            pass
        run.ask(KILL)
        truth = run.end().truth
        seen.add((truth.exit_code, truth.exit_signal, truth.sent))
        assert run.forget() == 0
    assert seen <= {(3, 0, SENT_NONE), (3, 0, SENT_KILL), (-1, signal.SIGKILL, SENT_KILL)}
    assert seen


def test_kill_is_told_within_its_exit(place):
    run = place.make("sleep", "100").run()
    run.ask(KILL)
    assert run.until(EXITED).truth.sent == SENT_KILL
    run.end()


SPENDS = """
import os, time
def spend(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
spend(0.1)
print('first', flush=True)
while not os.path.exists(os.environ['QUELL_CANCEL']):
    time.sleep(0.005)
spend(0.2)
print('second', flush=True)
time.sleep(100)
"""


def test_processor_time_before_and_after_the_stop(place):
    run = place.python(SPENDS).run()
    wait_output(run, b"first")
    run.do(NOTICE, text=b"{}")
    wait_output(run, b"second", timeout=30)
    run.do(KILL)
    truth = run.end().truth
    assert truth.cpu_burnt_us >= 200_000
    assert truth.cpu_us >= truth.cpu_burnt_us + 100_000


def test_processor_time_of_one_that_nobody_stopped(place):
    loop = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"
    truth = place.make("sh", "-c", loop).run().end().truth
    assert truth.cpu_us > 0 and truth.cpu_burnt_us == 0
