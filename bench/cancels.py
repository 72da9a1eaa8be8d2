"""Quell beside the usual service in front of Celery: how fast tasks are cancelled."""
import contextlib
import json
import os
import statistics
import time

from celery import Celery

from measure import Calls, fill, serving, tell
import stock
from quell import eventually

CODE = {"code": "pass", "language": "python"}
QUEUE = "celery"
PLAIN_MAX_S = 480  # for the worker to be through: then what is left says how far it is from that
TICK = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def deployment(*flags):
    """Redis, the service, a worker (by default of another queue), and Quell."""
    with stock.redis_server() as client, stock.revoke_service(client) as (service, port), \
            stock.worker(client, *(flags or ("-c", "1", "-Q", "other"))), \
            serving("--broker", client.url, "--auth", "none") as server:
        client.service, client.service_port = service, port
        yield client, server


def submit(client, server, count, first=0):
    """Until they wait in the queue."""
    before = client.llen(QUEUE)
    fill(server, count, first, 1000, **CODE)
    eventually(lambda: client.llen(QUEUE) == before + count, 600, f"{count} messages")


def until_free(client, left, seconds=600):
    """How long it takes until only so many are left."""
    began = time.monotonic()
    eventually(lambda: client.llen(QUEUE) <= left, seconds, f"the queue to be {left} long")
    return time.monotonic() - began


def cpu(process):
    """Seconds that it used so far."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cancel(process, port, count, **more):
    """The calls, and what one of them cost the server, in us."""
    before = cpu(process)
    calls = Calls(port, count, "/api/eval/b", "/cancel", **more)
    return calls, (cpu(process) - before) / count * 1e6


def bench_cancel(quick):
    """Queued tasks cancelled over 64 connections, beside FastAPI and AsyncResult.revoke."""
    for standing in (1000, 10000 if quick else 100000):
        with deployment() as (client, server):
            submit(client, server, standing)
            usual, dear = cancel(client.service, client.service_port, 500 if quick else 2000)
            ours, cheap = cancel(server.process, server.port, min(standing, 30000))
            later = until_free(client, standing - min(standing, 30000))
            refused = usual.refused + ours.refused
            tell(f"Celery: cancel, {standing:,} queued", f"{ours.rate:,.0f}/s, p99 {ours.p99:.1f} ms",
                 f"{ours.rate / usual.rate:.1f} times the service's {usual.rate:,.0f}/s, "
                 f"{usual.p99 / ours.p99:.1f} below its p99 of {usual.p99:.0f} ms; {cheap:.0f} us of "
                 f"its processor beside {dear:.0f}; out of the queue {later * 1000:.0f} ms later"
                 + (f"; {refused} refused" if refused else ""), "20 times")


# ---- very many ----


def broadcast(client, count):
    """One revoke of every second task, then a worker takes them: seconds; how many ran, are left."""
    app = Celery(broker=client.url, backend=client.url)
    ids = [f"celery-b{number}" for number in range(1, 2 * count, 2)]
    with stock.worker(client, "-c", "1", "-Q", "celery"):
        began = time.monotonic()
        app.control.revoke(ids)
        while client.llen(QUEUE) and time.monotonic() < began + PLAIN_MAX_S:
            time.sleep(0.1)
        seconds, left = time.monotonic() - began, client.llen(QUEUE)
        if not left:
            eventually(lambda: not client.exists("unacked"), what="the last to be acknowledged")
    ran = sum(b'"SUCCESS"' in text for start in range(0, count, 1000)
              for text in client.mget([f"celery-task-meta-{one}" for one in ids[start:start + 1000]])
              if text)
    app.close()
    return seconds, ran, left


def held_ms(client):
    """The longest that Redis held others up, by its own monitor."""
    return max((int(most) for _, _, _, most in client.execute_command("LATENCY", "LATEST")),
               default=0)


def left_over(client, count):
    """Of the cancelled ones, how many are left; of the others, how many are gone."""
    left = {json.loads(text)["headers"]["id"] for text in client.lrange(QUEUE, 0, -1)}
    odd = sum(f"celery-b{number}" in left for number in range(1, 2 * count, 2))
    even = sum(f"celery-b{number}" in left for number in range(2, 2 * count + 1, 2))
    return odd, count - even


def watch(client):
    client.config_set("latency-monitor-threshold", 1)
    client.execute_command("LATENCY", "RESET")


def one_batch(count):
    """The same by one request: seconds, us of the processor each, forgotten, too many, ms that Redis was held."""
    with deployment() as (client, server):
        submit(client, server, 2 * count)
        watch(client)
        ids = [f"b{number}" for number in range(1, 2 * count, 2)]
        before, began = cpu(server.process), time.monotonic()
        server.post("/api/batches", {"ids": ids}, timeout=120).expect(202)
        until_free(client, count)
        seconds = time.monotonic() - began
        cheap = (cpu(server.process) - before) / count * 1e6
        held = held_ms(client)  # before all is read at once
        return seconds, cheap, *left_over(client, count), held


def bench_bulk(quick):
    """Every second of very many queued ones cancelled, until the queue is free of them."""
    count = 5000 if quick else 100000
    batch, cheap_batch, forgotten_batch, lost_batch, held_batch = one_batch(count)
    with deployment() as (client, server):
        submit(client, server, 2 * count)
        watch(client)
        usual = Calls(client.service_port, 500 if quick else 2000, "/api/eval/b", "/cancel", step=2)
        began = time.monotonic()
        ours, cheap = cancel(server.process, server.port, count, step=2)
        until_free(client, count)
        seconds = time.monotonic() - began
        held = held_ms(client)
        forgotten, lost = left_over(client, count)
    with deployment() as (client, server):
        submit(client, server, 2 * count)
        server.end()
        plain, ran, left = broadcast(client, count)
    least = "at least " if left else ""
    pace = plain * 2 * count / max(1, 2 * count - left)  # for all, as fast as for those that are gone
    rest = f", stopped with {left:,} left: {pace:.0f} s at its pace" if left else ""
    tell(f"Celery: {count:,} of {2 * count:,} queued cancelled, by one batch", f"{batch:.1f} s",
         f"{least}{plain / batch:.1f} times as fast as one broadcast; {cheap_batch:.0f} us of its "
         f"processor for each; {forgotten_batch} forgotten, {lost_batch} too many", "40 times")
    tell("and Redis held at the longest", f"{held_batch} ms", "", "35 ms")
    tell(f"Celery: {count:,} of {2 * count:,} queued cancelled, a call each", f"{seconds:.1f} s",
         f"{least}{plain / seconds:.1f} times as fast as one broadcast ({plain:.0f} s{rest}; {ran:,} "
         f"ran all the same), {least}{(count / usual.rate + plain) / seconds:.1f} as a call each; "
         f"{cheap:.0f} us of its processor for each; {forgotten} forgotten, {lost} too many, "
         f"{ours.refused} refused")
    tell("and Redis held at the longest", f"{held} ms", "", "35 ms")


# ---- one that runs ----


def began(client, eval_id):
    """The process that runs it."""
    return int(eventually(lambda: client.get(f"pid:{eval_id}"), 60, f"{eval_id} to begin"))


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def stopped_after(pid, ask):
    """ms from the question to the process's end."""
    start = time.monotonic()
    ask()
    while not ended(pid):
        assert time.monotonic() < start + 60, "it did not end"
        time.sleep(0.0002)
    return (time.monotonic() - start) * 1000


