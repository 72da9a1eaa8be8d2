"""What each call of the API sends, and what is made of its answer. No input or output here: client.py
and aio.py carry it, so that both say the same.
"""
from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import (Any, Callable, Dict, Generic, Iterable, List, Mapping, NamedTuple, Optional,
                    Sequence, Tuple, TypeVar, Union)
from urllib.parse import quote, urlencode

from . import errors
from .types import Cancellation, Count, Evaluation, Report, Task, TimelineStep

T = TypeVar("T")

LONGEST_HOLD = 60.0  # seconds that the server holds an answer at most
PAGE = 1000  # rows that it lists at most


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Call(Generic[T]):
    method: str
    path: str
    read: Callable[[Answer], T]  # what an answer without a refusal means
    body: Optional[bytes] = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: float = 0.0  # seconds that the server was asked to hold the answer
    again: bool = True  # sending it twice does no more than sending it once
    accepts: Tuple[str, ...] = ()  # refusals, by kind, that are an answer here

    def answer(self, answer: Answer) -> T:
        members = members_of(answer) if answer.status >= 400 else {}
        kind = str(members.get("type", "")).rpartition(":")[2]
        if answer.status >= 400 and kind not in self.accepts:
            raise errors.problem(answer.status, members, retry_after(answer))
        try:
            return self.read(answer)
        except (ValueError, LookupError) as error:
            raise errors.QuellError(f"{self.method} {self.path} was answered, but not by Quell: "
                                    f"{answer.body[:200]!r}") from error


def members_of(answer: Answer) -> Dict[str, Any]:
    """Of a problem; what is no JSON (a proxy's page, say) becomes its detail."""
    try:
        members = answer.json()
        if isinstance(members, dict):
            return members
    except ValueError:
        pass
    text = answer.body[:500].decode(errors="replace").strip()
    return {"status": answer.status,
            "detail": f"the server answered {answer.status}: {text or 'nothing more'}"}


def retry_after(answer: Answer) -> Optional[float]:
    try:
        return float(answer.headers["retry-after"])
    except (KeyError, ValueError):
        return None


# ---- parts ----

def path(*parts: str, **query: Any) -> str:
    words = {name: plain(value) for name, value in query.items() if value is not None}
    found = "/" + "/".join(quote(part, safe="~:") for part in parts)
    return found + ("?" + urlencode(words) if words else "")


def plain(value: Any) -> Any:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def read_json(answer: Answer) -> Any:
    return answer.json()


def read_stop(answer: Answer) -> Cancellation:
    """A refusal because it finished first has all of a cancellation's members, and a problem's."""
    members = answer.json()
    for name in ("type", "title", "status", "detail"):
        members.pop(name, None)
    return members  # type: ignore[no-any-return]


def asks(method: str, where: str, read: Callable[[Answer], T], body: Any = None,
         **more: Any) -> Call[T]:
    headers = {name: value for name, value in more.pop("headers", {}).items() if value is not None}
    sent = None
    if body is not None:
        sent = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    return Call(method, where, read, sent, headers, **more)


# ---- evaluations ----

def submit(members: Mapping[str, Any], idempotency_key: Optional[str]) -> Call[Evaluation]:
    """With a key it may be sent again, should the connection break before the answer."""
    body = {name: value for name, value in members.items() if value is not None}
    return asks("POST", "/api/eval", read_json, body,
                headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())})


def submit_batch(evaluations: Iterable[Mapping[str, Any]],
                 idempotency_key: Optional[str]) -> Call[List[Evaluation]]:
    def read(answer: Answer) -> List[Evaluation]:
        return answer.json()["evaluations"]  # type: ignore[no-any-return]

    return asks("POST", "/api/eval-batch", read, {"evaluations": list(evaluations)},
                headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())})


def get(eval_id: str, hold: float = 0.0) -> Call[Evaluation]:
    hold = max(0.0, min(hold, LONGEST_HOLD))
    return asks("GET", path("api", "eval", eval_id, wait=round(hold, 3) or None), read_json,
                hold=hold)


def listing(selector: Optional[str], status: Union[str, Sequence[str], None],
            owner: Optional[str], label: Optional[Tuple[str, str]], cursor: Optional[str],
            limit: int) -> Call[Tuple[List[Evaluation], Optional[str]]]:
    return page("evaluations", cursor, limit, selector=selector, status=commas(status),
                owner=owner, label="=".join(label) if label else None)


def count(selector: Optional[str]) -> Call[Count]:
    return asks("GET", path("api", "evaluations", "count", selector=selector), read_json)


def cancellations(status: Union[str, Sequence[str], None], mode: Optional[str],
                  actor: Optional[str], since: Optional[str], cursor: Optional[str],
                  limit: int) -> Call[Tuple[List[Cancellation], Optional[str]]]:
    return page("cancellations", cursor, limit, status=commas(status), mode=mode, actor=actor,
                since=since)


