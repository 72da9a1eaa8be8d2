"""Reading: one, wait, list, timeline, output."""
import json
import time

import pytest
from quell import query

DONE = "print('done')"


def ids(reply):
    return [one["eval_id"] for one in reply.expect(200).json["evaluations"]]


def test_the_whole_way_of_one(server):
    seen = server.run("print('out')", eval_id="whole-way")
    assert (seen["status"], seen["state"], seen["exit_code"]) == ("succeeded", "SUCCESS", 0)
    assert seen["signal"] is None and seen["cause"] is None and seen["error"] is None
    assert seen["created_at"] <= seen["started_at"] <= seen["finished_at"]
    assert seen["output_bytes"] == 4 and seen["output_truncated"] is False
    assert seen["container"]["runtime"] == "sandbox" and seen["container"]["id"]
    assert seen["worker"]


@pytest.mark.parametrize("code", [1, 7, 255])
def test_a_failure_keeps_its_exit_code(server, code):
    seen = server.run(f"import sys; sys.exit({code})")
    assert (seen["status"], seen["state"]) == ("failed", "FAILURE")
    assert (seen["exit_code"], seen["signal"], seen["cause"]) == (code, None, "exit")


def test_death_by_its_own_signal_is_a_failure(server):
    seen = server.run("import os, signal; os.kill(os.getpid(), signal.SIGABRT)")
    assert (seen["status"], seen["exit_code"], seen["signal"]) == ("failed", None, "SIGABRT")
    assert seen["cancellation"] is None


def test_an_exit_code_above_128_is_no_signal(server):
    seen = server.run("import os; os._exit(137)")
    assert (seen["status"], seen["exit_code"], seen["signal"]) == ("failed", 137, None)


def test_a_command_runs_as_given(server):
    eval_id = server.submit(command=["printf", "%s|", "a b", "$HOME", ""])["eval_id"]
    assert server.wait(eval_id)["status"] == "succeeded"
    assert server.output(eval_id) == "a b|$HOME||"


def test_a_command_that_is_not_there_fails_with_a_sentence(server):
    seen = server.wait(server.submit(command=["no-such-program"])["eval_id"])
    assert seen["status"] == "failed"
    assert "no-such-program" in (seen["error"] or "") + server.output(seen["eval_id"])


# wait


def test_wait_holds_until_the_end(server):
    eval_id = server.submit("import time; time.sleep(0.5)")["eval_id"]
    seen = server.get(f"/api/eval/{eval_id}?wait=30").expect(200).json
    assert seen["status"] == "succeeded"


def test_wait_ends_with_its_time(idle):
    eval_id = idle.submit(DONE)["eval_id"]
    began = time.monotonic()
    seen = idle.get(f"/api/eval/{eval_id}?wait=1").expect(200).json
    assert 0.9 < time.monotonic() - began < 5
    assert seen["status"] == "queued"


def test_wait_on_a_settled_one_answers_at_once(server):
    eval_id = server.run(DONE)["eval_id"]
    began = time.monotonic()
    server.get(f"/api/eval/{eval_id}?wait=60").expect(200)
    assert time.monotonic() - began < 5


def test_many_waits_end_together(idle):
    eval_id = idle.submit(DONE)["eval_id"]
    waits = [idle.send("GET", f"/api/eval/{eval_id}?wait=60") for _ in range(20)]
    idle.cancel(eval_id).expect(200)
    for wait in waits:
        assert json.loads(wait.getresponse().read())["status"] == "cancelled"
        wait.close()


@pytest.mark.parametrize("wait", ["61", "-1", "soon", "", "1e3"])
def test_bad_waits(idle, wait):
    eval_id = idle.submit(DONE)["eval_id"]
    assert "wait" in idle.get(f"/api/eval/{eval_id}" + query(wait=wait)).problem(422)["detail"]


def test_unknown_ids_answer_404(idle):
    for path in ("", "/output", "/timeline", "/checkpoint", "?wait=5"):
        idle.get(f"/api/eval/nobody{path}").problem(404, "not-found")
    for verb in ("cancel", "kill", "restore", "resume"):
        idle.post(f"/api/eval/nobody/{verb}").problem(404)
    idle.ask("DELETE", "/api/eval/nobody").problem(404)
    idle.get("/api/cancellations/nobody~1").problem(404)


# list


@pytest.fixture(scope="module")
def listed(idle):
    for number in range(25):
        idle.submit(DONE, eval_id=f"list-{number:02}", session="list",
                    labels={"half": "even" if number % 2 == 0 else "odd", "a.b": "c=d"})
    for number in range(5):
        idle.cancel(f"list-{number:02}").expect(200)
    return [f"list-{number:02}" for number in reversed(range(25))]


def test_list_is_newest_first(idle, listed):
    assert ids(idle.get("/api/evaluations?limit=25")) == listed


def test_list_by_status(idle, listed):
    assert ids(idle.get("/api/evaluations?status=cancelled&limit=5")) == listed[20:]
    both = ids(idle.get("/api/evaluations?status=cancelled,queued&limit=25"))
    assert both == listed


def test_list_by_label(idle, listed):
    seen = ids(idle.get("/api/evaluations" + query(label="half=even")))
    assert seen == [one for one in listed if int(one[-2:]) % 2 == 0]
    assert ids(idle.get("/api/evaluations" + query(label="a.b=c=d", limit=100))) == listed
    assert ids(idle.get("/api/evaluations" + query(label="half=neither"))) == []


