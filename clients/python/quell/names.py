"""Which evaluation a Celery task is of, as the server names them."""
from __future__ import annotations

import os
import re
from typing import Tuple

TEMPLATE = "celery-{eval_id}"  # of quell serve --task-id


def split(task_id: str) -> Tuple[str, int]:
    """A task id without its attempt, and the attempt: "celery-a~3" is the third of "celery-a"."""
    found = re.fullmatch(r"(.+)~([1-9]\d*)", task_id, re.S)
    return (found.group(1), int(found.group(2))) if found else (task_id, 1)


def eval_id_of(task_id: str) -> str:
    """What Quell calls it: of a task that is not one of its own, "task:" and the task's id."""
    first, _ = split(task_id)
    before, _, after = os.environ.get("QUELL_TASK_ID", TEMPLATE).partition("{eval_id}")
    inner = first[len(before):len(first) - len(after)]
    if inner and first == before + inner + after:
        return inner
    return f"task:{first}"
