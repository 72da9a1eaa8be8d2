"""tasks.evaluate_code in a stock worker (celery -A quell.worker worker), with a real dockerd; what it reports
goes to a real server, as its storage service.
"""
import pytest

import quell
from celeries import Deployment, app_of, redis_server, worker
from conftest import serving, system, url_of
from dockers import IMAGE, docker_daemon
from quell.docker import Engine
from quell.reports import Reports, storage_client

UP = "print('up', flush=True)\n"
PYTHON = "import os, time\n"
UNTIL_ASKED = PYTHON + UP + "while not os.path.exists(os.environ['QUELL_CANCEL']): time.sleep(0.05)\n"
ENDLESS = UP + "while True: pass\n"
SAVES = PYTHON + """
kept = os.path.join(os.environ['QUELL_CHECKPOINT'], 'n')
n = int(open(kept).read()) if os.path.exists(kept) else 0
print('from', n, 'attempt', os.environ['QUELL_ATTEMPT'], flush=True)
if n:
    raise SystemExit
with open(kept, 'w') as out:
    out.write('41')
"""


class Evaluations(Deployment):
    """What tests ask of evaluate_code: each evaluation is known to the storage service."""

    def __init__(self, broker, app, client, engine):
        super().__init__(broker, app)
        self.client = client
        self.engine = engine

    def evaluate(self, eval_id, code, language="python", attempt=""):
        if not attempt:
            self.client.submit("pass", "python", eval_id=eval_id)
        return self.app.send_task("tasks.evaluate_code", (eval_id, code, language),
                                  task_id=f"celery-{eval_id}{attempt}")

    def runs(self, eval_id, code, **more):
        """Sends it and waits until its output was reported."""
        result = self.evaluate(eval_id, code, **more)
        system.eventually(lambda: "up" in (self.report(eval_id)["output"] or ""), what="output")
        return result

    def report(self, eval_id):
        return self.client.report(eval_id)

    def left(self):
        return self.engine.ask("GET", "/containers/json", all=1).json


@pytest.fixture(scope="module")
def deployment():
    with docker_daemon() as host, redis_server() as broker, serving("--workers", "0") as server:
        env = {"DOCKER_HOST": host, "STORAGE_SERVICE_URL": url_of(server),
               "STORAGE_SERVICE_KEY": server.key, "QUELL_IMAGE_PYTHON": IMAGE,
               "QUELL_IMAGE_BASH": IMAGE, "QUELL_CHECKPOINT_EVERY": "0.3", "QUELL_MEMORY_MB": "64"}
        client = quell.Client(url_of(server), server.key)
        with worker(broker, "-c", "3", app="quell.worker", env=env), app_of(broker) as app:
            yield Evaluations(broker, app, client, Engine(host))
        client.close()


def test_code_runs_and_its_end_is_reported(deployment):
    done = deployment.evaluate("good", "print('hello')").get(timeout=30)
    assert done == {"exit_code": 0, "output": "hello\n", "output_truncated": False}
    seen = deployment.report("good")
    assert seen["output"] == "hello\n" and seen["reported_status"] == "succeeded"
    assert seen["result"] == {"exit_code": 0, "output_truncated": False}
    assert deployment.evaluate("shell", "echo $QUELL_EVAL_ID", "bash").get(
        timeout=30)["output"] == "shell\n"
    assert not deployment.left()


def test_output_is_reported_while_it_runs(deployment):
    result = deployment.runs("partial", ENDLESS)
    seen = deployment.report("partial")
    assert seen["output"] == "up\n" and seen["reported_status"] == "running"
    assert result.state == "STARTED"
    box, = deployment.left()
    assert box["Labels"]["quell.eval_id"] == "partial"
    result.revoke(terminate=True)
    system.eventually(lambda: not deployment.left(), what="the container to go")


@pytest.mark.parametrize("word", ["os.remove(os.environ['QUELL_CANCEL'])", "raise SystemExit(75)"])
def test_a_program_says_that_it_stopped(deployment, word):
    eval_id = f"says-{len(word)}"
    result = deployment.runs(eval_id, UNTIL_ASKED + "print('saved')\n" + word)
    deployment.notice(result.id)
    deployment.revoked(result)
    assert deployment.report(eval_id)["output"] == "up\nsaved\n" and not deployment.left()


