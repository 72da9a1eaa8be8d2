"""`quell run`: the streams, the exit statuses, the Ctrl-C ladder, and a server that goes away."""
import json
import os
import queue
import signal
import subprocess

import pytest
from conftest import QUELL, Answer, evaluation, problem, text

WATCH = "GET /api/eval/e1?wait=60"
OUT = "GET /api/eval/e1/output?stream=stdout&offset="
ERR = "GET /api/eval/e1/output?stream=stderr&offset="
FOLLOW = "&follow=true"


class Script:
    """A whole run: what it prints, and how it ends once `end` is opened."""

    def __init__(self, server, gate, out=b"", err=b"", **members):
        self.end = gate()
        ended = evaluation(**{"status": "succeeded", "exit_code": 0,
                              "started_at": "2026-01-02T03:04:05.678Z",
                              "finished_at": "2026-01-02T03:04:06.878Z", **members})

        def held():
            self.end.wait()
            return Answer(200, ended)

        server.on("POST /api/eval", Answer(201, evaluation()))
        server.on(WATCH, held)
        server.on(OUT + "0" + FOLLOW, text(out, self.end.wait) if out else text(self.end.wait))
        server.on(ERR + "0" + FOLLOW, text(err, self.end.wait) if err else text(self.end.wait))
        server.on(OUT + str(len(out)), text())
        server.on(ERR + str(len(err)), text())


