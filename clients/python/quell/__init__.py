"""A client of Quell, which stops work and proves that it stopped; and cancellable Celery tasks."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .aio import AsyncClient
from .attach import attach, detach
from .client import Client
from .errors import (AttemptMismatch, Busy, Cancelled, CodeFailed, Conflict, DockerError, Forbidden,
                     Invalid, NotFound, Problem, QuellError, Unauthorized, Unavailable, Unreachable)
from .types import Cancellation, Count, Evaluation, Event, Report, Task, TimelineStep

if TYPE_CHECKING:
    from .task import CancellableTask

__version__ = "0.1.0"

__all__ = [
    "AsyncClient", "AttemptMismatch", "Busy", "CancellableTask", "Cancellation", "Cancelled",
    "Client", "CodeFailed", "Conflict", "Count", "DockerError", "Evaluation", "Event", "Forbidden",
    "Invalid", "NotFound", "Problem", "QuellError", "Report", "Task", "TimelineStep",
    "Unauthorized", "Unavailable", "Unreachable", "attach", "detach",
]


def __getattr__(name: str) -> Any:
    """What needs Celery is imported when it is asked for."""
    if name == "CancellableTask":
        from .task import CancellableTask
        return CancellableTask
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
