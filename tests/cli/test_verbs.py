"""Each verb: the exact request, what it prints for people and with --json, and its exit status."""
import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import termios
import threading

import pytest
from conftest import QUELL, Answer, cancellation, evaluation, problem, text


def created(**members):
    return Answer(201, evaluation(**members))


# ---- submit ----

def test_submit_sends_a_file_in_its_language(quell, server, tmp_path):
    server.on("POST /api/eval", created())
    (tmp_path / "x.py").write_text("print('€')\n")
    assert quell("submit", "x.py", cwd=tmp_path) == (0, "e1\n", "")
    assert server.requests == [
        ("POST /api/eval", {"language": "python", "code": "print('€')\n"})]


def test_submit_sends_every_option(quell, server):
    server.on("POST /api/eval", created())
    status, _, _ = quell(
        "submit", "--id", "e1", "-e", "A=1", "--env", "B=x=y", "--label", "k=v", "--queue", "gpu",
        "--priority", "9", "--timeout", "5m", "--queue-ttl=250ms", "--grace", "2", "-m", "1G",
        "--pids", "16", "--cpus", "0.5", "--session", "s", "--supersedes", "main", "--image", "i",
        "--idempotency-key", "once", "--", "sh", "-c", "echo --json")
    assert status == 0
    assert server.requests == [("POST /api/eval", {
        "eval_id": "e1", "env": {"A": "1", "B": "x=y"}, "labels": {"k": "v"}, "queue": "gpu",
        "priority": 9, "timeout_s": 300, "queue_ttl_s": 0.25, "grace_s": 2, "memory_mb": 1024,
        "pids": 16, "cpus": 0.5, "session": "s", "supersedes": "main", "image": "i",
        "command": ["sh", "-c", "echo --json"]})]
    assert server.headers[0][1]["Idempotency-Key"] == "once"
    assert server.headers[0][1]["Content-Type"] == "application/json"


def test_submit_reads_stdin(quell, server):
    server.on("POST /api/eval", created())
    assert quell("submit", "--lang", "bash", "-", stdin="echo hi")[0] == 0
    assert server.requests[0][1] == {"language": "bash", "code": "echo hi"}
    assert quell("submit", "-", stdin="echo hi")[0] == 2


def test_submit_refuses_what_it_cannot_send(quell, server, tmp_path):
    (tmp_path / "big.py").write_bytes(b"#" * ((4 << 20) + 1))
    (tmp_path / "latin.py").write_bytes(b"# \xe4\n")
    (tmp_path / "dir.py").mkdir()
    for name, says in [("big.py", "larger than the 4194304 bytes"), ("latin.py", "isn't UTF-8"),
                       ("dir.py", "Is a directory"), ("none.py", "No such file")]:
        status, said, complaint = quell("submit", name, cwd=tmp_path)
        assert (status, said) == (1, "")
        assert says in complaint
    assert not server.requests


def test_submit_waits(quell, server):
    server.on("POST /api/eval", created())
    server.on("GET /api/eval/e1?wait=60.000", evaluation(status="running"))
    server.on("GET /api/eval/e1?wait=5.000", evaluation(status="failed", exit_code=3))
    assert quell("submit", "--wait", "5s", "--", "false") == (1, "e1 failed\n", "")
    server.on("GET /api/eval/e1?wait=5.000", evaluation(status="succeeded", exit_code=0))
    assert quell("submit", "--wait", "5s", "--", "true") == (0, "e1 succeeded\n", "")


def test_submit_says_the_servers_refusal(quell, server):
    server.on("POST /api/eval", problem(422, "pids must be a whole number from 4 to 32768"))
    assert quell("submit", "--pids", "1", "--", "true") == (
        1, "", "quell: pids must be a whole number from 4 to 32768\n")


# ---- ls ----

def page(*evaluations, cursor=None):
    return {"evaluations": list(evaluations), "next_cursor": cursor}


def test_ls_prints_a_table(quell, server):
    server.on("GET /api/evaluations?limit=50", page(
        evaluation("e2", "running", started_at="2026-01-02T03:04:05.678Z", labels={"a": "1"}),
        evaluation("e1-longer", "cancelled", exit_code=None, signal="SIGKILL", cause="user",
                   started_at="2026-01-02T03:04:05.678Z", finished_at="2026-01-02T03:04:07.000Z")))
    status, said, _ = quell("ls")
    rows = [re.split(r"  +", line.strip()) for line in said.splitlines()]
    assert status == 0
    assert rows[0] == ["ID", "STATUS", "LANGUAGE", "AGE", "TOOK", "ENDED BY", "CAUSE", "QUEUE",
                       "LABELS"]
    assert rows[1][:3] == ["e2", "running", "python"] and rows[1][5:] == ["-", "-", "default", "a=1"]
    assert rows[2][4:7] == ["1.3s", "SIGKILL", "user"]
    assert said.index("STATUS") == said.splitlines()[1].index("running") == 11
    assert "\033" not in said