def bench_stop(quick):
    """From a terminate to the end of the process that runs the task."""
    usual, ours, answered = [], [], []
    with deployment("-c", "1") as (client, server):
        for number in range(5 if quick else 20):
            for times, which in ((usual, "plain"), (ours, "quell")):
                eval_id = f"{which}{number}"
                server.post("/api/eval", {"eval_id": eval_id, "code": "sleep",
                                          "language": "python"}).expect(201)
                pid = began(client, eval_id)
                if which == "plain":
                    url = stock.Service(client.service_port)
                    times.append(stopped_after(pid, lambda: url.terminate(eval_id)))
                    continue
                server.until_status(eval_id, "running")
                start = time.monotonic()
                times.append(stopped_after(pid, lambda: server.post(
                    f"/api/eval/{eval_id}/cancel?terminate=true&wait=0").expect(202)))
                server.wait(eval_id)
                answered.append((time.monotonic() - start) * 1000)
    usual, ours, answered = map(statistics.median, (usual, ours, answered))
    tell("Celery: terminate to stopped", f"{ours:.1f} ms",
         f"{ours / usual:.2f} of plain Celery's {usual:.1f} ms; proven after {answered:.0f} ms",
         "1.3 at most")


BENCHES = {"celery-cancel": bench_cancel, "celery-bulk": bench_bulk, "celery-stop": bench_stop}
