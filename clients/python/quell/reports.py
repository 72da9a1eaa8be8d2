"""What a task tells the storage service while it runs. A thread sends: a service that is slow or away must
not keep the task from seeing that it shall stop.
"""
from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from typing import Any, Dict, Optional

from . import calls
from .client import Client
from .errors import Problem, QuellError

log = logging.getLogger("quell")

INTERVAL = 1.0  # seconds between two reports
TIMEOUT = 10.0
LAST = 15.0  # seconds that the last report may take


def storage_client() -> Optional[Client]:
    """The service that STORAGE_SERVICE_URL names, with STORAGE_SERVICE_KEY where it wants one; else Quell, where
    QUELL_URL names it; else none. Quell's key is shown to nobody else."""
    url = os.environ.get("STORAGE_SERVICE_URL")
    if url:
        return Client(url, os.environ.get("STORAGE_SERVICE_KEY", ""), timeout=TIMEOUT)
    return Client(timeout=TIMEOUT) if os.environ.get("QUELL_URL") else None


class Reports:
    """PUT /evaluations/{eval_id} with what was last told; what was told between two is never sent."""

    def __init__(self, eval_id: str, client: Optional[Client]) -> None:
        self.eval_id = eval_id
        self.client = client
        self._news: Dict[str, Any] = {}
        self._last = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="quell-reports", daemon=True)
        if client:
            self._thread.start()

    def tell(self, **members: Any) -> None:
        with self._changed:
            self._news.update(members)
            self._changed.notify()

    def close(self) -> None:
        """Sends what is still to be told, for as long as a task can wait for that."""
        with self._changed:
            self._last = True
            self._changed.notify()
        if self.client:
            self._thread.join(LAST)
            self.client.close()

    def _run(self) -> None:
        until = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._news or self._last)
                news, self._news, last = self._news, {}, self._last
            if not news:
                return
            if self._send(news):
                wait = 0.0 if last else INTERVAL
            else:
                until = until or (time.monotonic() + LAST if last else None)
                if until and time.monotonic() > until:
                    return
                wait = INTERVAL
                with self._changed:
                    self._news = {**news, **self._news}
            with self._changed:
                self._changed.wait_for(lambda: self._last and not last, wait)

    def _send(self, news: Dict[str, Any]) -> bool:
        """False: it may help to send it again."""
        assert self.client
        call = dataclasses.replace(calls.put_report(self.eval_id, news), read=lambda _: None)
        try:
            self.client.call(call)
        except Problem as refused:
            log.warning("the storage service refused a report of %s: %s", self.eval_id, refused)
            return refused.status < 500
        except QuellError as error:
            log.warning("a report of %s is not delivered yet: %s", self.eval_id, error)
            return False
        return True