def test_ls_selects(quell, server):
    server.on("GET /api/evaluations?selector=owner%3Dbob%2Cage%3E10m&limit=50",
              page(evaluation("e1")))
    assert quell("ls", "-q", "-l", "owner=bob,age>10m") == (0, "e1\n", "")


def test_ls_counts(quell, server):
    server.on("GET /api/evaluations/count?selector=age%3E10m",
              Answer(200, {"count": 5, "statuses": {"queued": 2, "running": 0, "failed": 3}}))
    assert quell("ls", "--count", "-l", "age>10m") == (0, "5: 2 queued, 3 failed\n", "")
    status, _, why = quell("ls", "--count", "--owner", "bob")
    assert status == 2 and "takes --selector alone" in why


def test_ls_filters_and_follows_pages(quell, server):
    base = "GET /api/evaluations?status=queued%2Crunning&owner=bob&label=k%3Dv%20w&limit="
    server.on(base + "1000", page(*[evaluation(f"e{i}") for i in range(1000)], cursor="c/1"))
    server.on(base + "200&cursor=c%2F1", page(evaluation("last"), cursor="c/2"))
    server.on(base + "199&cursor=c%2F2", page())
    status, said, _ = quell("ls", "-s", "queued,running", "--owner", "bob", "--label", "k=v w",
                            "--limit", "1200", "--ids")
    assert status == 0
    assert said.split() == [f"e{i}" for i in range(1000)] + ["last"]


def test_ls_all_ends_where_the_pages_end(quell, server):
    server.on("GET /api/evaluations?limit=1000", page(evaluation("e2"), cursor=17))
    server.on("GET /api/evaluations?limit=1000&cursor=17", page(evaluation("e1")))
    assert quell("ls", "--all", "--ids") == (0, "e2\ne1\n", "")
    status, said, _ = quell("ls", "--all", "--json")
    assert [json.loads(line)["next_cursor"] for line in said.splitlines()] == [17, None]
    assert status == 0


