"""A batch of a hundred thousand, and what it costs those who stop one by one meanwhile."""
import itertools
import os
import statistics
import time

from measure import fill, serving, tell

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(path):
    with open(path, encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu(server):
    """Seconds of the loop's thread, and of all."""
    pid = server.process.pid
    return cpu_of(f"/proc/{pid}/task/{pid}/stat"), cpu_of(f"/proc/{pid}/stat")


def kill_ms(server, number):
    began = time.monotonic()
    server.kill(f"k{number}").expect(200)
    return (time.monotonic() - began) * 1000


def kills(server, numbers, count):
    """One after the other, as long as there are numbers."""
    return [kill_ms(server, number) for number in itertools.islice(numbers, max(count, 0))]


def p99(times):
    return statistics.quantiles(times, n=100)[98]


def is_over(server, place):
    return server.get(place).expect(200).json["phase"] == "done"


def until_over(server, place):
    while not is_over(server, place):
        time.sleep(0.02)


def bench_batch(quick):
    """A batch by a selector; single kills during another one, and as many without it."""
    count = 10000 if quick else 100000
    with serving("--workers", "0") as server:
        fill(server, count, priority=1, command=["true"])
        loop, all_of_it = cpu(server)
        began = time.monotonic()
        place = server.post("/api/batches", {"selector": "priority=1"}, timeout=120).expect(
            202).headers["Location"]
        until_over(server, place)
        took = time.monotonic() - began
        loop, all_of_it = (now - then for now, then in zip(cpu(server), (loop, all_of_it)))
        removed = server.get(place).json["progress"]["removed"]
        tell(f"batch of {count:,} queued, settled", f"{took:.1f} s",
             f"{all_of_it / count * 1e6:.0f} µs of CPU each, {loop / count * 1e6:.0f} of them on the "
             f"loop; {removed:,} removed", "3 s for 100,000 on two processors")
    with serving("--workers", "0") as server:
        fill(server, count, priority=1, command=["true"])
        several = 200 + count // 10
        fill(server, several, prefix="k")
        left = iter(range(1, several + 1))
        alone, during = kills(server, left, several // 10), []
        began = time.monotonic()
        place = server.post("/api/batches", {"selector": "priority=1"}, timeout=120).expect(
            202).headers["Location"]
        while not is_over(server, place) and len(during) < several // 2:
            during += kills(server, left, 10)
        removed = server.get(place).json["progress"]["removed"]
        took = time.monotonic() - began
        until_over(server, place)
        alone += kills(server, left, len(during) - len(alone))
        tell("single kills during that batch, p99", f"{p99(during):.1f} ms",
             f"{p99(during) / p99(alone):.1f} times {p99(alone):.1f} ms without it; "
             f"{len(during)} and {len(alone)} kills, p50 {statistics.median(during):.1f} and "
             f"{statistics.median(alone):.1f} ms; {removed:,} of the batch in {took:.1f} s meanwhile",
             "3 times at most")
