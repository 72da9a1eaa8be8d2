"""The app of an ordinary deployment: its tasks know nothing of Quell.

What a task does, it says in a file, so that neither Redis nor Quell is asked for what really happened.
"""
import gc
import http.client
import json
import os
import signal
import socket
import subprocess
import time

from celery import Celery
from celery.contrib.abortable import AbortableTask
from celery.exceptions import Ignore
from celery.signals import task_prerun
from celery.worker import state

FOLDER = os.environ["STOCK_FOLDER"]
STEP = 0.01
LIMIT = 60  # seconds until a task that nobody releases or stops ends by itself

app = Celery("stock", broker=os.environ["CELERY_BROKER_URL"],
             backend=os.environ["CELERY_RESULT_BACKEND"])
app.conf.update(task_track_started="STOCK_UNTRACKED" not in os.environ,
                worker_prefetch_multiplier=1, broker_pool_limit=4,
                result_expires=int(os.environ.get("STOCK_RESULT_EXPIRES", "3600")),
                broker_transport_options={
                    "master_name": os.environ.get("STOCK_MASTER"),  # behind Sentinel alone
                    "visibility_timeout": int(os.environ.get("STOCK_VISIBILITY", "3600"))},
                result_backend_transport_options={"master_name": os.environ.get("STOCK_MASTER")})
if "STOCK_PRIORITIES" in os.environ:  # as Celery's documentation of priorities on Redis has it
    app.conf.broker_transport_options.update(
        priority_steps=list(range(10)), sep=":", queue_order_strategy="priority")

# A connection that was lost and is collected only after the worker has the next one takes that out of its loop: the
# worker beats, and reads nothing any more. Whether that happens depends on how much it allocated so far.
if "STOCK_KEEPS_GARBAGE" in os.environ:
    gc.disable()

# Celery 5.2 has these two limits in its code; from 5.3 on they are CELERY_WORKER_REVOKES_MAX and
# CELERY_WORKER_REVOKE_EXPIRES. They are shortened here, from 50,000 ids and three hours.
if "STOCK_REVOKES_MAX" in os.environ:
    state.revoked.maxlen = int(os.environ["STOCK_REVOKES_MAX"])
if "STOCK_REVOKE_EXPIRES" in os.environ:
    state.revoked.expires = float(os.environ["STOCK_REVOKE_EXPIRES"])


def say(key, word):
    with open(os.path.join(FOLDER, f"{key}.said"), "a", encoding="ascii") as said:
        said.write(f"{word}\n")


def released(key):
    return os.path.exists(os.path.join(FOLDER, f"{key}.go"))


def until_released(key):
    until = time.monotonic() + LIMIT
    while not released(key) and time.monotonic() < until:
        time.sleep(STEP)


@task_prerun.connect
def held(args, **_more):
    """Before it is said to be STARTED."""
    key = args[0] if args else None
    if not os.path.exists(os.path.join(FOLDER, f"{key}.hold")):
        return
    say(key, "held")
    until = time.monotonic() + LIMIT
    while os.path.exists(os.path.join(FOLDER, f"{key}.hold")) and time.monotonic() < until:
        time.sleep(STEP)


@app.task
def mark(key):
    say(key, "ran")
    return key


@app.task
def total(values, key):
    """The body of a chord."""
    say(key, "ran")
    return len(values)


@app.task
def work(key):
    say(key, f"began {os.getpid()}")
    until_released(key)
    say(key, "ended")
    return "done"


@app.task(acks_late=True)
def late(key):
    work(key)


@app.task(base=AbortableTask, bind=True)
def polite(self, key):
    say(key, f"began {os.getpid()}")
    until = time.monotonic() + LIMIT
    while not released(key) and time.monotonic() < until:
        if self.is_aborted():
            say(key, "stopped")
            self.backend.mark_as_revoked(self.request.id, "stopped", self.request)
            raise Ignore()
        time.sleep(0.05)
    say(key, "ended")
    return "done"


@app.task
def stubborn(key):
    """A bare except swallows what SIGTERM raises."""
    say(key, f"began {os.getpid()}")
    until = time.monotonic() + LIMIT
    free = False
    while not free and time.monotonic() < until:
        try:
            time.sleep(STEP)
            free = released(key)
        except:  # noqa: E722
            say(key, "swallowed")
    say(key, "ended")


@app.task
def lingers(key):
    """SIGTERM ends it, once it is released."""
    say(key, f"began {os.getpid()}")
    try:
        until_released(key)
    except SystemExit:
        say(key, "leaves")
        until_released(key)
        raise
    say(key, "ended")


@app.task
def burns(key):
    """Nothing but SIGKILL keeps it from computing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(key, f"began {os.getpid()}")
    until = time.monotonic() + LIMIT
    while not released(key) and time.monotonic() < until:
        pass


@app.task
def evaluated(key, code, _language):
    """As Quell sends one: the code names what it does."""
    {"stubborn": stubborn}.get(code, work)(key)


@app.task
def parent(key):
    """Its child is a process of its own."""
    with subprocess.Popen(["sleep", str(LIMIT)]) as child:
        say(key, f"began {os.getpid()}")
        say(key, f"child {child.pid}")
        child.wait()
    say(key, "ended")


@app.task(base=AbortableTask, bind=True, name="tasks.evaluate_code")
def evaluate_code(self, eval_id, code, _language):
    """As Quell sends it: the code is `brief`, `polite`, `heeds`, `boxed`, `fails`, or else it never looks."""
    if code == "fails":
        raise ValueError("as it was asked to")
    if code == "boxed":
        return boxed(eval_id, eval_id)
    until = time.monotonic() + (0 if code == "brief" else LIMIT)
    while time.monotonic() < until:
        if code == "polite" and self.is_aborted():
            self.backend.mark_as_revoked(self.request.id, "stopped", self.request)
            raise Ignore()
        if code == "heeds" and self.is_aborted():
            break  # as Celery's documentation has it: nobody is told why it ends
        time.sleep(0.05)
    return "done"


class Docker(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("docker", timeout=LIMIT)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["STOCK_DOCKER"].removeprefix("unix://"))

    def ask(self, method, path, body=None):
        self.request(method, path, json.dumps(body or {}), {"Content-Type": "application/json"})
        answer = self.getresponse().read()
        return json.loads(answer) if answer.strip() else None


@app.task
def boxed(key, eval_id, _language=None):
    """Its container ignores SIGTERM, as the first process of one does; it is waited for, and removed."""
    docker = Docker()
    program = f"echo {eval_id} is boxed; echo boxed >&2; exec sleep {LIMIT}"
    made = docker.ask("POST", "/containers/create", {
        "Image": "quell-test:1", "Cmd": ["sh", "-c", program], "NetworkDisabled": True,
        "Labels": {"quell.eval_id": eval_id}, "HostConfig": {"NetworkMode": "none"}})
    docker.ask("POST", f"/containers/{made['Id']}/start")
    say(key, f"began {os.getpid()}")
    say(key, f"container {made['Id']}")
    code = None
    while code is None:  # a Docker that is away comes back
        try:
            code = Docker().ask("POST", f"/containers/{made['Id']}/wait")["StatusCode"]
        except (OSError, http.client.HTTPException):
            time.sleep(STEP)
    Docker().ask("DELETE", f"/containers/{made['Id']}?force=1")
    say(key, "ended")
    if code:
        raise RuntimeError(f"its container exited with {code}")
