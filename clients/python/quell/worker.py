"""An app with evaluate_code, ready to be run beside Quell:

    celery -A quell.worker worker

CELERY_BROKER_URL and CELERY_RESULT_BACKEND as Celery reads them; the backend is the broker where none is named.
"""
from __future__ import annotations

import os

from celery import Celery

BROKER = os.environ.get("CELERY_BROKER_URL") or "redis://127.0.0.1:6379/0"

app = Celery("quell", broker=BROKER, backend=os.environ.get("CELERY_RESULT_BACKEND") or BROKER,
             include=["quell.tasks"])
app.conf.update(
    task_track_started=True,
    worker_prefetch_multiplier=1,  # a long run is no reason to hold others
    broker_connection_retry_on_startup=True,
)
