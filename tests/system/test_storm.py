"""200 evaluations, stopped at random by random means, while the server is killed and restarted.

Each must end in one settled status that matches what its process really did, and nothing of any of
them may be left. QUELL_SEED repeats a storm; QUELL_STORM sets how many.
"""
import collections
import contextlib
import http.client
import json
import os
import random
import re
import threading
import time

import pytest
from conftest import serving
from quell import SETTLED, eventually, left_behind, members, query

SEED = int(os.environ.get("QUELL_SEED", "1"))
COUNT = int(os.environ.get("QUELL_STORM", "200"))
CRASHES = 10
DOWN = (http.client.HTTPException, OSError)

# What each kind does, and what it says last when it ends in its own way.
KINDS = {
    "quick": "time.sleep({seconds}); say('finished')",
    "failing": "time.sleep({seconds}); say('failing'); sys.exit(3)",
    "polite": """
while not os.path.exists(os.environ['QUELL_CANCEL']):
    time.sleep(0.02)
say('stopped')
sys.exit(75)""",
    "catcher": """
signal.signal(signal.SIGTERM, lambda *_: (say('caught'), os._exit(0)))
while True: signal.pause()""",
    "stubborn": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    "sleeper": "time.sleep(600)",
    "family": """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
time.sleep(600)""",
}
HEAD = """
import os, signal, sys, time
def say(word):
    with open(os.environ['QUELL_CHECKPOINT'] + '/' + word, 'w'): pass
    print(word, flush=True)
say('began')
"""


class Storm:
    def __init__(self, server):
        self.server = server
        self.random = random.Random(SEED)
        self.prefix = f"storm-{os.getpid()}-"
        self.kinds = {}
        self.submitted = []
        self.promised = {}  # eval_id -> what an answer said for good: "cancelled" or "finished"
        self.containers = set()
        self.over = threading.Event()
        self.failure = None

    def persist(self, ask):
        """Asks again until a server answers; 503 is no answer yet."""
        while True:
            try:
                reply = ask()
                if reply.status != 503:
                    return reply
            except DOWN:
                pass
            if self.failure:
                raise self.failure
            time.sleep(0.01)

    def body(self, number):
        kind = self.random.choice(list(KINDS))
        eval_id = f"{self.prefix}{number}"
        self.kinds[eval_id] = kind
        code = HEAD + KINDS[kind].format(seconds=round(self.random.uniform(0, 1.5), 3))
        body = {"eval_id": eval_id, "code": code, "language": "python", "grace_s": 0.5,
                "timeout_s": self.random.choice([2, 20, 60]),
                "priority": self.random.randrange(10)}
        chance = self.random.random()
        if chance < 0.1:
            body["queue_ttl_s"] = self.random.choice([0.5, 2])
        elif chance < 0.2:
            body["supersedes"] = f"key-{self.random.randrange(3)}"
        return body

    def submit(self, number):
        body = self.body(number)
        reply = self.persist(lambda: self.server.post("/api/eval", body))
        assert reply.status in (201, 409), reply  # 409: taken by an answer that was lost
        self.submitted.append(body["eval_id"])

    def stop(self, eval_id, rng):
        verb, words = rng.choice([
            ("cancel", {}), ("cancel", {"escalate": "kill", "grace": 0.3}),
            ("cancel", {"escalate": "terminate", "grace": 0.2}), ("cancel", {"terminate": True}),
            ("cancel", {"terminate": True, "grace": 0}), ("kill", {}), ("kill", {"wait": 0})])
        reply = self.persist(lambda: self.server.post(f"/api/eval/{eval_id}/{verb}", words))
        assert reply.status in (200, 202, 409), reply
        if reply.status == 409:
            self.promise(eval_id, "finished")
        elif reply.json["cancelled"]:
            self.promise(eval_id, "cancelled")

    def promise(self, eval_id, word):
        assert self.promised.setdefault(eval_id, word) == word, eval_id

    def guarded(self, work, *arguments):
        try:
            work(*arguments)
        except BaseException as error:  # pylint: disable=broad-except
            self.failure = self.failure or error

    def stopper(self, seed):
        rng = random.Random(seed)
        while not self.over.is_set():
            with contextlib.suppress(IndexError):
                self.stop(rng.choice(self.submitted), rng)
            self.over.wait(rng.uniform(0, 0.15))

    def crasher(self):
        rng = random.Random(SEED + 1000)
        for _ in range(CRASHES):
            self.over.wait(rng.uniform(0.3, 1.5))
            self.server.crash()
            self.server.again()

    def blow(self):
        stoppers = [threading.Thread(target=self.guarded, args=(self.stopper, SEED + number))
                    for number in range(3)]
        submitter = threading.Thread(
            target=self.guarded, args=(lambda: [self.submit(number) for number in range(COUNT)],))
        submitter.start()
        for thread in stoppers:
            thread.start()
        try:
            self.crasher()  # here: a server dies with the thread that started it
            submitter.join(120)
            self.over.wait(1)
        finally:
            self.over.set()
            for thread in (*stoppers, submitter):
                thread.join(60)
        if self.failure:
            raise self.failure

    def finish(self):
        """Kills what would run on for ever, and waits for every end."""
        for eval_id in sorted(self.kinds):
            if self.server.show(eval_id)["status"] not in SETTLED:
                self.server.kill(eval_id, {"wait": 0})
        return {eval_id: self.server.wait(eval_id, 60) for eval_id in sorted(self.kinds)}