def on_terminal(args, env, columns):
    """stdout of a run whose stdout is a terminal of that width."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([QUELL, *args], stdout=other, env=env)
    os.close(other)
    said = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(main)
    process.wait(20)
    return said.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours_and_lines_that_fit(server, environment):
    server.on("GET /api/evaluations?limit=50", page(
        evaluation("e" * 26, "running", queue="q" * 40, labels={"k": "ü" * 60})))
    env = {**environment, "QUELL_URL": server.url, "TERM": "xterm"}
    said = on_terminal(["ls"], env, 100)
    assert "\033[36mrunning\033[0m" in said
    lines = re.sub(r"\033\[\d*m", "", said).splitlines()
    assert len(lines) == 2 and max(map(len, lines)) <= 100
    assert "e" * 26 in lines[1] and lines[1].count("…") == 2
    assert "\033" not in on_terminal(["ls"], {**env, "NO_COLOR": "1"}, 100)
    assert "\033" not in on_terminal(["ls"], {**env, "TERM": "dumb"}, 100)


def test_a_servers_text_cannot_command_the_terminal(quell, server):
    server.on("GET /api/evaluations?limit=50", page(evaluation(
        queue="\x1b[2Jq", labels={"\x07": "\x9b31m\n"})))
    server.on("GET /api/eval/e1?wait=0.000", evaluation(error="a\x1b]0;title\x07"))
    said = quell("ls")[1]
    assert "\\x1b[2Jq" in said and "\\x07=\\x9b31m\\x0a" in said
    assert len(said.splitlines()) == 2
    assert "\\x1b]0;title\\x07" in quell("show", "e1")[1]
    server.on("POST /api/eval/e1/kill", problem(409, "no\x1b[31m"))
    assert quell("kill", "e1")[2] == "quell: e1: no\\x1b[31m\n"


# ---- show, logs, timeline ----

def test_show_tells_everything(quell, server):
    server.on("GET /api/eval/e1?wait=0.000", evaluation(
        status="cancelled", cause="user", signal="SIGKILL", worker="local",
        started_at="2026-01-02T03:04:05.678Z", finished_at="2026-01-02T03:04:06.678Z",
        container={"runtime": "sandbox", "id": "abc"}, output_bytes=7, output_truncated=True,
        checkpoint={"bytes": 10, "at": "2026-01-02T03:04:06.678Z"}, labels={"a": "b"},
        cancellation=cancellation(
            mode="kill", cancelled=True, killed=True, outcome="killed", evidence="verified",
            reason="too slow", stop_ms=12, unasked=["pidns"],
            steps=[{"at": "2026-01-02T03:04:06.600Z", "rung": "kill", "what": "asked -> kill"}])))
    status, said, _ = quell("show", "e1")
    assert status == 0
    lines = dict(re.split(r"  +", line, maxsplit=1) for line in said.splitlines())
    assert lines["STATUS"] == "cancelled, cause user"
    assert lines["ENDED BY"] == "SIGKILL"
    assert lines["TOOK"] == "1.0s"
    assert lines["CONTAINER"] == "sandbox abc"
    assert lines["OUTPUT"].startswith("7 bytes (more came")
    assert lines["CHECKPOINT"].startswith("10 bytes")
    assert lines["STOP"].endswith("asked for by user:admin at 2026-01-02T03:04:05.678Z: too slow")
    assert lines["OUTCOME"] == "killed, evidence: verified"
    assert lines["STOPPED IN"] == "12 ms"
    assert lines["UNASKED"] == "pidns"
    assert lines["STEP"] == "2026-01-02T03:04:06.600Z kill: asked -> kill"


def test_json_is_the_answer_as_it_was(quell, server):
    raw = b'{"eval_id": "e1",   "status":"queued", "of the future": [1.50, "\\u00e4"]}'
    server.on("GET /api/eval/e1?wait=0.000", Answer(200, raw))
    assert quell("show", "--json", "e1") == (0, raw.decode() + "\n", "")
    server.on("GET /api/eval/e2?wait=0.000", problem(404, "no such evaluation", extra=1))
    status, said, complaint = quell("--json", "show", "e2")
    assert status == 1
    assert json.loads(said)["extra"] == 1
    assert complaint == "quell: e2: no such evaluation\n"


def test_show_waits_in_steps_that_the_api_allows(quell, server):
    server.on("GET /api/eval/e1?wait=1.500", evaluation(status="succeeded", exit_code=0))
    assert quell("show", "--wait", "1500ms", "e1")[0] == 0
    assert server.lines() == ["GET /api/eval/e1?wait=1.500"]


def test_ids_are_encoded(quell, server):
    quell("show", "a/b c?d")
    assert server.lines() == ["GET /api/eval/a%2Fb%20c%3Fd?wait=0.000"]


def test_logs_are_raw_bytes(server, environment):
    server.on("GET /api/eval/e1/output?stream=stderr&attempt=2&offset=3",
              Answer(200, b"\x1b[1m\xff\x00tail", "text/plain"))
    done = subprocess.run([QUELL, "logs", "--stream", "stderr", "--attempt", "2", "--offset", "3",
                           "e1"], capture_output=True, check=True,
                          env={**environment, "QUELL_URL": server.url})
    assert done.stdout == b"\x1b[1m\xff\x00tail"


def test_logs_follow(server, environment, gate):
    seen = gate()
    server.on("GET /api/eval/e1/output?follow=true", text(b"first\n", seen.wait, b"second\n"))
    with subprocess.Popen([QUELL, "logs", "-f", "e1"], stdout=subprocess.PIPE,
                          env={**environment, "QUELL_URL": server.url}) as process:
        assert process.stdout.readline() == b"first\n"  # shown before the rest was sent
        seen.open()
        assert process.stdout.read() == b"second\n"
        assert process.wait(20) == 0


def test_logs_say_where_to_go_on(quell, server):
    server.on("GET /api/eval/e1/output?offset=100&follow=true", text(b"12345", torn=True))
    status, said, complaint = quell("logs", "-f", "--offset", "100", "e1")
    assert (status, said) == (3, "12345")
    assert "went away; what comes next: quell logs -f --offset 105 e1" in complaint


def test_logs_of_none(quell, server):
    server.on("GET /api/eval/e1/output", problem(404, "there is no evaluation 'e1'"))
    assert quell("logs", "e1") == (1, "", "quell: there is no evaluation 'e1'\n")


def test_a_full_disk_is_a_failure(server, environment):
    server.on("GET /api/eval/e1/output", Answer(200, b"x" * 10000, "text/plain"))
    server.on("GET /api/eval/e1?wait=0.000", evaluation())
    for args in (["logs", "e1"], ["show", "e1"], ["show", "--json", "e1"], ["help"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([QUELL, *args], stdout=full, stderr=subprocess.PIPE, text=True,
                                  env={**environment, "QUELL_URL": server.url}, check=False)
        assert done.returncode == 1, args
        assert "cannot write to standard output: No space left" in done.stderr


def test_timeline(quell, server):
    server.on("GET /api/eval/e1/timeline", {"steps": [
        {"at": "2026-01-02T03:04:05.678Z", "attempt": 1, "status": "queued", "what": "a -> b"},
        {"at": "2026-01-02T03:04:06.678Z", "attempt": 1, "status": "running", "what": "c -> d"}]})
    status, said, _ = quell("timeline", "e1")
    assert status == 0
    assert [re.split(r"  +", line) for line in said.splitlines()] == [
        ["AT", "ATTEMPT", "STATUS", "WHAT"],
        ["2026-01-02T03:04:05.678Z", "1", "queued", "a -> b"],
        ["2026-01-02T03:04:06.678Z", "1", "running", "c -> d"]]


# ---- cancel, kill ----

STOPPED = cancellation(cancelled=True, outcome="removed", evidence="verified",
                       message="Cancelled: taken out of the queue before it started.")


def test_cancel_sends_what_was_asked(quell, server):
    server.on("POST /api/eval/e1/cancel", STOPPED)
    assert quell("cancel", "e1") == (
        0, "e1: Cancelled: taken out of the queue before it started.\n", "")
    assert quell("cancel", "-t", "--escalate", "kill", "--grace", "1500ms", "--wait", "5s",
                 "--reason", "späť", "e1")[0] == 0
    assert server.requests == [
        ("POST /api/eval/e1/cancel", {}),
        ("POST /api/eval/e1/cancel", {"terminate": True, "escalate": "kill", "grace": 1.5,
                                      "wait": 5, "reason": "späť"})]


@pytest.mark.parametrize("mode,says", [
    ("cancel", "asked to stop; not stopped yet. To force it: quell cancel --terminate e1"),
    ("terminate", "being terminated; not proven stopped yet. To kill it at once: quell kill e1"),
    ("kill", "SIGKILL is on its way; not proven stopped yet. Why it takes long: quell doctor e1"),
])
def test_a_stop_under_way_is_not_called_a_stop(quell, server, mode, says):
    server.on("POST /api/eval/e1/cancel", Answer(202, cancellation(mode=mode)))
    assert quell("cancel", "e1") == (0, f"e1: {says}\n", "")
    assert quell("cancel", "--wait", "1s", "e1")[0] == 1


def test_what_nobody_was_told_of_is_not_called_asked(quell, server):
    """Beside Celery an id that nobody knows is looked for first."""
    looks = "Nothing is known of it yet: it is looked for in every queue and worker."
    for verb in ("cancel", "kill"):
        server.on(f"POST /api/eval/e1/{verb}", Answer(202, cancellation(
            mode=verb, evidence="recorded", message=looks, steps=[
                {"at": "2026-01-02T03:04:05.678Z", "rung": "remove", "what": "queued -> remove"}])))
        assert quell(verb, "e1") == (0, f"e1: {looks}\n", "")
        assert quell(verb, "--wait", "1s", "e1")[0] == 1


def test_what_comes_next_is_said(quell, server):
    server.on("POST /api/eval/e1/cancel", Answer(202, cancellation(
        mode="terminate", next={"rung": "kill", "at": "2126-01-02T03:04:05.678Z"})))
    assert re.search(r"What comes by itself: kill in \d+h\d\dm\. To", quell("cancel", "e1")[1])


def test_long_waits_go_on_asking(quell, server):
    server.on("POST /api/eval/e1/kill", Answer(202, cancellation(mode="kill")))
    for seconds in range(85, 91):
        for thousandth in range(1000):
            server.answers[f"GET /api/eval/e1?wait={seconds}.{thousandth:03}"] = [
                Answer(500, {"detail": "more than the API allows"})]
    server.on("GET /api/eval/e1?wait=60.000", evaluation(status="cancelled"))
    server.on("GET /api/cancellations/e1~1", {**STOPPED, "outcome": "killed", "message": "Killed."})
    assert quell("kill", "--wait", "90s", "e1") == (0, "e1: Killed.\n", "")
    assert server.requests[0][1] == {"wait": 60}
    assert server.lines()[1:] == ["GET /api/eval/e1?wait=60.000", "GET /api/cancellations/e1~1"]


def test_unconfirmed_is_a_failure(quell, server):
    server.on("POST /api/eval/e1/kill", cancellation(mode="kill", outcome="unconfirmed"))
    status, said, _ = quell("kill", "e1")
    assert status == 1
    assert "not confirmed: every means is spent and something may still run" in said
    assert "quell doctor e1" in said


def test_many_ids_go_on_past_failures(quell, server):
    server.on("POST /api/eval/e1/kill", problem(409, "it had finished", cancelled=False))
    server.on("POST /api/eval/e2/kill", problem(404, "there is no such evaluation"))
    server.on("POST /api/eval/e3/kill", STOPPED)
    status, said, complaint = quell("kill", "e1", "e2", "e3")
    assert status == 1
    assert said.startswith("e3: Cancelled")
    assert complaint == "quell: e1: it had finished\nquell: e2: there is no such evaluation\n"


def test_restore_resume_and_rm(quell, server):
    server.on("POST /api/eval/e1/restore", evaluation(attempt=2))
    server.on("POST /api/eval/e1/resume", Answer(201, evaluation(attempt=3)))
    server.on("DELETE /api/eval/e1", Answer(204))
    server.on("DELETE /api/eval/e2", problem(409, "it is running"))
    assert quell("restore", "e1") == (0, "e1: queued as attempt 2\n", "")
    assert quell("resume", "e1") == (0, "e1: queued as attempt 3\n", "")
    assert quell("rm", "e2", "e1") == (1, "e1: forgotten\n", "quell: e2: it is running\n")


# ---- doctor ----

READY = {"status": "ready", "dependencies": {"store": {"state": "ok", "detail": None},
                                             "sandbox": {"state": "ok", "detail": "all limits"}}}


def test_doctor_finds_nothing_wrong(quell, server):
    server.on("GET /healthz", {"status": "ok", "version": "9.9.9"})
    server.on("GET /readyz", READY)
    server.on("GET /api/evaluations?limit=1", page())
    status, said, complaint = quell("doctor", "--key", "secret")
    assert (status, complaint) == (0, "")
    assert re.search(rf"^server +{server.url} is alive, version 9\.9\.9$", said, re.M)
    assert re.search(r"^sandbox +ok: all limits$", said, re.M)
    assert re.search(r"^key +the key of --key, accepted$", said, re.M)


def test_doctor_shows_what_waits(quell, server):
    server.on("GET /healthz", {"status": "ok"})
    server.on("GET /readyz", {"status": "ready", "dependencies": {
        "storage": {"state": "away", "detail": "connection refused", "backlog": 12,
                    "since": "2026-01-02T03:04:05.678Z"},
        "results": {"state": "ok", "detail": None, "backlog": 0, "since": None}}})
    server.on("GET /api/evaluations?limit=1", page())
    status, said, _ = quell("doctor", "--key", "secret")
    assert status == 0
    assert re.search(r"^storage +away since 2026-01-02T03:04:05\.678Z: connection refused; "
                     r"12 wait to be told to it$", said, re.M)
    assert re.search(r"^results +ok$", said, re.M)


def test_doctor_says_which_dependency_is_away(quell, server):
    server.on("GET /healthz", {"status": "ok"})
    server.on("GET /readyz", Answer(503, {"status": "unavailable", "dependencies": {
        "store": {"state": "away", "detail": "disk full"}}}))
    status, said, complaint = quell("doctor")
    assert status == 1
    assert re.search(r"^store +away: disk full$", said, re.M)
    assert complaint == "quell: the server isn't ready: unavailable\n"


def test_doctor_says_that_the_key_is_wrong(quell, server):
    server.on("GET /healthz", {"status": "ok"})
    server.on("GET /readyz", READY)
    server.on("GET /api/evaluations?limit=1", problem(401, "this key is not known"))
    status, said, complaint = quell("doctor", env={"QUELL_KEY": "old"})
    assert status == 1
    assert complaint == "quell: this key is not known (the key of QUELL_KEY)\n"


@pytest.mark.parametrize("status,verb", [
    ("queued", "cancel"), ("running", "cancel"), ("cancelling", "kill"), ("unconfirmed", "kill")])
def test_doctor_says_why_it_is_still_alive(quell, server, status, verb):
    server.on("GET /api/eval/e1/doctor", {
        "eval_id": "e1", "status": status, "alive": True,
        "findings": [{"kind": "frozen", "what": "its cgroup is frozen", "advice": "thaw it"},
                     {"kind": "runs", "what": "it runs", "advice": None}],
        "processes": [{"pid": 12, "name": "sh", "state": "D", "wchan": "a_place"},
                      {"pid": 13, "name": "sh", "state": "R", "wchan": None}],
        "unasked": ["no worker answered"]})
    server.on("GET /api/eval/e1", evaluation(
        status=status, cancellation=cancellation(
            next={"rung": "kill", "at": "2026-01-02T03:04:05.678Z"})))
    server.on("GET /api/eval/e1/timeline", {"steps": [
        {"at": f"2026-01-02T03:04:{i:02}.678Z", "attempt": 1, "status": "queued", "what": f"w{i}"}
        for i in range(20)]})
    code, said, _ = quell("doctor", "e1")
    assert code == 0
    assert re.search(r"^WHY +its cgroup is frozen\n +-> thaw it\nWHY +it runs$", said, re.M)
    assert re.search(r"^PROCESS +12 \(sh\), state D in a_place$", said, re.M)
    assert re.search(r"^PROCESS +13 \(sh\), state R$", said, re.M)
    assert re.search(r"^NOT KNOWN +no worker answered$", said, re.M)
    assert re.search(r"^NEXT +kill at 2026", said, re.M)
    assert re.search(rf"^TO (STOP|FORCE) IT +quell {verb} e1$", said, re.M)
    assert "w12" in said and "w11" not in said and said.rstrip().endswith("w19")


def test_doctor_as_json_is_the_servers_answer(quell, server):
    server.on("GET /api/eval/e1/doctor", {"eval_id": "e1", "findings": []})
    code, said, _ = quell("doctor", "--json", "e1")
    assert code == 0 and json.loads(said) == {"eval_id": "e1", "findings": []}


def test_doctor_says_why_it_cannot_be_found(quell, server):
    answer = {"type": "urn:quell:problem:not-found", "title": "Not found", "status": 404,
              "detail": "there is no evaluation nope: mistyped", "why": "prefix",
              "meant": ["nope-1", "nope-2"]}
    server.on("GET /api/eval/nope/doctor", Answer(404, answer))
    status, _, complaint = quell("doctor", "nope")
    assert status == 1
    assert complaint == (f"quell: there is no evaluation nope: mistyped (asked: {server.url}); "
                         "did you mean nope-1, nope-2\n")


# ---- keys and servers ----

def shown_key(server):
    return server.headers[-1][1].get("Authorization")


def test_keys(quell, server, tmp_path):
    server.on("GET /api/evaluations?limit=50", page())
    quell("ls")
    assert shown_key(server) is None
    folders = {"HOME": ".local/state/quell", "XDG_STATE_HOME": "quell", "QUELL_DATA": ""}
    env = {}
    for number, (name, below) in enumerate(folders.items()):
        home = tmp_path / name
        (home / below).mkdir(parents=True)
        (home / below / "admin.key").write_text(f"file{number}\n")
        env[name] = str(home)
        quell("ls", env=env)
        assert shown_key(server) == f"Bearer file{number}"
    quell("ls", env={**env, "QUELL_KEY": "from-env"})
    assert shown_key(server) == "Bearer from-env"
    quell("ls", "--key", "given", env={**env, "QUELL_KEY": "from-env"})
    assert shown_key(server) == "Bearer given"


def test_the_admins_key_is_shown_to_no_other_host(quell, server, tmp_path):
    """The file's key goes to loopback addresses alone; a proxy stands for the far host here."""
    (tmp_path / "admin.key").write_text("secret\n")
    server.on("GET http://far.example/api/evaluations?limit=50", page())
    env = {"QUELL_DATA": str(tmp_path), "http_proxy": server.url}
    assert quell("ls", "--url", "http://far.example", env=env)[0] == 0
    assert shown_key(server) is None


