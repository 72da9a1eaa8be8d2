"""The command line against the real server, and `quell run` in a real terminal."""
import json
import os
import re
import subprocess
import uuid

import pytest
from quell import QUELL, TOP, eventually, left_behind

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM came"))
print("ready")
while True:
    time.sleep(1)
"""
PATIENT = "import time\nprint('ready')\nwhile True: time.sleep(1)\n"


def environment(server, key=None):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("QUELL_")}
    clean.update(QUELL_URL=f"http://127.0.0.1:{server.port}", QUELL_DATA=server.data,
                 LC_ALL="C.UTF-8")
    if key:
        clean["QUELL_KEY"] = key
    return clean


def quell(server, *args, stdin="", key=None, expect=0):
    """Runs it to its end: (stdout, stderr)."""
    done = subprocess.run([QUELL, *args], input=stdin, text=True, capture_output=True,
                          env=environment(server, key), timeout=50, check=False)
    assert done.returncode == expect, done
    return done.stdout, done.stderr


def submit(server, *args, **more):
    return quell(server, "submit", *args, **more)[0].strip()


def test_run_shows_both_streams(server):
    said, aside = quell(server, "run", "--", "sh", "-c", "echo out; echo aside >&2; exit 3",
                        expect=3)
    assert said == "out\n"
    first, middle, last = aside.splitlines()
    assert re.fullmatch(r"quell: submitted as \w+; Ctrl-C cancels it", first)
    assert middle == "aside"
    assert re.fullmatch(r"quell: \w+ failed: exit 3 after [\d.]+m?s", last)


@pytest.mark.parametrize("name,code", [
    ("x.py", "import sys; print('hello'); sys.exit(5)"),
    ("x.sh", "echo hello; exit 5"),
    ("x.js", "console.log('hello'); process.exit(5)"),
    ("x.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 5; }\n"),
])
def test_run_takes_a_file_of_each_language(server, tmp_path, name, code):
    (tmp_path / name).write_text(code)
    assert quell(server, "run", "-q", str(tmp_path / name), expect=5) == ("hello\n", "")


def test_run_reads_stdin_and_passes_the_environment(server):
    said, _ = quell(server, "run", "-q", "--lang", "bash", "-e", "WHO=world", "-",
                    stdin='echo "hello $WHO"')
    assert said == "hello world\n"


def test_run_exits_with_the_signal(server):
    _, aside = quell(server, "run", "--", "sh", "-c", "kill -USR1 $$", expect=128 + 10)
    assert "SIGUSR1" in aside


def test_run_ends_at_its_time_limit(server):
    _, aside = quell(server, "run", "--timeout", "300ms", "--lang", "python", "-", stdin=PATIENT,
                     expect=128 + 15)
    assert "cancelled (timeout): SIGTERM" in aside


def test_run_prints_ten_megabytes_whole(server):
    code = "import sys\nfor i in range(1310720): sys.stdout.write(f'{i:07}\\n')\n"
    done = subprocess.run([QUELL, "run", "-q", "--lang", "python", "-"], input=code.encode(),
                          capture_output=True, env=environment(server), timeout=50, check=True)
    assert done.stdout == b"".join(b"%07d\n" % i for i in range(1310720))


def test_run_whose_reader_leaves(server):
    with subprocess.Popen([QUELL, "run", "--lang", "python", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment(server)) as process:
        process.stdin.write(PATIENT)
        process.stdin.close()
        assert process.stdout.readline() == "ready\n"
        process.stdout.close()
        aside = process.stderr.read()
        assert process.wait(30) == 125
    eval_id = re.search(r"submitted as (\w+)", aside).group(1)
    assert f"{eval_id} goes on (quell logs -f {eval_id})" in aside
    assert server.show(eval_id)["status"] == "running"
    quell(server, "kill", "--wait", "20s", eval_id)


def test_run_outlives_the_server(make_server):
    """kill -9 and a new server: no output is lost, and the status is the program's."""
    server = make_server("--workers", "2")
    server.listen = f"127.0.0.1:{server.port}"
    code = "import time\nfor i in range(60): print(i); time.sleep(0.1)\n"
    with subprocess.Popen([QUELL, "run", "--lang", "python", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment(server)) as process:
        process.stdin.write(code)
        process.stdin.close()
        assert process.stdout.readline() == "0\n"
        server.crash()
        server.again()
        said = process.stdout.read()
        aside = process.stderr.read()
        assert process.wait(30) == 0, aside
    assert said == "".join(f"{i}\n" for i in range(1, 60))
    assert "went away; trying again" in aside and "the server is back" in aside


def test_submit_show_logs_timeline_ls(server):
    label = f"run={uuid.uuid4().hex}"
    said, _ = quell(server, "submit", "--wait", "30s", "--label", label, "--", "echo", "hi")
    eval_id, status = said.split()
    assert status == "succeeded"
    assert quell(server, "logs", eval_id)[0] == "hi\n"
    assert quell(server, "ls", "--label", label, "--ids")[0].split() == [eval_id]
    row = quell(server, "ls", "--label", label)[0].splitlines()[1]
    assert row.startswith(f"{eval_id}  succeeded") and label in row
    shown = quell(server, "show", eval_id)[0]
    assert re.search(r"^ENDED BY +exit 0$", shown, re.M)
    steps = quell(server, "timeline", eval_id)[0].splitlines()[1:]
    assert [re.split("  +", line)[3] for line in steps] == [
        step["what"] for step in server.timeline(eval_id)]
    assert json.loads(quell(server, "show", "--json", eval_id)[0]) == server.show(eval_id)


def test_ls_follows_pages(idle):
    label = f"page={uuid.uuid4().hex}"
    body = {"evaluations": [{"command": ["true"], "labels": dict([label.split("=")])}] * 2500}
    idle.post("/api/eval-batch", body).expect(201)
    ids = quell(idle, "ls", "--all", "--ids", "--label", label)[0].split()
    assert len(ids) == len(set(ids)) == 2500
    assert quell(idle, "ls", "--ids", "--limit", "1200", "--label", label)[0].split() == ids[:1200]


def test_cancel_restore_rm_of_a_queued_one(idle):
    eval_id = submit(idle, "--", "true")
    said, _ = quell(idle, "cancel", "--reason", "changed my mind", eval_id)
    assert said.startswith(f"{eval_id}: Cancelled: taken out of the queue")
    assert "changed my mind" in quell(idle, "show", eval_id)[0]
    assert quell(idle, "restore", eval_id)[0] == f"{eval_id}: queued as attempt 2\n"
    assert "quell: " + eval_id in quell(idle, "rm", eval_id, expect=1)[1]  # it is queued
    quell(idle, "cancel", eval_id)
    assert quell(idle, "rm", eval_id)[0] == f"{eval_id}: forgotten\n"
    assert "it was forgotten" in quell(idle, "doctor", eval_id, expect=1)[1]


def test_cancel_with_wait_is_honest(server):
    eval_id = server.start(STUBBORN)
    said, _ = quell(server, "cancel", eval_id)
    assert "asked to stop; not stopped yet. What comes by itself: terminate in" in said
    quell(server, "cancel", "--wait", "200ms", eval_id, expect=1)
    said, _ = quell(server, "kill", "--wait", "20s", eval_id)
    assert said.startswith(f"{eval_id}: Cancelled: ended by SIGKILL")
    eval_id = submit(server, "--wait", "30s", "--", "true").split()[0]
    assert quell(server, "kill", eval_id, expect=1)[1] == (
        f"quell: {eval_id} had succeeded: there was nothing to stop\n")


def test_resume_runs_again_with_the_checkpoint(server):
    code = ("import os, time\npath = os.environ['QUELL_CHECKPOINT'] + '/n'\n"
            "n = int(open(path).read()) + 1 if os.path.exists(path) else 1\n"
            "open(path, 'w').write(str(n))\nprint('attempt', n)\n"
            "while n < 2: time.sleep(1)\n")
    eval_id = server.start(code, ready="attempt 1")
    quell(server, "kill", "--wait", "20s", eval_id)
    server.wait(eval_id)
    eventually(lambda: server.show(eval_id)["checkpoint"], what="a checkpoint")
    assert quell(server, "resume", eval_id)[0] == f"{eval_id}: queued as attempt 2\n"
    quell(server, "show", "--wait", "30s", eval_id)
    assert quell(server, "logs", eval_id)[0] == "attempt 2\n"
    assert quell(server, "logs", "--attempt", "1", eval_id)[0] == "attempt 1\n"


def test_doctor(server):
    said, _ = quell(server, "doctor")
    assert re.search(r"^readiness +ready$", said, re.M)
    assert re.search(r"^key .*admin\.key, accepted$", said, re.M)
    eval_id = server.start(PATIENT)
    assert "nobody asked it to stop" in quell(server, "doctor", eval_id)[0]
    quell(server, "cancel", eval_id)
    assert "to stop at its next checkpoint" in quell(server, "doctor", eval_id)[0]
    quell(server, "kill", "--wait", "20s", eval_id)


def test_a_wrong_key(server):
    for verb in (["ls"], ["doctor"]):
        assert "the key of QUELL_KEY" in quell(server, *verb, key="wrong", expect=1)[1]


def test_a_refusal_names_the_bound(server):
    said = quell(server, "submit", "--pids", "1", "--", "true", expect=1)[1]
    assert said == "quell: pids must be a whole number from 4 to 32768, not 1\n"
    assert "python, bash, node, c" in quell(
        server, "run", "--lang", "cobol", "-", stdin="x", expect=125)[1]


def test_the_manual_is_the_table(server):
    """docs/quell.1 is written by: build/quell help --man >docs/quell.1"""
    with open(f"{TOP}/docs/quell.1", encoding="utf-8") as page:
        assert page.read() == quell(server, "help", "--man")[0]


# ---- a real terminal ----

class Terminal:
    """A shell in tmux, as a person has it."""

    def __init__(self, server, width=100):
        self.name = f"quell-test-{uuid.uuid4().hex}"
        env = {**environment(server), "TERM": "screen"}
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", "50",
                  "bash --norc --noprofile", env=env)

    def tmux(self, *args, **more):
        return subprocess.run(["tmux", "-L", self.name, *args], text=True, capture_output=True,
                              check=True, **more).stdout

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, line):
        self.tmux("send-keys", "-l", "--", line)
        self.press("Enter")

    def screen(self, *flags):
        return self.tmux("capture-pane", "-p", "-S", "-1000", *flags)

    def until(self, pattern):
        def look():
            return re.search(pattern, self.screen("-J"), re.M)
        try:
            return eventually(look)
        except AssertionError:
            raise AssertionError(f"no {pattern!r} on the screen:\n{self.screen()}") from None

    def close(self):
        self.tmux("kill-server")


