"""Celery tasks that can be asked to stop, and to go on later.

The request to stop is the state ABORTED in the result backend, as celery.contrib.abortable has it and as
Quell writes it. (REVOKED there may be an earlier run's, of the same id.) A task that stops for it ends
as REVOKED, which it writes itself: to Quell that is its word that it stopped, where SUCCESS would
say that it finished.

Checkpoints stand in the result backend too, under an id of their own. So nothing here needs
Quell's API to be reachable.
"""
from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable, Iterator, Mapping, NoReturn, Optional, Sequence

from celery import states
from celery.contrib.abortable import ABORTED, AbortableAsyncResult, AbortableTask
from celery.exceptions import Ignore, ImproperlyConfigured, TaskRevokedError

from .container import LABEL, Container, body_of, tar_of
from .docker import Engine
from .errors import Cancelled, QuellError
from .names import eval_id_of, split

log = logging.getLogger("quell")

CHECKPOINT = "CHECKPOINT"  # the state of its record
CHECKPOINT_ID = "quell-checkpoint-{}"


@dataclass
class Watch:
    """What is known of one run's cancellation. It lives on the request, as the task object is
    shared by threads."""

    looked: Optional[float] = None
    cancelled: bool = False
    declined: bool = False
    kept: bool = False  # there is a checkpoint


