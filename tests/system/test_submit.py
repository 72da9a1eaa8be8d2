"""POST /api/eval and /api/eval-batch: what a submission may say, and what bad input gets."""
import json
import re
import uuid

import pytest
from quell import query

MEMBERS = set("""eval_id task_id attempt status state cause owner language priority queue labels session
    created_at started_at finished_at exit_code signal error container worker output_bytes
    output_truncated checkpoint cancellation""".split())
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
GOOD = {"code": "print(1)", "language": "python"}
LONGEST = "a" * 128


def test_answers_201_with_the_evaluation(idle):
    seen = idle.post("/api/eval", {**GOOD, "eval_id": "first-1"}).expect(201).json
    assert set(seen) >= MEMBERS
    assert seen["eval_id"] == "first-1"
    assert seen["task_id"] == "celery-first-1"
    assert (seen["attempt"], seen["status"], seen["state"]) == (1, "queued", "PENDING")
    assert seen["priority"] == 5 and seen["language"] == "python"
    assert re.fullmatch(TIME, seen["created_at"])
    for member in ("cause", "started_at", "finished_at", "exit_code", "signal", "error",
                   "checkpoint", "cancellation"):
        assert seen[member] is None
    assert idle.show("first-1") == seen


def test_an_id_is_made_when_none_is_given(idle):
    first, second = idle.submit("1"), idle.submit("1")
    assert first["eval_id"] != second["eval_id"]
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", first["eval_id"])


def test_what_was_submitted_is_shown(idle):
    seen = idle.submit("1", priority=9, queue="slow", labels={"team": "a", "x": "1"}, session="s1")
    assert seen["priority"] == 9 and seen["queue"] == "slow"
    assert seen["labels"] == {"team": "a", "x": "1"} and seen["session"] == "s1"


@pytest.mark.parametrize("eval_id", ["a", "0", LONGEST, "A.b_c:d-e"])
def test_good_ids(idle, eval_id):
    assert idle.submit("1", eval_id=eval_id)["eval_id"] == eval_id


@pytest.mark.parametrize("eval_id", ["", "a/b", LONGEST + "a", ".a", "-a", "a b", "a~2", "ä", "a\u0000",
                                     7, ["a"]])
def test_bad_ids(idle, eval_id):
    problem = idle.post("/api/eval", {**GOOD, "eval_id": eval_id}).problem(422)
    assert "eval_id" in json.dumps(problem)


def test_a_taken_id_answers_409(idle):
    idle.submit("1", eval_id="taken")
    problem = idle.post("/api/eval", {**GOOD, "eval_id": "taken"}).problem(409)
    assert "taken" in problem["detail"]


BAD = {
    "priority": [-1, 10, 5.5, "high", True, [1]],
    "timeout_s": [-1, "soon", {}],
    "queue_ttl_s": [-1, "soon"],
    "grace_s": [-1, "soon"],
    "memory_mb": [0, -1, "much", 1e12],
    "pids": [0, -1, 2.5, "many"],
    "cpus": [0, -1, "all", 1e9],
    "labels": ["a", ["a"], {"a": 1}, {"a": None}, {"": "x"}, {"a": "x" * 257},
               {str(number): "x" for number in range(65)}],
    "env": ["A=1", {"A": 1}, {"": "x"}, {"A=B": "x"}, {"A": "x\u0000y"}],
    "queue": [1, "", "x" * 257],
    "session": [1, "x" * 257],
    "supersedes": [1, "x" * 257],
    "language": ["cobol", 1, ""],
    "code": [1, ["print(1)"]],
    "image": ["debian:12"],
    "owner": ["somebody"],
    "no_such_member": [1],
}


@pytest.mark.parametrize("field,value", [(field, value) for field in BAD for value in BAD[field]],
                         ids=lambda value: re.sub(r"[^\w.-]+", "_", str(value))[:30])
def test_bad_fields(idle, field, value):
    problem = idle.post("/api/eval", {**GOOD, field: value}).problem(422)
    assert field in json.dumps(problem)


@pytest.mark.parametrize("body", [
    {}, {"language": "python"}, {"code": "1"}, {"command": []}, {"command": "ls"}, {"command": [1]},
    {"command": [""]}, {**GOOD, "command": ["true"]}, {"command": ["true"], "language": "python"},
    {"command": ["true\u0000"]},
], ids=lambda body: "+".join(body) or "nothing")
def test_either_code_or_a_command(idle, body):
    assert re.search("code|command|language", idle.post("/api/eval", body).problem(422)["detail"])


@pytest.mark.parametrize("field,value", [("priority", 10), ("memory_mb", 0), ("pids", 0)])
def test_a_refusal_names_the_bound(idle, field, value):
    assert re.search(r"\d", idle.post("/api/eval", {**GOOD, field: value}).problem(422)["detail"])


@pytest.mark.parametrize("body", [b"", b"{", b'{"code": }', b"[1,", b'{"a":1}x', b"nul",
                                  b'{"code":"\xff"}', b'{"a":1,"a":2}'], ids=repr)
def test_broken_json_answers_400_with_the_position(idle, body):
    problem = idle.post("/api/eval", body).problem(400)
    if body:
        assert re.search(r"line|position|byte|column|offset|member|duplicate", problem["detail"])


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null"], ids=repr)
def test_json_that_is_no_object(idle, body):
    assert idle.post("/api/eval", body).status in (400, 422)


def test_deep_json_is_refused(idle):
    assert idle.post("/api/eval", b'{"env":' * 100000 + b"1" + b"}" * 100000).status in (400, 422)