def commas(status: Union[str, Sequence[str], None]) -> Optional[str]:
    return status if status is None or isinstance(status, str) else ",".join(status)


def page(what: str, cursor: Optional[str], limit: int, **query: Any) -> Call[Any]:
    def read(answer: Answer) -> Tuple[List[Any], Optional[str]]:
        members = answer.json()
        return members[what], members["next_cursor"]

    return asks("GET", path("api", what, cursor=cursor, limit=min(limit, PAGE), **query), read)


def create_batch(body: Mapping[str, Any]) -> Call[Any]:
    """Sent twice it would be two batches: it is never repeated by itself."""
    members = {name: value for name, value in body.items() if value is not None}
    return asks("POST", "/api/batches", read_json, members, again=False)


def batch(batch_id: str) -> Call[Any]:
    return asks("GET", path("api", "batches", batch_id), read_json)


def batches(cursor: Optional[str], limit: int) -> Call[Any]:
    return page("batches", cursor, limit)


def batch_items(batch_id: str, cursor: Optional[str], limit: int) -> Call[Any]:
    def read(answer: Answer) -> Tuple[List[Any], Optional[str]]:
        members = answer.json()
        return members["items"], members["next_cursor"]

    return asks("GET", path("api", "batches", batch_id, "items", cursor=cursor,
                            limit=min(limit, PAGE)), read)


def change_batch(batch_id: str, verb: str) -> Call[Any]:
    """cancel or undo. Sent twice, the second is refused."""
    return asks("POST", path("api", "batches", batch_id, verb), read_json, again=False)


def output(eval_id: str, attempt: Optional[int], stream: Optional[str], offset: int,
           follow: bool = False) -> Call[bytes]:
    where = path("api", "eval", eval_id, "output", attempt=attempt, stream=stream,
                 offset=offset or None, follow=follow or None)
    return asks("GET", where, lambda answer: answer.body)


def timeline(eval_id: str) -> Call[List[TimelineStep]]:
    def read(answer: Answer) -> List[TimelineStep]:
        return answer.json()["steps"]  # type: ignore[no-any-return]

    return asks("GET", path("api", "eval", eval_id, "timeline"), read)


def doctor(eval_id: str) -> Call[Any]:
    return asks("GET", path("api", "eval", eval_id, "doctor"), read_json)


def submission(eval_id: str) -> Call[Any]:
    return asks("GET", path("api", "eval", eval_id, "submission"), read_json)


def checkpoint(eval_id: str) -> Call[bytes]:
    return asks("GET", path("api", "eval", eval_id, "checkpoint"), lambda answer: answer.body)


def again(eval_id: str, verb: str) -> Call[Evaluation]:
    """restore or resume. Sent twice, the second is refused: it is never repeated by itself."""
    return asks("POST", path("api", "eval", eval_id, verb), read_json, again=False)


def delete(eval_id: str) -> Call[None]:
    return asks("DELETE", path("api", "eval", eval_id), lambda answer: None, again=False)


# ---- stops ----

class Stop(NamedTuple):
    """How to stop, as POST …/cancel and …/kill take it."""

    terminate: Optional[bool] = None
    grace: Optional[float] = None
    escalate: Optional[str] = None
    reason: Optional[str] = None
    wait: Optional[float] = None
    ahead: Optional[bool] = None
    confirm: Optional[bool] = None

    def members(self) -> Dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if value is not None}


def stop(kind: str, name: str, verb: str, how: Stop,
         attempt: Optional[int] = None) -> Call[Cancellation]:
    """kind is eval or task. A stop of what is stopped answers the same: it may be sent again."""
    return asks("POST", path("api", kind, name, verb), read_stop, how.members(),
                headers={"If-Match": f'"attempt-{attempt}"' if attempt else None},
                hold=how.wait or 0.0, accepts=("finished-first",))


def cancellation(cancellation_id: str) -> Call[Cancellation]:
    return asks("GET", path("api", "cancellations", cancellation_id), read_json)


def receipt(cancellation_id: str) -> Call[Any]:
    return asks("GET", path("api", "cancellations", cancellation_id, "receipt"), read_json)


def signer() -> Call[str]:
    return asks("GET", path("api", "signer"), lambda answer: answer.body.decode())


def task(task_id: str) -> Call[Task]:
    return asks("GET", path("api", "task", task_id), read_json)


def abuse() -> Call[Any]:
    return asks("GET", path("api", "abuse"), read_json)


def observation() -> Call[Any]:
    return asks("GET", path("api", "observe"), read_json)


def orphans() -> Call[Any]:
    return asks("GET", path("api", "orphans"), read_json)


def reap_orphans(dry_run: bool, limit: Optional[int]) -> Call[Any]:
    body: Dict[str, Any] = {"dry_run": dry_run}
    if limit is not None:
        body["limit"] = limit
    return asks("POST", path("api", "orphans", "reap"), read_json, again=False, body=body)