def test_a_wrong_key_says_where_it_came_from(quell, server, tmp_path):
    server.on("GET /api/evaluations?limit=50", problem(401, "a key is needed"))
    status, _, complaint = quell("ls")
    assert status == 1
    assert f"no key: {tmp_path}/.local/state/quell/admin.key: No such file" in complaint
    assert "--key" in complaint


def test_a_damaged_key_file(quell, tmp_path):
    (tmp_path / "admin.key").write_bytes(b"a\r\nX-Evil: 1")
    status, _, complaint = quell("ls", env={"QUELL_DATA": str(tmp_path)})
    assert status == 1
    assert "holds no key" in complaint


def test_no_server(quell):
    status, said, complaint = quell("ls", "--url", "http://127.0.0.1:1")
    assert (status, said) == (3, "")
    assert complaint.startswith("quell: cannot reach the server at http://127.0.0.1:1: Connection "
                                "refused; does `quell serve` run there?")
    assert quell("kill", "--url", "http://127.0.0.1:1", "a", "b")[2].count("\n") == 1


def test_something_else_listens_there(quell, server):
    server.on("GET /api/evaluations?limit=50", Answer(404, b"<html>", "text/html"))
    status, _, complaint = quell("ls", "--url", server.url + "/")
    assert status == 1
    assert "answered 404 without a reason: is that a Quell server?" in complaint


