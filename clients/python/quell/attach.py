"""Sends an existing app's revokes through Quell, which makes them last and says what came of them."""
from __future__ import annotations

import logging
import signal as signals
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, Optional, Sequence, Union

from .client import Client
from .errors import NotFound
from .types import Cancellation

log = logging.getLogger("quell")

AT_ONCE = 16  # requests at a time where many are revoked
FORCES = {"SIGTERM", "SIGQUIT", "SIGKILL"}


def attach(app: Any, client: Optional[Client] = None, *, ahead: bool = False,
           reason: Optional[str] = None) -> Client:
    """From now on app.control.revoke and terminate, and so AsyncResult.revoke and GroupResult.revoke, ask
    Quell, in place of a broadcast to the workers that are there just now.

    terminate=True is a terminate, with SIGKILL one without grace; destination is of no use, as Quell
    finds the worker. reply=True (wait=True of a result) holds for up to `timeout` seconds (1) and returns
    [{"quell": {"ok": message, "cancellation": …}}]. ahead: also what is sent later only, for a day.

    Raises quell.Unreachable when Quell is away, quell.NotFound when it has no broker or the key is not
    the admin's: nothing was revoked then. What had finished, or is not known, is no error, as with
    Celery.
    """
    quell = client or Client()

    def revoke(task_id: Union[str, Sequence[str]], destination: Any = None, terminate: bool = False,
               signal: Any = None, reply: bool = False, timeout: Optional[float] = None,
               **_: Any) -> Optional[List[Dict[str, Any]]]:
        stop: Dict[str, Any] = {"reason": reason, "ahead": ahead}
        stop["wait"] = (1.0 if timeout is None else timeout) if reply else 0.0
        if terminate:
            stop.update(force(signal))
        ids = [task_id] if isinstance(task_id, str) else list(task_id)
        with ThreadPoolExecutor(max(1, min(AT_ONCE, len(ids)))) as pool:
            seen = list(pool.map(lambda one: cancel(quell, one, stop), ids))
        return [answer(one, came) for one, came in zip(ids, seen)] if reply else None

    app.control.revoke = revoke
    return quell


def detach(app: Any) -> None:
    """Gives the app its own revoke back."""
    vars(app.control).pop("revoke", None)


def force(signal: Any) -> Dict[str, Any]:
    """What Celery's signal is in Quell's words: a name with or without SIG, a number, or None."""
    name = "SIGTERM" if signal is None else signal
    if isinstance(name, int):
        name = signals.Signals(name).name
    name = str(name).upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name not in FORCES:
        raise ValueError(f"{name} can't be sent through Quell, which ends tasks; use SIGTERM or "
                         "SIGKILL, or quell.detach(app) for Celery's own revoke")
    return {"terminate": True, "grace": 0.0} if name == "SIGKILL" else {"terminate": True}


def cancel(quell: Client, task_id: str, stop: Dict[str, Any]) -> Optional[Cancellation]:
    try:
        return quell.cancel_task(task_id, **stop)
    except NotFound:
        quell.task(task_id)  # refused, too, by a server that knows no tasks at all
        log.warning("revoke of %s: Quell finds no such task in a queue, a worker or the results",
                    task_id)
        return None


def answer(task_id: str, came: Optional[Cancellation]) -> Dict[str, Any]:
    said = came["message"] if came else f"no task {task_id} is known"
    return {"quell": {"ok": said, "cancellation": came}}
