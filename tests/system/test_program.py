"""What a program finds around it: environment, languages, notice file, limits."""
import json
import os
import re
import shutil

import pytest
from programs import SLEEPS, notices


def said(server, code, **more):
    seen = server.run(code, **more)
    return seen, server.output(seen["eval_id"])


# environment


def test_its_environment(server):
    seen, out = said(server, "import json, os; print(json.dumps(dict(os.environ)))",
                     env={"MINE": "a=b c", "PATH_LIKE": "/x"})
    found = json.loads(out)
    assert found["QUELL_EVAL_ID"] == seen["eval_id"] and found["QUELL_ATTEMPT"] == "1"
    assert found["MINE"] == "a=b c" and found["PATH_LIKE"] == "/x"
    assert found["QUELL_CHECKPOINT"] and found["QUELL_CANCEL"] and found["PATH"]
    foreign = {name for name in found if name.startswith(("QUELL_", "SSH_", "SUDO_"))}
    assert foreign == {"QUELL_EVAL_ID", "QUELL_ATTEMPT", "QUELL_CHECKPOINT", "QUELL_CANCEL",
                       "QUELL_RUN"}  # the last is the mark by which its processes are known


def test_it_finds_the_trace_of_its_submission(server):
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
             "tracestate": "rojo=1"}
    code = "import os; print(os.environ.get('TRACEPARENT'), os.environ.get('TRACESTATE'))"
    body = {"code": code, "language": "python", "labels": {"mine": "x"}}
    seen = server.post("/api/eval", body, headers=trace).expect(201).json
    assert seen["labels"] == {"mine": "x", **trace}
    server.wait(seen["eval_id"])
    assert server.output(seen["eval_id"]) == f"{trace['traceparent']} rojo=1\n"
    wrong = {"traceparent": trace["traceparent"].upper()}
    seen = server.post("/api/eval", body, headers=wrong).expect(201).json
    server.wait(seen["eval_id"])
    assert seen["labels"] == {"mine": "x"} and server.output(seen["eval_id"]) == "None None\n"


def test_the_servers_environment_stays_outside(make_server):
    server = make_server(env={"SECRET_OF_THE_SERVER": "hush"})
    _, out = said(server, "import os; print('SECRET_OF_THE_SERVER' in os.environ)")
    assert out == "False\n"


@pytest.mark.parametrize("name", ["QUELL_EVAL_ID", "QUELL_CANCEL", "QUELL_CHECKPOINT"])
def test_a_submitter_can_not_forge_ours(server, name):
    reply = server.post("/api/eval", {"code": f"import os; print(os.environ['{name}'])",
                                      "language": "python", "env": {name: "forged"}})
    if reply.status == 422:
        assert "QUELL" in reply.json["detail"]
        return
    eval_id = reply.expect(201).json["eval_id"]
    server.wait(eval_id)
    assert "forged" not in server.output(eval_id)


def test_standard_input_is_empty(server):
    assert said(server, "import sys; print(repr(sys.stdin.read()))")[1] == "''\n"


def test_it_may_write_where_it_stands_and_in_tmp(server):
    _, out = said(server, """
import os, tempfile
open('here', 'w').write('x')
print(os.path.getsize('here'))
with tempfile.TemporaryFile() as file:
    print(file.write(b'abc'))
""")
    assert out == "1\n3\n"


# notice


def test_the_notice_says_reason_and_deadline(server):
    eval_id = server.start(notices("sys.exit(75)"), timeout_s=500)
    server.cancel(eval_id, {"reason": "please \"stop\"", "wait": 30}).expect(200)
    notice = json.loads(server.output(eval_id).split("notice ", 1)[1])
    assert notice["reason"] == "please \"stop\""
    assert notice["deadline"]


def test_terminate_gives_notice_too(server):
    eval_id = server.start("""
import os, signal, sys
def leave(*_):
    print('notice there:', os.path.exists(os.environ['QUELL_CANCEL']))
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print('ready')
signal.pause()
""")
    server.cancel(eval_id, {"terminate": True, "wait": 30}).expect(200)
    assert "notice there: True" in server.output(eval_id)


def test_without_a_stop_there_is_no_notice(server):
    assert said(server, "import os; print(os.path.exists(os.environ['QUELL_CANCEL']))")[1] == "False\n"


# languages


