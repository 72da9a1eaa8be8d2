"""/metrics of a real server: what really happened is what it says, and promtool takes it."""
import re
import subprocess

import pytest
from programs import SLEEPS
from quell import eventually


def scrape(server, accept=None):
    headers = {"Accept": accept} if accept else {}
    return server.ask("GET", "/metrics", headers=headers).expect(200)


def test_a_kill_is_counted_when_it_is_proven(server):
    eval_id = server.start(SLEEPS)
    rose = server.rise(lambda: server.kill(eval_id).expect(200))
    assert rose['quell_cancellations_total{mode="kill",outcome="killed",actor="user",'
                'policy="none"}'] == 1
    assert rose['quell_stop_seconds_count{rung="kill",runtime="sandbox"}'] == 1
    assert rose['quell_attempts_total{status="cancelled",cause="user"}'] == 1
    assert rose["quell_commit_changes_total"] > 0


def test_a_notice_counts_only_once_the_program_has_stopped(server):
    eval_id = server.start(SLEEPS)
    rose = server.rise(lambda: server.cancel(eval_id).expect(202))
    assert not [name for name in rose if name.startswith(("quell_cancellations", "quell_stop_sec"))]
    assert rose['quell_live_evaluations{status="cancelling"}'] == 1
    rose = server.rise(lambda: server.kill(eval_id).expect(200))
    assert rose['quell_live_evaluations{status="cancelling"}'] == -1
    assert rose['quell_stop_seconds_count{rung="kill",runtime="sandbox"}'] == 1


def test_what_never_started_and_what_was_refused(idle):
    eval_id = idle.submit(SLEEPS)["eval_id"]
    rose = idle.rise(lambda: idle.cancel(eval_id).expect(200))
    assert rose["quell_queue_depth"] == -1
    assert rose['quell_stop_seconds_count{rung="remove",runtime="none"}'] == 1
    rose = idle.rise(lambda: idle.cancel("never-seen").expect(404))
    assert rose['quell_stop_refusals_total{reason="not-found"}'] == 1


def test_the_servers_own_rules_are_named(server):
    def run():
        made = server.submit(SLEEPS, timeout_s=1)["eval_id"]
        server.wait(made)
    rose = server.rise(run)
    name = next(name for name in rose if name.startswith("quell_cancellations_total"))
    assert 'actor="quell",policy="timeout"' in name


BURNS = """import os, time
print("ready", flush=True)
while not os.path.exists(os.environ["QUELL_CANCEL"]):
    time.sleep(0.005)
until = time.process_time() + 0.3
while time.process_time() < until:
    pass
print("burnt", flush=True)
time.sleep(600)
"""


def test_what_is_burnt_after_the_request_is_measured(server):
    eval_id = server.start(BURNS)
    server.cancel(eval_id).expect(202)
    server.until_output(eval_id, "burnt")
    rose = server.rise(lambda: server.kill(eval_id).expect(200))
    assert 0.3 <= rose['quell_cpu_burnt_seconds_total{runtime="sandbox"}'] < 10


def test_what_is_saved_is_told_by_its_likes(make_server):
    spends = "import time\nwhile time.process_time() < {}:\n    pass\n"
    with_one = make_server("--workers", "1")
    rose = with_one.rise(lambda: with_one.kill(with_one.start(SLEEPS)).expect(200))
    assert rose['quell_stops_metered_total{burnt="known",saved="unknown"}'] == 1
    for _ in range(5):
        with_one.run(spends.format(0.4))
    rose = with_one.rise(lambda: with_one.kill(with_one.start(SLEEPS)).expect(200))
    assert rose['quell_stops_metered_total{burnt="known",saved="known"}'] == 1
    assert 0.1 < rose['quell_cpu_saved_seconds_total{runtime="sandbox"}'] < 10
    running = with_one.start(SLEEPS)
    waiting = with_one.submit(SLEEPS)["eval_id"]
    rose = with_one.rise(lambda: with_one.cancel(waiting).expect(200))
    assert 0.3 < rose['quell_cpu_saved_seconds_total{runtime="none"}'] < 10
    assert rose.get('quell_cpu_burnt_seconds_total{runtime="none"}', 0) == 0
    with_one.kill(running).expect(200)


