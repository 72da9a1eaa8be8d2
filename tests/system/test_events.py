"""GET /api/events: what changes, in order, and from where one stopped."""
import pytest
from programs import SLEEPS


def about(eval_id, kind="evaluation"):
    return lambda event: event.get("event") == kind and event["data"].get("eval_id") == eval_id


def statuses(events, eval_id):
    return [event["data"]["status"] for event in events if about(eval_id)(event)]


def test_the_way_of_one_is_told(server):
    with server.events() as events:
        eval_id = server.submit("print(1)")["eval_id"]
        seen = events.until(lambda event: about(eval_id)(event)
                            and event["data"]["status"] == "succeeded")
    told = statuses(seen, eval_id)
    assert told[0] == "queued" and "running" in told and told[-1] == "succeeded"
    assert all(event["id"] for event in seen if event.get("event") == "evaluation")


def test_a_stop_is_told(server):
    eval_id = server.start(SLEEPS)
    with server.events() as events:
        server.kill(eval_id).expect(200)
        seen = events.until(lambda event: about(eval_id, "cancellation")(event)
                            and event["data"]["cancelled"])
    assert seen[-1]["data"]["outcome"] == "killed"
    assert seen[-1]["data"]["evidence"] == "verified"


def test_last_event_id_resumes(server):
    with server.events() as events:
        first = server.submit("print(1)")["eval_id"]
        seen = events.until(lambda event: about(first)(event)
                            and event["data"]["status"] == "succeeded")
    last = seen[-1]["id"]
    second = server.run("print(2)")["eval_id"]
    with server.events(last=last) as events:
        seen = events.until(lambda event: about(second)(event)
                            and event["data"]["status"] == "succeeded")
    assert set(statuses(seen, first)) <= {"succeeded"} and statuses(seen, second)[0] == "queued"
    with server.events(last=last) as events:
        again = events.until(lambda event: about(second)(event)
                             and event["data"]["status"] == "succeeded")
    assert [event["id"] for event in again] == [event["id"] for event in seen]


@pytest.mark.parametrize("last", ["999999999", "nonsense", "-1"])
def test_an_unknown_id_answers_reset(server, last):
    with server.events(last=last) as events:
        assert events.next()["event"] == "reset"


def test_owners_hear_of_their_own(make_server):
    server = make_server("--workers", "0", owners=["alice", "bob"])
    alice, bob = server.owner("alice"), server.owner("bob")
    with bob.events() as events:
        hers, his = alice.submit("1")["eval_id"], bob.submit("1")["eval_id"]
        seen = events.until(about(his))
    assert not any(about(hers)(event) for event in seen)


def test_many_listeners(server):
    streams = [server.events() for _ in range(30)]
    eval_id = server.run("print(1)")["eval_id"]
    for events in streams:
        with events:
            events.until(lambda event: about(eval_id)(event)
                         and event["data"]["status"] == "succeeded")


def test_a_stream_ends_with_the_server(make_server):
    server = make_server("--workers", "0")
    with server.events() as events:
        server.submit("1")
        assert server.end() == 0
        while events.response.readline():
            pass
