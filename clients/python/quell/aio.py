"""The API for asyncio, on its streams.

Streams and not threads around client.py: a wait, a followed output and a stream of events each last
minutes and would each hold a thread, and a cancelled asyncio task would leave its request running
there. Here it closes its connection, and the server knows at once.
"""
from __future__ import annotations

import asyncio
import http.client
import io
import ssl
import time
from typing import (Any, AsyncIterator, Awaitable, Dict, Iterable, List, Mapping, NamedTuple, Optional,
                    Sequence, Tuple, TypeVar, Union)
from urllib.parse import urlsplit

from . import calls
from .calls import Answer, Call, Stop
from .client import IDLE_MAX, PIECE, SILENCE, TIMEOUT, away
from .errors import Problem, Unreachable
from .lines import EventReader, Patience
from .settings import server_key, server_url
from .types import ENDED, Cancellation, Count, Evaluation, Event, Report, Task, TimelineStep

T = TypeVar("T")

HEAD_MAX = 65536  # bytes of an answer's head, and of a chunk's first line
BROKEN = (OSError, EOFError, asyncio.TimeoutError, asyncio.LimitOverrunError, ValueError,
          http.client.HTTPException)


class Head(NamedTuple):
    status: int
    headers: Dict[str, str]  # names in lower case


