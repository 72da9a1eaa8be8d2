"""Servers that go away, supervisors that are killed, and what is left of a run then: nothing."""
import fcntl
import os
import random
import stat
import subprocess
import time

import pytest
from test_hostile import BOMB, DAEMONS
from test_stop import wait_output
from wire import (ACK, EXITED, FAILED_START, FORGET, GONE, HELD, INSPECT, KILL, LOST, OUTPUT,
                  REFUSED, RELEASE, RUNNING, SALVAGE, SALVAGED, TERMINATE, UNSTARTED, read)


def is_locked(run):
    with open(f"{run.folder}/lock", "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_another_server_takes_it_up(place):
    run = place.make("sh", "-c", "echo 1; sleep 100").run()
    wait_output(run, b"1\n")
    run.conn.close()
    assert run.connect().until(RUNNING, EXITED).kind == RUNNING
    assert run.do(TERMINATE).kind == ACK
    assert run.end().truth.exit_signal == 15


def test_what_ended_meanwhile_is_told(place):
    run = place.make("sh", "-c", "echo words; exit 7").start()
    run.ask(RELEASE)
    run.conn.close()
    while b"words" not in run.output():
        pass
    told = run.connect().end()
    assert (told.truth.exit_code, told.truth.output_bytes) == (7, 6)
    run.do(SALVAGE)
    again = run.connect()
    again.tells.clear()
    again.until(SALVAGED)
    assert [tell.split("(")[0] for tell in again.tells] == ["RUNNING", "EXITED", "GONE", "SALVAGED"]


def test_the_newest_connection_counts(place):
    run = place.make("sleep", "100").run()
    run.connect().until(RUNNING)
    first, run.conn = run.conn, None
    run.connect().until(RUNNING)
    assert first.recv(1) == b""
    first.close()
    run.ask(KILL)
    run.end()


def test_a_held_run_stays_held(place):
    run = place.make("echo", "ran").start()
    run.conn.close()
    assert run.connect().until(HELD, RUNNING).kind == HELD
    assert run.output() == b""
    run.do(RELEASE)
    assert run.end().truth.exit_code == 0


def test_a_server_that_does_not_read_is_dropped_and_told_later(place):
    run = place.python("for i in range(3000): print(i, flush=True)").run()
    epochs = 0
    try:
        for epochs in range(100000):
            run.conn.setblocking(False)
            run.ask(INSPECT)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    assert run.connect().end().truth.exit_code == 0 and epochs


def test_the_lock_is_held_while_it_lives(place):
    run = place.make("sleep", "100").run()
    assert is_locked(run)
    run.kill_supervisor()
    assert not is_locked(run)


def test_the_program_has_no_hold_on_the_lock(place):
    run = place.make("sh", "-c", "sleep 100 & echo ready; wait").run()
    wait_output(run, b"ready")
    for pid in read_members(run):
        open_files = subprocess.run(["ls", "-l", f"/proc/{pid}/fd"], capture_output=True,
                                    check=False).stdout
        assert place.folder.encode() not in open_files
    run.do(KILL)
    run.end()


def read_members(run):
    namespace = f"pid:[{run.held.truth.pidns}]"
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") == namespace:
                found.append(int(pid))
        except OSError:
            pass
    assert len(found) >= 2
    return found


def test_signals_of_a_terminal_or_an_init_do_not_end_it(place):
    run = place.make("sleep", "100").run()
    for number in (1, 2, 3, 13, 15):
        if number != 3:
            os.kill(run.process, number)
    assert run.do(INSPECT).kind == ACK
    run.do(KILL)
    run.end()


def test_forget_leaves_nothing(place):
    run = place.make("true").run()
    run.end()
    assert run.forget() == 0
    assert not os.path.exists(run.folder)
    assert run.cgroups() == [] and run.processes() == []
    assert not os.path.exists(run.keep)


def test_forget_that_fails_says_so_and_can_be_asked_again(place):
    run = place.make("true").run()
    run.end()
    os.mkdir(f"{run.folder}/foreign")
    assert run.do(FORGET).kind == REFUSED
    os.rmdir(f"{run.folder}/foreign")
    assert run.forget() == 0
    assert not os.path.exists(run.folder)


def test_what_it_writes_is_private(place):
    run = place.make("sh", "-c", "echo x; echo y > $QUELL_CHECKPOINT/z").run()
    run.end()
    run.do(SALVAGE)
    assert sorted(os.listdir(run.keep)) == ["checkpoint.tar", "index", "output"]
    assert stat.S_IMODE(os.stat(run.keep).st_mode) == 0o700
    for path in [os.path.join(folder, name) for folder in (run.folder, run.keep)
                 for name in os.listdir(folder)]:
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0 or path.endswith("spec"), path


PROGRAMS = [["sleep", "100"], ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]]


def kill_and_recover(place, argv, delay, code=None):
    """SIGKILL to the supervisor some time after its start; then everything must die by itself."""
    run = place.make(*argv, code=code) if code else place.make(*argv)
    run.spawn()
    end = time.monotonic() + delay
    while time.monotonic() < end:
        pass
    run.ask(RELEASE)
    run.kill_supervisor()
    assert run.wait_nothing() == []
    told = run.spawn("recover").until(GONE, FAILED_START)
    assert run.output() == b"" or told.kind == GONE
    assert run.forget() == 0
    assert not os.path.exists(run.folder) and run.cgroups() == []
    return told