@pytest.fixture
def terminal(server):
    made = Terminal(server)
    yield made
    made.close()


def test_the_ladder_in_a_terminal(server, terminal, tmp_path):
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    terminal.type(f"{QUELL} run {tmp_path}/stubborn.py; echo status=$?.")
    eval_id = terminal.until(r"submitted as (\w+); Ctrl-C cancels it").group(1)
    terminal.until(r"^ready$")
    terminal.press("C-c")
    terminal.until(rf"^quell: cancelling {eval_id}; Ctrl-C again forces it, a third time kills it")
    server.until_status(eval_id, "cancelling")
    terminal.press("C-c")
    terminal.until(rf"^quell: terminating {eval_id}; Ctrl-C again kills it")
    terminal.until(r"^SIGTERM came")
    terminal.press("C-c")
    terminal.until(rf"^quell: killing {eval_id}; Ctrl-C again leaves it")
    terminal.until(rf"^quell: {eval_id} cancelled \(user\): SIGKILL after ")
    terminal.until(r"^status=137\.")
    seen = server.show(eval_id)
    assert seen["cancellation"]["reason"] == "Ctrl-C at quell run"
    assert seen["cancellation"]["evidence"] == "verified"
    assert not [path for path in left_behind(server.data) if eval_id in str(path)]