def test_a_server_that_hangs_up(server, environment):
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up():
        connection, _ = listener.accept()
        connection.recv(100)
        connection.close()

    threading.Thread(target=hang_up, daemon=True).start()
    done = subprocess.run([QUELL, "ls", "--url", f"127.0.0.1:{listener.getsockname()[1]}"],
                          env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "went away before it had answered" in done.stderr


# ---- receipt ----

def test_receipt_is_of_the_last_attempts_stop(quell, server):
    server.on("GET /api/eval/e1", Answer(200, evaluation(cancellation=cancellation())))
    server.on("GET /api/cancellations/e1~1/receipt", Answer(200, {"payload": "x"}))
    assert quell("receipt", "e1")[:2] == (0, '{"payload": "x"}\n')
    assert quell("receipt", "e1~1")[:2] == (0, '{"payload": "x"}\n')


def test_receipt_of_what_nobody_stopped(quell, server):
    server.on("GET /api/eval/e1", Answer(200, evaluation(cancellation=None)))
    assert quell("receipt", "e1") == (
        1, "", "quell: nobody has stopped attempt 1 of e1: there is no receipt of it\n")


def test_receipt_verify_refuses_what_is_none(quell, server, tmp_path):
    (tmp_path / "key.pem").write_text("no key")
    (tmp_path / "receipt.json").write_text("{}")
    status, _, said = quell("receipt", "verify", "receipt.json", "--signer", "key.pem", cwd=tmp_path)
    assert (status, said) == (1, "quell: that is no Ed25519 public key in PEM\n")
    assert quell("receipt", "verify", "none.json", "--signer", "key.pem", cwd=tmp_path)[0] == 1
    assert quell("receipt", "hold", "receipt.json")[0] == 2
    assert not server.requests


# ---- many at once ----

def batch(phase="done", total=3, **members):
    return {"batch_id": "b1", "preview": "b1", "phase": phase, "mode": "cancel", "selector": "age>1m",
            "actor": "user:a", "created_at": "2026-01-02T03:04:05.678Z", "total": total,
            "would": {"removed": total - 1, "noticed": 1, "terminated": 0, "killed": 0, "nothing": 0},
            "progress": {"total": total, "asked": total, "removed": total - 1, "stopping": 1,
                         "refused": 0},
            "drift": {"left": 0, "joined": 0}, **members}


ASKED = {"selector": "age>1m", "mode": "cancel", "dry_run": True}


def test_a_dry_run_only_says_what_would_happen(quell, server):
    server.on("POST /api/batches", Answer(200, batch("preview")))
    assert quell("cancel", "--selector", "age>1m", "--dry-run") == (0, "would remove 2, ask 1\n", "")
    assert server.requests == [("POST /api/batches", ASKED)]


def test_many_are_stopped_by_their_preview_and_followed(quell, server):
    server.on("POST /api/batches", Answer(200, batch("preview")),
              Answer(202, batch("running", drift={"left": 1, "joined": 2})))
    server.on("GET /api/batches/b1", Answer(200, batch("running")), Answer(200, batch()))
    status, out, err = quell("kill", "-l", "age>1m", "--max", "9", "-r", "why")
    assert status == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["CAME", "TO", "EVALUATIONS"], ["removed", "2"], ["stopping", "1"]]
    assert "1 are selected no more, and 2 more are" in err
    assert server.requests[:2] == [
        ("POST /api/batches", {**ASKED, "mode": "kill", "max_matches": 9, "reason": "why"}),
        ("POST /api/batches", {"preview": "b1"})]


