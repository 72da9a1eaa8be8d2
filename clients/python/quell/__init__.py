"""A client of Quell, which stops work and proves that it stopped; and cancellable Celery tasks."""
from __future__ import annotations

from .aio import AsyncClient
from .client import Client
from .errors import (AttemptMismatch, Busy, Conflict, Forbidden, Invalid, NotFound, Problem,
                     QuellError, Unauthorized, Unavailable, Unreachable)
from .types import Cancellation, Evaluation, Event, Report, Task, TimelineStep

__version__ = "0.1.0"

__all__ = [
    "AsyncClient", "AttemptMismatch", "Busy", "Cancellation", "Client", "Conflict", "Evaluation",
    "Event", "Forbidden", "Invalid", "NotFound", "Problem", "QuellError", "Report", "Task",
    "TimelineStep", "Unauthorized", "Unavailable", "Unreachable",
]
