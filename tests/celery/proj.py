"""The Celery application of the tests: python3 -m celery -A proj worker, with PROJ_URL and more."""
import os
import time

from celery import Celery
from celery.worker import state

URL = os.environ["PROJ_URL"]
app = Celery("proj", broker=URL, backend=URL)
app.conf.update(task_serializer=os.environ.get("PROJ_SERIALIZER", "json"),
                accept_content=["json", "pickle"], worker_hijack_root_logger=False)
if "PROJ_REVOKE_EXPIRES" in os.environ:
    # Celery 5.3 and later read CELERY_WORKER_REVOKE_EXPIRES
    state.revoked.expires = float(os.environ["PROJ_REVOKE_EXPIRES"])


@app.task(name="tasks.evaluate_code")
def evaluate_code(eval_id, code, language):
    """Busy for as many seconds as the code says."""
    time.sleep(float(code))
    return f"{eval_id} {language}"
