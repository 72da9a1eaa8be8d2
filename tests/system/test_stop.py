"""Cancel, terminate and kill: each row of the table of answers, and the record of a stop."""
import os
import re

import pytest
from programs import (CATCHES_TERM, CATCHES_TERM_AND_STAYS, IGNORES_TERM, SLEEPS, notices)
from quell import eventually, members, query

MEMBERS = set("""cancellation_id eval_id task_id attempt mode previous_state cancelled killed outcome
    evidence unasked message reason actor requested_at settled_at stop_ms steps next""".split())


def proven(stop, outcome):
    assert set(stop) >= MEMBERS
    assert stop["cancelled"] is True and stop["outcome"] == outcome
    assert stop["evidence"] == "verified" and not stop["unasked"]
    assert stop["settled_at"] >= stop["requested_at"] and stop["stop_ms"] >= 0
    assert stop["next"] is None and stop["message"]
    return stop


# settled: it never started, or is proven stopped


@pytest.mark.parametrize("verb", ["cancel", "kill"])
def test_a_queued_one_is_removed(idle, verb):
    eval_id = idle.submit("1")["eval_id"]
    stop = proven(idle.post(f"/api/eval/{eval_id}/{verb}").expect(200).json, "removed")
    assert stop["eval_id"] == eval_id and stop["attempt"] == 1
    assert stop["task_id"] == f"celery-{eval_id}" and stop["mode"] == verb
    assert stop["previous_state"] == "PENDING" and stop["killed"] is False
    seen = idle.show(eval_id)
    assert (seen["status"], seen["state"], seen["cause"]) == ("cancelled", "REVOKED", "user")
    assert seen["cancellation"] == stop
    assert seen["started_at"] is None and seen["finished_at"]
    assert seen["exit_code"] is None and seen["signal"] is None


def test_kill_of_a_running_one_answers_when_it_is_proven(server):
    eval_id = server.start(SLEEPS)
    stop = proven(server.kill(eval_id).expect(200).json, "killed")
    assert stop["mode"] == "kill" and stop["killed"] is True
    assert stop["previous_state"] == "STARTED"
    seen = server.show(eval_id)
    assert (seen["status"], seen["signal"], seen["exit_code"]) == ("cancelled", "SIGKILL", None)


def test_terminate_ends_by_sigterm(server):
    eval_id = server.start(SLEEPS)
    stop = proven(server.cancel(eval_id, {"terminate": True}).expect(200).json, "terminated")
    assert stop["mode"] == "terminate" and stop["killed"] is False
    seen = server.show(eval_id)
    assert (seen["status"], seen["signal"], seen["exit_code"]) == ("cancelled", "SIGTERM", None)


def test_cancel_waits_for_the_program(server):
    eval_id = server.start(notices("os.unlink(path)"))
    stop = proven(server.cancel(eval_id, {"wait": 30}).expect(200).json, "stopped")
    assert stop["mode"] == "cancel" and stop["killed"] is False
    seen = server.show(eval_id)
    assert (seen["status"], seen["exit_code"], seen["cause"]) == ("cancelled", 0, "user")


# under way


def test_cancel_of_a_running_one_is_under_way(server):
    eval_id = server.start(SLEEPS)
    reply = server.cancel(eval_id).expect(202)
    stop = reply.json
    assert set(stop) >= MEMBERS
    assert stop["cancelled"] is False and stop["outcome"] is None and stop["settled_at"] is None
    assert re.search("terminate|force|kill", stop["message"])
    assert reply.headers["Location"] == f"/api/cancellations/{stop['cancellation_id']}"
    assert server.get(reply.headers["Location"]).expect(200).json["eval_id"] == eval_id
    seen = server.show(eval_id)
    assert (seen["status"], seen["state"]) == ("cancelling", "STARTED")
    server.kill(eval_id).expect(200)


def test_next_says_what_comes_when(server):
    eval_id = server.start(IGNORES_TERM)
    stop = server.cancel(eval_id, {"terminate": True, "grace": 60, "wait": 0}).expect(202).json
    assert stop["next"]["rung"] == "kill" and stop["next"]["at"] > stop["requested_at"]
    server.kill(eval_id).expect(200)


def test_a_notice_is_delivered_evidence(server):
    eval_id = server.start(notices("time.sleep(600)"))
    server.cancel(eval_id).expect(202)
    server.until_output(eval_id, "notice")
    stop = server.show(eval_id)["cancellation"]
    assert stop["evidence"] in ("recorded", "delivered")
    assert [step["rung"] for step in stop["steps"]].count("notice") >= 1
    server.kill(eval_id).expect(200)


