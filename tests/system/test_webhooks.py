"""Webhooks: signed messages of what happened, to a real receiver, whatever becomes of it or of the server."""
import ipaddress
import json
import os
import socket
import subprocess

import pytest
from programs import SLEEPS
from quell import QUELL, eventually, members
from receiver import Receiver

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
         "tracestate": "rojo=1"}


@pytest.fixture
def receiver():
    with Receiver() as started:
        yield started


def make(client, url, **more):
    return client.post("/api/webhooks", {"url": url, **more}).expect(201).json


def shown(client, hook):
    return client.get(f"/api/webhooks/{hook['webhook_id']}").expect(200).json


def until(client, hook, **wanted):
    """It is shown with all of that."""
    def look():
        seen = shown(client, hook)
        return seen if all(seen[name] == value for name, value in wanted.items()) else None
    return eventually(look, what=f"a webhook with {wanted}")


def cancelled(client, **more):
    eval_id = client.submit("1", **more)["eval_id"]
    client.cancel(eval_id, {"reason": "enough", "wait": 10}).expect(200)
    return eval_id


def test_each_end_is_told_and_signed(make_server, receiver):
    server = make_server("--workers", "2", "--webhook-private")
    hook = make(server, receiver.url + "/in")
    make(server, receiver.url + "/failures", events=["evaluation.failed"], selector="queue=low")
    good = server.run("print(1)")["eval_id"]
    bad = server.run("raise SystemExit(3)", queue="low")["eval_id"]
    server.run("raise SystemExit(4)")
    body = {"code": SLEEPS, "language": "python"}
    stopped = server.post("/api/eval", body, headers=TRACE).expect(201).json["eval_id"]
    server.until_status(stopped, "running")
    server.kill(stopped, {"wait": 10, "reason": "enough"}).expect(200)
    until(server, hook, delivered=4, backlog=0)
    told = dict((eval_id, kind) for kind, eval_id in receiver.told())
    assert told[good] == "evaluation.succeeded" and told[bad] == "evaluation.failed"
    assert told[stopped] == "evaluation.cancelled" and len(told) == 4
    eventually(lambda: receiver.of("/failures"), what="the failure in that queue")
    assert receiver.told("/failures") == [("evaluation.failed", bad)]
    headers, message = next(one for one in receiver.of() if one[1]["data"]["eval_id"] == stopped)
    seen = server.show(stopped)
    assert {name: headers[name] for name in TRACE} == TRACE
    assert headers["content-type"] == "application/json"
    assert message["timestamp"] == message["data"]["finished_at"] == seen["finished_at"]
    stop = message["data"].pop("cancellation")
    assert stop == {name: seen["cancellation"][name] for name in stop}
    assert (stop["outcome"], stop["evidence"], stop["reason"]) == ("killed", "verified", "enough")
    assert message["data"] == {name: seen[name] for name in message["data"]}


def test_the_signature_holds_and_rotates(make_server, receiver):
    server = make_server("--workers", "0", "--webhook-private")
    hook = make(server, receiver.url + "/in")
    rotate = f"/api/webhooks/{hook['webhook_id']}/rotate"
    cancelled(server)
    until(server, hook, delivered=1)
    receiver.check(hook["secret"])
    receiver.all.clear()
    second = server.post(rotate, {"keep_s": 600}).expect(200).json
    assert second["secret"] != hook["secret"] and second["old_secret_until"]
    cancelled(server)
    until(server, hook, delivered=2)
    receiver.check(second["secret"], 0)
    receiver.check(hook["secret"], 1)
    receiver.all.clear()
    third = server.post(rotate + "?keep_s=0").expect(200).json
    server.end()
    server.again()
    cancelled(server)
    until(server, hook, delivered=3)
    receiver.check(third["secret"], 0)
    receiver.check(second["secret"], -1)
    assert " " not in receiver.of()[0][0]["webhook-signature"]


def test_nothing_is_lost_while_it_is_down(make_server, receiver):
    server = make_server("--workers", "0", "--webhook-private")
    hook = make(server, receiver.url + "/in")
    receiver.stop()
    told = [cancelled(server) for _ in range(20)]
    seen = until(server, hook, state="failing", backlog=20)
    assert seen["next_try_at"] and "connect" in seen["last_error"].lower()

    def ready():
        return server.get("/readyz").expect(200).json["dependencies"]["webhooks"]

    eventually(lambda: ready()["backlog"] == 20, what="a backlog of its messages alone")
    assert ready()["state"] == "ok" and "1 of 1" in ready()["detail"]
    server.crash()
    receiver.start()
    server.again()
    until(server, hook, delivered=20, backlog=0, state="ok", failures=0)
    assert sorted(eval_id for _, eval_id in receiver.told()) == sorted(told)
    receiver.check(hook["secret"])


