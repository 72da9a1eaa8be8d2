"""Policies on a real server: real programs, this host's memory and load, restarts, and who may."""
import os

import pytest
from quell import eventually, serving

BURN = "import time\nwhile time.process_time() < {}: pass"


@pytest.fixture(scope="module")
def house():
    with serving("--workers", "6", owners=("alice", "bob")) as server:
        yield server


@pytest.fixture
def rule(house):
    """Makes policies, and removes them afterwards."""
    names = []

    def make(name, selector, trigger, status=201, **more):
        names.append(name)
        body = {"name": name, "selector": selector, "trigger": trigger, **more}
        return house.post("/api/policies", body).expect(status).json

    yield make
    for name in names:
        house.ask("DELETE", f"/api/policies/{name}")


def sleeps(client, eval_id, **more):
    client.submit(command=["sleep", "300"], eval_id=eval_id, **more)
    client.until_status(eval_id, "running")


def memory():
    """Per cent of it in use, as the server counts."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return 100 - 100 * kb["MemAvailable"] / kb["MemTotal"]


def stopped(client, eval_id, name, why):
    seen = client.wait(eval_id, status="cancelled")
    assert seen["cause"] == "policy" and seen["cancellation"]["actor"] == f"policy:{name}"
    assert why in seen["cancellation"]["reason"], seen
    said = [step["what"] for step in client.timeline(eval_id)]
    assert sum(what.startswith(f"policy:{name} asked for it, as ") and why in what
               for what in said) == 1, said
    return seen


def test_the_measures_of_this_host_are_read(house, rule):
    """Marks below what is real now: one after the other is stopped, the least important first."""
    for eval_id, priority in (("m9", 9), ("m1-old", 1), ("m1-young", 1), ("m3", 3)):
        sleeps(house, eval_id, priority=priority, labels={"test": "memory"})
    trigger = {"kind": "overload", "measure": "memory", "high": memory() / 2, "low": memory() / 4}
    policy = {"name": "memory", "selector": "label.test=memory", "trigger": trigger}
    seen = house.post("/api/policies/simulate", policy).expect(200).json
    assert seen["would_stop"] == 4 and "these at most" in seen["note"]
    assert [pick["eval_id"] for pick in seen["sample"]] == ["m1-young", "m1-old", "m3", "m9"]
    problem = house.post("/api/policies", policy).problem(409)
    assert (problem["would_stop"], problem["live"]) == (4, 4)
    rule(**{name: policy[name] for name in ("name", "selector", "trigger")}, mode="kill",
         confirm=True)
    first = stopped(house, "m1-young", "memory", "% of the memory in use, and the marks are")
    second = stopped(house, "m1-old", "memory", "it has priority 1, the lowest")
    assert first["finished_at"] < second["finished_at"]
    house.post("/api/policies/memory/disable").expect(200)
    assert house.show("m9")["status"] == "running"
    for eval_id in ("m3", "m9"):
        house.kill(eval_id, {"wait": 20})


def test_the_load_of_this_host_is_read(house, rule):
    if not os.getloadavg()[0]:
        pytest.skip("this host has no load")
    sleeps(house, "loaded", labels={"test": "load"})
    trigger = {"kind": "overload", "measure": "load", "low": 0,
               "high": os.getloadavg()[0] / os.cpu_count() / 100}
    rule("load", "label.test=load", trigger, mode="terminate", grace_s=1, confirm=True)
    stopped(house, "loaded", "load", "runnable for each processor")


def test_a_run_that_goes_on_is_in_the_budget(house, rule):
    alice, bob = house.owner("alice"), house.owner("bob")
    bob.run(BURN.format(0.7))
    alice.run(BURN.format(0.5))
    sleeps(bob, "bobs")
    rule("budget", "owner in (alice,bob)",
         {"kind": "budget", "cpu_s": 1, "window_s": 3600}, mode="kill")
    alice.submit("while True: pass", eval_id="endless")
    stopped(alice, "endless", "budget", "runs of alice used ")
    assert bob.show("bobs")["status"] == "running"
    house.crash()
    house.again()
    alice, bob = house.owner("alice"), house.owner("bob")
    alice.submit(command=["sleep", "300"], eval_id="after")
    stopped(alice, "after", "budget", "and 1 s are allowed")
    assert bob.kill("bobs", {"wait": 20}).expect(200).json["killed"]


@pytest.mark.parametrize("policy, why", [
    ({"selector": None}, "needs a selector"),
    ({"selector": ""}, "needs a selector"),
    ({"selector": "queue=low,"}, "column 11"),
    ({"selector": "status=queued"}, "can't all hold"),
    ({"selector": "priority<2,priority>5"}, "can't all hold"),
    ({"selector": "took<5s"}, "can't all hold"),
    ({"mode": "kill", "grace_s": 5}, "contradicts mode kill"),
    ({"mode": "kill", "escalate": "terminate"}, "contradicts mode kill"),
    ({"escalate": "soon"}, "none, terminate, kill"),
    ({"more": 1}, "has no member 'more'"),
    ({"trigger": {"kind": "overload", "measure": "load", "high": 1, "low": 1}}, "isn't below")])
def test_what_contradicts_itself(house, policy, why):
    body = {"name": "wrong", "selector": "queue=low",
            "trigger": {"kind": "run_deadline", "after_s": 10}, **policy}
    said = house.post("/api/policies", body).problem(422)
    assert why in said["detail"] and said["field"].split(".")[0] in policy, said
    house.get("/api/policies/wrong").expect(404)


def test_policies_are_not_a_users(house, rule):
    body = {"name": "mine", "selector": "queue=low", "enabled": False,
            "trigger": {"kind": "run_deadline", "after_s": 10}}
    rule("theirs", "queue=low", body["trigger"], enabled=False)
    alice = house.owner("alice")
    for method, path, sent in (("GET", "", None), ("GET", "/theirs", None), ("POST", "", body),
                               ("POST", "/simulate", body), ("POST", "/theirs/simulate", None),
                               ("POST", "/theirs/enable", None), ("DELETE", "/theirs", None)):
        alice.ask(method, f"/api/policies{path}", sent).problem(403)
    house.get("/api/policies/theirs").expect(200)
    for path in ("/none/enable", "/none/disable", "/none/simulate"):
        house.post(f"/api/policies{path}").problem(404)


def test_a_session_is_its_owners(house):
    alice, bob = house.owner("alice"), house.owner("bob")
    alice.get("/api/sessions/nb").problem(404)
    alice.post("/api/sessions/nb/heartbeat?lease_s=60").expect(200)
    bob.get("/api/sessions/nb").problem(404)
    bob.get("/api/events?session=nb").problem(404)
    bob.post("/api/sessions/nb/end").expect(200)  # of that name of his own
    assert alice.get("/api/sessions/nb").json["state"] == "leased"
    house.crash()
    house.again()
    alice, bob = house.owner("alice"), house.owner("bob")
    eventually(lambda: alice.get("/api/sessions/nb").status != 503, what="sessions are read")
    seen = alice.get("/api/sessions/nb").expect(200).json
    assert seen["state"] == "leased" and seen["owner"] == "alice"
    assert bob.get("/api/sessions/nb").json["state"] == "ended"
    bob.post("/api/sessions/nb/heartbeat").problem(409)
