"""A server of the test's own that Quell calls: up between start and stop, always on the same port."""
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass


class HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_):
        """A server that was killed, or read enough, leaves its connections broken."""


class Listener:
    """Handlers find it as self.server.owner. What came outlives a stop; nothing is answered while it holds."""

    def __init__(self, handler):
        self.lock = threading.Lock()
        self.hold = threading.Event()
        self.hold.set()
        self.handler = handler
        self.port = 0
        self.http = None
        self.start()

    def start(self):
        self.http = HttpServer(("127.0.0.1", self.port), self.handler)
        self.http.owner = self
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

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hold.set()
        self.stop()