IGNORES = """import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def summed(samples, name, **labels):
    """Of all samples of that name with those labels."""
    return sum(value for sample, value in samples.items() if sample.split("{")[0] == name
               and all(f'{label}="{word}"' in sample for label, word in labels.items()))


def test_each_has_a_value_once_its_work_was_done(make_server):
    """By mode, outcome, actor and policy; by rung and place; why not; what waits, lives and is away."""
    server = make_server("--workers", "1", "--storage-url", "http://127.0.0.1:1/", "--limits",
                         "kill=1/1,read=off")
    server.kill(server.start(SLEEPS)).expect(200)
    server.cancel(server.start(SLEEPS), {"terminate": True, "wait": 20}).expect(200)
    server.cancel(server.start(IGNORES), {"terminate": True, "grace": 0, "wait": 20}).expect(200)
    ruled = server.start(SLEEPS, queue="ruled")
    waits = server.submit(SLEEPS)["eval_id"]
    server.cancel(waits).expect(200)
    server.submit(SLEEPS)
    server.cancel("never-seen").expect(404)
    while server.kill("never-seen").status != 429:
        pass
    told = server.metrics()
    assert summed(told, "quell_live_evaluations", status="running") == 1
    assert summed(told, "quell_slots", state="used") == 1
    assert summed(told, "quell_queue_depth") == 1
    server.post("/api/policies", {"name": "ruled", "selector": "queue=ruled", "mode": "kill", "confirm": True,
                                  "trigger": {"kind": "run_deadline", "after_s": 1}}).expect(201)
    server.wait(ruled)
    told = server.metrics()
    for labels in ({"mode": "kill", "outcome": "killed", "actor": "user", "policy": "none"},
                   {"mode": "terminate", "outcome": "terminated"}, {"mode": "terminate", "outcome": "killed"},
                   {"mode": "cancel", "outcome": "removed"},
                   {"mode": "kill", "actor": "policy", "policy": "ruled"}):
        assert summed(told, "quell_cancellations_total", **labels) >= 1, labels
    for rung, place in (("remove", "none"), ("terminate", "sandbox"), ("kill", "sandbox")):
        assert summed(told, "quell_stop_seconds_count", rung=rung, runtime=place) >= 1, rung
    assert summed(told, "quell_stop_refusals_total", reason="not-found") >= 1
    assert summed(told, "quell_limited_requests_total", verb="kill") >= 1
    assert summed(told, "quell_attempts_total", status="cancelled") >= 5
    assert summed(told, "quell_stops_metered_total", burnt="known") >= 4
    assert summed(told, "quell_commit_seconds_count") > 5 and summed(told, "quell_commit_seconds_sum") > 0
    assert summed(told, "quell_loop_lag_seconds_count") >= 1
    eventually(lambda: summed(server.metrics(), "quell_dependency_state", dependency="storage", state="away"),
               what="the storage service to be away")
    assert summed(server.metrics(), "quell_outbox_backlog", dependency="storage") >= 5
    for kind in ("process", "cgroup", "mount", "folder", "run", "container", "task"):
        for name in ("found", "reaped", "stuck"):
            assert f'quell_orphans_{name}_total{{kind="{kind}"}}' in told, "an alert looks for the first of them"


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4"])
def test_promtool_takes_a_scrape(server, accept):
    server.kill(server.start(SLEEPS)).expect(200)
    ran = subprocess.run(["promtool", "check", "metrics"], input=scrape(server, accept).body,
                         capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_openmetrics_is_whole(server):
    """By the specification's own rules: order, types, units, the end."""
    reply = scrape(server)
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    lines = reply.text.split("\n")
    assert lines[-2:] == ["# EOF", ""] and lines.count("# EOF") == 1
    family, kind, seen, samples = None, None, set(), set()
    for line in lines[:-2]:
        meta = re.fullmatch(r"# (TYPE|UNIT|HELP) (\w+) (.+)", line)
        if meta and meta.group(1) == "TYPE":
            family, kind = meta.group(2), meta.group(3)
            assert family not in seen
            seen.add(family)
        elif meta:
            assert meta.group(2) == family
            assert meta.group(1) == "HELP" or family.endswith("_" + meta.group(3))
        else:
            sample = re.fullmatch(r'(\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})? (\S+)', line)
            assert sample and float(sample.group(3)) is not None
            suffixes = {"counter": ["_total"], "gauge": [""],
                        "histogram": ["_bucket", "_count", "_sum"]}[kind]
            assert sample.group(1) in [family + suffix for suffix in suffixes]
            assert (sample.group(1), sample.group(2)) not in samples
            samples.add((sample.group(1), sample.group(2)))


def test_the_loop_is_measured(server):
    """Twice a second, whatever else happens."""
    eventually(lambda: server.metrics()["quell_loop_lag_seconds_count"] >= 2)
