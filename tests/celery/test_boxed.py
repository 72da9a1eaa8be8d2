"""Tasks that wait for a container which they started: plain Celery ends the task alone."""
import contextlib
import ctypes
import os
import signal
import subprocess

import pytest
from conftest import system
from deployment import Deployment, Sent, alive
from dockers import IMAGE, docker_daemon
from quell.docker import Engine
from quell.errors import DockerError

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(scope="module")
def docker():
    with docker_daemon() as host:
        yield host


@pytest.fixture(scope="module")
def deployed(docker):
    with Deployment("--docker-host", docker, "--task-name", "stock.boxed",
                    env={"STOCK_DOCKER": docker}) as made:
        yield made


def pid_of(docker, sent):
    container = sent.until("container")
    return Engine(docker).ask("GET", f"/containers/{container}/json").json["State"]["Pid"]


def spoke(docker, container):
    logs = Engine(docker).ask("GET", f"/containers/{container}/logs", stdout=1, stderr=1).body
    return logs.count(b"boxed\n") == 2


def boxed(deployed, docker, eval_id):
    """Runs, and its container has said what it has to say."""
    task_id = None if eval_id == "plain" else f"celery-{eval_id}"  # none that Quell looks after
    sent = deployed.send("boxed", eval_id, task_id=task_id)
    pid = pid_of(docker, sent)
    system.eventually(lambda: spoke(docker, sent.until("container")), what="its container's words")
    return sent, pid


def output(deployed, eval_id):
    path = f"/api/eval/{eval_id}/output"
    text = deployed.quell.get(path).expect(200).text
    assert sorted(text.splitlines()) == sorted([f"{eval_id} is boxed", "boxed"]), text
    assert deployed.quell.get(f"{path}?stream=stderr").expect(200).text == "boxed\n"


def test_container_outlives_its_task(deployed, docker, worker):
    plain, left = boxed(deployed, docker, "plain")
    deployed.revoke(plain, terminate=True)
    plain.until_state("REVOKED")
    assert alive(left)

    killed, pid = boxed(deployed, docker, "killed")
    told = deployed.quell.kill("killed", {"wait": 30}).expect(200).json
    assert told["cancelled"] and told["outcome"] == "killed", told
    assert not alive(pid) and killed.place["place"] == "finished"
    assert deployed.quell.show("killed")["status"] == "cancelled"
    killed.until("ended")  # and its container is removed
    system.eventually(lambda: deployed.quell.show("killed")["output_bytes"], what="its salvage")
    output(deployed, "killed")

    terminated, pid = boxed(deployed, docker, "terminated")
    told = terminated.cancel(terminate="true", grace=1, wait=30).expect(200).json
    assert told["cancelled"], told
    assert not alive(pid)
    output(deployed, "terminated")  # kept before that was said


def test_its_container_is_shown_while_it_runs(deployed, docker, worker):
    """Whoever reads it waits for nobody: the container is there when it was found, and a kill leaves its name."""
    deployed.quell.submit(eval_id="shown", code="shown", language="python")
    one = Sent(deployed, "shown", "celery-shown").until("container")
    known = Engine(docker).ask("GET", f"/containers/{one}/json").json

    def shown(state):
        seen = deployed.quell.show("shown")["container"]
        return seen if seen and seen["state"] == state else None
    seen = system.eventually(lambda: shown("running"), what="its container to be shown")
    assert seen == {"runtime": "docker", "id": known["Id"], "name": known["Name"].lstrip("/"),
                    "image": IMAGE, "state": "running"}
    Engine(docker).ask("POST", f"/containers/{one}/pause")
    system.eventually(lambda: shown("paused"), what="its container to be shown paused")
    Engine(docker).ask("POST", f"/containers/{one}/unpause")
    steps = deployed.quell.get("/api/eval/shown/timeline").json["steps"]
    (found,) = [step["what"] for step in steps if "was found" in step["what"]]
    assert found == (f"its container {seen['name']} ({IMAGE}, {known['Id'][:12]}) was found -> "
                     "a kill ends it too")
    assert deployed.quell.kill("shown", {"wait": 30}).expect(200).json["cancelled"]
    assert deployed.quell.show("shown")["container"] == {**seen, "state": None}