class CancellableTask(AbortableTask):
    """The base of a task that heeds a cancel: @app.task(base=quell.CancellableTask, bind=True)."""

    abstract = True

    #: Seconds for which an answer of the result backend is believed.
    cancel_interval = 1.0

    @property
    def eval_id(self) -> str:
        """What Quell calls this task's evaluation, and what its containers are labelled with."""
        return eval_id_of(self.request.id or "")

    @property
    def attempt(self) -> int:
        return split(self.request.id or "")[1]

    # ---- stopping ----

    def is_cancelled(self, now: bool = False) -> bool:
        """Whether it shall stop. Cheap: it asks at most once in cancel_interval, unless `now`.

        What returns after it said True counts as stopped: see ignore_cancel.
        """
        if not self._is_watched():
            return False
        watch = self._watch()
        if watch.cancelled or watch.declined:
            return watch.cancelled
        at = time.monotonic()
        if now or watch.looked is None or at - watch.looked >= self.cancel_interval:
            watch.looked = at
            watch.cancelled = self._look(watch.cancelled)
        return watch.cancelled

    def is_aborted(self, **kwargs: Any) -> bool:
        """celery.contrib.abortable's name for it."""
        return self.is_cancelled() if not kwargs else bool(super().is_aborted(**kwargs))

    def stop_if_cancelled(self, now: bool = False) -> None:
        """Ends the task here, by an exception, where it shall stop."""
        if self.is_cancelled(now):
            raise Cancelled

    def ignore_cancel(self) -> None:
        """From here on it goes to its end, and what it returns is its result."""
        watch = self._watch()
        watch.declined, watch.cancelled = True, False

    # ---- going on later ----

    def checkpoint(self, state: Any, stop: bool = True) -> None:
        """Keeps state, which the result backend must be able to serialize, in place of what was kept;
        then stops where it shall stop, unless stop is False."""
        if self._is_watched():
            self._can_watch()
            at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            self.backend.store_result(self._checkpoint_id(), {"state": state, "at": at}, CHECKPOINT)
            self._watch().kept = True
        if stop:
            self.stop_if_cancelled()

    def resume_state(self, default: Any = None) -> Any:
        """What this task's checkpoint last kept: in an earlier attempt, or before a retry or a
        redelivery. It is gone once the task succeeded, and with the backend's result_expires."""
        if not self._is_watched():
            return default
        self._can_watch()
        meta = self.backend.get_task_meta(self._checkpoint_id(), cache=False)
        if meta.get("status") != CHECKPOINT:
            return default
        self._watch().kept = True
        return meta["result"]["state"]

    # ---- containers ----

    @contextlib.contextmanager
    def container(self, image: str, command: Optional[Sequence[str]] = None, *,
                  env: Optional[Mapping[str, str]] = None,
                  files: Optional[Mapping[str, Optional[bytes]]] = None,
                  memory_mb: int = 512, pids: int = 256, cpus: float = 1, network: bool = False,
                  user: Optional[str] = None, name: Optional[str] = None, grace: float = 5.0,
                  options: Optional[Mapping[str, Any]] = None, engine: Optional[Engine] = None,
                  prepare: Optional[Callable[[Container], None]] = None,
                  tick: Optional[Callable[[], None]] = None) -> Iterator[Container]:
        """A container that runs for this task, and is gone after the `with`: however that is left, also
        by SIGTERM. It is labelled quell.eval_id, so that Quell finds it where the task could not.

        files: put below /quell, a volume; None is a folder. prepare: called with it before it starts.
        user: nobody. options: of the Engine API's create body, put over ours. While its output or end is
        waited for, the task stops when it is asked to (or tick is called instead); SIGTERM comes
        `grace` seconds before SIGKILL.
        """
        labels = {LABEL: self.eval_id, "quell.task_id": self.request.id or ""}
        body = body_of(image, command, labels, env=env or {}, memory_mb=memory_mb, pids=pids,
                       cpus=cpus, network=network, user=user, options=options or {})
        box = Container(engine or Engine(), body, tick or self.stop_if_cancelled, grace, name)
        try:
            box.create()
            if files:
                box.put(tar_of(files))
            if prepare:
                prepare(box)
            self.stop_if_cancelled(now=True)
            box.start()
            yield box
        except BaseException:
            try:
                box.end()
            except QuellError as error:  # what ended the task says more, and SystemExit must get through
                log.error("%s: its container may be left: %s", self.request.id, error)
            raise
        box.end()

    # ---- where Celery comes in ----

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        try:
            result = self.run(*args, **kwargs)
        except Cancelled:
            self._watch().cancelled = True
        if self._watch().cancelled:
            self._stopped()
        return result

    def retry(self, *args: Any, **kwargs: Any) -> Any:
        """What shall stop is not tried again."""
        self.stop_if_cancelled(now=True)
        return super().retry(*args, **kwargs)

    def update_state(self, task_id: Optional[str] = None, state: Optional[str] = None,
                     meta: Any = None, **kwargs: Any) -> None:
        """Of its own, only while it is not to stop: it would take the request for that away."""
        if task_id in (None, self.request.id) and self.is_cancelled(now=True):
            return
        super().update_state(task_id, state, meta, **kwargs)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        if self._watch().kept:
            self.backend.forget(self._checkpoint_id())
        super().on_success(retval, task_id, args, kwargs)

    def AsyncResult(self, task_id: str, **kwargs: Any) -> Any:
        return AbortableAsyncResult(task_id, backend=self.backend, app=self.app, **kwargs)

    # ---- parts ----

    def _is_watched(self) -> bool:
        """Not where it is called as a function, or eagerly: nobody can cancel it there."""
        return bool(self.request.id) and not (self.request.called_directly or
                                              self.request.is_eager)

    def _watch(self) -> Watch:
        members = self.request.__dict__
        return members.setdefault("quell_watch", Watch())  # type: ignore[no-any-return]

    def _can_watch(self) -> None:
        if self.backend.as_uri().split(":")[0] in ("disabled", "rpc"):
            raise ImproperlyConfigured(
                f"the cancellable task {self.name} is asked to stop by way of a result backend that "
                "others can write, and there is none; set result_backend, to Redis say")

    def _look(self, last: bool) -> bool:
        """A backend that is away for a moment is no reason to end, nor to call it cancelled."""
        self._can_watch()
        try:
            meta = self.backend.get_task_meta(self.request.id, cache=False)
        except Exception as error:  # each backend has its own
            log.warning("%s: the result backend can't be asked whether to stop: %s",
                        self.request.id, error)
            return last
        return bool(meta["status"] == ABORTED)

    def _checkpoint_id(self) -> str:
        return CHECKPOINT_ID.format(split(self.request.id)[0])

    def _stopped(self) -> NoReturn:
        """mark_as_failure and not mark_as_revoked: it also ends what waits for it in a chain or chord."""
        self.backend.mark_as_failure(self.request.id, TaskRevokedError("stopped"),
                                     request=self.request, call_errbacks=False,
                                     state=states.REVOKED)
        log.info("%s stopped, as it was asked to", self.request.id)
        raise Ignore
