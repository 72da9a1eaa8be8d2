"""A receiver of webhooks, with its own idea of the signature: Python's hmac and the words of the standard."""
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time


def signs(secret, headers, body):
    """Which of the signatures is by that secret? -1 = none."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return next((place for place, one in enumerate(headers["webhook-signature"].split(" "))
                 if hmac.compare_digest(one, wanted)), -1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = receiver.came(self.path, self.headers, body)
        receiver.hold.wait()
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        flood = headers.pop("flood", 0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(flood))
        self.end_headers()
        for _ in range(flood // 65536):
            self.wfile.write(bytes(65536))

    def log_message(self, *_):
        pass


class HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_):
        """A server that was killed, or read enough, leaves its connections broken."""


class Receiver:
    """Up between start and stop, always on the same port; what came outlives both."""

    def __init__(self):
        self.lock = threading.Lock()
        self.all = []  # (path, headers, body), also of those that it refused
        self.answer = lambda path, message: 204
        self.hold = threading.Event()
        self.hold.set()
        self.port = 0
        self.http = None
        self.start()

    def start(self):
        self.http = HttpServer(("127.0.0.1", self.port), Handler)
        self.http.receiver = self
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()

    def stop(self):
        if self.http:
            self.http.shutdown()
            self.http.server_close()
            self.http = None

    def came(self, path, headers, body):
        with self.lock:
            self.all.append((path, headers, body))
        return self.answer(path, json.loads(body))

    def of(self, path="/in"):
        """(headers, message) of all that came there, in order."""
        with self.lock:
            return [(headers, json.loads(body)) for one, headers, body in self.all if one == path]

    def ids(self, path="/in"):
        return [headers["webhook-id"] for headers, _ in self.of(path)]

    def told(self, path="/in"):
        return [(message["type"], message["data"].get("eval_id")) for _, message in self.of(path)]

    def check(self, secret, place=0):
        """Each that came was signed by it, just now."""
        with self.lock:
            for _, headers, body in self.all:
                assert signs(secret, headers, body) == place
                assert signs(secret, headers, body + b" ") == -1
                assert abs(time.time() - int(headers["webhook-timestamp"])) < 300

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hold.set()
        self.stop()