@contextlib.contextmanager
def left_over(docker, eval_id):
    """A container of that evaluation, of which no worker knows; its pid."""
    engine = Engine(docker)
    left = engine.ask("POST", "/containers/create", {
        "Image": IMAGE, "Cmd": ["sleep", "600"], "Labels": {"quell.eval_id": eval_id},
        "HostConfig": {"NetworkMode": "none"}}).json["Id"]
    try:
        engine.ask("POST", f"/containers/{left}/start")
        pid = engine.ask("GET", f"/containers/{left}/json").json["State"]["Pid"]
        assert pid and alive(pid)
        yield pid
    finally:
        engine.ask("DELETE", f"/containers/{left}", force=1)


def test_kill_of_a_queued_one_is_of_its_containers(deployed, docker):
    """A worker that died had started one, and the message went back into the queue: plain Celery knows of neither."""
    with left_over(docker, "again") as pid:
        waits = deployed.send("boxed", "again", task_id="celery-again", queue="nobodys")
        deployed.revoke(waits)
        assert alive(pid)
        told = deployed.quell.kill("again", {"wait": 30}).expect(200).json
        # where the first look falls before that queue is known, its container is all that is found
        assert told["cancelled"] and told["outcome"] in ("removed", "killed"), told
        assert not alive(pid)


def seen_dead(told, pid):
    assert told["cancelled"] and told["outcome"] == "killed", told
    assert told["evidence"] == "verified" and not alive(pid), told


@pytest.mark.deadline(180)
def test_container_of_a_task_that_is_nowhere(deployed, docker):
    """Its worker died with it, and nobody at Quell had heard of it. Plain Celery has nobody left to tell. Nothing is
    cancelled while it runs: a kill and a terminate end it, a cancel says that it has no proof."""
    with left_over(docker, "dead-plain") as left:
        deployed.app.control.revoke("celery-dead-plain", terminate=True)
        with left_over(docker, "dead-killed") as pid:
            seen_dead(deployed.quell.kill("dead-killed", {"wait": 40}).expect(200).json, pid)
        assert deployed.quell.show("dead-killed")["signal"] == "SIGKILL"
        deployed.quell.post("/api/eval/dead-killed/restore").problem(409, "conflict")
        with left_over(docker, "dead-ended") as pid:
            ended = deployed.quell.cancel("dead-ended", {"terminate": True, "wait": 40})
            seen_dead(ended.expect(200).json, pid)
        with left_over(docker, "dead-asked") as pid:
            told = deployed.quell.cancel("dead-asked", {"wait": 40}).expect(200).json
            assert not told["cancelled"] and told["outcome"] == "unconfirmed", told
            assert alive(pid)
            assert "a kill ends them" in " ".join(step["what"] for step in told["steps"]), told
            seen_dead(deployed.quell.kill("dead-asked", {"wait": 40}).expect(200).json, pid)
        assert alive(left)
    deployed.quell.kill("dead-nobody", {"wait": 20}).problem(404, "not-found")


def test_failure_of_a_killed_container_is_none(deployed, docker, worker):
    """Its worker writes that the task failed, as its container exited with 137. Also where nothing
    could be written into the result backend before its kill."""
    for eval_id in ("noticed", "unnoticed"):
        deployed.quell.submit(eval_id=eval_id, code=eval_id, language="python")
        sent = Sent(deployed, eval_id, f"celery-{eval_id}")
        pid = pid_of(docker, sent)
        system.eventually(lambda: deployed.quell.show(eval_id)["status"] == "running",
                          what="Quell to see it run")
        if eval_id == "unnoticed":
            deployed.client.execute_command("CLIENT", "PAUSE", 3000, "WRITE")
        deployed.quell.kill(eval_id, {"wait": 0, "grace": 20})
        system.eventually(lambda: not alive(pid), what="the end of its container")
        sent.until("ended")
        seen = deployed.quell.wait(eval_id, 60)
        assert seen["status"] == "cancelled", seen
        assert seen["cancellation"]["outcome"] == "killed", seen
        assert sent.until_state("FAILURE", "REVOKED") == "FAILURE"  # the worker's word stands


