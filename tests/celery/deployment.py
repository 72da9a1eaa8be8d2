"""An ordinary Celery deployment with Quell beside it: redis-server, workers, storage, Docker.

Each process is the tests' own, on a free loopback port, and ended by its pid.
"""
import base64
import concurrent.futures
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

from celeries import PYTHON, answers, environment, free_port
from conftest import HERE, system

PATIENCE = 30
MUTE = 12  # seconds without an answer: a worker tries its connection again after 2, 4, 6 s


class Redis:
    """Keeps what it has over stop and start."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="quell-redis-")
        self.port = free_port()
        self.process = None
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def quell_url(self):
        """The same, as Quell spells it."""
        return self.url

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "yes", "--appendfsync", "no", "--dir", self.folder],
            stdout=subprocess.DEVNULL, preexec_fn=system.die_with_parent)
        system.eventually(lambda: answers(self.port), what="redis-server")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Proxy:
    """
    A way to Redis that can be cut and mended. While it is cut connections are refused, as where there is
    no server: a worker of Celery 5.2 whose connection was taken and then closed often comes back without
    listening to anything any more.
    """

    def __init__(self, port):
        self.target = port
        self.listener = self.bound(0)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.pairs = []
        self.mend()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    @staticmethod
    def bound(port):
        """Nobody listens there yet: who connects is refused, and nobody else gets the port."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        return made

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                here, _ = listener.accept()
                with self.lock:
                    if listener is not self.listener:
                        here.close()
                        return
                    there = socket.create_connection(("127.0.0.1", self.target))
                    self.pairs += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self.copy, args=[one, other], daemon=True).start()

    @staticmethod
    def copy(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        with self.lock:
            with contextlib.suppress(OSError):  # it was cut already
                self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            self.listener.close()
            self.listener = self.bound(self.port)
            for one in self.pairs:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self.pairs.clear()

    def mend(self):
        self.listener.listen()
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def close(self):
        self.cut()
        self.listener.close()


class Worker:
    """A worker of Debian's Celery, in a session of its own."""

    def __init__(self, deployment, *flags, node="w", broker=None, wait=True, **env):
        self.node = f"{node}@{socket.gethostname()}"
        self.log = []
        self.ready = threading.Event()
        self.starts = 0
        self.env = environment(broker or deployment.redis.url, STOCK_FOLDER=deployment.folder,
                               PYTHONPATH=HERE, **{**deployment.env, **env})
        self.flags = flags or ("-c", "1")
        self.begin()
        if wait:
            self.wait_ready()

    def begin(self):
        self.process = subprocess.Popen(
            [PYTHON, "-m", "celery", "-A", "stock", "worker", "-n", self.node, "-l", "INFO",
             "--without-gossip", *self.flags], env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=system.die_with_parent)
        threading.Thread(target=self.read, args=[self.process.stderr], daemon=True).start()

    def wait_ready(self):
        if not self.ready.wait(60):
            self.end()
            raise AssertionError("the worker did not start:\n" + "\n".join(self.log[-30:]))

    def revive(self):
        """As its supervisor does: kombu 5.7 raises, and ends it, as it closes a connection that is lost."""
        if self.process.poll() is not None:
            print(f"{self.node} died of it, and begins again")
            self.begin()

    def restart(self):
        self.end()
        print(f"{self.node} is begun anew")
        self.begin()

    def read(self, lines):
        for line in lines:
            self.log.append(line.rstrip())
            if " ready." in line:
                self.starts += 1
                self.ready.set()

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self):
        """All of its session: the pool's processes too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Deployment:
    """What is deployed, and what tests ask of it. Use it as a context manager."""

    make_redis = Redis

    def __init__(self, *flags, env=None):
        self.stack = contextlib.ExitStack()
        self.folder = tempfile.mkdtemp(prefix="quell-stock-")
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.env = env or {}
        self.redis = self.make_redis()
        self.stack.callback(self.redis.close)
        self.numbers = itertools.count(1)
        self.workers = []
        self.app = self.load_app()
        self.client = self.app.backend.client
        self.quell = self.stack.enter_context(system.serving(
            "--broker", self.redis.quell_url, "--auth", "none", *flags))

    def load_app(self):
        os.environ.update(CELERY_BROKER_URL=self.redis.url, CELERY_RESULT_BACKEND=self.redis.url,
                          STOCK_FOLDER=self.folder, **self.env)
        import stock
        # Results unsubscribe when they are dropped, and their Redis may be gone by then.
        stock.app.backend.result_consumer.cancel_for = lambda _task_id: None
        self.stack.callback(stock.app.close)
        return stock.app

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if failure[0]:
            for worker in self.workers:
                print(f"the log of {worker.node}:", *worker.log[-40:], sep="\n  ")
        self.stack.close()

    # what is there

    @contextlib.contextmanager
    def worker(self, *flags, **more):
        made = Worker(self, *flags, **more)
        self.workers.append(made)
        try:
            yield made
        except BaseException:
            print(f"the log of {made.node}:", *made.log[-60:], sep="\n  ")
            raise
        finally:
            made.end()
            self.workers.remove(made)

    # tasks

    def key(self):
        return f"k{next(self.numbers)}"

    def send(self, name, *args, key=None, **options):
        """Sends a task, whose first argument is a key of its own; returns a Sent."""
        key = key or self.key()
        result = self.app.tasks[f"stock.{name}"].apply_async((key, *args), **options)
        return Sent(self, key, result.id)

    def began(self, name, *args, **options):
        """Sends it and waits until it runs."""
        sent = self.send(name, *args, **options)
        sent.until("began")
        return sent

    def sent_before(self, name, **options):
        """A task that is yet to be sent: its id is known already."""
        return Sent(self, self.key(), str(uuid.uuid4()), name, options)

    def fence(self, **options):
        """Runs a task: what stood before it in the queue has been taken by then."""
        self.send("mark", **options).until("ran")

    def push(self, queue, keys):
        """Sends many tasks at once to a queue that nobody consumes yet, by one real message as
        their pattern. keys: or {key: id}. Returns {id: key}."""
        pattern = self.send("mark", queue=queue)
        wire = json.loads(self.client.lpop(queue))
        ids = {}
        with self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                task_id = keys[key] if isinstance(keys, dict) else str(uuid.uuid4())
                text = json.dumps(wire).replace(pattern.id, task_id)
                message = json.loads(text)
                message["body"] = base64.b64encode(json.dumps([[key], {}, {}]).encode()).decode()
                message["properties"]["delivery_tag"] = str(uuid.uuid4())
                pipe.lpush(queue, json.dumps(message))
                ids[task_id] = key
            pipe.execute()
        return ids

    # plain Celery

    def revoke(self, sent, **more):
        """As a service beside Celery does it."""
        self.app.control.revoke(sent.id, **more)

    def inspect(self, method, node=None, timeout=2):
        asked = self.app.control.inspect([node] if node else None, timeout=timeout)
        return getattr(asked, method)() or {}

    def await_worker(self, worker, seconds=PATIENCE):
        """Until it answers, after whatever happened to it."""
        def answers_now():
            worker.revive()
            return worker.node in self.inspect("ping", worker.node, 1)
        system.eventually(answers_now, seconds, f"{worker.node} to answer")

    def await_return(self, worker):
        """
        Until it answers, after it lost its connection. One of seven of Celery 5.2 connects again, beats, and
        reads nothing any more: no channel is subscribed to, and nobody waits for its BRPOP. A supervisor that
        pings begins such a one anew.
        """
        try:
            self.await_worker(worker, MUTE)
        except AssertionError:
            worker.restart()
            self.await_worker(worker, 2 * PATIENCE)


class Sent:
    def __init__(self, deployment, key, task_id, name=None, options=None):
        self.deployment = deployment
        self.key = key
        self.id = task_id
        self.name = name
        self.options = options or {}

    def send_now(self):
        self.deployment.send(self.name, key=self.key, task_id=self.id, **self.options)
        return self

    @property
    def said(self):
        path = os.path.join(self.deployment.folder, f"{self.key}.said")
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as said:
            return said.read().splitlines()
        return []

    def until(self, word, seconds=PATIENCE, times=1):
        """Until it said that; returns what stands behind the word."""
        def look():
            heard = [line for line in self.said if line.split()[0] == word]
            return heard if len(heard) >= times else None
        heard = system.eventually(look, seconds, f"{self.key} to say {word}")
        return heard[0].partition(" ")[2]

    @property
    def pids(self):
        return [int(line.split()[1]) for line in self.said if line.startswith("began ")]

    def release(self):
        with open(os.path.join(self.deployment.folder, f"{self.key}.go"), "w", encoding="ascii"):
            pass

    def hold(self):
        """It will say that it is held, before its result says STARTED."""
        with open(os.path.join(self.deployment.folder, f"{self.key}.hold"), "w", encoding="ascii"):
            pass

    def let_go(self):
        os.unlink(os.path.join(self.deployment.folder, f"{self.key}.hold"))

    # plain Celery's word

    @property
    def meta(self):
        text = self.deployment.client.get(f"celery-task-meta-{self.id}")
        return json.loads(text) if text else None

    @property
    def state(self):
        meta = self.meta
        return meta["status"] if meta else "PENDING"

    def until_state(self, *wanted, seconds=PATIENCE):
        return system.eventually(lambda: self.state if self.state in wanted else None, seconds,
                                 f"{self.key} ({self.id}) {'/'.join(wanted)}")

    # Quell's

    @property
    def place(self):
        return self.deployment.quell.get(f"/api/task/{self.id}").expect(200).json

    def until_place(self, *wanted):
        return system.eventually(lambda: seen if (seen := self.place)["place"] in wanted else None,
                                 what=f"{self.key} {'/'.join(wanted)}")

    def cancel(self, **query):
        """Returns the reply."""
        words = system.query(**query) if query else ""
        return self.deployment.quell.post(f"/api/task/{self.id}/cancel{words}")

    def record(self):
        """Its evaluation, as Quell knows it."""
        return self.deployment.quell.get(f"/api/eval/task:{self.id}")

    def doctor(self):
        return self.deployment.quell.get(f"/api/eval/task:{self.id}/doctor").expect(200).json

    def settled(self, seconds=PATIENCE):
        """Its cancellation, once its evaluation is settled or unconfirmed."""
        return self.deployment.quell.wait(f"task:{self.id}", seconds)["cancellation"]


def at_once(calls):
    """Calls all of them at the same moment; returns what they returned, in order."""
    gate = threading.Barrier(len(calls))

    def one(call):
        gate.wait()
        return call()

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def alive(pid):
    """Runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def passed(seconds, since):
    return time.monotonic() - since >= seconds
