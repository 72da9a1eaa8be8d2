"""The API for code that may block, on http.client alone.

One Client serves all threads (and greenlets, and a forked child): each call takes an idle connection
or makes one. See aio.py for asyncio.
"""
from __future__ import annotations

import http.client
import os
import ssl
import time
from typing import (Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar,
                    Union)
from urllib.parse import urlsplit

from . import calls
from .calls import Answer, Call, Stop
from .errors import Problem, Unreachable
from .lines import EventReader, Patience
from .settings import server_key, server_url
from .types import (ENDED, Cancellation, Count, Evaluation, Event, Report, Task, TimelineStep)

T = TypeVar("T")

TIMEOUT = 30.0  # seconds for an answer, besides what the server was asked to hold it
SILENCE = 60.0  # a stream of events says something each 15 s
IDLE_MAX = 16  # connections that are kept
PIECE = 65536
BROKEN = (OSError, http.client.HTTPException)


class Client:
    """Speaks to one server as one owner.

    url and key: as given, else QUELL_URL and QUELL_KEY, else the local server and its admin key file.
    patience: for how many seconds `wait`, `follow` and `events` go on when the server is away.
    """

    def __init__(self, url: Optional[str] = None, key: Optional[str] = None, *,
                 timeout: float = TIMEOUT, patience: float = 30.0) -> None:
        self.url = server_url(url)
        self.timeout = timeout
        self.patience = patience
        self._key = server_key(key, self.url)
        self._idle: List[http.client.HTTPConnection] = []
        self._pid = os.getpid()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    # ---- evaluations ----

    def submit(self, code: Optional[str] = None, language: Optional[str] = None, *,
               command: Optional[Sequence[str]] = None, idempotency_key: Optional[str] = None,
               **members: Any) -> Evaluation:
        """Code with its language, or a command; `members` are the rest of docs/api.md's submission."""
        named = {"code": code, "language": language, "command": command and list(command)}
        return self.call(calls.submit({**named, **members}, idempotency_key))

    def submit_batch(self, evaluations: Iterable[Mapping[str, Any]], *,
                     idempotency_key: Optional[str] = None) -> List[Evaluation]:
        """All or none."""
        return self.call(calls.submit_batch(evaluations, idempotency_key))

    def get(self, eval_id: str) -> Evaluation:
        return self.call(calls.get(eval_id))

    def wait(self, eval_id: str, timeout: Optional[float] = None) -> Evaluation:
        """Until it is settled or unconfirmed. Goes on over a restart of the server."""
        until = None if timeout is None else time.monotonic() + timeout
        patience = Patience(self.patience)
        while True:
            left = calls.LONGEST_HOLD if until is None else until - time.monotonic()
            try:
                seen = self.call(calls.get(eval_id, left))
            except Unreachable:
                self._pause(patience)
                continue
            patience.came()
            if seen["status"] in ENDED:
                return seen
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"{eval_id} is still {seen['status']} after {timeout} s")

    def list(self, selector: Optional[str] = None, *,
             status: Union[str, Sequence[str], None] = None, owner: Optional[str] = None,
             label: Optional[Tuple[str, str]] = None,
             limit: Optional[int] = None) -> Iterator[Evaluation]:
        """Newest first, page by page as it is read; at most `limit`."""
        return self._pages(limit, lambda cursor, rows: calls.listing(
            selector, status, owner, label, cursor, rows))

    def count(self, selector: Optional[str] = None) -> Count:
        """How many there are that it selects: `count`, and `statuses` with the number of each."""
        return self.call(calls.count(selector))

    def output(self, eval_id: str, *, attempt: Optional[int] = None, stream: Optional[str] = None,
               offset: int = 0) -> bytes:
        """What there is of it now."""
        return self.call(calls.output(eval_id, attempt, stream, offset))

    def follow(self, eval_id: str, *, attempt: Optional[int] = None, stream: Optional[str] = None,
               offset: int = 0) -> Iterator[bytes]:
        """The output as it comes, until its end. Goes on where it was, over a restart of the server."""
        patience = Patience(self.patience)
        while True:
            try:
                attempt = attempt or self.get(eval_id)["attempt"]
                call = calls.output(eval_id, attempt, stream, offset, follow=True)
                for piece in self._stream(call, None):
                    patience.came()
                    offset += len(piece)
                    yield piece
                return
            except Unreachable:
                self._pause(patience)

    def timeline(self, eval_id: str) -> List[TimelineStep]:
        return self.call(calls.timeline(eval_id))

    def doctor(self, eval_id: str) -> Dict[str, Any]:
        """Why it is still alive; for one that isn't there the Problem says why."""
        return self.call(calls.doctor(eval_id))

    def submission(self, eval_id: str) -> Dict[str, Any]:
        """What was submitted as it, to be submitted again."""
        return self.call(calls.submission(eval_id))

    def checkpoint(self, eval_id: str) -> bytes:
        """The last saved checkpoint, a tar."""
        return self.call(calls.checkpoint(eval_id))

    def restore(self, eval_id: str) -> Evaluation:
        """Undoes the cancel of one that never started."""
        return self.call(calls.again(eval_id, "restore"))

    def resume(self, eval_id: str) -> Evaluation:
        """Runs a stopped one again from its checkpoint, as the next attempt."""
        return self.call(calls.again(eval_id, "resume"))

    def delete(self, eval_id: str) -> None:
        self.call(calls.delete(eval_id))

    # ---- stops: the answer's `cancelled` says whether it is proven stopped ----

    def cancel(self, eval_id: str, *, grace: Optional[float] = None, escalate: Optional[str] = None,
               reason: Optional[str] = None, wait: Optional[float] = None,
               attempt: Optional[int] = None, confirm: bool = False) -> Cancellation:
        """Asks it to stop at its next checkpoint."""
        how = Stop(None, grace, escalate, reason, wait, None, confirm or None)
        return self.call(calls.stop("eval", eval_id, "cancel", how, attempt))

    def terminate(self, eval_id: str, *, grace: Optional[float] = None,
                  escalate: Optional[str] = None, reason: Optional[str] = None,
                  wait: Optional[float] = None, attempt: Optional[int] = None, confirm: bool = False) -> Cancellation:
        """SIGTERM, and SIGKILL after the grace."""
        how = Stop(True, grace, escalate, reason, wait, None, confirm or None)
        return self.call(calls.stop("eval", eval_id, "cancel", how, attempt))

    def kill(self, eval_id: str, *, grace: Optional[float] = None, reason: Optional[str] = None,
             wait: Optional[float] = None, attempt: Optional[int] = None, confirm: bool = False) -> Cancellation:
        """Its whole container, at once."""
        how = Stop(None, grace, None, reason, wait, None, confirm or None)
        return self.call(calls.stop("eval", eval_id, "kill", how, attempt))

    def task(self, task_id: str) -> Task:
        """Where a Celery task is, whoever sent it."""
        return self.call(calls.task(task_id))

    def cancel_task(self, task_id: str, *, terminate: bool = False, grace: Optional[float] = None,
                    escalate: Optional[str] = None, reason: Optional[str] = None,
                    wait: Optional[float] = None, ahead: bool = False, confirm: bool = False) -> Cancellation:
        """Stops a Celery task, whoever sent it; ahead: also one whose message is still to come."""
        how = Stop(terminate or None, grace, escalate, reason, wait, ahead or None,
                   confirm or None)
        return self.call(calls.stop("task", task_id, "cancel", how))

    def cancellation(self, cancellation_id: str) -> Cancellation:
        return self.call(calls.cancellation(cancellation_id))

    def receipt(self, cancellation_id: str) -> Dict[str, Any]:
        """What was seen of a settled stop, signed: a DSSE envelope."""
        return self.call(calls.receipt(cancellation_id))

    def signer(self) -> str:
        """The public key of receipts, as PEM."""
        return self.call(calls.signer())

    def cancellations(self, *, status: Union[str, Sequence[str], None] = None,
                      mode: Optional[str] = None, actor: Optional[str] = None,
                      since: Optional[str] = None,
                      limit: Optional[int] = None) -> Iterator[Cancellation]:
        """Newest first, page by page as it is read; at most `limit`."""
        return self._pages(limit, lambda cursor, rows: calls.cancellations(
            status, mode, actor, since, cursor, rows))

    # ---- many at once ----

    def create_batch(self, *, selector: Optional[str] = None,
                     ids: Optional[Sequence[str]] = None, preview: Optional[str] = None,
                     **how: Any) -> Dict[str, Any]:
        """Stops many: those of a selector, or ids. With dry_run=True it only says what would happen; its
        member `preview` then executes it. how: mode, grace, escalate, reason, max_matches, confirm."""
        return self.call(calls.create_batch({
            "selector": selector, "ids": None if ids is None else list(ids), "preview": preview,
            **how}))

    def batch(self, batch_id: str) -> Dict[str, Any]:
        """How far it is: `phase`, and `progress` with how many came to what."""
        return self.call(calls.batch(batch_id))

    def batches(self, *, limit: Optional[int] = None) -> Iterator[Dict[str, Any]]:
        """Newest first, page by page as it is read; at most `limit`."""
        return self._pages(limit, calls.batches)

    def batch_items(self, batch_id: str, *,
                    limit: Optional[int] = None) -> Iterator[Dict[str, Any]]:
        """Each evaluation of it, and what became of it."""
        return self._pages(limit, lambda cursor, rows: calls.batch_items(batch_id, cursor, rows))

    def cancel_batch(self, batch_id: str) -> Dict[str, Any]:
        """Asks for no more of it; what it asked for stays."""
        return self.call(calls.change_batch(batch_id, "cancel"))

    def undo_batch(self, batch_id: str) -> Dict[str, Any]:
        """Queues again what it took out of the queue, as the batch that is answered."""
        return self.call(calls.change_batch(batch_id, "undo"))

    # ---- keys and the audit: for the admin ----

    def abuse(self) -> Dict[str, Any]:
        """Who asked for too much, and what looks like abuse."""
        return self.call(calls.abuse())

    def keys(self) -> List[Dict[str, Any]]:
        """The API keys in force; what a key itself says is shown at its creation alone."""
        return self.call(calls.keys())

    def create_key(self, owner: str, *, name: Optional[str] = None, role: Optional[str] = None,
                   scopes: Optional[Sequence[str]] = None,
                   expires_in_s: Optional[int] = None) -> Dict[str, Any]:
        """The member `key` is the key: it is shown this once."""
        return self.call(calls.create_key(owner, name, role, scopes, expires_in_s))

    def revoke_key(self, key_id: str) -> None:
        return self.call(calls.revoke_key(key_id))

    def audit(self, *, since: Optional[str] = None, actor: Optional[str] = None,
              verb: Optional[str] = None, order: Optional[str] = None,
              limit: Optional[int] = None) -> Iterator[Dict[str, Any]]:
        """Who tried what, oldest first (or `order="newest"`), page by page as it is read."""
        return self._pages(limit, lambda cursor, rows: calls.audit(
            since, actor, verb, order, cursor, rows))

    # ---- webhooks ----

    def webhooks(self) -> List[Dict[str, Any]]:
        """Who is told what happens, oldest first, and how each fares."""
        return self.call(calls.webhooks())

    def webhook(self, webhook_id: str) -> Dict[str, Any]:
        return self.call(calls.webhook(webhook_id))

    def create_webhook(self, url: str, *, events: Optional[Sequence[str]] = None,
                       selector: Optional[str] = None, name: Optional[str] = None,
                       owner: Optional[str] = None) -> Dict[str, Any]:
        """The answer's `secret` is shown this once."""
        return self.call(calls.create_webhook(url, events, selector, name, owner))

    def test_webhook(self, webhook_id: str) -> Dict[str, Any]:
        """Sends it one message, now and once: was it `delivered`?"""
        return self.call(calls.change_webhook(webhook_id, "test", again=False))

    def rotate_webhook(self, webhook_id: str,
                       keep_s: Optional[float] = None) -> Dict[str, Any]:
        """A new `secret`, shown this once; the old one signs too for `keep_s` (a day)."""
        return self.call(calls.rotate_webhook(webhook_id, keep_s))

    def enable_webhook(self, webhook_id: str) -> Dict[str, Any]:
        return self.call(calls.change_webhook(webhook_id, "enable"))

    def disable_webhook(self, webhook_id: str) -> Dict[str, Any]:
        return self.call(calls.change_webhook(webhook_id, "disable"))

    def delete_webhook(self, webhook_id: str) -> None:
        return self.call(calls.delete_webhook(webhook_id))

    # ---- policies and sessions ----

    def policies(self) -> List[Dict[str, Any]]:
        """What is stopped by itself, by name."""
        return self.call(calls.policies())

    def policy(self, name: str) -> Dict[str, Any]:
        return self.call(calls.policy(name))

    def create_policy(self, policy: Mapping[str, Any], *,
                      confirm: bool = False) -> Dict[str, Any]:
        """`confirm`: though it stops more than half of what lives."""
        return self.call(calls.create_policy(policy, confirm))

    def enable_policy(self, name: str, *, confirm: bool = False) -> Dict[str, Any]:
        return self.call(calls.change_policy(name, "enable", confirm))

    def disable_policy(self, name: str) -> Dict[str, Any]:
        return self.call(calls.change_policy(name, "disable", False))

    def delete_policy(self, name: str) -> None:
        return self.call(calls.delete_policy(name))

    def simulate_policy(self, policy: Union[str, Mapping[str, Any]], *,
                        since: Optional[str] = None) -> Dict[str, Any]:
        """Whom a policy, by its name or as it would be made, would have stopped (`since="7d"`)."""
        return self.call(calls.simulate(policy, since))

    def session(self, name: str) -> Dict[str, Any]:
        return self.call(calls.session(name))

    def heartbeat_session(self, name: str,
                          lease_s: Optional[float] = None) -> Dict[str, Any]:
        """Leases a session, or renews its lease: it is lost unless this is called again in time."""
        return self.call(calls.heartbeat(name, lease_s))

    def end_session(self, name: str) -> Dict[str, Any]:
        return self.call(calls.end_session(name))

    def orphans(self) -> Dict[str, Any]:
        """What runs or lies about without a record; looks, and touches nothing."""
        return self.call(calls.orphans())

    def reap_orphans(self, *, dry_run: bool = True, limit: Optional[int] = None) -> Dict[str, Any]:
        """Ends what bears two marks and was found in two looks, this one included."""
        return self.call(calls.reap_orphans(dry_run, limit))

    # ---- events, reports, the server ----

    def events(self, last: Optional[str] = None, *, selector: Optional[str] = None,
               session: Optional[str] = None) -> Iterator[Event]:
        """What changes, without end. Comes back with the last id when the connection breaks.

        With `session`, the stream is the lease of that session of yours, which heartbeat_session
        leased before: it lives as long as this goes on.
        """
        reader = EventReader(last)
        patience = Patience(self.patience)
        while True:
            reader.again()
            try:
                for piece in self._stream(calls.events(reader.last, selector, session), SILENCE):
                    patience.came()
                    yield from reader.feed(piece)
            except Unreachable:
                pass
            self._pause(patience)

    def report(self, eval_id: str) -> Report:
        return self.call(calls.report(eval_id))

    def put_report(self, eval_id: str, **members: Any) -> Any:
        """output, error, result, reported_status, status; "cancelled" asks for a cancel."""
        return self.call(calls.put_report(eval_id, members))

    def ready(self) -> Dict[str, Any]:
        """status, and dependencies with their state."""
        return self.call(calls.ready())

    def observation(self) -> Dict[str, Any]:
        """What a server that only looks (--observe) saw of its broker last."""
        return self.call(calls.observation())

    # ---- how it is carried ----

    def _pages(self, limit: Optional[int], ask: Any) -> Iterator[Any]:
        cursor = None
        while limit is None or limit > 0:
            rows, cursor = self.call(ask(cursor, limit or calls.PAGE))
            yield from rows
            if not cursor:
                return
            limit = None if limit is None else limit - len(rows)

    def _pause(self, patience: Patience) -> None:
        """Before a try again; from within `except Unreachable`, gives that up when patience ends."""
        pause = patience.next()
        if pause is None:
            raise away(self.url, f"it was not reachable for {self.patience:g} s")
        time.sleep(pause)

    def call(self, call: Call[T]) -> T:
        """One exchange. An idle connection may have been closed by the server meanwhile: then it is tried once
        more, on a new one."""
        timeout = self.timeout + call.hold
        if call.again:
            connection = self._take()
            if connection:
                try:
                    return call.answer(self._exchange(connection, call, timeout))
                except Unreachable as error:
                    if not isinstance(error.__cause__, ConnectionError):
                        raise
        return call.answer(self._exchange(self._connection(), call, timeout))

    def _exchange(self, connection: http.client.HTTPConnection, call: Call[Any],
                  timeout: float) -> Answer:
        try:
            response = self._send(connection, call, timeout)
            answer = Answer(response.status, names(response), response.read())
        except BaseException as error:
            connection.close()
            if isinstance(error, BROKEN):
                raise away(self.url, str(error) or type(error).__name__) from error
            raise
        if response.will_close or len(self._idle) >= IDLE_MAX:
            connection.close()
        else:
            self._idle.append(connection)
        return answer

    def _stream(self, call: Call[bytes], timeout: Optional[float]) -> Iterator[bytes]:
        """A body as it comes. Raises Unreachable when it breaks off; returns at its proper end."""
        connection = self._connection()
        connection.timeout = self.timeout
        try:
            connection.connect()
            sock = connection.sock  # the connection forgets it when the server won't keep it
            response = self._send(connection, call, self.timeout)
            if response.status != 200:
                call.answer(Answer(response.status, names(response), response.read()))
                raise Problem(response.status, {"detail": "the server has no such stream"})
            sock.settimeout(timeout)
            while True:
                piece = response.read1(PIECE)
                if not piece:
                    return
                yield piece
        except BROKEN as error:
            raise away(self.url, str(error) or type(error).__name__) from error
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, call: Call[Any],
              timeout: float) -> http.client.HTTPResponse:
        headers = dict(call.headers)
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        connection.timeout = timeout
        if connection.sock:
            connection.sock.settimeout(timeout)
        connection.request(call.method, urlsplit(self.url).path + call.path, call.body, headers)
        return connection.getresponse()

    def _take(self) -> Optional[http.client.HTTPConnection]:
        """An idle connection. Those of the process that forked this one are still its own."""
        if self._pid != os.getpid():
            self._idle = []
            self._pid = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        assert parts.hostname
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname, parts.port,
                                               context=ssl.create_default_context())
        return http.client.HTTPConnection(parts.hostname, parts.port)


def names(response: http.client.HTTPResponse) -> Dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def away(url: str, what: str) -> Unreachable:
    return Unreachable(f"Quell at {url} did not answer: {what}. Start it with `quell serve`, or name "
                       "its address with QUELL_URL")