def test_a_kill_between_the_end_and_its_delivery(make_server, receiver):
    """It came, and the server was killed before it knew: again, under the same name."""
    server = make_server("--workers", "0", "--webhook-private")
    hook = make(server, receiver.url + "/in")
    receiver.hold.clear()
    eval_id = cancelled(server)
    eventually(receiver.of, what="the first message")
    server.crash()
    receiver.hold.set()
    server.again()
    until(server, hook, backlog=0, delivered=1)
    assert set(receiver.told()) == {("evaluation.cancelled", eval_id)}
    assert len(receiver.of()) >= 2 and len(set(receiver.ids())) == 1
    assert len({body for _, _, body in receiver.all}) == 1
    receiver.check(hook["secret"])


def test_an_end_while_the_server_was_away(make_server, receiver):
    """It is settled by the next start, before anything else is known."""
    server = make_server("--workers", "1", "--webhook-private")
    hook = make(server, receiver.url + "/in")
    eval_id = server.start("import time; print('ready', flush=True); time.sleep(1)")
    server.crash()
    eventually(lambda: not members(eval_id), what="the end of the run")
    server.again()
    until(server, hook, delivered=1)
    assert receiver.told() == [("evaluation.succeeded", eval_id)]


def test_answers_that_are_no_delivery(make_server, receiver):
    """500, a redirect and a wait that it asks for; one that floods has said 200 all the same."""
    server = make_server("--workers", "0", "--webhook-private")
    hook = make(server, receiver.url + "/in")
    other = make(server, receiver.url + "/other")
    answers = [500, (302, {"location": receiver.url + "/elsewhere"}), (503, {"retry-after": "2"}),
               (200, {"flood": 1 << 20})]
    receiver.answer = lambda path, _: answers.pop(0) if path == "/in" else 204
    cancelled(server)
    seen = until(server, hook, delivered=1, backlog=0)
    assert (seen["failed"], seen["failures"], seen["state"]) == (3, 0, "ok")
    assert len(set(receiver.ids())) == 1 and len(receiver.of()) == 4
    times = [int(headers["webhook-timestamp"]) for headers, _ in receiver.of()]
    assert times[3] - times[2] >= 2
    assert not receiver.of("/elsewhere")
    assert shown(server, other)["delivered"] == 1
    metrics = server.get("/metrics").text
    assert 'quell_webhook_messages_total{outcome="delivered"} 2' in metrics
    assert 'quell_webhook_messages_total{outcome="failed"} 3' in metrics
    assert 'quell_webhooks{state="ok"} 2' in metrics


def test_one_that_is_gone_is_told_nothing_more(make_server, receiver):
    server = make_server("--workers", "0", "--webhook-private")
    hook = make(server, receiver.url + "/in")
    receiver.answer = lambda *_: 410
    cancelled(server)
    seen = until(server, hook, state="disabled")
    assert "410" in seen["disabled_why"] and seen["disabled_at"] and not seen["enabled"]
    server.end()
    server.again()
    cancelled(server)
    until(server, hook, state="disabled", backlog=1)
    assert len(receiver.of()) == 1
    receiver.answer = lambda *_: 200
    server.post(f"/api/webhooks/{hook['webhook_id']}/enable").expect(200)
    until(server, hook, backlog=0, state="ok")
    assert len(receiver.of()) == 2


def test_what_is_too_old_is_given_up(make_server, receiver):
    server = make_server("--workers", "0", "--webhook-private", "--webhook-give-up", "1s")
    hook = make(server, receiver.url + "/in")
    receiver.stop()
    cancelled(server)
    assert until(server, hook, given_up=1, backlog=0)["delivered"] == 0
    assert any("given up" in line for line in server.log)


def test_a_slow_one_keeps_nobody(make_server, receiver):
    server = make_server("--workers", "1", "--webhook-private", "--storage-url", receiver.url)
    slow = make(server, receiver.url + "/in")
    with Receiver() as quick:
        hook = make(server, quick.url + "/in")
        receiver.hold.clear()
        for _ in range(12):
            cancelled(server)
        server.run("print(1)")
        until(server, hook, delivered=13)
        assert shown(server, slow)["backlog"] == 13
        assert len(receiver.of()) <= 4
    receiver.hold.set()
    until(server, slow, backlog=0)


def test_only_public_addresses(make_server, receiver):
    server = make_server("--workers", "0")
    port = receiver.port
    for url in (f"http://127.0.0.1:{port}/in", f"https://127.0.0.1:{port}/in", "https://localhost/",
                "https://[::1]/", "https://169.254.169.254/", "https://10.0.0.1/", "file:///etc/passwd",
                f"https://2130706433:{port}/in", "https://me:secret@example.com/"):
        refused = server.post("/api/webhooks", {"url": url}).problem(422, "invalid")
        assert refused["field"] == "url"
    assert not receiver.all


def own_name():
    """This host's, where all that it leads to is private."""
    name = socket.gethostname()
    try:
        found = {one[4][0] for one in socket.getaddrinfo(name, 443, proto=socket.IPPROTO_TCP)}
    except OSError:
        found = set()
    if not found or any(ipaddress.ip_address(one.partition("%")[0]).is_global for one in found):
        pytest.skip("this host's own name leads to no private address")
    return name


