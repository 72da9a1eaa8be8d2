"""A real server and a client of the standard library, for tests from outside."""
import contextlib
import ctypes
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("QUELL_BUILD", os.path.join(TOP, "build"))
QUELL = os.path.join(BUILD, "quell")
SETTLED = ("succeeded", "failed", "cancelled")
ENDED = SETTLED + ("unconfirmed",)
PATIENCE = 30  # seconds until a wait is given up, where a call names no other

SANITIZED = "build-asan" in BUILD


def die_with_parent():
    """In the child: a test that is killed takes its server along."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def eventually(look, seconds=PATIENCE, what="it"):
    """Calls look until it returns something true, and returns that."""
    until = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < until, f"{what}: not within {seconds} s (last: {seen!r})"
        time.sleep(0.005)


class Reply:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def expect(self, status):
        assert self.status == status, f"{self.status} instead of {status}: {self.body[:2000]!r}"
        return self

    def problem(self, status, kind=None):
        """A problem+json of that status; returns it."""
        self.expect(status)
        assert self.headers.get_content_type() == "application/problem+json"
        problem = self.json
        assert problem["status"] == status
        for member in ("type", "title", "detail"):
            assert isinstance(problem[member], str) and problem[member]
        if kind:
            assert problem["type"].rstrip("/").endswith(kind), problem
        return problem

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Client:
    """Speaks to a server as one owner. Each request has a connection of its own."""

    def __init__(self, port, key=None):
        self.port = port
        self.key = key

    def send(self, method, path, body=None, headers=None, timeout=70):
        """Sends a request; the answer is read from the connection that it returns."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        connection.request(method, path, body, sent)
        return connection

    def ask(self, method, path, body=None, headers=None, timeout=70):
        with contextlib.closing(self.send(method, path, body, headers, timeout)) as connection:
            response = connection.getresponse()
            return Reply(response, response.read())

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, body, **more)

    def metrics(self):
        """A sample with its labels, as they stand -> value"""
        lines = self.get("/metrics").expect(200).text.splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def rise(self, act):
        """What rose while act ran."""
        before = self.metrics()
        act()
        after = self.metrics()
        return {name: value - before.get(name, 0) for name, value in after.items()
                if value != before.get(name, 0)}

    # what tests say most

    def submit(self, code=None, language="python", **more):
        fields = {"code": code, "language": language} if code is not None else {}
        return self.post("/api/eval", {**fields, **more}).expect(201).json

    def show(self, eval_id):
        return self.get(f"/api/eval/{eval_id}").expect(200).json

    def output(self, eval_id, query=""):
        return self.get(f"/api/eval/{eval_id}/output{query}").expect(200).text

    def timeline(self, eval_id):
        return self.get(f"/api/eval/{eval_id}/timeline").expect(200).json["steps"]

    def cancel(self, eval_id, body=None, **more):
        return self.post(f"/api/eval/{eval_id}/cancel", body, **more)

    def kill(self, eval_id, body=None, **more):
        return self.post(f"/api/eval/{eval_id}/kill", body, **more)

    def insist(self, method, path, status):
        """Asks again while the answer is 409: the last run's files are removed after its end."""
        def look():
            reply = self.ask(method, path)
            return None if reply.status == 409 else reply
        return eventually(look, what=f"{method} {path}").expect(status)

    def wait(self, eval_id, seconds=PATIENCE, status=None):
        """Until it is settled or unconfirmed; returns it."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            seen = self.get(f"/api/eval/{eval_id}?wait={max(1, min(60, round(left)))}")
            seen = seen.expect(200).json
            if seen["status"] in ENDED:
                assert status in (None, seen["status"]), seen
                return seen
            assert left > 0, f"still {seen['status']} after {seconds} s: {seen}"

    def until_status(self, eval_id, *wanted, seconds=PATIENCE):
        def look():
            seen = self.show(eval_id)
            return seen if seen["status"] in wanted else None
        return eventually(look, seconds, f"{eval_id} {'/'.join(wanted)}")

    def until_output(self, eval_id, text, seconds=PATIENCE):
        """Follows the output until it contains text; returns what came up to there."""
        self.until_status(eval_id, "running", "cancelling", *ENDED)
        path = f"/api/eval/{eval_id}/output?follow=true"
        with contextlib.closing(self.send("GET", path, timeout=seconds)) as connection:
            response = connection.getresponse()
            assert response.status == 200
            said = b""
            while text.encode() not in said:
                more = response.read1()
                assert more, f"the output ended without {text!r}: {said!r}"
                said += more
            return said.decode()

    def run(self, code, **more):
        """Submits, waits for the end, returns the evaluation."""
        return self.wait(self.submit(code, **more)["eval_id"])

    def start(self, code, ready="ready\n", **more):
        """Submits and waits until the program said ready; returns its id."""
        eval_id = self.submit(code, **more)["eval_id"]
        self.until_output(eval_id, ready)
        return eval_id

    def events(self, last=None):
        return Events(self, last)


class Events:
    """An event stream; a context manager that yields itself."""

    def __init__(self, client, last=None):
        headers = {"Last-Event-ID": str(last)} if last is not None else None
        self.connection = client.send("GET", "/api/events", headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers.get_content_type() == "text/event-stream"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def next(self):
        """The next event: its fields, with data parsed. Comments are skipped."""
        event = {}
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if line and not line.startswith(":"):
                name, _, value = line.partition(":")
                event[name] = (event[name] + "\n" if name in event else "") + value.lstrip(" ")
            elif not line and event:
                event["data"] = json.loads(event["data"]) if event.get("data") else None
                return event

    def until(self, wanted):
        """Reads until wanted(event); returns all up to there."""
        seen = []
        while not seen or not wanted(seen[-1]):
            seen.append(self.next())
        return seen


class Server(Client):
    """A server on a data folder of its own."""

    def __init__(self, *flags, data=None, env=None, uid=None, owners=(),
                 listen="127.0.0.1:0"):
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix="quell-test-")
        self.flags = flags
        self.listen = listen
        self.env = env or {}
        self.uid = uid
        self.owners = {owner: f"key-of-{owner}-0123456789abcdef" for owner in owners}
        self.process = None
        self.log = []
        super().__init__(None)
        if owners:
            with open(os.path.join(self.data, "users.keys"), "w", encoding="ascii") as keys:
                os.chmod(keys.fileno(), 0o600)
                keys.writelines(f"{owner} {key}\n" for owner, key in self.owners.items())
        if uid is not None and self.own_data:
            os.chown(self.data, uid, uid)

    def command(self):
        return [QUELL, "serve", "--listen", self.listen, "--data", self.data, *self.flags]

    def environment(self):
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("QUELL_", "CELERY_", "DOCKER_", "STORAGE_"))}
        return {**clean, **self.env}

    def spawn(self):
        self.process = subprocess.Popen(
            self.command(), env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, user=self.uid,
            group=self.uid, extra_groups=None if self.uid is None else [],
            preexec_fn=die_with_parent)

    def start(self, code=None, **more):
        """Without arguments, starts the server; with code, see Client.start."""
        if code is not None or more:
            return super().start(code, **more)
        self.spawn()
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            match = re.search(r"is ready at http://[^:]+:(\d+)", line)
            if match:
                self.port = int(match.group(1))
                break
        else:
            raise AssertionError(f"the server ended with {self.process.wait()}: {self.log}")
        threading.Thread(target=self.read_log, args=[self.process.stderr], daemon=True).start()
        self.key = self.admin_key()
        return self

    def refused(self):
        """Starts a server that is expected to refuse; returns its exit status and its words."""
        self.spawn()
        try:
            _, said = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, said

    def read_log(self, pipe):
        with contextlib.suppress(ValueError):
            for line in pipe:
                self.log.append(line.rstrip())

    def admin_key(self):
        with open(os.path.join(self.data, "admin.key"), encoding="ascii") as key:
            return key.read().strip()

    def eval_key(self, eval_id):
        return hmac.new(self.key.encode(), f"eval:{eval_id}".encode(), hashlib.sha256).hexdigest()

    def client(self, key):
        return Client(self.port, key)

    def owner(self, name):
        return Client(self.port, self.owners[name])

    def end(self, number=signal.SIGTERM, seconds=PATIENCE):
        """Ends the server by a signal; returns its exit status (negative: the signal)."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(seconds)
        self.process = None
        return status

    def crash(self):
        assert self.end(signal.SIGKILL) == -signal.SIGKILL

    def again(self):
        """Starts once more on the same folder, after end or crash."""
        return self.start()

    def runs(self):
        """Run folders that are left."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.listdir(os.path.join(self.data, "run")))
        return []

    def close(self):
        """Ends the server with all of its runs, proves that none is left, removes the folder."""
        try:
            if self.runs() and (self.process is None or self.process.poll() is not None):
                self.start()
            if self.process is not None and self.process.poll() is None:
                if os.path.isdir(os.path.join(self.data, "run")):  # it may run something
                    self.stop_everything()
                self.end()
            assert not left_behind(self.data)
        finally:
            if self.process is not None and self.process.poll() is None:
                self.end(signal.SIGKILL)
            if self.own_data:
                for folder in (os.path.realpath(os.path.join(self.data, "run")), self.data):
                    shutil.rmtree(folder, ignore_errors=True)

    def stop_everything(self):
        live = "status=queued,running,cancelling,unconfirmed&limit=1000"
        for seen in self.get(f"/api/evaluations?{live}").expect(200).json["evaluations"]:
            self.kill(seen["eval_id"], {"wait": 0})
        for seen in self.get(f"/api/evaluations?{live}").expect(200).json["evaluations"]:
            self.wait(seen["eval_id"])
        eventually(lambda: not self.runs(), what="run folders to go")


@contextlib.contextmanager
def serving(*flags, **more):
    server = Server(*flags, **more)
    try:
        yield server.start()
    except BaseException:
        print("the server's log:", *server.log[-50:], sep="\n  ")
        raise
    finally:
        server.close()


def processes():
    """(pid, command line) of each process that has one."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/cmdline", "rb") as words:
                    line = words.read().replace(b"\0", b" ").decode(errors="replace").strip()
                if line:
                    yield int(name), line


def members(eval_id):
    """Host processes that run for an evaluation, by their environment."""
    mark = f"QUELL_EVAL_ID={eval_id}".encode()
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/environ", "rb") as environ:
                if name.isdigit() and mark in environ.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found


def left_behind(data):
    """Processes, mounts and run folders of a data folder's runs that are still there."""
    found = [f"process {pid}: {line}" for pid, line in processes()
             if f"{data}/run/" in line]
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        found += [f"mount {line.split()[4]}" for line in mounts if f"{data}/" in line]
    with contextlib.suppress(FileNotFoundError):
        found += [f"folder {name}" for name in os.listdir(os.path.join(data, "run"))]
    return found


def query(**words):
    return "?" + urllib.parse.urlencode(words)


def raw(port, request, seconds=10):
    """Sends bytes as they are and returns all bytes that come back."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(request)
        said = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while True:
                more = connection.recv(65536)
                if not more:
                    break
                said += more
                head, end, body = said.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if end and length and len(body) >= int(length.group(1)):
                    break
        return said
