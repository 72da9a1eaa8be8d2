"""A storage service of the test's own: takes PUT /evaluations/{id} and remembers each."""
import http.server
import json
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self):
        storage = self.server.storage
        body = self.rfile.read(int(self.headers["Content-Length"]))
        storage.came(self.path, json.loads(body), self.headers)
        storage.hold.wait()
        status = storage.answer(self.path)
        if status == 200:
            storage.keep(self.path, json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_):
        """A server that was killed leaves its connections broken."""


class Storage:
    """Up between start and stop, always on the same port; what it was told outlives both."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked = []  # (path, body, headers), also of those that it refused
        self.kept = []  # (path, body)
        self.answer = lambda path: 200
        self.hold = threading.Event()
        self.hold.set()
        self.port = 0
        self.http = None
        self.start()

    def start(self):
        self.http = HttpServer(("127.0.0.1", self.port), Handler)
        self.http.storage = self
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()

    def stop(self):
        """Nobody listens any more. Connections that are open are broken at their next answer."""
        if self.http:
            self.http.shutdown()
            self.http.server_close()
            self.http = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def came(self, path, body, headers):
        with self.lock:
            self.asked.append((path, body, headers))

    def keep(self, path, body):
        with self.lock:
            self.kept.append((path, body))

    def of(self, eval_id):
        """What it keeps of one evaluation, in order."""
        with self.lock:
            return [body for path, body in self.kept if path == f"/evaluations/{eval_id}"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hold.set()
        self.stop()