class Wire:
    """One connection, and one exchange on it at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.complete = False  # the answer was read to its end: another may follow
        self.answered = False  # something of it came

    def close(self) -> None:
        self.writer.close()

    async def ask(self, head: bytes, body: bytes) -> Head:
        self.complete = self.answered = False
        self.writer.write(head + body)
        await self.writer.drain()
        first = await self.reader.readline()
        if not first:
            raise EOFError("the connection was closed before an answer")
        self.answered = True
        lines = [first]
        while lines[-1] not in (b"\r\n", b"\n"):
            lines.append(await self.reader.readline())
            if not lines[-1] or sum(map(len, lines)) > HEAD_MAX:
                raise EOFError("the answer's head is torn or too long")
        status = int(first.split(None, 2)[1])
        fields = http.client.parse_headers(io.BytesIO(b"".join(lines[1:])))
        return Head(status, {name.lower(): value for name, value in fields.items()})

    async def pieces(self, head: Head) -> AsyncIterator[bytes]:
        """The body as it comes."""
        length = head.headers.get("content-length")
        if head.status in (204, 304):
            length = "0"
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            async for piece in self._chunks():
                yield piece
        elif length is not None:
            async for piece in self._counted(int(length)):
                yield piece
        else:
            while True:
                piece = await self.reader.read(PIECE)
                if not piece:
                    return
                yield piece
        self.complete = head.headers.get("connection", "").lower() != "close"

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            line = await self.reader.readuntil(b"\n")
            size = int(line.split(b";")[0], 16)
            async for piece in self._counted(size):
                yield piece
            end = await self.reader.readuntil(b"\n")
            while size == 0 and end not in (b"\r\n", b"\n"):  # trailers
                end = await self.reader.readuntil(b"\n")
            if size == 0:
                return

    async def _counted(self, size: int) -> AsyncIterator[bytes]:
        while size > 0:
            piece = await self.reader.read(min(size, PIECE))
            if not piece:
                raise EOFError("the answer broke off")
            size -= len(piece)
            yield piece


class AsyncClient:
    """Client, with await: see there for what each call does. Of one event loop."""

    def __init__(self, url: Optional[str] = None, key: Optional[str] = None, *,
                 timeout: float = TIMEOUT, patience: float = 30.0) -> None:
        self.url = server_url(url)
        self.timeout = timeout
        self.patience = patience
        self._key = server_key(key, self.url)
        self._idle: List[Wire] = []

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        while self._idle:
            wire = self._idle.pop()
            wire.close()
            try:
                await wire.writer.wait_closed()
            except OSError:
                pass  # the server was faster

    # ---- evaluations ----

    def submit(self, code: Optional[str] = None, language: Optional[str] = None, *,
               command: Optional[Sequence[str]] = None, idempotency_key: Optional[str] = None,
               **members: Any) -> Awaitable[Evaluation]:
        named = {"code": code, "language": language, "command": command and list(command)}
        return self.call(calls.submit({**named, **members}, idempotency_key))

    def submit_batch(self, evaluations: Iterable[Mapping[str, Any]], *,
                     idempotency_key: Optional[str] = None) -> Awaitable[List[Evaluation]]:
        return self.call(calls.submit_batch(evaluations, idempotency_key))

    def get(self, eval_id: str) -> Awaitable[Evaluation]:
        return self.call(calls.get(eval_id))

    async def wait(self, eval_id: str, timeout: Optional[float] = None) -> Evaluation:
        until = None if timeout is None else time.monotonic() + timeout
        patience = Patience(self.patience)
        while True:
            left = calls.LONGEST_HOLD if until is None else until - time.monotonic()
            try:
                seen = await self.call(calls.get(eval_id, left))
            except Unreachable:
                await self._pause(patience)
                continue
            patience.came()
            if seen["status"] in ENDED:
                return seen
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"{eval_id} is still {seen['status']} after {timeout} s")

    def list(self, selector: Optional[str] = None, *,
             status: Union[str, Sequence[str], None] = None, owner: Optional[str] = None,
             label: Optional[Tuple[str, str]] = None,
             limit: Optional[int] = None) -> AsyncIterator[Evaluation]:
        return self._pages(limit, lambda cursor, rows: calls.listing(
            selector, status, owner, label, cursor, rows))

    def count(self, selector: Optional[str] = None) -> Awaitable[Count]:
        return self.call(calls.count(selector))

    def output(self, eval_id: str, *, attempt: Optional[int] = None, stream: Optional[str] = None,
               offset: int = 0) -> Awaitable[bytes]:
        return self.call(calls.output(eval_id, attempt, stream, offset))

    async def follow(self, eval_id: str, *, attempt: Optional[int] = None,
                     stream: Optional[str] = None, offset: int = 0) -> AsyncIterator[bytes]:
        patience = Patience(self.patience)
        while True:
            try:
                attempt = attempt or (await self.get(eval_id))["attempt"]
                call = calls.output(eval_id, attempt, stream, offset, follow=True)
                async for piece in self._stream(call, None):
                    patience.came()
                    offset += len(piece)
                    yield piece
                return
            except Unreachable:
                await self._pause(patience)

    def timeline(self, eval_id: str) -> Awaitable[List[TimelineStep]]:
        return self.call(calls.timeline(eval_id))

    def doctor(self, eval_id: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.doctor(eval_id))

    def submission(self, eval_id: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.submission(eval_id))

    def checkpoint(self, eval_id: str) -> Awaitable[bytes]:
        return self.call(calls.checkpoint(eval_id))

    def restore(self, eval_id: str) -> Awaitable[Evaluation]:
        return self.call(calls.again(eval_id, "restore"))

    def resume(self, eval_id: str) -> Awaitable[Evaluation]:
        return self.call(calls.again(eval_id, "resume"))

    def delete(self, eval_id: str) -> Awaitable[None]:
        return self.call(calls.delete(eval_id))

    # ---- stops ----

    def cancel(self, eval_id: str, *, grace: Optional[float] = None, escalate: Optional[str] = None,
               reason: Optional[str] = None, wait: Optional[float] = None,
               attempt: Optional[int] = None, confirm: bool = False) -> Awaitable[Cancellation]:
        how = Stop(None, grace, escalate, reason, wait, None, confirm or None)
        return self.call(calls.stop("eval", eval_id, "cancel", how, attempt))

    def terminate(self, eval_id: str, *, grace: Optional[float] = None,
                  escalate: Optional[str] = None, reason: Optional[str] = None,
                  wait: Optional[float] = None,
                  attempt: Optional[int] = None, confirm: bool = False) -> Awaitable[Cancellation]:
        how = Stop(True, grace, escalate, reason, wait, None, confirm or None)
        return self.call(calls.stop("eval", eval_id, "cancel", how, attempt))

    def kill(self, eval_id: str, *, grace: Optional[float] = None, reason: Optional[str] = None,
             wait: Optional[float] = None,
             attempt: Optional[int] = None, confirm: bool = False) -> Awaitable[Cancellation]:
        how = Stop(None, grace, None, reason, wait, None, confirm or None)
        return self.call(calls.stop("eval", eval_id, "kill", how, attempt))

    def task(self, task_id: str) -> Awaitable[Task]:
        return self.call(calls.task(task_id))

    def cancel_task(self, task_id: str, *, terminate: bool = False, grace: Optional[float] = None,
                    escalate: Optional[str] = None, reason: Optional[str] = None,
                    wait: Optional[float] = None, ahead: bool = False,
                    confirm: bool = False) -> Awaitable[Cancellation]:
        how = Stop(terminate or None, grace, escalate, reason, wait, ahead or None,
                   confirm or None)
        return self.call(calls.stop("task", task_id, "cancel", how))

    def cancellation(self, cancellation_id: str) -> Awaitable[Cancellation]:
        return self.call(calls.cancellation(cancellation_id))

    def receipt(self, cancellation_id: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.receipt(cancellation_id))

    def signer(self) -> Awaitable[str]:
        return self.call(calls.signer())

    def cancellations(self, *, status: Union[str, Sequence[str], None] = None,
                      mode: Optional[str] = None, actor: Optional[str] = None,
                      since: Optional[str] = None,
                      limit: Optional[int] = None) -> AsyncIterator[Cancellation]:
        return self._pages(limit, lambda cursor, rows: calls.cancellations(
            status, mode, actor, since, cursor, rows))

    # ---- many at once ----

    def create_batch(self, *, selector: Optional[str] = None,
                     ids: Optional[Sequence[str]] = None, preview: Optional[str] = None,
                     **how: Any) -> Awaitable[Dict[str, Any]]:
        """Stops many: those of a selector, or ids. With dry_run=True it only says what would happen; its
        member `preview` then executes it. how: mode, grace, escalate, reason, max_matches, confirm."""
        return self.call(calls.create_batch({
            "selector": selector, "ids": None if ids is None else list(ids), "preview": preview,
            **how}))

    def batch(self, batch_id: str) -> Awaitable[Dict[str, Any]]:
        """How far it is: `phase`, and `progress` with how many came to what."""
        return self.call(calls.batch(batch_id))

    def batches(self, *, limit: Optional[int] = None) -> AsyncIterator[Dict[str, Any]]:
        """Newest first, page by page as it is read; at most `limit`."""
        return self._pages(limit, calls.batches)

    def batch_items(self, batch_id: str, *,
                    limit: Optional[int] = None) -> AsyncIterator[Dict[str, Any]]:
        """Each evaluation of it, and what became of it."""
        return self._pages(limit, lambda cursor, rows: calls.batch_items(batch_id, cursor, rows))

    def cancel_batch(self, batch_id: str) -> Awaitable[Dict[str, Any]]:
        """Asks for no more of it; what it asked for stays."""
        return self.call(calls.change_batch(batch_id, "cancel"))

    def undo_batch(self, batch_id: str) -> Awaitable[Dict[str, Any]]:
        """Queues again what it took out of the queue, as the batch that is answered."""
        return self.call(calls.change_batch(batch_id, "undo"))

    # ---- keys and the audit: for the admin ----

    def abuse(self) -> Awaitable[Dict[str, Any]]:
        """Who asked for too much, and what looks like abuse."""
        return self.call(calls.abuse())

    def keys(self) -> Awaitable[List[Dict[str, Any]]]:
        """The API keys in force; what a key itself says is shown at its creation alone."""
        return self.call(calls.keys())

    def create_key(self, owner: str, *, name: Optional[str] = None, role: Optional[str] = None,
                   scopes: Optional[Sequence[str]] = None,
                   expires_in_s: Optional[int] = None) -> Awaitable[Dict[str, Any]]:
        """The member `key` is the key: it is shown this once."""
        return self.call(calls.create_key(owner, name, role, scopes, expires_in_s))

    def revoke_key(self, key_id: str) -> Awaitable[None]:
        return self.call(calls.revoke_key(key_id))

    def audit(self, *, since: Optional[str] = None, actor: Optional[str] = None,
              verb: Optional[str] = None, order: Optional[str] = None,
              limit: Optional[int] = None) -> AsyncIterator[Dict[str, Any]]:
        """Who tried what, oldest first (or `order="newest"`), page by page as it is read."""
        return self._pages(limit, lambda cursor, rows: calls.audit(
            since, actor, verb, order, cursor, rows))

    # ---- webhooks ----

    def webhooks(self) -> Awaitable[List[Dict[str, Any]]]:
        """Who is told what happens, oldest first, and how each fares."""
        return self.call(calls.webhooks())

    def webhook(self, webhook_id: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.webhook(webhook_id))

    def create_webhook(self, url: str, *, events: Optional[Sequence[str]] = None,
                       selector: Optional[str] = None, name: Optional[str] = None,
                       owner: Optional[str] = None) -> Awaitable[Dict[str, Any]]:
        """The answer's `secret` is shown this once."""
        return self.call(calls.create_webhook(url, events, selector, name, owner))

    def test_webhook(self, webhook_id: str) -> Awaitable[Dict[str, Any]]:
        """Sends it one message, now and once: was it `delivered`?"""
        return self.call(calls.change_webhook(webhook_id, "test", again=False))

    def rotate_webhook(self, webhook_id: str,
                       keep_s: Optional[float] = None) -> Awaitable[Dict[str, Any]]:
        """A new `secret`, shown this once; the old one signs too for `keep_s` (a day)."""
        return self.call(calls.rotate_webhook(webhook_id, keep_s))

    def enable_webhook(self, webhook_id: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.change_webhook(webhook_id, "enable"))

    def disable_webhook(self, webhook_id: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.change_webhook(webhook_id, "disable"))

    def delete_webhook(self, webhook_id: str) -> Awaitable[None]:
        return self.call(calls.delete_webhook(webhook_id))

    # ---- policies and sessions ----

    def policies(self) -> Awaitable[List[Dict[str, Any]]]:
        """What is stopped by itself, by name."""
        return self.call(calls.policies())

    def policy(self, name: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.policy(name))

    def create_policy(self, policy: Mapping[str, Any], *,
                      confirm: bool = False) -> Awaitable[Dict[str, Any]]:
        """`confirm`: though it stops more than half of what lives."""
        return self.call(calls.create_policy(policy, confirm))

    def enable_policy(self, name: str, *, confirm: bool = False) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.change_policy(name, "enable", confirm))

    def disable_policy(self, name: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.change_policy(name, "disable", False))

    def delete_policy(self, name: str) -> Awaitable[None]:
        return self.call(calls.delete_policy(name))

    def simulate_policy(self, policy: Union[str, Mapping[str, Any]], *,
                        since: Optional[str] = None) -> Awaitable[Dict[str, Any]]:
        """Whom a policy, by its name or as it would be made, would have stopped (`since="7d"`)."""
        return self.call(calls.simulate(policy, since))

    def session(self, name: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.session(name))

    def heartbeat_session(self, name: str,
                          lease_s: Optional[float] = None) -> Awaitable[Dict[str, Any]]:
        """Leases a session, or renews its lease: it is lost unless this is called again in time."""
        return self.call(calls.heartbeat(name, lease_s))

    def end_session(self, name: str) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.end_session(name))

    def orphans(self) -> Awaitable[Dict[str, Any]]:
        """What runs or lies about without a record; looks, and touches nothing."""
        return self.call(calls.orphans())

    def reap_orphans(self, *, dry_run: bool = True,
                     limit: Optional[int] = None) -> Awaitable[Dict[str, Any]]:
        """Ends what bears two marks and was found in two looks, this one included."""
        return self.call(calls.reap_orphans(dry_run, limit))

    # ---- events, reports, the server ----

    async def events(self, last: Optional[str] = None, *, selector: Optional[str] = None,
                     session: Optional[str] = None) -> AsyncIterator[Event]:
        reader = EventReader(last)
        patience = Patience(self.patience)
        while True:
            reader.again()
            try:
                call = calls.events(reader.last, selector, session)
                async for piece in self._stream(call, SILENCE):
                    patience.came()
                    for event in reader.feed(piece):
                        yield event
            except Unreachable:
                pass
            await self._pause(patience)

    def report(self, eval_id: str) -> Awaitable[Report]:
        return self.call(calls.report(eval_id))

    def put_report(self, eval_id: str, **members: Any) -> Awaitable[Any]:
        return self.call(calls.put_report(eval_id, members))

    def ready(self) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.ready())

    def observation(self) -> Awaitable[Dict[str, Any]]:
        return self.call(calls.observation())

    # ---- how it is carried ----

    async def _pages(self, limit: Optional[int], ask: Any) -> AsyncIterator[Any]:
        cursor = None
        while limit is None or limit > 0:
            rows, cursor = await self.call(ask(cursor, limit or calls.PAGE))
            for row in rows:
                yield row
            if not cursor:
                return
            limit = None if limit is None else limit - len(rows)

    async def _pause(self, patience: Patience) -> None:
        pause = patience.next()
        if pause is None:
            raise away(self.url, f"it was not reachable for {self.patience:g} s")
        await asyncio.sleep(pause)

    async def call(self, call: Call[T]) -> T:
        timeout = self.timeout + call.hold
        if call.again and self._idle:
            wire = self._idle.pop()
            try:
                return call.answer(await self._within(timeout, self._exchange(wire, call)))
            except Unreachable as error:  # closed by the server meanwhile: once more, on a new one
                if wire.answered or not isinstance(error.__cause__, (ConnectionError, EOFError)):
                    raise
        return call.answer(await self._within(timeout, self._exchange(None, call)))

    async def _within(self, timeout: Optional[float], work: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(work, timeout)
        except BROKEN as error:
            raise away(self.url, str(error) or type(error).__name__) from error

    async def _exchange(self, wire: Optional[Wire], call: Call[Any]) -> Answer:
        wire = wire or await self._connect()
        try:
            head = await wire.ask(*self._request(call))
            body = b"".join([piece async for piece in wire.pieces(head)])
        except BaseException:
            wire.close()
            raise
        if wire.complete and len(self._idle) < IDLE_MAX:
            self._idle.append(wire)
        else:
            wire.close()
        return Answer(head.status, head.headers, body)

    async def _stream(self, call: Call[bytes], silence: Optional[float]) -> AsyncIterator[bytes]:
        wire = None
        try:
            wire = await self._within(self.timeout, self._connect())
            head = await self._within(self.timeout, wire.ask(*self._request(call)))
            pieces = wire.pieces(head)
            if head.status != 200:
                body = b"".join([piece async for piece in pieces])
                call.answer(Answer(head.status, head.headers, body))
                raise Problem(head.status, {"detail": "the server has no such stream"})
            while True:
                try:
                    piece = await self._within(silence, pieces.__anext__())
                except StopAsyncIteration:
                    return
                yield piece
        finally:
            if wire:
                wire.close()

    async def _connect(self) -> Wire:
        parts = urlsplit(self.url)
        context = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or (443 if context else 80)
        return Wire(*await asyncio.open_connection(parts.hostname, port, ssl=context,
                                                   limit=HEAD_MAX))

    def _request(self, call: Call[Any]) -> Tuple[bytes, bytes]:
        parts = urlsplit(self.url)
        body = call.body or b""
        headers = {"Host": parts.netloc.rpartition("@")[2], **call.headers}
        if body or call.method in ("POST", "PUT"):
            headers["Content-Length"] = str(len(body))
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        lines = [f"{call.method} {parts.path}{call.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body
