"""Workers are frozen and killed, Quell is killed, messages are delivered twice, and tasks are stopped all the while: what is
said to be cancelled never runs on, nor again."""
import concurrent.futures
import contextlib
import http.client
import random
import time

import pytest
from conftest import system

SECONDS = 25
TASKS = ("work", "late", "stubborn", "polite", "mark")
STOPS = ("cancel?wait=20", "cancel?wait=20&terminate=true&grace=1", "kill?wait=20")
POOLS = (("-c", "3"), ("-c", "3"), ("-c", "2"), ("-P", "solo"))  # a solo worker at work says nothing
STOCK = {"STOCK_VISIBILITY": "3"}


class Chaos:
    def __init__(self, deployed, workers, seed):
        self.deployed, self.workers = deployed, workers
        self.random = random.Random(seed)
        self.pool = concurrent.futures.ThreadPoolExecutor(12)
        self.idle, self.sent, self.asked = [], [], []
        self.cancelled = []  # with what each had said until then

    def send(self):
        if len(self.idle) < 30:
            self.idle.append(self.deployed.send(self.random.choice(TASKS)))
            self.sent.append(self.idle[-1])

    def stop(self):
        if self.idle:
            one = self.idle.pop(self.random.randrange(len(self.idle)))
            self.asked.append(self.pool.submit(self.ask, one, self.random.choice(STOPS)))

    def ask(self, one, how):
        with contextlib.suppress(OSError, http.client.HTTPException):  # Quell is killed meanwhile
            reply = self.deployed.quell.post(f"/api/eval/task:{one.id}/{how}")
            if reply.status == 200 and reply.json["cancelled"]:
                assert reply.json["evidence"] == "verified", reply.json
                self.cancelled.append((one, one.said, reply.json))

    def release(self):
        if self.sent:
            self.random.choice(self.sent).release()

    def freeze(self):
        self.random.choice(self.workers).freeze()

    def thaw(self):
        for worker in self.workers:
            worker.thaw()

    def kill_worker(self):
        self.random.choice(self.workers).restart()

    def kill_quell(self):
        self.deployed.quell.crash()
        self.deployed.quell.again()

    def go_on(self, seconds):
        until = time.monotonic() + seconds
        acts = {self.send: 40, self.stop: 35, self.release: 5, self.freeze: 4, self.thaw: 6,
                self.kill_worker: 2, self.kill_quell: 1}
        while time.monotonic() < until:
            self.random.choices(list(acts), acts.values())[0]()
            time.sleep(self.random.uniform(0.01, 0.1))

    def calm_down(self):
        self.thaw()
        for answer in self.asked:
            answer.result()
        for one in self.sent:
            one.release()
        for worker in self.workers:
            self.deployed.await_return(worker)
        for _ in range(20):  # more than there are processes, and longer than the visibility timeout
            self.deployed.send("mark").until("ran")
        time.sleep(float(STOCK["STOCK_VISIBILITY"]) + 2)


@pytest.mark.deadline(180)
def test_what_is_cancelled_never_runs_on(deployed):
    seed = random.randrange(1 << 32)
    print(f"the seed is {seed}")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(deployed.worker(*flags, node=f"chaos{n}"))
                   for n, flags in enumerate(POOLS)]
        for worker in workers:
            deployed.await_worker(worker)
        chaos = Chaos(deployed, workers, seed)
        chaos.go_on(SECONDS)
        chaos.calm_down()
        ran_on = [(one.id, was, one.said, told) for one, was, told in chaos.cancelled if one.said != was]
        assert not ran_on, ran_on
        assert len(chaos.cancelled) > 30, "so few were cancelled"
        print(f"{len(chaos.cancelled)} of {len(chaos.sent)} were cancelled")
