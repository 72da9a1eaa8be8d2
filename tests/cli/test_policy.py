"""quell policy and quell session: what is asked of the server, and what is shown of its answers."""
import json

import pytest
from conftest import Answer, problem

LATE = {"name": "late", "selector": "queue=low", "mode": "terminate", "grace_s": 10,
        "trigger": {"kind": "run_deadline", "after_s": 600}}
MADE = {**LATE, "escalate": None, "enabled": True, "created_by": "user:a",
        "created_at": "2026-01-02T03:04:05.678Z", "stops": 2, "trouble": None,
        "last": {"eval_id": "e7", "at": "2026-01-02T03:05:00.000Z", "why": "it has run for 11 min"}}
MARKS = {**MADE, "name": "marks", "enabled": False, "last": None, "escalate": "kill",
         "trouble": "the store is away",
         "trigger": {"kind": "overload", "measure": "load", "high": 1.5, "low": 0.5}}
SIMULATED = {"policy": "late", "since": "2026-01-01T00:00:00.000Z", "would_stop": 2, "looked_at": 9,
             "whole": True, "live": 14, "note": None,
             "sample": [{"eval_id": "e7", "at": "2026-01-02T03:05:00.000Z", "why": "it ran"},
                        {"eval_id": "e2", "at": "2026-01-02T03:04:00.000Z", "why": "it ran too"}]}


def written(tmp_path, text=json.dumps(LATE)):
    path = tmp_path / "late.json"
    path.write_text(text, encoding="utf-8")
    return str(path)


def lines(text):
    return [line.split(None, 1) for line in text.splitlines()]


def test_policies_are_listed(quell, server):
    server.on("GET /api/policies", {"policies": [MADE, MARKS]})
    status, out, _ = quell("policy", "ls")
    rows = [line.split() for line in out.splitlines()]
    assert status == 0 and rows[0] == ["NAME", "TRIGGER", "SELECTOR", "MODE", "ENABLED", "STOPS"]
    assert rows[1] == ["late", "run_deadline", "after_s=600", "queue=low", "terminate", "yes", "2"]
    assert rows[2][:5] == ["marks", "overload", "measure=load", "high=1.5", "low=0.5"]
    assert rows[2][-2:] == ["no", "2"]
    assert json.loads(quell("policy", "ls", "--json")[1])["policies"] == [MADE, MARKS]


def test_a_policy_is_shown(quell, server):
    server.on("GET /api/policies/late", MADE)
    server.on("GET /api/policies/marks", MARKS)
    status, out, _ = quell("policy", "show", "late")
    assert status == 0
    assert ["last", "stop   e7: it has run for 11 min"] in lines(out)
    assert ["grace", "10 s"] in lines(out) and ["enabled", "yes"] in lines(out)
    assert not any(line[0] in ("trouble", "escalate") for line in lines(out))
    out = quell("policy", "show", "marks")[1]
    assert ["trouble", "the store is away"] in lines(out) and ["escalate", "kill"] in lines(out)


def test_a_policy_is_added_from_a_file_or_what_is_piped_in(quell, server, tmp_path):
    server.on("POST /api/policies", Answer(201, MADE))
    assert quell("policy", "add", written(tmp_path))[0] == 0
    assert quell("policy", "add", "-", "--confirm", stdin=json.dumps(LATE))[0] == 0
    assert server.requests == [("POST /api/policies", LATE),
                               ("POST /api/policies", {**LATE, "confirm": True})]


def test_one_that_would_stop_too_many_is_refused(quell, server, tmp_path):
    server.on("POST /api/policies", problem(409, "policy late would stop 9 of the 12", live=12))
    status, out, err = quell("policy", "add", written(tmp_path))
    assert (status, out) == (1, "") and "would stop 9 of the 12" in err


