"""A receiver of webhooks, with its own idea of the signature: Python's hmac and the words of the standard."""
import base64
import hashlib
import hmac
import json
import time

import listener


def signs(secret, headers, body):
    """Which of the signatures is by that secret? -1 = none."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return next((place for place, one in enumerate(headers["webhook-signature"].split(" "))
                 if hmac.compare_digest(one, wanted)), -1)


class Handler(listener.Handler):
    def do_POST(self):
        receiver = self.server.owner
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


class Receiver(listener.Listener):
    def __init__(self):
        self.all = []  # (path, headers, body), also of those that it refused
        self.answer = lambda path, message: 204
        super().__init__(Handler)

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
