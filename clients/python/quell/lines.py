"""Server-sent events out of bytes, and how long to wait before a broken stream is asked for again."""
from __future__ import annotations

import json
import time
from typing import Dict, List, Optional

from .types import Event

LONGEST_PAUSE = 2.0


class EventReader:
    """Takes bytes as they come, gives the events that are complete. Knows the last id."""

    def __init__(self, last: Optional[str] = None) -> None:
        self.last = last
        self.rest = b""
        self.fields: Dict[str, str] = {}

    def again(self) -> None:
        """Another connection begins: what was not complete comes once more."""
        self.rest = b""
        self.fields = {}

    def feed(self, data: bytes) -> List[Event]:
        *lines, self.rest = (self.rest + data).split(b"\n")
        found = [self.line(line.rstrip(b"\r").decode()) for line in lines]
        return [event for event in found if event]

    def line(self, line: str) -> Optional[Event]:
        if line:
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            self.fields[name] = f"{self.fields[name]}\n{value}" if name in self.fields else value
            return None
        fields, self.fields = self.fields, {}
        self.last = fields.get("id", self.last)
        if not fields.keys() & {"event", "data"}:
            return None
        data = fields.get("data")
        return Event(self.last, fields.get("event", "message"), json.loads(data) if data else None)


class Patience:
    """Pauses between tries, doubling up to two seconds, until nothing has come for so long."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.came()

    def came(self) -> None:
        self.until = time.monotonic() + self.seconds
        self.pause = 0.05

    def next(self) -> Optional[float]:
        """Seconds to pause before the next try; None: it is given up."""
        if time.monotonic() >= self.until:
            return None
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
        return self.pause
