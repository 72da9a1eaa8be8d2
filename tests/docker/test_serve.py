"""`quell serve --runtime docker`, from outside."""
import json
import signal
import subprocess

import dockerd
from quell import QUELL, eventually


def sh(script):
    return {"command": ["sh", "-c", script]}


def start(server, script, **more):
    """Submits and waits until the program said ready; returns its id."""
    eval_id = server.submit(**sh(f"echo ready; {script}"), **more)["eval_id"]
    server.until_output(eval_id, "ready\n")
    return eval_id


def test_a_program_runs_to_its_end(server):
    eval_id = server.submit(**sh("echo out; echo err >&2; exit 3"))["eval_id"]
    seen = server.wait(eval_id, status="failed")
    assert seen["exit_code"] == 3 and seen["container"]["runtime"] == "docker"
    assert sorted(server.output(eval_id).splitlines()) == ["err", "out"]
    assert server.output(eval_id, "?stream=stderr") == "err\n"


def test_a_kill_is_proven(server):
    eval_id = start(server, "trap '' TERM; while :; do sleep 1000; done")
    stop = server.kill(eval_id, {"wait": 30}).expect(200).json
    assert stop["cancelled"] and stop["killed"] and stop["outcome"] == "killed"
    assert stop["evidence"] == "verified" and stop["unasked"] == []
    assert server.show(eval_id)["signal"] == "SIGKILL"


def test_a_cancel_is_heard_and_resumed(server):
    eval_id = start(server, "echo part > $QUELL_CHECKPOINT/a; "
                            "while ! test -e $QUELL_CANCEL; do sleep 0.05; done; "
                            "cat $QUELL_CANCEL; rm $QUELL_CANCEL")
    stop = server.cancel(eval_id, {"wait": 30, "reason": "no longer wanted"}).expect(200).json
    assert stop["cancelled"] and stop["outcome"] == "stopped"
    notice = json.loads(server.output(eval_id).splitlines()[1])
    assert notice["reason"] == "no longer wanted" and notice["deadline"]
    assert server.show(eval_id)["checkpoint"]["bytes"] > 0
    again = server.insist("POST", f"/api/eval/{eval_id}/resume", 201).json
    assert again["attempt"] == 2
    server.until_output(eval_id, "ready\n")
    server.kill(eval_id, {"wait": 30}).expect(200)


def test_a_terminate_climbs_to_the_kill(server):
    eval_id = start(server, "trap '' TERM; while :; do sleep 1000; done", grace_s=0)
    stop = server.cancel(eval_id, {"terminate": True, "wait": 30}).expect(200).json
    assert stop["cancelled"] and stop["outcome"] == "killed"


def test_its_processor_time_is_metered(server):
    """From its cgroup, until the moment of its death: what it used once a stop was asked for."""
    eval_id = start(server, "trap '' TERM; while :; do :; done", grace_s=1)
    rose = server.rise(lambda: server.cancel(eval_id, {"terminate": True, "wait": 30}).expect(200))
    assert rose['quell_stops_metered_total{burnt="known",saved="unknown"}'] == 1
    assert 0.01 < rose['quell_cpu_burnt_seconds_total{runtime="docker"}'] < 30


def test_a_run_outlives_the_server(server, daemon):
    eval_id = start(server, "while ! test -e /quell/checkpoint/go; do sleep 0.05; done; echo done")
    server.crash()
    (container,) = daemon.containers()
    status, made = daemon.ask("POST", f"/containers/{container['Id']}/exec",
                              {"Cmd": ["sh", "-c", "echo > /quell/checkpoint/go"]})
    assert status == 201
    assert daemon.ask("POST", f"/exec/{made['Id']}/start", {"Detach": True})[0] == 200
    server.again()
    server.wait(eval_id, status="succeeded")
    assert server.output(eval_id) == "ready\ndone\n"


def test_an_unknown_image_says_so(server):
    seen = server.wait(server.submit(**sh("exit 0"), image="quell-nowhere:1")["eval_id"])
    assert seen["status"] == "failed" and "quell-nowhere:1" in seen["error"]


def test_an_image_may_be_named(server):
    eval_id = server.submit(**sh("echo there"), image=dockerd.IMAGE)["eval_id"]
    server.wait(eval_id, status="succeeded")
    assert server.output(eval_id) == "there\n"


def test_a_daemon_that_is_away_shows_and_so_does_its_return(server, daemon):
    """Nobody asks it for anything meanwhile; what is submitted then starts once it is back."""
    def runtime():
        ready = server.get("/readyz").expect(200).json
        assert ready["status"] == "ready"
        return ready["dependencies"]["runtime"]

    def metered(state):
        return server.metrics()[f'quell_dependency_state{{dependency="runtime",state="{state}"}}']

    def doctor():
        return subprocess.run([QUELL, "doctor", "--url", f"http://127.0.0.1:{server.port}", "--key", server.key],
                              stdout=subprocess.PIPE, text=True, timeout=60).stdout

    assert runtime()["state"] == "ok" and runtime()["since"] is None and metered("ok") == 1
    assert runtime()["detail"].startswith("docker: memory")
    daemon.kill()
    try:
        away = eventually(lambda: runtime()["state"] != "ok" and runtime(), what="Docker to be missed")
        assert away["detail"].startswith("docker: ") and "onnect" in away["detail"] and away["since"]
        assert metered("ok") == 0
        assert "runtime" in doctor() and away["detail"] in doctor()
        eval_id = server.submit(**sh("echo late"))["eval_id"]
    finally:
        daemon.start()
    eventually(lambda: runtime()["state"] == "ok", 60, "Docker to be seen again")
    assert runtime()["detail"].startswith("docker: memory") and metered("ok") == 1
    server.wait(eval_id, status="succeeded")
    assert server.output(eval_id) == "late\n"


def test_a_frozen_daemon_is_missed(server, daemon):
    """It takes connections, and answers nothing: nobody asks it for anything, and it shows all the same."""
    def logged(word):
        return [line for line in server.log if f" runtime: {word}" in line]

    def state():
        return server.get("/readyz").expect(200).json["dependencies"]["runtime"]

    eventually(lambda: state()["state"] == "ok", what="Docker")
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        away = eventually(lambda: one if (one := state())["state"] != "ok" else None,
                          what="that it is missed")
        assert "does not answer" in away["detail"]
        (line,) = eventually(lambda: logged("away"), what="its line in the log")
        assert "does not answer" in line
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    eventually(lambda: state()["state"] == "ok" and logged("is back"), 60, "Docker to be seen again")
