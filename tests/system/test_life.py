"""The server's own life: stopped, killed and started again without losing anything."""
import hashlib
import os
import pty
import re
import signal
import sqlite3
import subprocess

import pytest
from programs import IGNORES_TERM, SLEEPS, notices
from quell import BUILD, TOP, Server, eventually, left_behind, members, processes

COUNTS = """
import sys, time
for number in range(40):
    print(number, flush=True)
    time.sleep(0.05)
sys.exit(7)
"""
COUNTED = "".join(f"{number}\n" for number in range(40))


def runners(server):
    """Pids of the supervisors of a server's runs; each run's PID 1 is a child of one."""
    found = [pid for pid, line in processes()
             if "quell-runner" in line and f"{server.data}/run/" in line]
    return [pid for pid in found if parent(pid) not in found]


def parent(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL],
                         ids=lambda number: number.name)
def test_runs_go_on_without_the_server(make_server, number):
    server = make_server("--workers", "2")
    eval_id = server.start(COUNTS, ready="5\n")
    assert server.end(number) == (0 if number != signal.SIGKILL else -number)
    assert runners(server)
    server.again()
    assert server.show(eval_id)["attempt"] == 1
    seen = server.wait(eval_id)
    assert (seen["status"], seen["exit_code"]) == ("failed", 7)
    assert server.output(eval_id) == COUNTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_what_ended_meanwhile_is_settled_at_the_start(make_server, number):
    server = make_server("--workers", "2")
    eval_id = server.start("import time; print('ready'); time.sleep(1); print('end')")
    server.end(number)
    eventually(lambda: not members(eval_id), what="the program's end")
    server.again()
    seen = server.wait(eval_id)
    assert (seen["status"], seen["exit_code"]) == ("succeeded", 0)
    assert server.output(eval_id) == "ready\nend\n"


def test_the_queue_outlives_the_server(make_server):
    server = make_server("--workers", "0")
    ids = [server.submit("1", priority=number % 3)["eval_id"] for number in range(10)]
    server.cancel(ids[3]).expect(200)
    server.crash()
    server.again()
    for eval_id in ids:
        assert server.show(eval_id)["status"] == ("cancelled" if eval_id == ids[3] else "queued")


def test_an_answered_submission_is_durable(make_server):
    server = make_server("--workers", "0")
    for _ in range(5):
        eval_id = server.submit("1")["eval_id"]
        server.crash()
        server.again()
        assert server.show(eval_id)["status"] == "queued"


def test_an_answered_cancel_is_durable(make_server):
    server = make_server("--workers", "1")
    blocker = server.start(SLEEPS)
    for _ in range(3):
        eval_id = server.submit("print('ran')")["eval_id"]
        stop = server.cancel(eval_id).expect(200).json
        server.crash()
        server.again()
        assert server.show(eval_id)["cancellation"] == stop
    server.kill(blocker).expect(200)
    assert server.output(eval_id) == ""


def test_a_cancel_under_way_goes_on(make_server):
    server = make_server("--workers", "1")
    eval_id = server.start(notices("time.sleep(2); os.unlink(path)"))
    server.cancel(eval_id, {"reason": "across"}).expect(202)
    server.crash()
    server.again()
    seen = server.wait(eval_id)
    assert (seen["status"], seen["cancellation"]["outcome"]) == ("cancelled", "stopped")
    assert seen["cancellation"]["reason"] == "across"


def test_a_grace_goes_on_across_a_crash(make_server):
    server = make_server("--workers", "1")
    eval_id = server.start(IGNORES_TERM)
    server.cancel(eval_id, {"terminate": True, "grace": 1, "wait": 0}).expect(202)
    server.crash()
    server.again()
    seen = server.wait(eval_id)
    assert (seen["status"], seen["signal"]) == ("cancelled", "SIGKILL")
    assert seen["cancellation"]["stop_ms"] >= 900


