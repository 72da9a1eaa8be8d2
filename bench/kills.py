"""A kill through Quell beside Docker's own."""
import contextlib
import os
import statistics
import sys
import time

from measure import TOP, serving, tell

sys.path.insert(0, os.path.join(TOP, "tests", "docker"))

import dockerd  # noqa: E402

ROW = "Docker: kill to the answer"
DEAF = "trap '' TERM; while :; do sleep 1000; done"


@contextlib.contextmanager
def runs_in(daemon):
    with serving("--runtime", "docker", "--docker-host", daemon.host, "--docker-image",
                 dockerd.IMAGE, "--workers", "1") as server:
        yield server
        server.stop_everything()


def elapsed_ms(ask):
    began = time.monotonic()
    ask()
    return (time.monotonic() - began) * 1000


def kill_plain(daemon):
    """From the question to the API's answer, which proves nothing: ms."""
    status, made = daemon.ask("POST", "/containers/create", {
        "Image": dockerd.IMAGE, "Cmd": ["sh", "-c", DEAF], "HostConfig": {"NetworkMode": "none"}})
    assert status == 201, made
    path = f"/containers/{made['Id']}"
    assert daemon.ask("POST", f"{path}/start")[0] == 204
    took = elapsed_ms(lambda: daemon.ask("POST", f"{path}/kill"))
    daemon.ask("DELETE", f"{path}?force=1")
    return took


def kill_by_quell(server):
    """From the question to the answer that it is proven dead: ms."""
    said = server.submit(command=["sh", "-c", f"echo ready; {DEAF}"])
    server.until_output(said["eval_id"], "ready\n")
    return elapsed_ms(lambda: server.kill(said["eval_id"], {"wait": 30}).expect(200))


def bench_docker(quick):
    """Containers killed through Quell, beside Docker's own API."""
    why = dockerd.missing()
    if why:
        tell(ROW, "not measured", why)
        return
    usual, ours = [], []
    with contextlib.ExitStack() as stack:
        try:
            daemon = stack.enter_context(dockerd.running())
        except AssertionError as failed:
            tell(ROW, "not measured", f"dockerd does not start: {str(failed).strip()[-200:]}")
            return
        server = stack.enter_context(runs_in(daemon))
        for _ in range(5 if quick else 20):
            usual.append(kill_plain(daemon))
            ours.append(kill_by_quell(server))
    usual, ours = map(statistics.median, (usual, ours))
    tell(ROW, f"{ours:.1f} ms", f"{ours / usual:.2f} of the {usual:.1f} ms until Docker's API answers "
         "a kill; proven, too", "1.1 at most")


BENCHES = {"docker": bench_docker}