# this attempt was cancelled before


def test_again_answers_the_same(idle):
    eval_id = idle.submit("1")["eval_id"]
    first = idle.cancel(eval_id, {"reason": "one"}).expect(200).json
    assert idle.cancel(eval_id, {"reason": "two"}).expect(200).json == first
    assert idle.kill(eval_id).expect(200).json == first


# a stop is under way and this one asks for no more, or for more


def test_repeats_join(server):
    eval_id = server.start(SLEEPS)
    first = server.cancel(eval_id, {"reason": "first"}).expect(202).json
    again = server.cancel(eval_id, {"reason": "second"}).expect(202).json
    assert again["cancellation_id"] == first["cancellation_id"]
    assert again["requested_at"] == first["requested_at"] and again["mode"] == "cancel"
    assert again["reason"] == "first" and again["steps"][0] == first["steps"][0]
    server.kill(eval_id).expect(200)


def test_a_stronger_one_raises_the_mode(server):
    eval_id = server.start(CATCHES_TERM_AND_STAYS)
    first = server.cancel(eval_id).expect(202).json
    assert first["mode"] == "cancel"
    raised = server.cancel(eval_id, {"terminate": True, "grace": 60, "wait": 0}).expect(202).json
    assert raised["cancellation_id"] == first["cancellation_id"]
    assert raised["mode"] == "terminate"
    server.until_output(eval_id, "no\n")
    weaker = server.cancel(eval_id).expect(202).json
    assert weaker["mode"] == "terminate"
    last = proven(server.kill(eval_id).expect(200).json, "killed")
    assert last["mode"] == "kill" and last["cancellation_id"] == first["cancellation_id"]


# it finished first, or had finished


@pytest.mark.parametrize("code,state", [("pass", "SUCCESS"), ("raise SystemExit(1)", "FAILURE")])
@pytest.mark.parametrize("verb", ["cancel", "kill"])
def test_what_had_finished_makes_no_row(server, code, state, verb):
    eval_id = server.run(code)["eval_id"]
    problem = server.post(f"/api/eval/{eval_id}/{verb}").problem(409, "finished-first")
    assert problem["cancelled"] is False and problem["previous_state"] == state
    seen = server.show(eval_id)
    assert seen["cancellation"] is None and seen["state"] == state
    server.get(f"/api/cancellations/{eval_id}~1").problem(404)


def test_what_finishes_first_keeps_its_status(server):
    eval_id = server.start(notices("sys.exit(0)"))
    problem = server.cancel(eval_id, {"wait": 30}).problem(409, "finished-first")
    assert problem["cancelled"] is False and problem["outcome"] == "finished_first"
    assert problem["cancellation_id"] and problem["eval_id"] == eval_id
    seen = server.show(eval_id)
    assert (seen["status"], seen["cause"]) == ("succeeded", None)
    assert seen["cancellation"]["outcome"] == "finished_first"
    assert seen["cancellation"]["cancelled"] is False


# another attempt, another owner


def test_if_match_fences_an_attempt(idle):
    eval_id = idle.submit("1")["eval_id"]
    idle.cancel(eval_id, headers={"If-Match": '"attempt-2"'}).problem(412)
    assert idle.show(eval_id)["status"] == "queued"
    idle.cancel(eval_id, headers={"If-Match": "nonsense"}).problem(422)
    idle.cancel(eval_id, headers={"If-Match": '"attempt-1"'}).expect(200)


def test_owners_stop_their_own_alone(make_server):
    server = make_server("--workers", "0", owners=["alice", "bob"])
    alice, bob = server.owner("alice"), server.owner("bob")
    eval_id = alice.submit("1")["eval_id"]
    for verb in ("cancel", "kill", "restore", "resume"):
        bob.post(f"/api/eval/{eval_id}/{verb}").problem(404, "not-found")
    for path in ("", "/output", "/timeline", "/checkpoint"):
        bob.get(f"/api/eval/{eval_id}{path}").problem(404)
    bob.ask("DELETE", f"/api/eval/{eval_id}").problem(404)
    assert alice.show(eval_id)["status"] == "queued"
    stop = alice.cancel(eval_id, {"reason": "mine"}).expect(200).json
    assert stop["actor"] == "user:alice" and stop["reason"] == "mine"
    bob.get(f"/api/cancellations/{stop['cancellation_id']}").problem(404)
    second = alice.submit("1")["eval_id"]
    assert server.kill(second).expect(200).json["actor"] == "user:admin"


