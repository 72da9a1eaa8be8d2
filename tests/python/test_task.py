"""CancellableTask in real workers of each pool, asked to stop as Quell asks: by the result backend."""
import os
import threading

import pytest
from celery import Celery, chain, chord
from celery.exceptions import ChordError, ImproperlyConfigured, TaskRevokedError

import quell
from celeries import Deployment, app_of, redis_server, worker
from conftest import system
from quell.names import eval_id_of, split

POOLS = {"prefork": ["-c", "3"], "threads": ["-c", "3"], "solo": [], "gevent": ["-c", "3"]}
@pytest.fixture(scope="module")
def broker():
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module", params=POOLS)
def pool(request, broker):
    """A deployment whose worker has this pool."""
    with worker(broker, "-P", request.param, *POOLS[request.param]), app_of(broker) as app:
        yield Deployment(broker, app)


@pytest.fixture(scope="module")
def prefork(broker):
    with worker(broker, "-c", "3"), app_of(broker) as app:
        yield Deployment(broker, app)


@pytest.mark.deadline(120)
def test_it_stops_in_each_pool(pool):
    key, result = pool.began("heeds")
    pool.notice(result.id)
    pool.revoked(result)
    assert pool.said(key) == ["cleaned up"]
    assert pool.task("plain").delay(3).get(timeout=30) == 3, "the worker goes on"


def test_a_client_that_waits_is_woken(prefork):
    """The end is published, as Celery publishes it; a get() that was there before sees it."""
    _, result = prefork.began("heeds")
    ends = []
    waiting = threading.Thread(target=lambda: ends.append(result.get(propagate=False)))
    waiting.start()
    channel = f"celery-task-meta-{result.id}"
    system.eventually(lambda: prefork.redis.pubsub_numsub(channel)[0][1], what="get()")
    prefork.notice(result.id)
    waiting.join(30)
    assert isinstance(ends[0], TaskRevokedError)


def test_what_never_looked_finished(prefork):
    key, result = prefork.began("ignores")
    prefork.notice(result.id)
    prefork.redis.rpush(f"go:{key}", "on")
    assert result.get(timeout=30) == "done" and result.state == "SUCCESS"


def test_a_cancel_can_be_declined(prefork):
    _, result = prefork.began("declines")
    prefork.notice(result.id)
    assert result.get(timeout=30) == "its result"


def test_the_next_attempt_resumes(prefork):
    key, first = prefork.began("counts", 100000, task_id="celery-count")
    system.eventually(lambda: len(prefork.said(key)) > 3)
    prefork.notice("celery-count")
    prefork.revoked(first)
    done = prefork.said(key)
    last = int(done[-1])
    later, second = prefork.send("counts", last + 3, task_id="celery-count~2")
    assert second.get(timeout=30) == last + 3
    assert [int(n) for n in prefork.said(later)] == [last + 1, last + 2]
    gone = "celery-task-meta-quell-checkpoint-celery-count"
    system.eventually(lambda: not prefork.redis.exists(gone), what="the checkpoint to go")


def test_an_id_that_is_sent_again_runs(prefork):
    _, first = prefork.began("heeds", task_id="again")
    prefork.notice("again")
    prefork.revoked(first)
    key, second = prefork.began("ignores", task_id="again")
    assert second.state == "STARTED"
    prefork.redis.rpush(f"go:{key}", "on")
    assert second.get(timeout=30) == "done"


def test_progress_does_not_take_the_notice_away(prefork):
    _, result = prefork.began("reports")
    system.eventually(lambda: result.state == "PROGRESS")
    prefork.notice(result.id)
    prefork.revoked(result)


def test_it_is_not_retried(prefork):
    key, result = prefork.began("fails")
    system.eventually(lambda: len(prefork.said(key)) == 2)
    prefork.notice(result.id)
    prefork.revoked(result)
    assert len(prefork.said(key)) == 2 and prefork.redis.llen("celery") == 0


def test_a_chord_and_a_chain_come_to_their_end(prefork):
    plain, heeds = prefork.task("plain"), prefork.task("heeds")
    done = chord([plain.s(1), heeds.s("chord").set(task_id="member")])(plain.s())
    assert prefork.redis.blpop("said:chord", 30)
    prefork.notice("member")
    system.eventually(lambda: done.state == "FAILURE", what="the chord")
    assert isinstance(done.result, ChordError) and "stopped" in str(done.result)
    last = chain(heeds.s("chain").set(task_id="link"), plain.s(), plain.s()).apply_async()
    assert prefork.redis.blpop("said:chain", 30)
    prefork.notice("link")
    prefork.revoked(prefork.app.AsyncResult("link"))
    system.eventually(lambda: last.state == last.parent.state == "REVOKED")


# ---- without a worker ----

@pytest.fixture
def bare():
    """A task as a worker runs it, and how often its backend was read."""
    app = Celery("bare", broker="memory://", backend="cache+memory://")

    @app.task(base=quell.CancellableTask, bind=True)
    def work(self):
        return self.is_cancelled()

    work.push_request(id="celery-e~2", called_directly=False, is_eager=False)
    reads = []
    read = work.backend.get_task_meta
    work.backend.get_task_meta = lambda *args, **more: reads.append(args) or read(*args, **more)
    yield work, reads
    work.pop_request()


def test_it_looks_at_most_once_in_an_interval(bare):
    work, reads = bare
    assert not any(work.is_cancelled() for _ in range(1000)) and len(reads) == 1
    assert not work.is_cancelled(now=True) and len(reads) == 2
    work.AsyncResult(work.request.id).abort()
    work.cancel_interval = 0
    assert work.is_cancelled() and work.is_aborted() and len(reads) == 3


def test_a_backend_that_is_away_cancels_nothing(bare, caplog):
    work, _ = bare

    def away(*_, **__):
        raise ConnectionError("gone")

    work.backend.get_task_meta = away
    assert not work.is_cancelled(now=True) and "gone" in caplog.text


def test_without_a_backend_it_says_so():
    app = Celery("none", broker="memory://")

    @app.task(base=quell.CancellableTask, bind=True)
    def work(self):
        return self

    work.push_request(id="x", called_directly=False)
    for look in (work.is_cancelled, work.resume_state, lambda: work.checkpoint(1)):
        with pytest.raises(ImproperlyConfigured, match="result_backend"):
            look()


def test_called_as_a_function_it_is_one():
    app = Celery("none", broker="memory://")

    @app.task(base=quell.CancellableTask, bind=True)
    def work(self, n):
        self.checkpoint(n)
        return n + self.resume_state(1), self.is_cancelled()

    assert work(3) == (4, False) and work.apply((3,)).get() == (4, False)


def test_names(bare, monkeypatch):
    work, _ = bare
    assert work.eval_id == "e" and work.attempt == 2
    assert split("a~b~12") == ("a~b", 12) and split("a~0") == ("a~0", 1)
    assert eval_id_of("celery-") == "task:celery-" and eval_id_of("1-2-3~2") == "task:1-2-3"
    monkeypatch.setenv("QUELL_TASK_ID", "job-{eval_id}-x")
    assert eval_id_of("job-7-x") == "7" and eval_id_of("celery-7") == "task:celery-7"
    assert os.environ["QUELL_TASK_ID"]