@pytest.fixture
def start(server, environment):
    """Starts it; what is left of it at the end is killed."""
    started = []

    def run(*args, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        started.append(subprocess.Popen(
            [QUELL, *args], env={**environment, "QUELL_URL": server.url}, **options))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def finish(process):
    out, err = process.communicate(timeout=20)
    return process.returncode, out.decode(), err.decode()


def test_both_streams_and_the_last_line(server, gate, start):
    Script(server, gate, b"to stdout\n", b"to stderr\n", exit_code=3, status="failed",
           cause="exit").end.open()
    status, out, err = finish(start("run", "--", "prog"))
    assert status == 3
    assert out == "to stdout\n"
    assert err == ("quell: submitted as e1; Ctrl-C cancels it\nto stderr\n"
                   "quell: e1 failed: exit 3 after 1.2s\n")


def test_output_is_shown_as_it_comes(server, gate, start):
    script = Script(server, gate, b"first\n")
    process = start("run", "-q", "--", "prog")
    assert process.stdout.readline() == b"first\n"
    script.end.open()
    assert finish(process) == (0, "", "")


@pytest.mark.parametrize("members,status", [
    ({"exit_code": 0}, 0),
    ({"exit_code": 75, "status": "cancelled"}, 75),
    ({"exit_code": None, "signal": "SIGTERM", "status": "cancelled", "cause": "user"}, 143),
    ({"exit_code": None, "signal": "SIGKILL", "status": "failed", "cause": "oom"}, 137),
    ({"exit_code": None, "status": "cancelled", "started_at": None}, 125),
    ({"exit_code": None, "status": "failed", "cause": "lost", "error": "its host died"}, 125),
])
def test_exit_status_is_the_programs(server, gate, start, members, status):
    Script(server, gate, **members).end.open()
    code, _, err = finish(start("run", "-q", "--", "prog"))
    assert code == status
    assert bool(err) == (status == 125)
    assert members.get("error", "") in err


def test_unconfirmed_does_not_wait_for_its_streams(server, gate, start):
    never = gate()
    script = Script(server, gate, status="unconfirmed", exit_code=None)
    server.on(OUT + "0" + FOLLOW, text(b"part", never.wait))
    server.on(OUT + "4", text(b" more"))
    process = start("run", "-q", "--", "prog")
    assert process.stdout.read(4) == b"part"
    script.end.open()
    code, out, err = finish(process)
    never.open()
    assert (code, out) == (125, " more")
    assert "e1 unconfirmed" in err


def test_json_prints_the_end_alone(server, gate, start):
    Script(server, gate, b"output", exit_code=4, status="failed").end.open()
    status, out, _ = finish(start("run", "--json", "-q", "--", "prog"))
    assert status == 4
    assert json.loads(out)["exit_code"] == 4
    assert not [line for line in server.lines() if "/output" in line]


def test_a_refused_submission_is_quells_failure(server, start):
    server.on("POST /api/eval", problem(422, "language must be one of python, bash"))
    assert finish(start("run", "--", "prog")) == (
        125, "", "quell: language must be one of python, bash\n")


def test_no_server_is_quells_failure(start):
    status, _, err = finish(start("run", "--url", "http://127.0.0.1:1", "--", "prog"))
    assert status == 125
    assert "cannot reach the server" in err


def stops(server):
    return [(line.rsplit("/", 1)[1], body.get("terminate", False))
            for line, body in server.requests if line.startswith("POST /api/eval/e1/")]


def line_of(process):
    return process.stderr.readline().decode()


def test_the_ladder(server, gate, start):
    script = Script(server, gate, b"ready\n", status="cancelled", exit_code=None, signal="SIGKILL",
                    cause="user")
    heard = queue.Queue()
    for what in ("cancel", "kill"):
        server.on(f"POST /api/eval/e1/{what}", lambda: heard.put(True) or Answer(202, {}))
    process = start("run", "--", "prog")
    assert process.stdout.readline() == b"ready\n"
    assert "submitted as e1" in line_of(process)
    for says in ["cancelling e1; Ctrl-C again forces it, a third time kills it",
                 "terminating e1; Ctrl-C again kills it",
                 "killing e1; Ctrl-C again leaves it to the server"]:
        process.send_signal(signal.SIGINT)
        assert line_of(process) == f"quell: {says}\n"
        heard.get(timeout=20)
    script.end.open()
    status, _, err = finish(process)
    assert status == 137
    assert err == "quell: e1 cancelled (user): SIGKILL after 1.2s\n"
    assert stops(server) == [("cancel", False), ("cancel", True), ("kill", False)]


def test_a_fourth_leaves(server, gate, start):
    script = Script(server, gate, b"ready\n")
    server.on("POST /api/eval/e1/cancel", Answer(202, {}))
    server.on("POST /api/eval/e1/kill", Answer(202, {}))
    process = start("run", "-q", "--", "prog")
    assert process.stdout.readline() == b"ready\n"
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        line_of(process)
    process.send_signal(signal.SIGINT)
    status, _, err = finish(process)
    script.end.open()
    assert status == 125
    assert "left e1 to the server; its stop goes on. To see how: quell doctor e1" in err


def test_sigterm_forces(server, gate, start):
    script = Script(server, gate, b"ready\n", status="cancelled", exit_code=None, signal="SIGTERM")
    server.on("POST /api/eval/e1/cancel", lambda: script.end.open() or Answer(202, {}))
    process = start("run", "--", "prog")
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert finish(process)[0] == 143
    assert stops(server) == [("cancel", True)]


def test_a_stop_that_came_too_late_is_no_failure(server, gate, start):
    script = Script(server, gate, b"ready\n")
    server.on("POST /api/eval/e1/cancel",
              lambda: script.end.open() or problem(409, "it had finished"))
    process = start("run", "-q", "--", "prog")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == 0
    assert "finished" not in err


def test_a_refused_stop_is_said(server, gate, start):
    script = Script(server, gate, b"ready\n")
    server.on("POST /api/eval/e1/cancel", problem(403, "not from there"))
    process = start("run", "-q", "--", "prog")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert "cancelling e1" in line_of(process)
    assert line_of(process) == "quell: the stop was refused: not from there\n"
    script.end.open()
    assert finish(process)[0] == 0


def test_ctrl_c_during_the_submission_is_kept(server, gate, start):
    """What was submitted is known and stopped: it isn't left behind by an early Ctrl-C."""
    asked, go = gate(), gate()
    script = Script(server, gate, status="cancelled", exit_code=None, started_at=None)

    def slowly():
        asked.open()
        go.wait()
        return Answer(201, evaluation())

    server.on("POST /api/eval", slowly)
    server.on("POST /api/eval/e1/cancel", lambda: script.end.open() or Answer(200, {}))
    process = start("run", "--", "prog")
    asked.wait()
    process.send_signal(signal.SIGINT)
    go.open()
    assert finish(process)[0] == 125
    assert stops(server) == [("cancel", False)]


def test_a_reader_that_leaves_ends_it(server, gate, start):
    script = Script(server, gate, b"ready\n")
    process = start("run", "--", "prog")
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    assert process.wait(20) == 125
    script.end.open()
    assert "e1 goes on (quell logs -f e1): standard output was closed" in \
        process.stderr.read().decode()


def test_a_slow_reader_does_not_deafen_it(server, gate, start):
    """The pipe is full and nobody reads, yet Ctrl-C is heard; then every byte comes in order."""
    size = 1 << 20
    output = bytes(i * 7 % 251 for i in range(size))
    script = Script(server, gate, output, status="cancelled", exit_code=0)
    server.on("POST /api/eval/e1/cancel", lambda: script.end.open() or Answer(202, {}))
    process = start("run", "-q", "--", "prog")
    first = os.read(process.stdout.fileno(), 1)
    process.send_signal(signal.SIGINT)
    assert "cancelling e1" in line_of(process)
    script.end.wait()
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert first + out == output


def test_a_full_disk_is_said(server, gate, start):
    script = Script(server, gate, b"ready\n")
    with open("/dev/full", "wb") as full:
        process = start("run", "-q", "--", "prog", stdout=full)
    status = process.wait(20)
    script.end.open()
    assert status == 125
    assert b"cannot write to standard output: No space left on device" in process.stderr.read()


def test_a_server_that_comes_back_is_taken_up_where_it_was_lost(server, gate, start):
    script = Script(server, gate, b"0123456789")
    server.on(OUT + "0" + FOLLOW, text(b"0123", torn=True))
    server.on(OUT + "4" + FOLLOW, Answer(503, {"detail": "stopping"}),
              text(b"456", script.end.wait))
    server.on(OUT + "7", text(b"789"))
    server.on("GET /api/eval/e1?wait=0", evaluation(status="running"))
    process = start("run", "--", "prog")
    assert process.stdout.read(7) == b"0123456"
    script.end.open()
    status, out, err = finish(process)
    assert (status, out) == (0, "789")
    assert f"the server at {server.url} went away; trying again for 10 s\n" in err
    assert "the server is back\n" in err


def test_a_server_that_stays_away_is_given_up(server, gate, start):
    script = Script(server, gate)
    server.on(OUT + "0" + FOLLOW, text(b"ready\n", script.end.wait, torn=True))
    server.on(ERR + "0" + FOLLOW, text(script.end.wait, torn=True))
    server.on(WATCH, text(script.end.wait, torn=True))
    process = start("run", "--", "prog")
    assert process.stdout.readline() == b"ready\n"
    server.shutdown()
    server.server_close()
    script.end.open()
    status, _, err = finish(process)
    assert status == 125
    assert f"the server at {server.url} went away; e1 goes on without it. " \
        "Once it is back: quell logs -f e1" in err


def test_it_holds_no_more_than_it_must(server, gate, start):
    """10 MiB through a pipe that is read slowly: its memory stays small."""
    output = os.urandom(1 << 20) * 10
    Script(server, gate, output).end.open()
    process = start("run", "-q", "--", "prog")
    got = process.stdout.read(1 << 20)
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        kilobytes = int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    got += process.stdout.read()
    assert process.wait(20) == 0
    assert got == output
    assert kilobytes < 64 * 1024