def test_a_kill_meets_a_crash(make_server):
    server = make_server("--workers", "1")
    for _ in range(3):
        eval_id = server.start(SLEEPS)
        server.send("POST", f"/api/eval/{eval_id}/kill")
        server.crash()
        server.again()
        seen = server.show(eval_id)
        if seen["cancellation"] is None:  # it had not been read: nothing was promised
            server.kill(eval_id).expect(200)
        seen = server.wait(eval_id)
        assert (seen["status"], seen["signal"]) == ("cancelled", "SIGKILL")


def test_stop_runs_terminates_them_first(make_server):
    server = make_server("--workers", "3", "--stop-runs")
    ids = [server.start(SLEEPS), server.start(IGNORES_TERM, grace_s=0.3)]
    queued = server.submit(SLEEPS, queue="x")["eval_id"]
    assert server.end() == 0
    assert not runners(server)
    server.flags = ("--workers", "0")
    server.again()
    for eval_id in ids:
        assert server.wait(eval_id)["status"] == "cancelled"
    assert server.show(queued)["status"] in ("queued", "cancelled")


# supervisors and hosts die too


def test_a_killed_supervisor_loses_the_run(make_server):
    server = make_server("--workers", "1")
    eval_id = server.start(SLEEPS)
    (pid,) = runners(server)
    os.kill(pid, signal.SIGKILL)
    seen = server.wait(eval_id)
    assert (seen["status"], seen["cause"], seen["exit_code"]) == ("failed", "lost", None)
    assert seen["error"]
    assert server.output(eval_id) == "ready\n"
    server.run("pass")
    eventually(lambda: not left_behind(server.data), what="the end of its traces")


def test_a_supervisor_killed_under_a_stop_is_a_stop(make_server):
    server = make_server("--workers", "1")
    eval_id = server.start(SLEEPS)
    server.cancel(eval_id).expect(202)
    (pid,) = runners(server)
    os.kill(pid, signal.SIGKILL)
    seen = server.wait(eval_id)
    assert seen["status"] == "cancelled" and seen["cancellation"]["evidence"] == "verified"


def test_supervisor_and_server_killed(make_server):
    server = make_server("--workers", "1")
    eval_id = server.start(SLEEPS)
    (pid,) = runners(server)
    server.crash()
    os.kill(pid, signal.SIGKILL)
    server.again()
    seen = server.wait(eval_id)
    assert (seen["status"], seen["cause"]) == ("failed", "lost")


