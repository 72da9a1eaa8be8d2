"""The Celery application of the broker's contract: its tasks do what their code says."""
import os
import signal
import time

from celery import Celery
from celery.exceptions import Ignore

URL = os.environ["BROKER_URL"]
app = Celery("broker_tasks", broker=URL, backend=URL)
app.conf.update(worker_hijack_root_logger=False)


@app.task(name="tasks.evaluate_code", bind=True)
def evaluate_code(self, eval_id, code, language):
    worker = os.getppid()
    if code == "swallows":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    self.backend.client.set(f"pid:{self.request.id}", os.getpid())
    self.backend.client.incr(f"ran:{self.request.id}")
    if code == "succeeds":
        return f"{eval_id} {language}"
    if code == "fails":
        raise ValueError("it fails")
    if code == "retries" and not self.request.retries:
        time.sleep(1.5)
        raise self.retry(countdown=0)
    while code != "noticed" or self.backend.get_state(self.request.id) != "ABORTED":
        time.sleep(0.02)
        if os.getppid() != worker:
            return "its worker is dead"
        if self.backend.client.exists(f"end:{self.request.id}"):
            return "it was told to end"
    self.update_state(state="REVOKED")
    raise Ignore()
