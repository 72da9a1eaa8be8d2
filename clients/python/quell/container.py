"""A container of a task's: labelled, so that Quell finds and ends it whatever becomes of the task, and ended
with the `with` that it was made in.
"""
from __future__ import annotations

import contextlib
import io
import logging
import math
import tarfile
import time
import uuid
import zlib
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Sequence

from .docker import ANSWER_MAX, Engine, Logs, merged
from .errors import DockerError

log = logging.getLogger("quell")

NOBODY = 65534
FOLDER = "/quell"  # a volume of its own: files go in and out there
TICK = 0.2  # seconds between two looks at whether the task shall stop
GONE = 30.0  # seconds that a removal may take
NOTICE = 1.0  # seconds in which who killed the container may say so
LABEL = "quell.eval_id"
MARK = "quell.container"


class Exit(NamedTuple):
    """How it ended. A code above 128 is a signal: 137 is SIGKILL."""

    code: int
    oom: bool


class Container:
    """Made by CancellableTask.container(). Its output is read once, by output() or wait().

    tick is called each TICK while that waits, from the reader's thread; what it raises ends the wait.
    """

    def __init__(self, engine: Engine, body: Mapping[str, Any], tick: Callable[[], None],
                 grace: float, name: Optional[str] = None) -> None:
        self.engine = engine
        self.mark = uuid.uuid4().hex  # a name that was given may be another one's: see end
        self.name = name or f"quell-{self.mark}"
        self.body = merged(body, {"Labels": {MARK: self.mark}})
        self.id: Optional[str] = None
        self.grace = grace
        self._tick = tick
        self._logs: Optional[Logs] = None
        self._bytes = 0  # of its output that was given out, and their sum
        self._sum = 0
        self._whole = False  # nothing is to come
        self._ticked = 0.0
        self._exit: Optional[Exit] = None

    # ---- its life ----

    def create(self) -> None:
        reply = self.engine.ask("POST", "/containers/create", self.body, accepts=(404,),
                                name=self.name)
        if reply.status == 404:
            image = self.body.get("Image")
            raise DockerError(f"{reply.message}. Have it on the worker's host: docker pull {image}")
        self.id = str(reply.json["Id"])

    def start(self) -> None:
        self.engine.ask("POST", f"/containers/{self.id}/start")

    def signal(self, name: str = "SIGTERM") -> None:
        """No error when it does not run."""
        self.engine.ask("POST", f"/containers/{self.id}/kill", accepts=(404, 409), signal=name)

    def stop(self, grace: Optional[float] = None) -> None:
        """SIGTERM, after the grace SIGKILL; returns when it has ended."""
        grace = self.grace if grace is None else grace
        self.engine.ask("POST", f"/containers/{self.name}/stop", accepts=(404,),
                        timeout=grace + GONE, t=max(0, round(grace)))

    def state(self) -> Dict[str, Any]:
        """Docker's State: Running, ExitCode, OOMKilled and so on."""
        return dict(self.engine.ask("GET", f"/containers/{self.id}/json").json["State"])

    def end(self) -> None:
        """Stops and removes it, and returns when it is gone. By its name, as a signal may have come
        between its making and the answer that tells its id."""
        if self._logs:
            self._logs.close()
        made = self.engine.ask("GET", f"/containers/{self.name}/json", accepts=(404,))
        if made.status == 404 or made.json["Config"]["Labels"].get(MARK) != self.mark:
            return
        self.stop()
        until = time.monotonic() + GONE
        while True:
            self.engine.ask("DELETE", f"/containers/{self.name}", accepts=(404, 409), force=1, v=1)
            seen = self.engine.ask("GET", f"/containers/{self.name}/json", accepts=(404,))
            if seen.status == 404:
                return
            if time.monotonic() > until:
                raise DockerError(f"the container {self.name} is still there {GONE:g} s after it was "
                                  f"to be removed: {seen.json['State'].get('Status')}")
            time.sleep(TICK)

    # ---- what it says ----

    def output(self) -> Iterator[bytes]:
        """stdout and stderr as they come, until it ends."""
        self._logs = self._logs or self.engine.logs(str(self.id))
        for piece in pieces(self._logs, self._maybe_tick):
            yield self._heard(piece)
        if not self._whole and self._until_exit():
            yield from self._missed(self._maybe_tick)

    def rest(self, seconds: float) -> Iterator[bytes]:
        """What of its output is still to come from one that has ended, without a tick."""
        until = time.monotonic() + seconds
        if self._logs:
            for piece in pieces(self._logs, no_tick, until):
                yield self._heard(piece)
            yield from self._missed(no_tick, until)

    def wait(self) -> Exit:
        """Until it has ended."""
        for _ in self.output():
            pass
        end = self._until_exit()
        if end is None:
            raise DockerError(f"the container {self.name} was removed by somebody else, so that "
                              "nobody can say how it ended", 404)
        if end.code == 137 and not end.oom:
            self._heed_killer()
        return end

    def _until_exit(self) -> Optional[Exit]:
        """None: it was removed."""
        while self._exit is None:
            seen = self.engine.ask("GET", f"/containers/{self.id}/json", accepts=(404,))
            if seen.status == 404:
                return None
            state = seen.json["State"]
            if not state["Running"]:
                self._exit = Exit(int(state["ExitCode"]), bool(state["OOMKilled"]))
                break
            self._maybe_tick()
            time.sleep(TICK)
        return self._exit

    def _heard(self, piece: bytes) -> bytes:
        self._bytes += len(piece)
        self._sum = zlib.crc32(piece, self._sum)
        return piece

    def _missed(self, tick: Callable[[], None], until: float = math.inf) -> Iterator[bytes]:
        """A stream that is followed may end without the last of it (Docker 20.10 on a busy machine): the log is
        read once more, now that all of it is there. Of a long one Docker has the end alone."""
        try:
            logs = self.engine.logs(str(self.id), follow=False)
        except DockerError as error:
            if error.status != 404:
                raise
            return
        known, heard, same = self._bytes, self._sum, 0
        with contextlib.closing(logs):
            for piece in pieces(logs, tick, until):
                same = zlib.crc32(piece[:known], same)
                new = piece[known:]
                known -= len(piece) - len(new)
                if new and same != heard:
                    break
                if new:
                    yield self._heard(new)
        self._whole = True
        if known or same != heard or logs.broken:
            log.warning("some of the output of %s may be lost: %s", self.name,
                        logs.broken or "Docker has no longer all of its log")

    def _heed_killer(self) -> None:
        """Somebody killed it. Where that was for a cancel, the task learns of it a moment later."""
        until = time.monotonic() + NOTICE
        while time.monotonic() < until:
            self._tick()
            time.sleep(TICK)

    def _maybe_tick(self) -> None:
        now = time.monotonic()
        if now - self._ticked >= TICK:
            self._ticked = now
            self._tick()

    # ---- its files ----

    def put(self, tar: bytes, path: str = FOLDER) -> None:
        """Unpacks a tar there. Also before it started."""
        self.engine.ask("PUT", f"/containers/{self.id}/archive", tar, path=path)

    def get(self, path: str, limit: int = ANSWER_MAX) -> Optional[bytes]:
        """A tar of what is there, or None. Also after it ended."""
        reply = self.engine.ask("GET", f"/containers/{self.id}/archive", accepts=(404,), limit=limit,
                                path=path)
        return reply.body if reply.status == 200 else None


