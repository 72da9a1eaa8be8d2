"""As much of Docker's Engine API as a task needs, on its socket. No docker program is run: a program
between would have to be killed too, and says less when something fails.

DOCKER_HOST as docker has it: unix:///var/run/docker.sock where none is named, or tcp://host:port, with TLS where
DOCKER_TLS_VERIFY is set (DOCKER_CERT_PATH).
"""
from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import quote, urlencode, urlsplit

from .errors import DockerError

DEFAULT_HOST = "unix:///var/run/docker.sock"
NEWEST = (1, 44)  # the API version that is asked for, where the daemon knows it
TIMEOUT = 60.0  # seconds; a kill of a stuck process is answered after 12
ANSWER_MAX = 64 * 1024 * 1024  # bytes
UNREAD_MAX = 1024 * 1024  # bytes of output that wait to be read


class Reply(NamedTuple):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")

    @property
    def message(self) -> str:
        try:
            return str(self.json["message"])
        except (ValueError, KeyError, TypeError):
            return self.body[:500].decode(errors="replace").strip()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: Optional[float]) -> None:
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """One daemon. Each call has a connection of its own, and a deadline."""

    def __init__(self, host: Optional[str] = None) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._version = ""

    def ask(self, method: str, where: str, body: Any = None, *, accepts: Tuple[int, ...] = (),
            timeout: float = TIMEOUT, limit: int = ANSWER_MAX, **query: Any) -> Reply:
        """Raises DockerError for what is refused, unless its status is in `accepts`. A body of
        bytes is a tar; another one is sent as JSON."""
        connection = self._connection(timeout)
        try:
            response = self._send(connection, method, where, body, query)
            reply = Reply(response.status, response.read(limit + 1))
        except (OSError, http.client.HTTPException) as error:
            raise self._away(f"{method} {where}", error) from error
        finally:
            connection.close()
        if len(reply.body) > limit:
            raise DockerError(f"{method} {where} has more than {limit} bytes")
        if reply.status >= 400 and reply.status not in accepts:
            raise DockerError(f"Docker refused {method} {where} ({reply.status}): {reply.message}",
                              reply.status)
        return reply

    def logs(self, container: str, follow: bool = True) -> Logs:
        """Its output from the beginning: as it comes, or what there is."""
        connection = self._connection(TIMEOUT)
        try:
            connection.connect()
            sock = connection.sock
            response = self._send(connection, "GET", f"/containers/{container}/logs", None,
                                  {"stdout": 1, "stderr": 1, "follow": int(follow)})
            if response.status != 200:
                reply = Reply(response.status, response.read())
                connection.close()
                raise DockerError(f"Docker gives no output of {container}: {reply.message}",
                                  reply.status)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._away("following the output", error) from error
        sock.settimeout(None)
        return Logs(response, sock)

    def _send(self, connection: http.client.HTTPConnection, method: str, where: str, body: Any,
              query: Mapping[str, Any]) -> http.client.HTTPResponse:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if sent is None else {
            "Content-Type": "application/x-tar" if sent is body else "application/json"}
        target = f"/v{self.version()}{quote(where)}"
        target += f"?{urlencode(query)}" if query else ""
        connection.request(method, target, sent, headers)
        return connection.getresponse()

    def version(self) -> str:
        """The newest version of the API that both know."""
        if not self._version:
            connection = self._connection(TIMEOUT)
            try:
                connection.request("GET", "/version")
                theirs = json.loads(connection.getresponse().read())["ApiVersion"]
                major, minor = (int(part) for part in theirs.split(".")[:2])
            except (OSError, http.client.HTTPException, LookupError, ValueError) as error:
                raise self._away("asking for its version", error) from error
            finally:
                connection.close()
            self._version = "{}.{}".format(*min(NEWEST, (major, minor)))
        return self._version

    def _connection(self, timeout: Optional[float]) -> http.client.HTTPConnection:
        parts = urlsplit(self.host)
        if parts.scheme == "unix":
            return UnixConnection(parts.path, timeout)
        if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
            raise DockerError(f"DOCKER_HOST must be unix:///path or tcp://host:port, not {self.host!r}")
        if parts.scheme != "https" and not os.environ.get("DOCKER_TLS_VERIFY"):
            return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout)
        folder = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
        context = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
        context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
        return http.client.HTTPSConnection(parts.hostname, parts.port or 2376, timeout=timeout,
                                           context=context)

    def _away(self, what: str, error: Exception) -> DockerError:
        return DockerError(f"Docker at {self.host} did not answer ({what}): "
                           f"{str(error) or type(error).__name__}. DOCKER_HOST names another")


class Logs:
    """A thread reads, as the one who wants to read has other things to look at meanwhile."""

    def __init__(self, response: http.client.HTTPResponse, sock: socket.socket) -> None:
        self.broken: Optional[Exception] = None
        self._response = response
        self._sock = sock
        self._unread = bytearray()
        self._ended = False
        self._closed = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, name="quell-logs", daemon=True).start()

    def next(self, timeout: float) -> Optional[bytes]:
        """What came since; b"" where nothing did within the timeout, None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._unread or self._ended, timeout)
            if not self._unread and self._ended:
                return None
            piece = bytes(self._unread)
            self._unread.clear()
            self._changed.notify()
            return piece

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the daemon was faster
        self._sock.close()

    def _read(self) -> None:
        broken: Optional[Exception] = None
        try:
            for piece in frames(self._response):
                with self._changed:
                    self._changed.wait_for(lambda: len(self._unread) < UNREAD_MAX or self._closed)
                    if self._closed:
                        break
                    self._unread += piece
                    self._changed.notify()
        except (OSError, ValueError, http.client.HTTPException) as error:
            broken = error
        self._response.close()
        with self._changed:
            self.broken = None if self._closed else broken
            self._ended = True
            self._changed.notify()


def frames(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """stdout and stderr out of the stream of a container without a terminal, a frame for each piece."""
    while True:
        head = response.read(8)
        if not head:
            return
        size = int.from_bytes(head[4:8], "big")
        while size:
            piece = response.read1(size)
            if not piece:
                raise http.client.IncompleteRead(b"", size)
            size -= len(piece)
            yield piece


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> Dict[str, Any]:
    """more over base, object by object."""
    made = dict(base)
    for name, value in more.items():
        below = made.get(name)
        made[name] = (merged(below, value) if isinstance(below, dict) and isinstance(value, dict)
                      else value)
    return made
