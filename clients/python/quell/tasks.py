"""tasks.evaluate_code: what Quell's own submissions ask Celery's workers to run.

Code runs in a container, and is spoken to as in Quell's sandbox: QUELL_CHECKPOINT is a folder with what the
attempt before saved there; the file QUELL_CANCEL appears when it shall stop, and it says that it stopped early
by removing that file, or by exit status 75.

The worker's environment:

    QUELL_IMAGE_PYTHON, …_BASH, …_NODE, …_C     the images
    QUELL_MEMORY_MB, QUELL_PIDS, QUELL_CPUS     the limits (512, 256, 1)
    QUELL_CHECKPOINT_EVERY                      seconds between two looks at the checkpoint (10)
    STORAGE_SERVICE_URL, STORAGE_SERVICE_KEY    where output is reported to while it comes; or
    QUELL_URL, QUELL_KEY                        to Quell
"""
from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import os
import signal
import time
from typing import Any, Dict, NamedTuple, Sequence

from celery import shared_task

from .container import FOLDER, Container, Exit, tar_of
from .errors import Cancelled, CodeFailed, DockerError, QuellError
from .reports import Reports, storage_client
from .task import CancellableTask

log = logging.getLogger("quell")

OUTPUT_MAX = 1024 * 1024  # bytes; the first are kept
CHECKPOINT_MAX = 16 * 1024 * 1024  # bytes of its tar
REST = 2.0  # seconds for the output of what was stopped
CHECKPOINT = f"{FOLDER}/checkpoint"
NOTICE = f"{FOLDER}/notice"
SIGNALS = {one.value: one.name for one in signal.Signals}


class Language(NamedTuple):
    file: str
    command: Sequence[str]
    image: str


LANGUAGES = {
    "python": Language("main.py", ["python3", "-u", "main.py"], "python:3-slim"),
    "bash": Language("main.sh", ["bash", "main.sh"], "bash:5"),
    "node": Language("main.js", ["node", "main.js"], "node:lts-slim"),
    "c": Language("main.c", ["sh", "-c", "cc -O2 -o /tmp/main main.c -lm -pthread && exec /tmp/main"],
                  "gcc:latest"),
}


class Run:
    """One run of a code."""

    def __init__(self, task: CancellableTask, reports: Reports) -> None:
        self.task = task
        self.reports = reports
        self.output = b""
        self.truncated = False
        self.asked = False  # the program was asked to stop
        self.saved = ""  # digest of the checkpoint that is kept
        self.looked = time.monotonic()
        self.every = float(os.environ.get("QUELL_CHECKPOINT_EVERY", "10"))

    def run(self, eval_id: str, code: str, language: str) -> Exit:
        """Raises Cancelled where it stopped because it was asked to."""
        if language not in LANGUAGES:
            raise CodeFailed(f"language must be one of {', '.join(LANGUAGES)}, not {language!r}")
        speaks = LANGUAGES[language]
        env = {"QUELL_EVAL_ID": eval_id, "QUELL_ATTEMPT": str(self.task.attempt), "HOME": "/tmp",
               "QUELL_CHECKPOINT": CHECKPOINT, "QUELL_CANCEL": f"{NOTICE}/cancel"}
        files = {"code": None, f"code/{speaks.file}": code.encode(), "checkpoint": None,
                 "notice": None}
        with self.task.container(
                os.environ.get(f"QUELL_IMAGE_{language.upper()}") or speaks.image, speaks.command,
                env=env, files=files, prepare=self.prepare, tick=self.tick,
                memory_mb=int(os.environ.get("QUELL_MEMORY_MB", "512")),
                pids=int(os.environ.get("QUELL_PIDS", "256")),
                cpus=float(os.environ.get("QUELL_CPUS", "1")),
                options={"WorkingDir": f"{FOLDER}/code"}) as box:
            try:
                for piece in box.output():
                    self.take(piece)
                return self.judged(box.wait())
            except BaseException:
                with contextlib.suppress(QuellError):  # the container's end says it
                    box.stop()
                for piece in box.rest(REST):
                    self.take(piece)
                raise
            finally:
                self.save()

    def prepare(self, box: Container) -> None:
        """What the attempt before saved goes into its folder."""
        self.box = box
        kept = self.task.resume_state()
        if kept:
            box.put(base64.b64decode(kept["tar"]))
        self.saved = digest_of(box.get(CHECKPOINT) or b"")

    def take(self, piece: bytes) -> None:
        room = OUTPUT_MAX - len(self.output)
        self.truncated = self.truncated or len(piece) > room
        if room and piece:
            self.output += piece[:room]
            self.reports.tell(output=self.text())

    def text(self) -> str:
        return self.output.decode(errors="replace")

    def tick(self) -> None:
        """The program is asked, and is waited for: a harder stop is Quell's to send."""
        if not self.asked and self.task.is_cancelled():
            self.ask_it()
            self.asked = True
        if time.monotonic() - self.looked >= self.every:
            self.save()
            self.looked = time.monotonic()

    def ask_it(self) -> None:
        notice = json.dumps({"reason": None, "deadline": None}) + "\n"
        try:
            self.box.put(tar_of({"cancel": notice.encode()}), NOTICE)
        except DockerError as error:  # a program that is quick removes it while Docker sets its owner
            if f"chown {NOTICE}/cancel: no such file" not in str(error):
                raise

    def judged(self, end: Exit) -> Exit:
        """Asked to stop, it stopped for that unless it ended well without a word."""
        if self.asked and (end.code != 0 or self.box.get(f"{NOTICE}/cancel") is None):
            raise Cancelled
        if self.asked:
            self.task.ignore_cancel()
        return end

    def save(self) -> None:
        """Keeps the checkpoint folder where it has changed. That it can't be kept ends nothing."""
        try:
            tar = self.box.get(CHECKPOINT, limit=CHECKPOINT_MAX)
            if tar and digest_of(tar) != self.saved:
                self.task.checkpoint({"tar": base64.b64encode(tar).decode()}, stop=False)
                self.saved = digest_of(tar)
        except Exception as error:  # Docker's, or the backend's, which each have their own
            log.warning("%s: its checkpoint is not kept: %s", self.task.request.id, error)


def digest_of(tar: bytes) -> str:
    return hashlib.sha256(tar).hexdigest()


def failure(end: Exit, text: str) -> str:
    """One sentence on how it ended, with the last line that it said."""
    said = text.rstrip().rpartition("\n")[2][-500:]
    if end.oom:
        what = "out of memory"
    elif end.code - 128 in SIGNALS:
        what = f"ended by {SIGNALS[end.code - 128]}"
    else:
        what = f"exit status {end.code}"
    return f"{what}: {said}" if said else what


@shared_task(base=CancellableTask, bind=True, name="tasks.evaluate_code")
def evaluate_code(self: CancellableTask, eval_id: str, code: str, language: str) -> Dict[str, Any]:
    """Runs it to its end. A failure has the exit status and the last line that the code wrote."""
    reports = Reports(eval_id, storage_client())
    run = Run(self, reports)
    try:
        reports.tell(status="running")
        end = run.run(eval_id, code, language)
        if end.code != 0:
            raise CodeFailed(failure(end, run.text()))
        result = {"exit_code": 0, "output_truncated": run.truncated}
        reports.tell(status="succeeded", output=run.text(), result=result)
        return {**result, "output": run.text()}
    except Exception as error:
        reports.tell(status="failed", output=run.text(), error=str(error))
        raise
    finally:
        reports.close()
