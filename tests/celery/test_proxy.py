"""The rights that docs/celery.md gives Quell in Docker, by the very proxy that it shows: enough, and no more."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading

import pytest
from conftest import system
from deployment import Deployment, alive
from dockers import IMAGE, docker_daemon
from quell.docker import Engine
from quell.errors import DockerError

ID = "[0-9a-f]{64}"


def manual():
    with open(os.path.join(system.TOP, "docs", "celery.md"), encoding="utf-8") as text:
        return text.read()


def promised():
    """The calls of the manual's table."""
    return set(re.findall(r"`((?:GET|POST|DELETE) /[^`]+)`", manual().split("### Docker")[1]
                          .split("\n## ")[0]))


class Haproxy:
    """The manual's, on a socket of the test's own; what it let through and what not stands in asked."""

    def __init__(self, docker):
        self.folder = tempfile.mkdtemp(prefix="quell-haproxy-")
        self.host = f"unix://{self.folder}/socket"
        self.asked = []
        (config,) = re.findall(r"^```haproxy\n(.*?)^```", manual(), re.S | re.M)
        assert "/run/quell/docker.sock mode 660 group quell" in config
        config = config.replace("/run/quell/docker.sock mode 660 group quell",
                                f"{self.folder}/socket")
        config = config.replace("/var/run/docker.sock", docker.removeprefix("unix://"))
        config = config.replace("defaults\n", "defaults\n    log stdout format raw local0\n"
                                "    log-format \"%ST %HM %HP\"\n    option logasap\n")
        with open(f"{self.folder}/conf", "w", encoding="utf-8") as file:
            file.write(config)
        self.process = subprocess.Popen(["haproxy", "-db", "-f", f"{self.folder}/conf"], text=True,
                                        stdout=subprocess.PIPE, preexec_fn=system.die_with_parent)
        threading.Thread(target=self.read, daemon=True).start()
        system.eventually(self.answers, what="haproxy")

    def answers(self):
        assert self.process.poll() is None, "haproxy refuses the manual's configuration"
        with contextlib.suppress(DockerError):
            return Engine(self.host).version()

    def read(self):
        for line in self.process.stdout:
            found = re.match(r"(\d+) (\w+) (?:/v1\.\d+)?(/\S+)", line)
            if found:
                status, method, path = found.groups()
                self.asked.append((int(status), f"{method} {re.sub(ID, '{id}', path)}"))

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def docker():
    with docker_daemon() as host:
        yield host


@pytest.fixture(scope="module")
def proxy(docker):
    if not shutil.which("haproxy"):
        pytest.skip("haproxy is not installed")
    made = Haproxy(docker)
    yield made
    made.close()


@pytest.fixture(scope="module")
def deployed(docker, proxy):
    """The tasks have the daemon itself; Quell has the proxy alone."""
    with Deployment("--docker-host", proxy.host, env={"STOCK_DOCKER": docker}) as made:
        with made.worker("-c", "4"):
            yield made


def pid_of(docker, container):
    return Engine(docker).ask("GET", f"/containers/{container}/json").json["State"]["Pid"]


def create(docker, eval_id, **more):
    body = {"Image": IMAGE, "Cmd": ["sleep", "60"], "Labels": {"quell.eval_id": eval_id},
            "NetworkDisabled": True, "HostConfig": {"NetworkMode": "none", **more}}
    return Engine(docker).ask("POST", "/containers/create", body).json["Id"]


def gone(docker, container):
    try:
        return not Engine(docker).ask("GET", f"/containers/{container}/json").json["State"]["Running"]
    except DockerError:
        return True


def test_all_that_quell_does(deployed, docker, proxy):
    """A container that talks, one that would restart, one that was never started, and one that comes later."""
    sent = deployed.send("boxed", "boxed", task_id="celery-boxed")
    container = sent.until("container")
    pid = pid_of(docker, container)
    armed = create(docker, "boxed", RestartPolicy={"Name": "always"})
    Engine(docker).ask("POST", f"/containers/{armed}/start")
    created = create(docker, "boxed")
    told = deployed.quell.kill("boxed", {"wait": 30}).expect(200).json
    assert told["cancelled"] and told["evidence"] == "verified" and not told["unasked"], told
    assert not alive(pid) and gone(docker, armed) and gone(docker, created)
    system.eventually(lambda: deployed.quell.show("boxed")["output_bytes"], what="its salvage")
    later = create(docker, "boxed")
    with contextlib.suppress(DockerError):  # it may be gone before that
        Engine(docker).ask("POST", f"/containers/{later}/start")
    system.eventually(lambda: gone(docker, later), what="its end on sight")
    assert deployed.quell.get("/readyz").expect(200).json["dependencies"]["docker"]["state"] == "ok"
    # a frozen one dies by Docker's hand alone, and so does one on another host
    frozen = deployed.send("boxed", "frozen", task_id="celery-frozen").until("container")
    Engine(docker).ask("POST", f"/containers/{frozen}/pause")
    assert deployed.quell.kill("frozen", {"wait": 30}).expect(200).json["cancelled"]


def test_no_more_is_asked_for_and_no_less_is_granted(deployed, docker, proxy):
    asked = {call for _, call in proxy.asked}
    assert not [one for one in proxy.asked if one[0] == 403]
    assert asked - promised() == set()
    # that is asked of a container that runs for a while, or on another host
    assert promised() - asked <= {"GET /containers/{id}/stats"}


def test_others_are_refused(deployed, docker, proxy):
    """What would make its holder root, with and without a version before it."""
    container = create(docker, "other")
    for method, path in (("POST", "/containers/create"), ("POST", f"/containers/{container}/start"),
                         ("POST", f"/containers/{container}/exec"), ("GET", "/images/json"),
                         ("PUT", f"/containers/{container}/archive"), ("GET", "/info"),
                         ("DELETE", "/images/quell-test:1"), ("POST", "/v1.41/containers/create"),
                         ("GET", f"/containers/{container}/json/../archive")):
        with pytest.raises(DockerError) as refused:
            Engine(proxy.host).ask(method, path)
        assert "403" in str(refused.value), (method, path, refused.value)
