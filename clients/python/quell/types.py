"""What the server answers, as docs/api.md has it. All of them are plain dicts."""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, TypedDict

SETTLED = ("succeeded", "failed", "cancelled")
ENDED = SETTLED + ("unconfirmed",)


class Container(TypedDict):
    runtime: Optional[str]
    id: str


class Checkpoint(TypedDict):
    bytes: int
    at: str


class Step(TypedDict):
    at: str
    rung: str
    what: str


class Next(TypedDict):
    rung: str
    at: str


class Cancellation(TypedDict):
    cancellation_id: Optional[str]
    eval_id: str
    task_id: str
    attempt: int
    mode: str
    previous_state: str
    cancelled: bool
    killed: bool
    outcome: Optional[str]
    evidence: Optional[str]
    unasked: List[str]
    message: str
    reason: Optional[str]
    actor: Optional[str]
    requested_at: Optional[str]
    settled_at: Optional[str]
    stop_ms: Optional[int]
    steps: List[Step]
    next: Optional[Next]


class Evaluation(TypedDict):
    eval_id: str
    task_id: str
    attempt: int
    status: str
    state: str
    cause: Optional[str]
    owner: str
    language: Optional[str]
    priority: int
    queue: Optional[str]
    labels: Dict[str, str]
    session: Optional[str]
    created_at: str
    started_at: Optional[str]
    finished_at: Optional[str]
    exit_code: Optional[int]
    signal: Optional[str]
    error: Optional[str]
    container: Optional[Container]
    worker: Optional[str]
    output_bytes: int
    output_truncated: bool
    checkpoint: Optional[Checkpoint]
    cancellation: Optional[Cancellation]


class Report(Evaluation):
    """The storage service's view: the evaluation, and what its code reported."""

    output: Optional[str]
    result: Any
    reported_status: Optional[str]


class Count(TypedDict):
    count: int
    statuses: Dict[str, int]


class TimelineStep(TypedDict):
    at: str
    attempt: int
    status: str
    what: str


class Task(TypedDict):
    """Where a Celery task is. What isn't known is None; where not every place could be asked,
    `complete` is false and `note` says which."""

    task_id: str
    place: str  # queued, reserved, scheduled, active, finished, unknown
    queue: Optional[str]
    position: Optional[int]
    worker: Optional[str]
    pid: Optional[int]
    since: Optional[str]
    eta: Optional[str]
    state: Optional[str]
    complete: bool
    note: Optional[str]


class Event(NamedTuple):
    """One event; `kind` is evaluation, cancellation or reset (then read the lists anew)."""

    id: Optional[str]
    kind: str
    data: Any