def test_above_a_hundred_want_a_confirmation(quell, server):
    server.on("POST /api/batches", Answer(200, batch("preview", total=101)))
    status, _, err = quell("cancel", "--selector", "age>1m")
    assert status == 1 and "101 evaluations are selected" in err and "--yes" in err
    assert len(server.requests) == 1
    server.on("GET /api/batches/b1", Answer(200, batch()))
    assert quell("cancel", "--selector", "age>1m", "--yes")[0] == 0


@pytest.mark.parametrize("typed, status", [("101", 0), ("100", 1), ("yes", 1), ("", 1)])
def test_on_a_terminal_the_number_is_typed(server, environment, typed, status):
    server.on("POST /api/batches", Answer(200, batch("preview", total=101)))
    server.on("GET /api/batches/b1", Answer(200, batch()))
    main, other = pty.openpty()
    os.write(main, typed.encode() + b"\n")
    with subprocess.Popen([QUELL, "cancel", "--selector", "age>1m"], stdin=other, stderr=other,
                          stdout=subprocess.DEVNULL,
                          env={**environment, "QUELL_URL": server.url}) as cancel:
        assert cancel.wait(30) == status
    assert (("POST /api/batches", {"preview": "b1"}) in server.requests) == (status == 0)
    os.close(main)
    os.close(other)


