"""What one writes first: FastAPI in front of Celery, one app, one pool of connections to Redis."""
import os
import time

from celery import Celery
from celery.result import AsyncResult
from celery.signals import worker_ready
from fastapi import FastAPI

app = Celery("service", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
api = FastAPI()


@worker_ready.connect
def tell_ready(**_):
    app.backend.client.incr("ready")


@app.task(name="tasks.evaluate_code")
def evaluate_code(eval_id, code, language):
    """`sleep` is a code that takes its time."""
    if code == "sleep":
        app.backend.client.set(f"pid:{eval_id}", os.getpid())
        time.sleep(600)


@api.post("/api/eval/{eval_id}/cancel")
def cancel(eval_id: str, terminate: bool = False):
    AsyncResult(f"celery-{eval_id}", app=app).revoke(terminate=terminate)
    return {"eval_id": eval_id, "status": "cancelled"}
