"""What can go wrong. Each text says what was wanted, what happened, and what to do."""
from __future__ import annotations

from typing import Any, Mapping, Optional


class QuellError(Exception):
    """All of these."""


class Unreachable(QuellError):
    """Nobody answered. Nothing is known of what was asked, unless it is asked again."""


class Problem(QuellError):
    """The server refused, and said why (RFC 9457). `problem` has all of its members."""

    def __init__(self, status: int, problem: Mapping[str, Any],
                 retry_after: Optional[float] = None) -> None:
        self.status = status
        self.problem = dict(problem)
        self.kind = str(problem.get("type", "")).rpartition(":")[2]
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.retry_after = retry_after
        super().__init__(self.detail or self.title or f"the server answered {status}")

    def __reduce__(self) -> Any:
        return type(self), (self.status, self.problem, self.retry_after)


class Unauthorized(Problem):
    """401: no key, or one that isn't known."""


class Forbidden(Problem):
    """403: a foreign Host or Origin."""


class NotFound(Problem):
    """404: no such evaluation or task of yours."""


class Conflict(Problem):
    """409: the id exists, or the state forbids it."""


class AttemptMismatch(Problem):
    """412: another attempt runs than the one that was named."""


class Invalid(Problem):
    """422: `problem["field"]` names what is wrong."""


class Busy(Problem):
    """429: a bound is reached; try again later."""


class Unavailable(Problem):
    """503: nothing was done; `retry_after` says in how many seconds to ask again."""


class DockerError(QuellError):
    """What the Docker daemon refused, with its status, or that it is away (0)."""

    def __init__(self, text: str, status: int = 0) -> None:
        self.status = status
        super().__init__(text)

    def __reduce__(self) -> Any:
        return type(self), (str(self), self.status)


class CodeFailed(QuellError):
    """The code that evaluate_code ran ended with another status than 0, or can't be run."""


class Cancelled(BaseException):
    """Raised inside of a task that was asked to stop, where it stops. CancellableTask catches it.

    No Exception, so that code which handles its own errors does not take it for one of them.
    """


BY_STATUS = {
    401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 412: AttemptMismatch,
    422: Invalid, 429: Busy, 503: Unavailable,
}


def problem(status: int, members: Mapping[str, Any],
            retry_after: Optional[float] = None) -> Problem:
    return BY_STATUS.get(status, Problem)(status, members, retry_after)
