"""What the parts of the benchmark share: the table, servers, loads."""
import contextlib
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ["QUELL_BUILD"] = os.environ.get("QUELL_BUILD", os.path.join(TOP, "build"))
sys.path.insert(0, os.path.join(TOP, "tests", "system"))
sys.dont_write_bytecode = True

from quell import Server  # noqa: E402

ROUNDS = 3
CONNECTIONS = 64
rows = []


def tell(what, value, beside="", wanted=""):
    rows.append((what, value, beside, wanted))
    print(f"  {what}: {value}  {beside}", flush=True)


@contextlib.contextmanager
def serving(*flags, **more):
    """Without limits: one caller asks here for more than a thousand would."""
    server = Server("--limits", "off", *flags, **more)
    try:
        yield server.start()
    finally:
        server.close()


def wrk(url, seconds, script=None, headers=()):
    """Requests a second, and how many were not answered by 2xx or 3xx."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *(["-s", script] if script else []),
             *(word for header in headers for word in ("-H", header)), url]
    said = subprocess.run(words, text=True, capture_output=True, check=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return float(re.search(r"Requests/sec: +([\d.]+)", said).group(1)), int(bad.group(1)) if bad else 0


class Calls:
    """POSTs that are one's own each, 64 at a time: seconds of all, p50 and p99 in ms, refused."""

    def __init__(self, port, count, head, tail, first=1, step=1):
        said = subprocess.run([f"{BUILD}/bench/bench-calls", *map(str, (
            port, CONNECTIONS, count, first, step, head, tail))], text=True, capture_output=True,
            check=True, timeout=600).stdout.split()
        self.seconds = float(said[0])
        self.rate = count / self.seconds
        self.p50, self.p99 = int(said[1]) / 1000, int(said[2]) / 1000
        self.refused = int(said[3])


def fill(server, count, first=0, batch=10000, prefix="b", **what):
    """Submits evaluations b1 … bN."""
    what = what or {"command": ["true"]}
    for start in range(first, first + count, batch):
        many = [{"eval_id": f"{prefix}{start + number + 1}", **what}
                for number in range(min(batch, first + count - start))]
        server.post("/api/eval-batch", {"evaluations": many}, timeout=300).expect(201)