def test_a_stopped_supervisor_is_waited_for(make_server):
    server = make_server("--workers", "1")
    eval_id = server.start(SLEEPS)
    (pid,) = runners(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        stop = server.kill(eval_id).json
        assert stop["cancelled"] is False
        assert server.show(eval_id)["status"] == "cancelling"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert server.wait(eval_id)["status"] == "cancelled"


def test_a_run_without_a_record_is_swept(make_server):
    server = make_server("--workers", "1")
    server.start(SLEEPS)
    server.crash()
    for name in os.listdir(server.data):
        if name.startswith("quell.db"):
            os.unlink(f"{server.data}/{name}")
    server.again()
    eventually(lambda: not left_behind(server.data), what="the sweep")
    assert server.get("/api/evaluations").json["evaluations"] == []


# one folder, one server


def test_a_second_server_is_refused(make_server):
    server = make_server("--workers", "0")
    eval_id = server.submit("1")["eval_id"]
    status, said = Server("--workers", "0", data=server.data).refused()
    assert status == 1 and str(server.process.pid) in said and server.data in said
    assert server.show(eval_id)["status"] == "queued"


def test_a_taken_port_is_refused(make_server, tmp_path):
    server = make_server("--workers", "0")
    other = Server("--workers", "0", listen=f"127.0.0.1:{server.port}", data=str(tmp_path))
    status, said = other.refused()
    assert status == 1 and str(server.port) in said


@pytest.mark.parametrize("flags", [
    ["--no-such-flag"], ["--workers", "many"], ["--workers"], ["--data", "twice"],
    ["--auth", "maybe"], ["--keep", "soon"], ["--broker", "amqp://localhost"],
    ["--config", "/no/such/file"], ["stray"],
], ids=lambda flags: "_".join(flags).replace("/", "-"))
def test_bad_flags_are_usage_errors(tmp_path, flags):
    status, said = Server(*flags, data=str(tmp_path)).refused()
    assert status in (1, 2) and said.strip()
    assert len(said.strip().splitlines()) <= 3, "one sentence, not a page"


def test_settings_come_from_flag_environment_and_file(tmp_path):
    config = tmp_path / "config"
    config.write_text("# a comment\nworkers = 3\nmax-queued = 7\n")
    server = Server("--config", str(config), "--workers", "0", env={"QUELL_MAX_QUEUED": "2"})
    try:
        server.start()
        for _ in range(2):
            server.submit("1")
        problem = server.post("/api/eval", {"code": "1", "language": "python"}).problem(429)
        assert "2" in problem["detail"]
        assert any("no workers" in line for line in server.log)
    finally:
        server.close()


# the database


@pytest.fixture
def stopped(make_server):
    server = make_server("--workers", "0")
    server.submit("1")
    server.end()
    yield server


def digest(server):
    with open(f"{server.data}/quell.db", "rb") as database:
        return hashlib.sha256(database.read()).hexdigest()


def refuses_untouched(server, words):
    before = digest(server)
    status, said = Server("--workers", "0", data=server.data).refused()
    assert status == 1 and re.search(words, said), said
    assert "quell.db" in said and digest(server) == before


def test_a_damaged_database_is_refused_untouched(stopped):
    with open(f"{stopped.data}/quell.db", "r+b") as database:
        database.write(b"this is no database" * 100)
    refuses_untouched(stopped, "damaged|not a database|malformed")


def test_a_database_with_a_torn_page_is_refused_untouched(stopped):
    with open(f"{stopped.data}/quell.db", "r+b") as database:
        size = os.fstat(database.fileno()).st_size
        database.seek(4096)
        database.write(os.urandom(size - 4096))
    refuses_untouched(stopped, "damaged|malformed|corrupt")


def test_a_newer_database_is_refused_untouched(stopped):
    database = sqlite3.connect(f"{stopped.data}/quell.db")
    database.execute("PRAGMA user_version = 9999")
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    refuses_untouched(stopped, "newer|9999")


def test_somebody_elses_database_is_refused_untouched(tmp_path):
    database = sqlite3.connect(tmp_path / "quell.db")
    database.execute("CREATE TABLE theirs (x)")
    database.commit()
    database.close()
    before = (tmp_path / "quell.db").read_bytes()
    status, said = Server("--workers", "0", data=str(tmp_path)).refused()
    assert status == 1 and "quell.db" in said
    assert (tmp_path / "quell.db").read_bytes() == before


# make run


def test_ctrl_c_on_make_run(tmp_path):
    """In a terminal of its own: Ctrl-C reaches the server, and make adds no complaint."""
    if os.path.dirname(BUILD) != TOP:
        pytest.skip("the build folder is elsewhere")
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "QUELL_BOOTSTRAP": "skip", "MAKEFLAGS": ""}
        os.execve("/usr/bin/make", ["make", "-C", TOP, "--no-print-directory", "run",
                                    f"BUILD={os.path.basename(BUILD)}",
                                    f"ARGS=--listen 127.0.0.1:0 --workers 0 --data {tmp_path}"],
                  environment)
    said = b""
    while b"is ready at" not in said:
        said += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    try:
        while True:
            said += os.read(terminal, 4096)
    except OSError:
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    key = (tmp_path / "admin.key").read_bytes().strip()
    assert b"/#key=" + key in said, "a terminal is shown the page's link"
    assert b"SIGINT" in said
    assert b"***" not in said and b"Error" not in said, said


def test_the_version_is_told():
    ran = subprocess.run([f"{BUILD}/quell", "--version"], text=True, capture_output=True, check=True)
    assert re.fullmatch(r"quell \d+\.\d+\.\d+\n", ran.stdout)
