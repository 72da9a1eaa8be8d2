"""The command line against a scripted server: what it asks, what it prints, how it exits."""
import http.server
import json
import os
import subprocess
import threading

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("QUELL_BUILD", os.path.join(TOP, "build"))
QUELL = os.path.join(BUILD, "tests/cli/quell-cli")


class Answer:
    """One answer; `pieces` are sent as chunks, and a callable among them is called in between."""

    def __init__(self, status=200, body=b"", kind="application/json", pieces=None, torn=False):
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.kind = kind
        self.pieces = pieces
        self.torn = torn  # the connection ends in the middle


def problem(status, detail, **members):
    return Answer(status, {"title": "No", "status": status, "detail": detail, **members},
                  "application/problem+json")


def text(*pieces, torn=False):
    return Answer(200, kind="text/plain", pieces=list(pieces), torn=torn)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        request = f"{self.command} {self.path}"
        self.server.requests.append((request, json.loads(body) if body else None))
        self.server.headers.append((request, dict(self.headers)))
        answers = self.server.answers.get(request)
        if answers is None:
            answer = problem(404, f"no script for {request}")
        else:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.say(answer() if callable(answer) else answer)

    do_GET = do_POST = do_DELETE = serve

    def say(self, answer):
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        if answer.pieces is None:
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in answer.pieces:
            if callable(piece):
                piece()
            else:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if answer.torn:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def handle(self):
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass  # a client that leaves is no failure of the script's

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers = {}
        self.requests = []  # (line, body)
        self.headers = []  # (line, headers)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def on(self, request, *answers):
        """Answers to "GET /path?query", one after another; the last one stays."""
        self.answers[request] = [a if isinstance(a, Answer) or callable(a) else Answer(200, a)
                                 for a in answers]

    def lines(self):
        return [line for line, _ in self.requests]


@pytest.fixture
def server():
    with Server() as made:
        yield made
        made.shutdown()


@pytest.fixture
def environment(tmp_path):
    """Nothing of the user's own: no key, no server."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}


@pytest.fixture
def quell(server, environment):
    """Runs it to its end against the scripted server: (status, stdout, stderr)."""
    def run(*args, stdin="", env=None, cwd=None):
        done = subprocess.run([QUELL, *args], input=stdin, text=True, capture_output=True,
                              env={**environment, "QUELL_URL": server.url, **(env or {})},
                              cwd=cwd, timeout=30, check=False)
        return done.returncode, done.stdout, done.stderr
    return run


class Gate:
    """A thing that happens once, and those who wait for it."""

    def __init__(self):
        self.event = threading.Event()

    def open(self):
        self.event.set()

    def wait(self):
        assert self.event.wait(20), "what the script waits for did not happen"


@pytest.fixture
def gate():
    return Gate


def evaluation(eval_id="e1", status="queued", **members):
    return {"eval_id": eval_id, "task_id": f"celery-{eval_id}", "attempt": 1, "status": status,
            "state": "PENDING", "cause": None, "owner": "admin", "language": "python",
            "priority": 5, "queue": "default", "labels": {}, "session": None,
            "created_at": "2026-01-02T03:04:05.678Z", "started_at": None, "finished_at": None,
            "exit_code": None, "signal": None, "error": None, "container": None, "worker": None,
            "output_bytes": 0, "output_truncated": False, "checkpoint": None,
            "cancellation": None, **members}


def cancellation(eval_id="e1", **members):
    return {"cancellation_id": f"{eval_id}~1", "eval_id": eval_id, "task_id": f"celery-{eval_id}",
            "attempt": 1, "mode": "cancel", "previous_state": "STARTED", "cancelled": False,
            "killed": False, "outcome": None, "evidence": "recorded", "unasked": [],
            "message": "It was asked to stop.", "reason": None, "actor": "user:admin",
            "requested_at": "2026-01-02T03:04:05.678Z", "settled_at": None, "stop_ms": None,
            "steps": [], "next": None, **members}