def judge(server, kind, seen):
    """One settled status, and it matches what the process did."""
    eval_id, status, stop = seen["eval_id"], seen["status"], seen["cancellation"]
    said = server.output(eval_id).split()
    assert status in SETTLED and seen["finished_at"], seen
    settled = [step["status"] for step in server.timeline(eval_id) if step["status"] in SETTLED]
    assert set(settled) == {status}, (settled, seen)
    if status == "succeeded":
        assert said == ["began", {"quick": "finished", "catcher": "caught"}[kind]], (kind, said)
        assert seen["exit_code"] == 0 and (stop is None or stop["outcome"] == "finished_first")
        return "succeeded" if kind == "quick" else "succeeded, by its own handler of SIGTERM"
    if status == "failed":
        assert kind == "failing" and said == ["began", "failing"] and seen["exit_code"] == 3, seen
        assert stop is None or stop["outcome"] == "finished_first"
        return "failed"
    outcome = stop["outcome"]
    assert stop["cancelled"] and stop["evidence"] == "verified" and not stop["unasked"], stop
    if outcome in ("removed", "discarded"):
        assert said == [] and seen["started_at"] is None, (outcome, said)
    elif outcome == "stopped":
        word, code = {"polite": ("stopped", 75), "failing": ("failing", 3)}[kind]
        assert said == ["began", word] and seen["exit_code"] == code, (kind, said, seen)
    elif outcome == "terminated":
        assert seen["signal"] == "SIGTERM" or kind == "catcher" and "caught" in said or \
            kind == "polite" and "stopped" in said, seen
    else:  # SIGTERM when the two followed each other closely
        assert outcome == "killed" and said[-1:] == ["began"] or not said, seen
        assert seen["signal"] == "SIGKILL" or seen["signal"] == "SIGTERM" and \
            "terminate" in [step["rung"] for step in stop["steps"]], seen
    assert seen["started_at"] or not said
    return f"cancelled, {outcome}, {seen['cause']}"


def cgroups(names):
    pattern = re.compile("|".join(map(re.escape, names)) or "$^")
    return [where for where, _, _ in os.walk("/sys/fs/cgroup") if pattern.search(where)]


def listed(server):
    page = server.get("/api/evaluations" + query(limit=1000)).expect(200).json
    return {one["eval_id"]: one for one in page["evaluations"]}


@pytest.mark.deadline(400)
def test_storm():
    with serving("--workers", "8") as server:
        storm = Storm(server)
        print(f"seed {SEED}, {COUNT} evaluations, {CRASHES} crashes")
        storm.blow()
        ends = storm.finish()
        assert len(ends) == COUNT
        tally = collections.Counter()
        for eval_id, seen in ends.items():
            try:
                tally[judge(server, storm.kinds[eval_id], seen)] += 1
            except (AssertionError, KeyError):
                print(json.dumps(seen), *server.timeline(eval_id), sep="\n")
                raise
        for word, count in sorted(tally.items()):
            print(f"{count:5} {word}")
        for eval_id, word in storm.promised.items():
            assert (ends[eval_id]["status"] == "cancelled") == (word == "cancelled"), eval_id
        eventually(lambda: not left_behind(server.data), what="the folders' end")
        names = [seen["container"]["id"] for seen in ends.values() if seen["container"]]
        assert not cgroups(names)
        assert not [pid for eval_id in ends for pid in members(eval_id)]
        told = listed(server)
        assert {one: seen["status"] for one, seen in told.items()} == \
            {one: seen["status"] for one, seen in ends.items()}
        server.crash()
        server.again()
        assert listed(server) == told
