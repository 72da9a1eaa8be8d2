"""Many at once: a batch goes on over a crash, settles each once, and is taken back."""
import json

from quell import eventually

MANY = 3000  # three parts


def make(server, count=MANY):
    """Queued ones, with priorities 0 to 9 in turn."""
    for at in range(0, count, 500):
        server.post("/api/eval-batch", {"evaluations": [
            {"eval_id": f"q{i}", "command": ["true"], "priority": i % 10}
            for i in range(at, min(at + 500, count))]}).expect(201)


def until_over(server, batch_id):
    def look():
        batch = server.get(f"/api/batches/{batch_id}").expect(200).json
        return batch["phase"] in ("done", "stopped") and batch
    return eventually(look, what="the batch is over")


def queued(server):
    return server.get("/api/evaluations/count?selector=status%3Dqueued").expect(200).json["count"]


def stops_in(server, eval_id):
    """How many rows of its timeline say that it was stopped."""
    return [step["status"] for step in server.timeline(eval_id)].count("cancelled")


def test_a_crash_in_the_middle_settles_each_once_and_an_undo_restores_all(make_server):
    server = make_server("--workers", "0")
    make(server)
    batch_id = server.post("/api/batches", {"selector": "status=queued"}).expect(202).json[
        "batch_id"]
    server.crash()
    server.again()
    batch = until_over(server, batch_id)
    assert (batch["phase"], batch["progress"]["removed"]) == ("done", MANY)
    assert queued(server) == 0
    assert all(stops_in(server, f"q{i}") == 1 for i in range(0, MANY, 100))
    undo = server.post(f"/api/batches/{batch_id}/undo").expect(202).json
    undone = until_over(server, undo["batch_id"])
    assert (undone["mode"], undone["progress"]["restored"]) == ("restore", MANY)
    assert not any(undone["would"].values()) and undone["grace_ms"] is None
    assert queued(server) == MANY
    assert server.show("q7")["attempt"] == 2
    server.post(f"/api/batches/{batch_id}/undo").problem(409)


def test_what_was_previewed_is_what_is_stopped(make_server):
    server = make_server("--workers", "0")
    make(server, 200)
    preview = server.post("/api/batches", {"selector": "priority<5", "dry_run": True}).expect(200)
    assert preview.json["would"]["removed"] == 100 and queued(server) == 200
    server.cancel("q0").expect(200)
    late = server.submit("pass", priority=0)["eval_id"]
    batch = server.post("/api/batches", {"preview": preview.json["preview"]}).expect(202).json
    assert batch["drift"] == {"left": 1, "joined": 1}
    over = until_over(server, batch["batch_id"])
    assert (over["progress"]["removed"], over["progress"]["already_cancelled"]) == (99, 1)
    assert server.show(late)["status"] == "queued"
    items = server.get(f"/api/batches/{batch['batch_id']}/items?limit=1000").expect(200).json
    assert items["next_cursor"] is None
    assert {item["said"] for item in items["items"][1:]} == {"removed"}
    assert {item["status"] for item in items["items"]} == {"cancelled"}


def test_more_than_the_storm_brake_lets_pass_want_a_confirmation(make_server):
    server = make_server("--workers", "0", "--limits", "storm=5")  # an admin's is ten times as wide
    make(server, 60)
    told = server.post("/api/batches", {"selector": "status=queued"}).problem(409)
    assert (told["would_stop"], told["limit"]) == (60, 50)
    assert "60 evaluations" in told["detail"] and queued(server) == 60
    some = server.post("/api/batches", {"selector": "priority=0"}).expect(202).json
    assert until_over(server, some["batch_id"])["progress"]["removed"] == 6
    rest = server.post("/api/batches", {"selector": "status=queued", "confirm": True}).expect(202)
    assert until_over(server, rest.json["batch_id"])["progress"]["removed"] == 54


def test_a_cancelled_batch_stays_so_over_a_crash(make_server):
    server = make_server("--workers", "0")
    make(server)
    batch = server.post("/api/batches", {"selector": "status=queued"}).expect(202).json
    reply = server.post(f"/api/batches/{batch['batch_id']}/cancel")
    assert reply.status in (200, 409)  # 409: all were asked for already
    server.crash()
    server.again()
    seen = server.get(f"/api/batches/{batch['batch_id']}").expect(200).json
    assert seen["phase"] in (("stopped", "done") if reply.status == 200 else ("done",))
    left = queued(server)
    assert server.submit("pass")["status"] == "queued"  # it works on, and the batch doesn't
    assert queued(server) == left + 1


def test_each_request_leaves_one_row_in_the_audit(make_server):
    server = make_server("--workers", "0")
    make(server, 50)
    preview = server.post("/api/batches", {"selector": "status=queued", "dry_run": True}).json
    batch = server.post("/api/batches", {"preview": preview["preview"]}).expect(202).json
    until_over(server, batch["batch_id"])
    undo = server.post(f"/api/batches/{batch['batch_id']}/undo").expect(202).json
    until_over(server, undo["batch_id"])
    rows = [one["row"] for one in server.get("/api/audit?limit=1000").json["rows"]]
    seen = [(row["verb"], row["target"], row["outcome"], row["count"])
            for row in rows if row["verb"].startswith("batch")]
    assert seen == [(verb, batch["batch_id"], "accepted", 50)
                    for verb in ("batch-preview", "batch-cancel", "batch-undo")], json.dumps(rows)