def pieces(logs: Logs, tick: Callable[[], None], until: float = math.inf) -> Iterator[bytes]:
    """As they come, with a tick at least each TICK."""
    while time.monotonic() < until:
        tick()
        piece = logs.next(TICK)
        if piece is None:
            break
        if piece:
            yield piece


def no_tick() -> None:
    pass


def body_of(image: str, command: Optional[Sequence[str]], labels: Mapping[str, str], *,
            env: Mapping[str, str], memory_mb: int, pids: int, cpus: float, network: bool,
            user: Optional[str], options: Mapping[str, Any]) -> Dict[str, Any]:
    """The Engine's create body: without privileges, and bounded. options are put over it."""
    memory = memory_mb * 1024 * 1024
    made: Dict[str, Any] = {
        "Image": image, "Labels": dict(labels), "Env": [f"{k}={v}" for k, v in env.items()],
        "User": f"{NOBODY}:{NOBODY}" if user is None else user, "StopSignal": "SIGTERM",
        "NetworkDisabled": not network, "Volumes": {FOLDER: {}},
        "HostConfig": {
            "Init": True, "RestartPolicy": {"Name": "no"}, "AutoRemove": False,
            "ReadonlyRootfs": True, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": pids, "Memory": memory, "MemorySwap": memory,
            "NanoCpus": int(cpus * 1e9), "Tmpfs": {"/tmp": "mode=1777,exec"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "16m", "max-file": "2"}},
        },
    }
    if command is not None:
        made["Cmd"] = list(command)
    if not network:
        made["HostConfig"]["NetworkMode"] = "none"
    return merged(made, options)


def tar_of(files: Mapping[str, Optional[bytes]], owner: int = NOBODY) -> bytes:
    """Names and contents; a content of None is a folder. All are its user's."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.uid = entry.gid = owner
            entry.mtime = int(time.time())
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
