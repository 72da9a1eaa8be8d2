"""A deployment behind Sentinel, whose master dies while tasks are cancelled."""
import contextlib
import os
import shutil
import subprocess
import tempfile

import pytest
import redis

from celeries import answers, free_port
from conftest import system
from deployment import Deployment, alive

MASTER = "eva"


class Cluster:
    """A master, its replica and one sentinel, which is enough of a majority here."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="quell-sentinel-")
        self.processes = []
        self.master, self.replica, self.sentinel = (free_port() for _ in range(3))
        self.start(self.master)
        self.start(self.replica, "--replicaof", "127.0.0.1", str(self.master),
                   "--repl-diskless-sync-delay", "0")
        conf = f"{self.folder}/sentinel.conf"
        with open(conf, "w", encoding="ascii") as file:
            file.write(f"sentinel monitor {MASTER} 127.0.0.1 {self.master} 1\n"
                       f"sentinel down-after-milliseconds {MASTER} 1000\n"
                       f"sentinel failover-timeout {MASTER} 5000\n")
        self.start(self.sentinel, conf, "--sentinel")
        asked = redis.Redis(port=self.sentinel)
        system.eventually(lambda: asked.execute_command("SENTINEL", "REPLICAS", MASTER),
                          what="the sentinel to know the replica")

    url = property(lambda self: f"sentinel://127.0.0.1:{self.sentinel}/0")
    quell_url = property(lambda self: f"{self.url}?master_name={MASTER}")

    def start(self, port, *words):
        first = [word for word in words if word.startswith("/")]
        others = [word for word in words if not word.startswith("/")]
        self.processes.append(subprocess.Popen(
            ["redis-server", *first, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
             "--dir", self.folder, *others],
            stdout=subprocess.DEVNULL, preexec_fn=system.die_with_parent))
        system.eventually(lambda: answers(port), what="redis-server")

    def kill_master(self):
        """Once its replica has all of it."""
        master = redis.Redis(port=self.master)
        master.set("last", 1)
        assert master.wait(1, 20000) == 1
        self.processes[0].kill()
        self.processes[0].wait()

    def heir(self):
        """A connection to who is the master then."""
        client = redis.Redis(port=self.replica)

        def leads():
            with contextlib.suppress(redis.ConnectionError):  # its clients are dropped as it becomes one
                return client.info("replication")["role"] == "master"
        system.eventually(leads, 60, "a failover")
        return client

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Behind(Deployment):
    make_redis = Cluster


@pytest.fixture(scope="module")
def deployed():
    os.environ["STOCK_MASTER"] = MASTER
    try:
        with Behind(env={"STOCK_MASTER": MASTER}) as made:
            yield made
    finally:
        del os.environ["STOCK_MASTER"]


@pytest.mark.deadline(180)
def test_cancels_outlive_a_failover(deployed):
    """They wait durably while there is no master, and hold with the next one."""
    with deployed.worker("-c", "2"):
        before = deployed.send("mark", queue="nobody")
        assert before.cancel(wait=20).expect(200).json["outcome"] == "removed"
        queued = deployed.send("mark", queue="nobody")
        running = deployed.began("work")
        pid = int(running.said[0].split()[1])
        running.until_place("active")
        deployed.redis.kill_master()
        told = queued.cancel(wait=0).expect(202).json
        assert not told["cancelled"], told
        told = running.cancel(terminate="true", wait=0).expect(202).json
        assert not told["cancelled"] and alive(pid), told
        heir = deployed.redis.heir()
        for sent in (queued, running):
            assert sent.settled(90)["cancelled"]
        assert not alive(pid)
        assert heir.llen("nobody") == 0
        with deployed.worker("-c", "1", "-Q", "nobody", node="late"):
            deployed.fence(queue="nobody")
        assert not before.said and not queued.said