def test_a_name_that_leads_to_a_private_address(make_server, receiver):
    """It only shows itself when it is connected to."""
    server = make_server("--workers", "0")
    hook = make(server, f"https://{own_name()}:{receiver.port}/in")
    said = server.post(f"/api/webhooks/{hook['webhook_id']}/test").expect(200).json
    assert not said["delivered"] and "which is not a public address" in said["error"]
    cancelled(server)
    assert "not a public address" in until(server, hook, failures=1)["last_error"]
    assert not receiver.all


def test_each_sees_his_own(make_server, receiver):
    server = make_server("--workers", "0", "--webhook-private", owners=["alice", "bob"])
    alice, bob = server.owner("alice"), server.owner("bob")
    hers = make(alice, receiver.url + "/alice")
    everybodys = make(server, receiver.url + "/all")
    bobs = make(server, receiver.url + "/bob", owner="bob")
    assert everybodys["everybody"] and not bobs["everybody"]
    first, second = cancelled(alice), cancelled(bob)
    until(server, everybodys, delivered=2)
    until(server, hers, delivered=1)
    until(server, bobs, delivered=1)
    assert receiver.told("/alice") == [("evaluation.cancelled", first)]
    assert receiver.told("/bob") == [("evaluation.cancelled", second)]
    seen = [hook["webhook_id"] for hook in bob.get("/api/webhooks").expect(200).json["webhooks"]]
    assert seen == [bobs["webhook_id"]]
    assert len(server.get("/api/webhooks").expect(200).json["webhooks"]) == 3
    for hook in (hers, everybodys):
        path = f"/api/webhooks/{hook['webhook_id']}"
        bob.get(path).problem(404)
        bob.ask("DELETE", path).problem(404)
        for verb in ("test", "rotate", "enable", "disable"):
            bob.post(f"{path}/{verb}").problem(404)
    bob.post("/api/webhooks", {"url": receiver.url, "owner": "alice"}).problem(403)
    key = server.post("/api/keys", {"owner": "alice", "scopes": ["read"]}).expect(201).json["key"]
    reader = server.client(key)
    reader.get(f"/api/webhooks/{hers['webhook_id']}").expect(200)
    reader.post("/api/webhooks", {"url": receiver.url}).problem(403)
    bob.ask("DELETE", f"/api/webhooks/{bobs['webhook_id']}").expect(204)
    verbs = [(row["row"]["verb"], row["row"]["outcome"])
             for row in server.get("/api/audit").expect(200).json["rows"]]
    assert ("webhook-create", "accepted") in verbs and ("webhook-delete", "accepted") in verbs
    assert ("webhook-rotate", "not-found") in verbs and ("webhook-create", "forbidden") in verbs


def test_a_secret_is_shown_once(make_server, receiver):
    server = make_server("--workers", "0", "--webhook-private")
    hook = make(server, receiver.url + "/in")
    again = server.post(f"/api/webhooks/{hook['webhook_id']}/rotate").expect(200).json
    cancelled(server)
    until(server, hook, delivered=1)
    said = json.dumps([server.get(path).text for path in (
        "/api/webhooks", f"/api/webhooks/{hook['webhook_id']}", "/api/audit", "/metrics",
        "/readyz")]) + "\n".join(server.log)
    assert "whsec_" not in said
    for secret in (hook["secret"], again["secret"]):
        assert secret.removeprefix("whsec_") not in said
    modes = {os.stat(os.path.join(server.data, name)).st_mode & 0o077
             for name in os.listdir(server.data) if name.startswith("quell.db")}
    assert modes == {0}


def test_by_the_command_line(make_server, receiver):
    server = make_server("--workers", "0", "--webhook-private")

    def quell(*args, expect=0):
        done = subprocess.run([QUELL, *args], text=True, capture_output=True, check=False,
                              env={**os.environ, "QUELL_URL": f"http://127.0.0.1:{server.port}",
                                   "QUELL_KEY": server.key})
        assert done.returncode == expect, done.stderr
        return done.stdout.strip(), done.stderr

    secret, aside = quell("webhook", "add", receiver.url + "/in", "--name", "ci",
                          "--event", "evaluation.cancelled", "--selector", "queue=low")
    assert secret.startswith("whsec_") and "shown this once" in aside
    hook = server.get("/api/webhooks").json["webhooks"][0]["webhook_id"]
    assert quell("webhook", "test", hook)[0].startswith("delivered: 204 in ")
    receiver.check(secret)
    assert receiver.told() == [("webhook.test", None)]
    cancelled(server, queue="low")
    until(server, {"webhook_id": hook}, delivered=1)
    listed, _ = quell("webhook", "list")
    assert "ci" in listed and "everybody" in listed and "whsec_" not in listed
    full, _ = quell("webhook", "show", hook)
    assert "evaluation.cancelled" in full and "1, the last at" in full
    assert quell("webhook", "rotate", hook, "--keep", "0")[0] != secret
    assert "disabled" in quell("webhook", "disable", hook)[0]
    assert "ok" in quell("webhook", "enable", hook)[0]
    receiver.answer = lambda *_: 500
    assert "it answered with 500" in quell("webhook", "test", hook, expect=1)[1]
    assert "webhooks" in quell("doctor")[0]
    assert quell("webhook", "remove", hook)[0] == "removed"
    assert "no webhook" in quell("webhook", "show", hook, expect=1)[1]
