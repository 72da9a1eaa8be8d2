"""The app of the Celery workers that the tests start."""
import os

from celery import Celery

import quell

app = Celery("deployment", broker=os.environ["CELERY_BROKER_URL"],
             backend=os.environ["CELERY_RESULT_BACKEND"])
app.conf.update(task_track_started=True, broker_connection_retry_on_startup=True,
                worker_prefetch_multiplier=1, result_expires=3600)
STEP = 0.02


def say(self, key, value):
    """Tells the test, by a list in Redis."""
    self.backend.client.rpush(f"said:{key}", value)


def pause(self):
    """Lets time pass as a task that works: on Redis, so that it is greenlets' time too."""
    self.backend.client.blpop("nothing", STEP)


@app.task(base=quell.CancellableTask, bind=True, cancel_interval=0.05)
def heeds(self, key):
    say(self, key, "began")
    while not self.is_cancelled():
        pause(self)
    say(self, key, "cleaned up")
    return "this is no result"


@app.task(base=quell.CancellableTask, bind=True, cancel_interval=0.05)
def declines(self, key):
    say(self, key, "began")
    while not self.is_cancelled():
        pause(self)
    self.ignore_cancel()
    assert not self.is_cancelled(now=True)
    return "its result"


@app.task(base=quell.CancellableTask, bind=True, cancel_interval=0.05)
def counts(self, key, goal):
    for number in range(self.resume_state(0), goal):
        say(self, key, number)
        pause(self)
        self.checkpoint(number + 1)
    return goal


@app.task(base=quell.CancellableTask, bind=True, cancel_interval=0.05)
def reports(self, key):
    say(self, key, "began")
    while True:
        self.update_state(state="PROGRESS", meta={"n": 1})
        pause(self)
        try:
            self.stop_if_cancelled()
        except Exception:  # code that handles whatever happens to it
            pass


@app.task(base=quell.CancellableTask, bind=True, max_retries=100, default_retry_delay=0.05,
          autoretry_for=(ValueError,), retry_backoff=False)
def fails(self, key):
    say(self, key, "tried")
    pause(self)
    if self.request.retries < 2:
        raise ValueError("again")
    while not self.is_cancelled(now=True):
        pause(self)
    raise ValueError("again")


@app.task(base=quell.CancellableTask, bind=True)
def ignores(self, key):
    """It never looks."""
    say(self, key, "began")
    self.backend.client.blpop(f"go:{key}", 30)
    return "done"


@app.task
def plain(value=None):
    return value


@app.task(base=quell.CancellableTask, bind=True, cancel_interval=0.05)
def boxed(self, key, image, command, **how):
    """Runs a container, tells what it says; its result is how that ended."""
    with self.container(image, command, **how) as box:
        for piece in box.output():
            say(self, key, piece.decode())
        return list(box.wait())


@app.task(base=quell.CancellableTask, bind=True)
def breaks(self, key, image, command):
    """Fails while its container runs."""
    with self.container(image, command, grace=0) as box:
        say(self, key, box.name)
        raise ValueError("in between")


@app.task(base=quell.CancellableTask, bind=True)
def early(self, key, image, command):
    """Is cancelled between the making of its container and its start."""
    def made(_box):
        say(self, key, "made")
        while not self.is_cancelled(now=True):
            pause(self)

    with self.container(image, command, prepare=made) as box:
        for piece in box.output():
            say(self, key, piece.decode())