def test_pages_show_each_once(idle, listed):
    seen, cursor = [], None
    for _ in range(20):
        page = idle.get("/api/evaluations" + query(
            label="a.b=c=d", limit=4, **({"cursor": cursor} if cursor else {}))).expect(200).json
        seen += [one["eval_id"] for one in page["evaluations"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if len(seen) == 8:
            idle.submit(DONE, eval_id="list-newer", labels={"a.b": "c=d"})
    assert seen == listed


@pytest.mark.parametrize("bad", ["status=gone", "limit=0", "limit=1001", "limit=x", "cursor=x!",
                                 "label=x", "status="])
def test_bad_lists(idle, bad):
    assert bad.split("=", 1)[0] in idle.get(f"/api/evaluations?{bad}").problem(422)["detail"]


def test_owners_see_their_own_and_the_admin_all(make_server):
    server = make_server("--workers", "0", owners=["alice", "bob"])
    alice, bob = server.owner("alice"), server.owner("bob")
    one, two = alice.submit(DONE)["eval_id"], bob.submit(DONE)["eval_id"]
    assert ids(alice.get("/api/evaluations")) == [one]
    assert ids(bob.get("/api/evaluations")) == [two]
    assert ids(server.get("/api/evaluations")) == [two, one]
    assert ids(server.get("/api/evaluations?owner=alice")) == [one]
    assert ids(alice.get("/api/evaluations?owner=bob")) == []


# timeline


def test_timeline_tells_every_decision(server):
    eval_id = server.run(DONE)["eval_id"]
    steps = server.timeline(eval_id)
    assert all(set(step) >= {"at", "attempt", "status", "what"} for step in steps)
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    assert steps[0]["status"] == "queued" and steps[-1]["status"] == "succeeded"
    assert "running" in {step["status"] for step in steps}
    assert all(step["what"] for step in steps)


# output


def test_output_is_readable_while_it_runs(server):
    eval_id = server.start("import time; print('ready'); time.sleep(300)")
    assert server.output(eval_id) == "ready\n"
    server.kill(eval_id).expect(200)
    assert server.output(eval_id) == "ready\n"


TWO_STREAMS = """
import sys
for number in range(3):
    sys.stdout.write(f"out{number}\\n"); sys.stdout.flush()
    sys.stderr.write(f"err{number}\\n"); sys.stderr.flush()
"""


def test_each_stream_keeps_its_order(server):
    eval_id = server.run(TWO_STREAMS)["eval_id"]
    assert server.output(eval_id, "?stream=stdout") == "out0\nout1\nout2\n"
    assert server.output(eval_id, "?stream=stderr") == "err0\nerr1\nerr2\n"
    both = server.output(eval_id).splitlines()
    assert sorted(both) == sorted(f"{kind}{number}" for kind in ("out", "err")
                                  for number in range(3))


def test_offset_goes_on_where_one_stopped(server):
    eval_id = server.run("print('0123456789' * 10, end='')")["eval_id"]
    seen, offset = "", 0
    for size in (37, 100):
        reply = server.get(f"/api/eval/{eval_id}/output?offset={offset}").expect(200)
        assert reply.headers.get_content_type() == "text/plain"
        assert int(reply.headers["X-Next-Offset"]) == 100
        seen += reply.text[:size - offset]
        offset = size
    assert seen == "0123456789" * 10
    reply = server.get(f"/api/eval/{eval_id}/output?offset=100").expect(200)
    assert reply.body == b"" and reply.headers["X-Next-Offset"] == "100"
    reply = server.get(f"/api/eval/{eval_id}/output?offset=5000").expect(200)
    assert reply.body == b""


def test_offset_counts_within_a_stream(server):
    eval_id = server.run(TWO_STREAMS)["eval_id"]
    reply = server.get(f"/api/eval/{eval_id}/output?stream=stderr&offset=5").expect(200)
    assert reply.text == "err1\nerr2\n" and reply.headers["X-Next-Offset"] == "15"


def test_follow_streams_to_the_end(server):
    eval_id = server.submit("""
import time
for number in range(5):
    print(number)
    time.sleep(0.1)
""")["eval_id"]
    assert server.output(eval_id, "?follow=true") == "0\n1\n2\n3\n4\n"


def test_follow_from_an_offset_and_of_one_stream(server):
    eval_id = server.submit(TWO_STREAMS + "import time; time.sleep(0.3); print('end')")["eval_id"]
    assert server.output(eval_id, "?follow=true&stream=stdout&offset=5") == "out1\nout2\nend\n"


def test_bytes_are_kept_as_they_are(server):
    eval_id = server.run("import sys; sys.stdout.buffer.write(bytes(range(256)))")["eval_id"]
    assert server.get(f"/api/eval/{eval_id}/output").body == bytes(range(256))


def test_output_is_bounded_and_says_so(server):
    seen = server.run("import sys\nfor _ in range(12): sys.stdout.write('x' * (1 << 20))")
    assert seen["status"] == "succeeded"
    assert seen["output_bytes"] == 10 << 20 and seen["output_truncated"] is True
    body = server.get(f"/api/eval/{seen['eval_id']}/output").body
    assert len(body) == 10 << 20 and set(body) == {ord("x")}


@pytest.mark.parametrize("bad", ["stream=stdin", "offset=-1", "offset=x", "follow=maybe",
                                 "attempt=0", "attempt=x"])
def test_bad_output_queries(server, bad):
    eval_id = server.run(DONE)["eval_id"]
    name = bad.split("=", 1)[0]
    assert name in server.get(f"/api/eval/{eval_id}/output?{bad}").problem(422)["detail"]


def test_output_of_an_attempt_that_is_not_there(server):
    eval_id = server.run(DONE)["eval_id"]
    server.get(f"/api/eval/{eval_id}/output?attempt=2").problem(404)


def test_output_of_one_that_never_started_is_empty(idle):
    eval_id = idle.submit(DONE)["eval_id"]
    assert idle.output(eval_id) == ""