def test_a_simulation_stops_nobody(quell, server, tmp_path):
    server.on("POST /api/policies/late/simulate?since=7d", SIMULATED)
    server.on("POST /api/policies/simulate?since=now",
              {**SIMULATED, "since": None, "whole": False, "note": "this is of now"})
    status, out, _ = quell("policy", "simulate", "late", "--since", "7d")
    assert status == 0
    assert lines(out)[0] == ["would", "stop  2"] and ["live", "14"] in lines(out)
    assert "e7, at 2026-01-02T03:05:00.000Z: it ran\n" in out and "e2, at" in out
    out = quell("policy", "simulate", written(tmp_path), "--since", "now")[1]
    assert lines(out)[0] == ["would", "stop  2 or more"] and ["since", "now"] in lines(out)
    assert ["note", "this is of now"] in lines(out)
    assert [request for request, _ in server.requests] == [
        "POST /api/policies/late/simulate?since=7d", "POST /api/policies/simulate?since=now"]
    assert server.requests[1][1] == LATE


def test_policies_are_switched_and_removed(quell, server):
    server.on("POST /api/policies/late/enable?confirm=true", MADE)
    server.on("POST /api/policies/late/disable", {**MADE, "enabled": False})
    server.on("DELETE /api/policies/late", Answer(204))
    assert quell("policy", "enable", "late", "--confirm")[0] == 0
    assert ["enabled", "no"] in lines(quell("policy", "disable", "late")[1])
    assert quell("policy", "rm", "late") == (0, "removed\n", "")
    assert [request for request, _ in server.requests] == [
        "POST /api/policies/late/enable?confirm=true", "POST /api/policies/late/disable",
        "DELETE /api/policies/late"]


def test_what_a_plain_user_hears(quell, server):
    server.on("GET /api/policies", problem(403, "policies are for operators and admins to see"))
    status, out, err = quell("policy", "ls")
    assert (status, out) == (1, "") and "for operators and admins" in err


@pytest.mark.parametrize("words", [["policy"], ["policy", "stop", "x"], ["policy", "show"],
                                   ["policy", "ls", "x"], ["session", "end"], ["session", "ls", "x"],
                                   ["session", "end", "x", "--lease", "9s"],
                                   ["session", "heartbeat", "x", "--lease", "soon"]])
def test_wrong_words_ask_nobody(quell, server, words):
    assert quell(*words)[0] == 2 and not server.requests


def test_a_file_that_holds_no_policy(quell, server, tmp_path):
    for text in ("[]", "{", '{"name": "a", "name": "b"}'):
        status, _, err = quell("policy", "add", written(tmp_path, text))
        assert status != 0 and "holds no JSON object" in err
    assert quell("policy", "add", str(tmp_path / "none.json"))[0] == 1
    assert not server.requests


# ---- sessions ----

LEASED = {"session": "nb 7", "owner": "alice", "state": "leased", "lease_s": 30,
          "until": "2026-01-02T03:05:00.000Z", "over_at": None}


def test_a_session_is_leased_shown_and_ended(quell, server):
    ended = {**LEASED, "state": "ended", "until": None, "over_at": "2026-01-02T03:06:00.000Z"}
    server.on("POST /api/sessions/nb%207/heartbeat?lease_s=90", LEASED)
    server.on("POST /api/sessions/nb%207/heartbeat", LEASED)
    server.on("GET /api/sessions/nb%207", LEASED)
    server.on("POST /api/sessions/nb%207/end", ended)
    status, out, _ = quell("session", "heartbeat", "nb 7", "--lease", "90s")
    assert status == 0 and ["state", "leased"] in lines(out)
    assert ["until", "2026-01-02T03:05:00.000Z, unless it is renewed"] in lines(out)
    assert quell("session", "heartbeat", "nb 7")[0] == 0
    assert json.loads(quell("session", "show", "nb 7", "--json")[1]) == LEASED
    out = quell("session", "end", "nb 7")[1]
    assert ["over", "at     2026-01-02T03:06:00.000Z"] in lines(out)
    assert [request for request, _ in server.requests] == [
        "POST /api/sessions/nb%207/heartbeat?lease_s=90", "POST /api/sessions/nb%207/heartbeat",
        "GET /api/sessions/nb%207", "POST /api/sessions/nb%207/end"]


def test_one_that_was_ended_is_not_leased_again(quell, server):
    server.on("POST /api/sessions/x/heartbeat", problem(409, "session x was ended: begin another"))
    status, _, err = quell("session", "heartbeat", "x")
    assert status == 1 and "was ended" in err