LANGUAGES = {
    "python": ("python3", "print('hello from', 'python')", "hello from python\n"),
    "bash": ("bash", "x=(hello from bash); echo \"${x[@]}\"", "hello from bash\n"),
    "node": ("node", "console.log('hello from', 'node')", "hello from node\n"),
    "c": ("cc", '#include <stdio.h>\nint main(void) { puts("hello from c"); return 0; }',
          "hello from c\n"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_language(server, language):
    needs, code, expected = LANGUAGES[language]
    if not shutil.which(needs, path="/usr/local/bin:/usr/bin:/bin"):
        problem = server.post("/api/eval", {"code": code, "language": language}).problem(422)
        assert needs in problem["detail"]
        pytest.skip(f"{needs} is not installed: the refusal was tried instead")
    seen, out = said(server, code, language=language)
    assert (seen["status"], out) == ("succeeded", expected)


def test_c_that_does_not_compile_fails_with_the_compilers_words(server):
    seen, out = said(server, "int main(void) { return nothing; }", language="c")
    assert seen["status"] == "failed" and "nothing" in out


def test_unknown_language_names_the_known_ones(idle):
    problem = idle.post("/api/eval", {"code": "1", "language": "cobol"}).problem(422)
    for known in LANGUAGES:
        assert known in problem["detail"]


@pytest.mark.parametrize("language,code", [
    ("bash", "echo ready; sleep 600"), ("node", "console.log('ready'); setTimeout(() => 0, 600000)"),
    ("c", '#include <stdio.h>\n#include <unistd.h>\n'
          'int main(void) { puts("ready"); fflush(stdout); pause(); return 0; }'),
], ids=["bash", "node", "c"])
def test_every_language_can_be_terminated(server, language, code):
    if not shutil.which(LANGUAGES[language][0], path="/usr/local/bin:/usr/bin:/bin"):
        pytest.skip(f"{LANGUAGES[language][0]} is not installed")
    eval_id = server.start(code, language=language)
    stop = server.cancel(eval_id, {"terminate": True, "grace": 30, "wait": 20}).expect(200).json
    assert stop["outcome"] == "terminated"


# deadlines


def test_run_deadline_terminates_with_cause_timeout(server):
    seen = server.wait(server.submit(SLEEPS, timeout_s=1)["eval_id"])
    assert (seen["status"], seen["cause"], seen["signal"]) == ("cancelled", "timeout", "SIGTERM")
    stop = seen["cancellation"]
    assert stop["mode"] == "terminate" and stop["actor"] == "quell:timeout"


def test_run_deadline_kills_what_ignores_it(server):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    seen = server.wait(server.submit(code, timeout_s=0.7, grace_s=0.3)["eval_id"])
    assert (seen["status"], seen["cause"], seen["signal"]) == ("cancelled", "timeout", "SIGKILL")


def test_run_deadline_bounds_a_cancel(server):
    eval_id = server.start(SLEEPS, timeout_s=2)
    server.cancel(eval_id).expect(202)
    seen = server.wait(eval_id)
    assert seen["status"] == "cancelled" and seen["finished_at"]


# limits


def enforced(server, word):
    """Skips where the server says at its start that this host can't enforce a limit."""
    said_so = [line for line in server.log if "sandbox:" in line]
    assert said_so, server.log
    if re.search(rf"(?:not|no|without)\b[^.;]*\b{word}", said_so[0]):
        pytest.skip(f"this host can't limit {word}: {said_so[0]}")


def test_memory(server):
    enforced(server, "memory")
    seen = server.run("x = bytearray(1 << 30)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('fit')",
                      memory_mb=64)
    assert (seen["status"], seen["cause"], seen["signal"]) == ("failed", "oom", "SIGKILL")
    assert "fit" not in server.output(seen["eval_id"])


def test_memory_of_a_child(server):
    enforced(server, "memory")
    seen = server.run("""
import os, sys
if os.fork() == 0:
    x = bytearray(1 << 30)
    for i in range(0, len(x), 4096): x[i] = 1
    os._exit(0)
_, status = os.wait()
sys.exit(9 if os.WIFSIGNALED(status) else 0)
""", memory_mb=64)
    assert (seen["status"], seen["cause"]) == ("failed", "oom")


def test_pids(server):
    enforced(server, "pids")
    seen, out = said(server, """
import os, time
made = 0
try:
    while made < 1000:
        if os.fork() == 0:
            time.sleep(600)
        made += 1
except OSError as error:
    print(made, error.strerror)
""", pids=20)
    assert seen["status"] == "succeeded"
    assert 10 <= int(out.split()[0]) <= 20


def test_a_fork_bomb_is_killed_whole(server):
    enforced(server, "pids")
    eval_id = server.start("""
import os
print('ready', flush=True)
while True:
    try:
        os.fork()
    except OSError:
        pass
""", pids=50)
    stop = server.kill(eval_id, {"wait": 30}).expect(200).json
    assert stop["outcome"] == "killed" and stop["evidence"] == "verified"


def test_cpus(server):
    enforced(server, "cpu")
    _, out = said(server, """
import os, time
began, used = time.monotonic(), os.times()
while time.monotonic() - began < 1.5: pass
now = os.times()
print((now.user + now.system - used.user - used.system) / (time.monotonic() - began))
""", cpus=0.2)
    assert float(out) < 0.45


def test_a_limit_does_not_hit_the_neighbour(server):
    enforced(server, "memory")
    eval_id = server.start(SLEEPS, memory_mb=64)
    server.run("x = bytearray(1 << 30)\nfor i in range(0, len(x), 4096): x[i] = 1", memory_mb=64)
    assert server.show(eval_id)["status"] == "running"
    server.kill(eval_id).expect(200)


def test_a_command_finds_the_hosts_programs(server):
    eval_id = server.submit(command=["sh", "-c", "ls /usr/bin | wc -l"])["eval_id"]
    server.wait(eval_id, status="succeeded")
    assert int(server.output(eval_id)) > 50
    assert os.path.exists("/usr/bin/sh")