def test_processor_time_is_metered(deployed, docker, worker):
    """Of a task's process and of its containers, as both are on this host."""
    def kill(eval_id):
        rose = deployed.quell.rise(lambda: deployed.quell.kill(eval_id, {"wait": 30}).expect(200))
        assert rose['quell_stops_metered_total{burnt="known",saved="unknown"}'] == 1, rose
        return sum(value for name, value in rose.items() if "cpu_burnt_seconds_total" in name)

    deployed.send("burns", task_id="celery-burns").until("began")
    assert 0.01 < kill("burns") < 30  # of a busy machine; it took SIGKILL, two seconds later
    boxed(deployed, docker, "boxed-too")
    assert kill("boxed-too") < 1


@contextlib.contextmanager
def docker_killed(docker):
    """It comes back on the same folders: its containers lived on without it. Its containerd dies with
    it, and unless that is reaped too the next dockerd takes it for alive."""
    folder = os.path.dirname(docker.removeprefix("unix://"))
    pid = [pid for pid, line in system.processes()
           if line.startswith("dockerd ") and docker in line][0]
    with open(f"/proc/{pid}/cmdline", "rb") as words:
        command = words.read().decode().rstrip("\0").split("\0")
    with open(f"{folder}/exec/containerd/containerd.pid", encoding="ascii") as text:
        containerd = int(text.read())
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.waitpid(containerd, 0)
    again = []

    def back():
        # without that it would end them itself as it begins
        again.append(subprocess.Popen([*command, "--live-restore"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL,
                                      preexec_fn=system.die_with_parent))
        system.eventually(lambda: answers(docker), 60, "dockerd")
    try:
        yield back
    finally:
        if not again:
            back()
        leave_nothing(docker, folder, again[0])


def leave_nothing(docker, folder, daemon):
    for one in Engine(docker).ask("GET", "/containers/json", all=1).json:
        Engine(docker).ask("DELETE", f"/containers/{one['Id']}", accepts=(404, 409), force=1, v=1)
    daemon.terminate()
    daemon.wait()
    for shim, line in system.processes():  # a containerd that was killed takes no leave of them
        if "containerd-shim" in line and folder in line:
            os.kill(shim, signal.SIGKILL)
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        left = [line.split()[4] for line in mounts if f" {folder}/" in line]
    for mount in reversed(left):  # nor a dockerd of its mounts
        subprocess.run(["umount", "-l", mount], check=True)


def answers(docker):
    with contextlib.suppress(DockerError):
        return Engine(docker).version()


@pytest.mark.deadline(180)
def test_docker_dies_during_kills(deployed, docker, worker):
    """Nothing is called cancelled while a container of it lives; once dockerd is back, all are, with proof. Plain
    Celery says REVOKED, and the container goes on."""
    plain, left = boxed(deployed, docker, "plain")
    sent = [boxed(deployed, docker, f"storm-{number}") for number in range(3)]
    deployed.quell.kill("storm-0", {"wait": 0})
    with docker_killed(docker) as back:
        deployed.revoke(plain, terminate=True)
        plain.until_state("REVOKED")
        for number in range(1, 3):
            deployed.quell.kill(f"storm-{number}", {"wait": 0})
        for number, (_, pid) in enumerate(sent):
            seen = deployed.quell.get(f"/api/eval/storm-{number}?wait=1").expect(200).json
            assert not (seen["status"] == "cancelled" and alive(pid)), seen
        back()
        for number, (_, pid) in enumerate(sent):
            seen = deployed.quell.until_status(f"storm-{number}", "cancelled", seconds=60)
            assert seen["cancellation"]["evidence"] == "verified" and not alive(pid), seen
        assert alive(left)