def test_json_prints_the_end_of_a_batch(quell, server):
    server.on("POST /api/batches", Answer(200, batch("preview")), Answer(202, batch("running")))
    server.on("GET /api/batches/b1", Answer(200, batch(progress={"asked": 3, "refused": 1})))
    status, out, _ = quell("cancel", "--selector", "age>1m", "--json")
    assert (status, json.loads(out)["progress"]["refused"]) == (1, 1)


def test_a_selector_that_is_wrong(quell, server):
    server.on("POST /api/batches", problem(422, "column 1: no field", position=0))
    assert quell("cancel", "--selector", "age>1m") == (1, "", "quell: column 1: no field\n")


@pytest.mark.parametrize("args", [("-l", "age>1m", "e1"), ("-l", "age>1m", "--wait", "1s"),
                                  ("e1", "--yes"), ("e1", "--dry-run"), ("e1", "--max", "5")])
def test_ids_and_selectors_have_their_own_options(quell, server, args):
    assert quell("cancel", *args)[0] == 2
    assert not server.requests


def test_batches_are_listed_shown_cancelled_and_undone(quell, server):
    server.on("GET /api/batches", Answer(200, {"batches": [batch()], "next_cursor": None}))
    server.on("GET /api/batches/b1", Answer(200, batch()))
    server.on("POST /api/batches/b1/cancel", problem(409, "batch b1 is over: it is done"))
    server.on("POST /api/batches/b1/undo", Answer(202, {**batch("running"), "batch_id": "b2"}))
    server.on("GET /api/batches/b2", Answer(200, batch(progress={"restored": 2})))
    assert quell("batch", "ls")[1].splitlines()[1].split()[:5] == ["b1", "cancel", "done", "3", "3"]
    assert "b1: cancel, done, by user:a; 3 of 3" in quell("batch", "show", "b1")[1]
    assert quell("batch", "cancel", "b1") == (1, "", "quell: batch b1 is over: it is done\n")
    assert "restored  2" in quell("batch", "undo", "b1")[1]
    assert quell("batch", "show")[0] == 2


def test_the_items_of_a_batch_come_in_pages(quell, server):
    item = {"eval_id": "e1", "said": "removed", "status": "cancelled", "outcome": "removed"}
    server.on("GET /api/batches/b1/items?limit=1000", Answer(200, {"items": [item],
                                                                   "next_cursor": "1000"}))
    server.on("GET /api/batches/b1/items?limit=1000&cursor=1000",
              Answer(200, {"items": [{**item, "status": None}], "next_cursor": None}))
    status, said, more = quell("batch", "items", "b1")
    assert status == 0 and said.splitlines()[1].split() == ["e1", "removed", "cancelled", "removed"]
    assert "quell batch items b1 --cursor 1000" in more
    status, said, more = quell("batch", "items", "b1", "--cursor", "1000")
    assert said.splitlines()[1].split() == ["e1", "removed", "-", "removed"] and not more
