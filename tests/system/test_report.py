"""GET and PUT /evaluations/{id}: the storage service that task code talks to."""
import pytest
from programs import SLEEPS


def test_a_report_is_stored_and_settles_nothing(server):
    eval_id = server.start(SLEEPS)
    report = {"output": "so far", "error": None, "result": {"score": [1, 2.5]}, "status": "completed"}
    server.ask("PUT", f"/evaluations/{eval_id}", report).expect(200)
    seen = server.get(f"/evaluations/{eval_id}").expect(200).json
    assert seen["output"] == "so far" and seen["result"] == {"score": [1, 2.5]}
    assert seen["reported_status"] == "completed"
    assert server.show(eval_id)["status"] == "running"
    server.kill(eval_id).expect(200)
    assert server.get(f"/evaluations/{eval_id}").expect(200).json["output"] == "so far"


def test_a_later_report_replaces_what_it_names(idle):
    eval_id = idle.submit("1")["eval_id"]
    idle.ask("PUT", f"/evaluations/{eval_id}", {"output": "a", "status": "running"}).expect(200)
    idle.ask("PUT", f"/evaluations/{eval_id}", {"output": "b"}).expect(200)
    assert idle.get(f"/evaluations/{eval_id}").expect(200).json["output"] == "b"
    assert idle.show(eval_id)["status"] == "queued"


def test_reported_as_cancelled_is_a_request(server):
    eval_id = server.start(SLEEPS)
    body = {"status": "cancelled", "error": "Task cancelled by user"}
    server.ask("PUT", f"/evaluations/{eval_id}", body).expect(202)
    seen = server.show(eval_id)
    assert seen["status"] == "cancelling" and seen["cancellation"]["mode"] == "cancel"
    assert server.get(f"/evaluations/{eval_id}").json["error"] == "Task cancelled by user"
    server.kill(eval_id).expect(200)


def test_unknown_ids(idle):
    idle.get("/evaluations/nobody").problem(404)
    idle.ask("PUT", "/evaluations/nobody", {"output": "x"}).problem(404)


def test_owners_are_apart(make_server):
    server = make_server("--workers", "0", owners=["alice", "bob"])
    eval_id = server.owner("alice").submit("1")["eval_id"]
    server.owner("bob").get(f"/evaluations/{eval_id}").problem(404)
    server.owner("bob").ask("PUT", f"/evaluations/{eval_id}", {"output": "x"}).problem(404)


@pytest.mark.parametrize("body", [[], "x", {"output": 5}, {"status": 5}, {"error": 5}], ids=repr)
def test_bad_reports(idle, body):
    eval_id = idle.submit("1")["eval_id"]
    assert idle.ask("PUT", f"/evaluations/{eval_id}",
                    body if isinstance(body, (dict, list)) else b'"x"').status in (400, 422)