# ---- keys and the audit ----

def keys() -> Call[Any]:
    return asks("GET", path("api", "keys"), lambda answer: answer.json()["keys"])


def create_key(owner: str, name: Optional[str], role: Optional[str],
               scopes: Optional[Sequence[str]], expires_in_s: Optional[int]) -> Call[Any]:
    wanted = {"owner": owner, "name": name, "role": role,
              "scopes": None if scopes is None else list(scopes), "expires_in_s": expires_in_s}
    return asks("POST", path("api", "keys"), read_json, again=False,
                body={name: value for name, value in wanted.items() if value is not None})


def revoke_key(key_id: str) -> Call[None]:
    return asks("DELETE", path("api", "keys", key_id), lambda answer: None, again=False)


def webhooks() -> Call[Any]:
    return asks("GET", path("api", "webhooks"), lambda answer: answer.json()["webhooks"])


def webhook(webhook_id: str) -> Call[Any]:
    return asks("GET", path("api", "webhooks", webhook_id), read_json)


def create_webhook(url: str, events: Optional[Sequence[str]], selector: Optional[str],
                   name: Optional[str], owner: Optional[str]) -> Call[Any]:
    wanted = {"url": url, "events": None if events is None else list(events),
              "selector": selector, "name": name, "owner": owner}
    return asks("POST", path("api", "webhooks"), read_json, again=False,
                body={name: value for name, value in wanted.items() if value is not None})


def change_webhook(webhook_id: str, verb: str, again: bool = True) -> Call[Any]:
    return asks("POST", path("api", "webhooks", webhook_id, verb), read_json, again=again)


def rotate_webhook(webhook_id: str, keep_s: Optional[float]) -> Call[Any]:
    return asks("POST", path("api", "webhooks", webhook_id, "rotate", keep_s=keep_s), read_json,
                again=False)


def delete_webhook(webhook_id: str) -> Call[None]:
    return asks("DELETE", path("api", "webhooks", webhook_id), lambda answer: None, again=False)


def policies() -> Call[Any]:
    return asks("GET", path("api", "policies"), lambda answer: answer.json()["policies"])


def policy(name: str) -> Call[Any]:
    return asks("GET", path("api", "policies", name), read_json)


def create_policy(policy: Mapping[str, Any], confirm: bool) -> Call[Any]:
    body = dict(policy, confirm=True) if confirm else dict(policy)
    return asks("POST", path("api", "policies"), read_json, body, again=False)


def change_policy(name: str, verb: str, confirm: bool) -> Call[Any]:
    return asks("POST", path("api", "policies", name, verb, confirm="true" if confirm else None),
                read_json)


def delete_policy(name: str) -> Call[None]:
    return asks("DELETE", path("api", "policies", name), lambda answer: None, again=False)


def simulate(policy: Union[str, Mapping[str, Any]], since: Optional[str]) -> Call[Any]:
    if isinstance(policy, str):
        return asks("POST", path("api", "policies", policy, "simulate", since=since), read_json)
    return asks("POST", path("api", "policies", "simulate", since=since), read_json, dict(policy))


def session(name: str) -> Call[Any]:
    return asks("GET", path("api", "sessions", name), read_json)


def heartbeat(name: str, lease_s: Optional[float]) -> Call[Any]:
    return asks("POST", path("api", "sessions", name, "heartbeat", lease_s=lease_s), read_json)


def end_session(name: str) -> Call[Any]:
    return asks("POST", path("api", "sessions", name, "end"), read_json)


def audit(since: Optional[str], actor: Optional[str], verb: Optional[str], order: Optional[str],
          cursor: Optional[str], limit: int) -> Call[Tuple[List[Any], Optional[str]]]:
    def read(answer: Answer) -> Tuple[List[Any], Optional[str]]:
        members = answer.json()
        return members["rows"], members["next_cursor"]

    return asks("GET", path("api", "audit", cursor=cursor, limit=min(limit, PAGE), since=since,
                            actor=actor, verb=verb, order=order), read)


# ---- the storage service, the server ----

def report(eval_id: str) -> Call[Report]:
    return asks("GET", path("evaluations", eval_id), read_json)


def put_report(eval_id: str, members: Mapping[str, Any]) -> Call[Any]:
    return asks("PUT", path("evaluations", eval_id), read_json, dict(members),
                accepts=("finished-first",))


def events(last: Optional[str], selector: Optional[str], session: Optional[str]) -> Call[bytes]:
    where = path("api", "events", selector=selector, session=session)
    return asks("GET", where, lambda answer: answer.body,
                headers={"Last-Event-ID": last, "Accept": "text/event-stream"})


def ready() -> Call[Any]:
    """503 is an answer here, too: it has the same members, and is no problem."""
    return Call("GET", "/readyz", members_of, accepts=("",))