# how it may be asked


@pytest.mark.parametrize("path,body", [
    ("/cancel?terminate=true", None), ("/cancel", {"terminate": True}), ("/cancel?terminate=true", {}),
], ids=["query", "json", "query-and-empty-json"])
def test_terminate_in_query_or_json(server, path, body):
    eval_id = server.start(SLEEPS)
    stop = server.post(f"/api/eval/{eval_id}{path}", body).expect(200).json
    assert stop["outcome"] == "terminated"


def test_an_empty_body_with_a_content_type_is_fine(idle):
    eval_id = idle.submit("1")["eval_id"]
    idle.cancel(eval_id, b"").expect(200)


@pytest.mark.parametrize("words", [
    {"terminate": "maybe"}, {"grace": -1}, {"grace": "soon"}, {"escalate": "nuke"}, {"wait": 61},
    {"wait": -1}, {"reason": "x" * 1001}, {"colour": "red"},
], ids=lambda words: "=".join(map(str, *words.items()))[:20])
def test_bad_words_are_refused(idle, words):
    eval_id = idle.submit("1")["eval_id"]
    name = next(iter(words))
    assert name in str(idle.cancel(eval_id, words).problem(422))
    assert name in str(idle.post(f"/api/eval/{eval_id}/cancel" + query(**words)).problem(422))
    assert idle.show(eval_id)["status"] == "queued"


def test_bad_bodies_are_refused(idle):
    eval_id = idle.submit("1")["eval_id"]
    idle.cancel(eval_id, b"{").problem(400)
    assert idle.cancel(eval_id, b"[]").status in (400, 422)
    idle.cancel(eval_id, b"{}", headers={"Content-Type": "text/plain"}).problem(415)
    assert idle.show(eval_id)["status"] == "queued"


def test_prefer_wait(server):
    eval_id = server.start(notices("os.unlink(path)"))
    server.cancel(eval_id, headers={"Prefer": "wait=30"}).expect(200)
    eval_id = server.start(SLEEPS)
    assert server.kill(eval_id, headers={"Prefer": "wait=0"}).status in (200, 202)
    assert server.wait(eval_id)["status"] == "cancelled"


def test_reason_and_actor_are_kept(server):
    eval_id = server.start(SLEEPS)
    stop = server.kill(eval_id, {"reason": "wrong däta"}).expect(200).json
    assert stop["reason"] == "wrong däta" and stop["actor"] == "user:admin"
    assert server.show(eval_id)["cancellation"]["reason"] == "wrong däta"


# the ladder


def rungs(stop):
    return [step["rung"] for step in stop["steps"]]


def test_terminate_kills_after_the_grace(server):
    eval_id = server.start(IGNORES_TERM)
    stop = server.cancel(eval_id, {"terminate": True, "grace": 0.5, "wait": 30}).expect(200).json
    proven(stop, "killed")
    assert stop["mode"] == "terminate" and stop["killed"] is True
    assert 450 <= stop["stop_ms"] < 20000
    order = rungs(stop)
    assert order.index("terminate") < order.index("kill")
    assert server.show(eval_id)["signal"] == "SIGKILL"


def test_the_evaluations_own_grace_holds(server):
    eval_id = server.start(IGNORES_TERM, grace_s=0.3)
    stop = server.cancel(eval_id, {"terminate": True, "wait": 30}).expect(200).json
    assert 250 <= stop["stop_ms"] < 8000


def test_cancel_escalates_when_asked_to(server):
    eval_id = server.start(IGNORES_TERM)
    stop = server.cancel(eval_id, {"escalate": "kill", "grace": 0.3, "wait": 30}).expect(200).json
    proven(stop, "killed")
    order = rungs(stop)
    assert order.index("notice") < order.index("terminate") < order.index("kill")
    assert 550 <= stop["stop_ms"] < 20000


def test_escalate_to_terminate_goes_no_further(server):
    eval_id = server.start(CATCHES_TERM_AND_STAYS)
    server.cancel(eval_id, {"escalate": "terminate", "grace": 0.1}).expect(202)
    server.until_output(eval_id, "no\n")
    stop = server.show(eval_id)["cancellation"]
    assert "kill" not in rungs(stop)
    assert stop["next"] is None or stop["next"]["rung"] != "kill"
    proven(server.kill(eval_id).expect(200).json, "killed")