@pytest.mark.deadline(120)
def test_a_killed_supervisor_leaves_nothing(place):
    """At forty moments from before its first instruction to well after the program's."""
    dice = random.Random(1)
    kinds = []
    for i in range(40):
        delay = dice.uniform(0, 0.03) if i % 4 else dice.uniform(0, 0.2)
        told = kill_and_recover(place, PROGRAMS[i % 2], delay)
        kinds.append((told.kind, told.truth.flags))
        if told.kind == GONE:
            assert told.truth.flags & LOST
    print(sorted(kinds))


@pytest.mark.parametrize("code", [DAEMONS + "signal.pause()", BOMB], ids=["daemons", "bomb"])
def test_a_killed_supervisor_takes_hostile_programs_along(place, code):
    run = place.python(code, pids=40).run()
    wait_output(run, b"ready")
    run.kill_supervisor()
    assert run.wait_nothing() == []
    told = run.spawn("recover").end()
    assert told.truth.flags == LOST and told.truth.exit_code == -1
    assert told.truth.output_bytes == len(run.output()) > 0
    assert run.forget() == 0


def test_recover_knows_what_was_held(place):
    run = place.make("echo", "ran").start()
    run.kill_supervisor()
    assert run.spawn("recover").until(RUNNING, EXITED).truth.flags == LOST | UNSTARTED
    run.end()
    assert run.do(RELEASE).kind == REFUSED
    assert run.output() == b""


def test_recover_of_an_exit_that_was_seen(place):
    run = place.make("sh", "-c", "echo x > $QUELL_CHECKPOINT/y; exit 9").run()
    run.end()
    run.do(SALVAGE)
    run.kill_supervisor()
    told = run.spawn("recover").until(SALVAGED)
    assert (told.truth.exit_code, told.truth.flags & LOST) == (9, 0)
    assert told.truth.checkpoint_bytes == os.path.getsize(f"{run.keep}/checkpoint.tar")
    assert run.forget() == 0


def test_without_a_server_it_keeps_all_and_ends(place):
    run = place.make("sh", "-c", "echo x > $QUELL_CHECKPOINT/y; exit 9", linger_ms=100).start()
    run.ask(RELEASE)
    run.conn.close()
    assert run.wait_process() == 0
    assert run.cgroups() == [] and run.processes() == []
    told = run.spawn("recover").until(SALVAGED)
    assert (told.truth.exit_code, told.truth.flags & LOST) == (9, 0)
    assert told.truth.checkpoint_bytes == os.path.getsize(f"{run.keep}/checkpoint.tar")
    assert run.forget() == 0


def test_it_waits_while_it_runs(place):
    run = place.make("sleep", "100", linger_ms=1).run()
    run.conn.close()
    with pytest.raises(AssertionError):
        run.wait_process(timeout=0.3)
    run.connect().ask(KILL)
    run.end()


def test_recover_of_one_that_was_never_made(place):
    run = place.make("true")
    told = run.spawn("recover").receive()
    assert told.kind == FAILED_START
    assert run.forget() == 0 and not os.path.exists(run.folder)


def test_recover_twice(place):
    run = place.make("sleep", "100").run()
    for _ in range(2):
        run.kill_supervisor()
        assert run.spawn("recover").end().truth.flags == LOST
    assert run.do(SALVAGE).kind == ACK
    assert run.forget() == 0


def test_recover_after_a_restart_of_the_host(place):
    """Another boot id: nothing of it can be alive, whoever has its pids now."""
    run = place.make("sleep", "100").run()
    run.kill_supervisor()
    assert run.wait_nothing() == []
    text = read(f"{run.folder}/status")
    boot = read("/proc/sys/kernel/random/boot_id").strip()
    assert boot in text
    run.write("status", text.replace(boot, b"00000000-0000-4000-8000-000000000000"))
    truth = run.spawn("recover").end().truth
    assert truth.flags == LOST and truth.unasked == 0
    assert run.forget() == 0


@pytest.mark.parametrize("keep", [0, 100, 1600])
def test_recover_of_a_damaged_status(place, keep):
    """What the host's crash left of it: it may have run, and is found by its name."""
    run = place.make("sleep", "100").run()
    group = run.cgroups()
    run.kill_supervisor()
    assert run.wait_nothing() == [] and len(group) == len(run.cgroups())
    run.write("status", read(f"{run.folder}/status")[:keep])
    assert run.spawn("recover").end().truth.flags == LOST
    assert run.forget() == 0 and run.cgroups() == []


def test_without_the_lock_nothing_is_started(place):
    run = place.make("true")
    run.spawn()
    run.until(HELD)
    with open(f"{run.folder}/lock", "rb") as other:
        pid = os.posix_spawn(run_path(), [run_path(), "start", run.folder], {},
                             file_actions=[(os.POSIX_SPAWN_DUP2, other.fileno(), 3),
                                           (os.POSIX_SPAWN_DUP2, other.fileno(), 4)])
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    run.do(KILL)
    run.end()


def run_path():
    from wire import RUNNER
    return RUNNER