def test_one_ctrl_c_is_enough_for_a_program_that_listens(server, terminal, tmp_path):
    (tmp_path / "kind.py").write_text(
        "import os, time\nprint('ready')\n"
        "while not os.path.exists(os.environ['QUELL_CANCEL']): time.sleep(0.05)\n"
        "print('saving'); os.remove(os.environ['QUELL_CANCEL'])\n")
    terminal.type(f"{QUELL} run {tmp_path}/kind.py; echo status=$?.")
    terminal.until(r"^ready$")
    terminal.press("C-c")
    terminal.until(r"^saving")
    terminal.until(r"^quell: \w+ cancelled \(user\): exit 0 after ")
    terminal.until(r"^status=0\.")


def test_a_table_fits_the_terminal(server, terminal):
    submit(server, "--wait", "30s", "--label", "long=" + "x" * 200, "--", "true")
    terminal.type(f"clear; {QUELL} ls; echo status=$?.")
    terminal.until(r"^status=0\.")
    rows = [line for line in terminal.screen().splitlines() if "succeeded" in line]
    assert any(line.endswith("…") and "long=x" in line for line in rows)
    assert "\033[32msucceeded" in terminal.screen("-e")


def test_bash_completes_in_a_terminal(server, terminal):
    terminal.type(f"PATH={os.path.dirname(QUELL)}:$PATH; source <(quell completion bash); clear")
    terminal.until(r"\A\S+[#$] *$")
    terminal.press("-l", "--", "quell timel")
    terminal.press("Tab")
    terminal.until(r"[#$] quell timeline")
    terminal.press("-l", "--", "--js")
    terminal.press("Tab")
    terminal.until(r"[#$] quell timeline --json")
    terminal.press("C-c")


def test_the_receipt_of_a_kill_is_verified_without_a_server(server, tmp_path):
    eval_id = server.start(PATIENT)
    quell(server, "kill", eval_id)
    (tmp_path / "receipt").write_text(quell(server, "receipt", eval_id)[0])
    (tmp_path / "signer").write_text(quell(server, "receipt", "signer")[0])
    command = [QUELL, "receipt", "verify", "receipt", "--signer", "signer", "--json"]
    nowhere = {"PATH": os.environ["PATH"], "QUELL_URL": "http://127.0.0.1:1"}
    said = json.loads(subprocess.run(command, cwd=tmp_path, env=nowhere, text=True, check=True,
                                     capture_output=True).stdout)
    assert said["cancellation"]["evidence"] == "verified" and said["cancellation"]["cancelled"]
    assert {"pidfd", "pidns"} <= {check["check"] for check in said["checks"]}
    assert all(check["said"] == "nothing is left" for check in said["checks"])