def test_a_program_may_clean_up_on_sigterm(server):
    eval_id = server.start(CATCHES_TERM.format(code=3))
    stop = proven(server.cancel(eval_id, {"terminate": True}).expect(200).json, "terminated")
    assert stop["killed"] is False
    seen = server.show(eval_id)
    assert (seen["exit_code"], seen["signal"]) == (3, None)
    assert server.output(eval_id) == "ready\nleaving\n"


def test_a_stopped_process_is_terminated_too(server):
    """SIGTERM is followed by SIGCONT, or it would wait for ever."""
    eval_id = server.start("import os, signal\nprint('ready')\nos.kill(os.getpid(), signal.SIGSTOP)")
    proven(server.cancel(eval_id, {"terminate": True, "wait": 30}).expect(200).json, "terminated")


# nothing of it is left


FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(600)
print('ready')
time.sleep(600)
"""


def test_kill_takes_all_of_its_children(server):
    eval_id = server.start(FAMILY)
    if os.geteuid() == 0:
        eventually(lambda: len(members(eval_id)) >= 21, what="the family")
    proven(server.kill(eval_id).expect(200).json, "killed")
    assert not members(eval_id)


def test_children_die_with_the_program_that_ends(server):
    seen = server.run(FAMILY.rsplit("time.sleep(600)", 1)[0])
    assert seen["status"] == "succeeded"
    assert not members(seen["eval_id"])


# records of stops


def test_cancellations_are_listed(make_server):
    server = make_server("--workers", "2")
    queued = server.start(SLEEPS), server.start(SLEEPS)
    waiting = server.submit("1")["eval_id"]
    first = server.cancel(waiting, {"reason": "r1"}).expect(200).json
    second = server.kill(queued[0]).expect(200).json
    third = server.cancel(queued[1]).expect(202).json

    def listed(**words):
        page = server.get("/api/cancellations" + query(**words)).expect(200).json
        return [one["cancellation_id"] for one in page["cancellations"]]

    ids = [one["cancellation_id"] for one in (first, second, third)]
    assert listed() == ids[::-1]
    assert listed(mode="kill") == [ids[1]]
    assert listed(actor="user:admin") == ids[::-1] and listed(actor="user:x") == []
    assert listed(since=third["requested_at"]) == [ids[2]]
    assert listed(status="cancelling") == [ids[2]]
    assert sorted(listed(status="cancelled")) == sorted(ids[:2])
    assert listed(limit=1) == [ids[2]]
    assert server.get(f"/api/cancellations/{ids[0]}").expect(200).json == first
    for bad in ("mode=x", "since=yesterday", "status=x", "limit=0"):
        server.get(f"/api/cancellations?{bad}").problem(422)


# every means is spent


FREEZER = "/sys/fs/cgroup/freezer"


@pytest.fixture
def freezer():
    """A cgroup that makes its members unkillable, and lets them go in the end."""
    if os.geteuid() != 0 or not os.path.exists(f"{FREEZER}/cgroup.procs"):
        pytest.skip("an unkillable process needs root and the freezer of cgroup v1")
    folder = f"{FREEZER}/quell-test-{os.getpid()}"
    os.mkdir(folder)

    class Freezer:
        @staticmethod
        def put(file, text):
            with open(f"{folder}/{file}", "w", encoding="ascii") as out:
                out.write(text)

        def freeze(self, pid):
            self.put("cgroup.procs", str(pid))
            self.put("freezer.state", "FROZEN")

        def thaw(self):
            self.put("freezer.state", "THAWED")

    yield Freezer()
    Freezer().thaw()
    for _ in range(1000):
        try:
            os.rmdir(folder)
            break
        except OSError:
            continue


@pytest.mark.deadline(120)
def test_what_cannot_be_killed_is_unconfirmed_until_it_goes(server, freezer):
    eval_id = server.start(SLEEPS)
    (pid, *_) = members(eval_id)
    freezer.freeze(pid)
    stop = server.kill(eval_id, {"wait": 60}, timeout=90).expect(200).json
    assert stop["cancelled"] is False and stop["outcome"] == "unconfirmed"
    assert stop["evidence"] != "verified"
    seen = server.show(eval_id)
    assert (seen["status"], seen["state"]) == ("unconfirmed", "STARTED")
    assert seen["finished_at"] is None
    server.kill(eval_id, {"wait": 0}).expect(202)
    server.ask("DELETE", f"/api/eval/{eval_id}").problem(409)
    freezer.thaw()
    seen = server.until_status(eval_id, "cancelled")
    proven(seen["cancellation"], "killed")
    assert seen["signal"] == "SIGKILL" and not members(eval_id)