def test_a_program_is_quicker_than_docker(deployment):
    """It takes the notice away while Docker is still setting whose that is."""
    quick = PYTHON + UP + """
while True:
    try:
        os.remove(os.environ['QUELL_CANCEL'])
        break
    except OSError:
        pass
print('saved')
"""
    result = deployment.runs("quick", quick)
    deployment.notice(result.id)
    deployment.revoked(result)
    assert deployment.report("quick")["output"] == "up\nsaved\n"


def test_without_its_word_it_finished(deployment):
    result = deployment.runs("finished", UNTIL_ASKED)
    deployment.notice(result.id)
    assert result.get(timeout=30)["output"] == "up\n"


def test_the_next_attempt_goes_on_from_the_checkpoint(deployment):
    result = deployment.runs("resumed", SAVES + UNTIL_ASKED + "os.remove(os.environ['QUELL_CANCEL'])")
    deployment.notice(result.id)
    deployment.revoked(result)
    again = deployment.evaluate("resumed", SAVES, attempt="~2").get(timeout=30)
    assert again["output"] == "from 41 attempt 2\n"


def test_a_terminate_keeps_output_and_checkpoint(deployment):
    """What was saved, and said, up to SIGTERM is kept, and the container is gone."""
    handles = "import signal\nsignal.signal(15, lambda *_: (print('late', flush=True), os._exit(1)))\n"
    result = deployment.runs("ended", SAVES + handles + ENDLESS)
    result.revoke(terminate=True)
    system.eventually(lambda: (deployment.report("ended")["output"] or "").endswith("late\n"))
    system.eventually(lambda: not deployment.left(), what="the container to go")
    again = deployment.evaluate("ended", SAVES, attempt="~2").get(timeout=30)
    assert again["output"].startswith("from 41")


def test_the_checkpoint_is_kept_while_it_runs(deployment):
    """A worker that is killed leaves what was saved up to then."""
    result = deployment.runs("crash", SAVES + ENDLESS)
    key = "celery-task-meta-quell-checkpoint-celery-crash"
    system.eventually(lambda: deployment.redis.exists(key), what="the checkpoint")
    result.revoke(terminate=True, signal="SIGKILL")
    box, = deployment.left()
    deployment.engine.ask("DELETE", f"/containers/{box['Id']}", force=1, v=1)  # as Quell does
    again = deployment.evaluate("crash", SAVES, attempt="~2").get(timeout=30)
    assert again["output"].startswith("from 41")


@pytest.mark.parametrize("code,language,said", [
    ("raise ValueError('no')", "python", "exit status 1: ValueError: no"),
    ("kill -9 $$", "bash", "ended by SIGKILL"),
    ("x = bytearray(200 << 20)", "python", "out of memory"),
    ("x", "cobol", "language must be one of python, bash, node, c, not 'cobol'"),
])
def test_failures_say_why(deployment, code, language, said):
    eval_id = f"fails-{language}-{len(code)}"
    result = deployment.evaluate(eval_id, code, language)
    with pytest.raises(quell.CodeFailed, match=said):
        result.get(timeout=30)
    seen = deployment.report(eval_id)
    assert said in seen["error"] and seen["reported_status"] == "failed"
    assert not deployment.left()


def test_the_first_of_much_output_is_kept(deployment):
    done = deployment.evaluate("much", "print('x' * 3000000)").get(timeout=60)
    assert done["output_truncated"] and done["output"] == "x" * (1024 * 1024)


def test_a_storage_service_that_is_away_stops_nothing(monkeypatch):
    monkeypatch.setattr("quell.reports.LAST", 0.1)
    monkeypatch.setattr("quell.reports.INTERVAL", 0.05)
    monkeypatch.setenv("QUELL_KEY", "secret-of-quell")
    monkeypatch.setenv("STORAGE_SERVICE_URL", "http://127.0.0.1:9")
    client = storage_client()
    assert client._key is None, "Quell's key is not for others"
    reports = Reports("x", client)
    reports.tell(output="a")
    reports.tell(output="b")
    reports.close()  # waits for LAST, and leaves the rest to the thread
    reports._thread.join(5)
    assert not reports._thread.is_alive()
    monkeypatch.delenv("STORAGE_SERVICE_URL")
    assert storage_client() is None