def test_a_code_of_four_mib_is_taken(idle):
    assert idle.submit("#" * (4 << 20))["status"] == "queued"


def test_a_code_of_five_mib_answers_413(idle):
    problem = idle.post("/api/eval", {**GOOD, "code": "#" * (5 << 20)}).problem(413)
    assert re.search(r"\d", problem["detail"])


def test_a_body_must_be_json(idle):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", None):
        idle.post("/api/eval", json.dumps(GOOD).encode(),
                  headers={"Content-Type": kind}).problem(415)
    idle.post("/api/eval", json.dumps(GOOD).encode(),
              headers={"Content-Type": "application/json; charset=utf-8"}).expect(201)


def test_more_than_max_queued_answers_429(make_server):
    server = make_server("--workers", "0", "--max-queued", "3")
    for _ in range(3):
        server.submit("1")
    problem = server.post("/api/eval", GOOD).problem(429)
    assert "3" in problem["detail"]
    server.post("/api/eval-batch", {"evaluations": [GOOD]}).problem(429)
    first = server.get("/api/evaluations").json["evaluations"][0]
    server.cancel(first["eval_id"]).expect(200)
    server.submit("1")


# many at once


def test_batch_answers_in_order(idle):
    wanted = [{**GOOD, "eval_id": f"batch-{number}"} for number in range(50)]
    seen = idle.post("/api/eval-batch", {"evaluations": wanted}).expect(201).json["evaluations"]
    assert [one["eval_id"] for one in seen] == [one["eval_id"] for one in wanted]
    assert all(set(one) >= MEMBERS for one in seen)


@pytest.mark.parametrize("last,status", [
    ({"eval_id": "fine", "code": 1, "language": "python"}, 422),
    ({**GOOD, "eval_id": "none-1"}, 409),
    ({**GOOD, "eval_id": "in-the-way"}, 409),
    ("x", 422),
], ids=["bad-field", "twice-in-the-batch", "taken", "no-object"])
def test_batch_is_all_or_none(idle, last, status):
    if idle.get("/api/eval/in-the-way").status == 404:
        idle.submit("1", eval_id="in-the-way")
    batch = [{**GOOD, "eval_id": "none-1"}, {**GOOD, "eval_id": "none-2"}, last]
    problem = idle.post("/api/eval-batch", {"evaluations": batch}).problem(status)
    assert problem["detail"]
    for eval_id in ("none-1", "none-2"):
        idle.get(f"/api/eval/{eval_id}").problem(404)


@pytest.mark.parametrize("body", [{}, {"evaluations": {}}, {"evaluations": "x"}, [],
                                  {"evaluations": [], "more": 1}], ids=repr)
def test_bad_batches(idle, body):
    idle.post("/api/eval-batch", body).problem(422)


def test_a_batch_has_a_bound(idle):
    tiny = {"command": ["true"]}
    problem = idle.post("/api/eval-batch", {"evaluations": [tiny] * 10001}).problem(422)
    assert re.search("10,?000", problem["detail"])


# again with the same key


def test_the_same_key_and_body_replays_the_first_answer(idle):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = idle.post("/api/eval", GOOD, headers=key).expect(201).json
    again = idle.post("/api/eval", GOOD, headers=key).expect(201).json
    assert again["eval_id"] == first["eval_id"]
    total = [one for one in idle.get("/api/evaluations" + query(limit=1000)).json["evaluations"]
             if one["eval_id"] == first["eval_id"]]
    assert len(total) == 1


def test_the_same_key_with_another_body_is_refused(idle):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    idle.post("/api/eval", GOOD, headers=key).expect(201)
    problem = idle.post("/api/eval", {**GOOD, "priority": 6}, headers=key).problem(422)
    assert problem["field"] == "Idempotency-Key" and "use a new one" in problem["detail"]


def test_a_batch_is_replayed_whole(idle):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    batch = {"evaluations": [GOOD, GOOD, GOOD]}
    first = idle.post("/api/eval-batch", batch, headers=key).expect(201).json["evaluations"]
    again = idle.post("/api/eval-batch", batch, headers=key).expect(201).json["evaluations"]
    assert [one["eval_id"] for one in again] == [one["eval_id"] for one in first]


def test_a_failed_submission_keeps_no_key(idle):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    idle.post("/api/eval", {**GOOD, "priority": 99}, headers=key).problem(422)
    idle.post("/api/eval", GOOD, headers=key).expect(201)


def test_keys_of_owners_are_apart(make_server):
    server = make_server("--workers", "0", owners=["alice", "bob"])
    key = {"Idempotency-Key": "same"}
    alice = server.owner("alice").post("/api/eval", GOOD, headers=key).expect(201).json
    bob = server.owner("bob").post("/api/eval", GOOD, headers=key).expect(201).json
    assert alice["eval_id"] != bob["eval_id"]
    assert (alice["owner"], bob["owner"]) == ("alice", "bob")


# the rest of the door


def test_unknown_paths_and_methods(idle):
    idle.get("/api/nothing").problem(404)
    idle.get("/api/eval/no-such-one").problem(404)
    reply = idle.ask("PUT", "/api/eval")
    reply.problem(405)
    assert "POST" in reply.headers["Allow"]
    idle.ask("BREW", "/api/eval").problem(405)


def test_unknown_query_words_are_refused(idle):
    assert "colour" in idle.get("/api/evaluations?colour=red").problem(422)["detail"]
