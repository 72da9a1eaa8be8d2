"""A storage service of the test's own: takes PUT /evaluations/{id} and remembers each."""
import json

import listener


class Handler(listener.Handler):
    def do_PUT(self):
        storage = self.server.owner
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


class Storage(listener.Listener):
    def __init__(self):
        self.asked = []  # (path, body, headers), also of those that it refused
        self.kept = []  # (path, body)
        self.answer = lambda path: 200
        super().__init__(Handler)

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
