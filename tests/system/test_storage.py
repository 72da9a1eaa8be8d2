"""An outside storage service is told how each attempt was settled: once, in order, and never lost."""
import os
import socket
import threading
import time

import pytest
from programs import SLEEPS
from quell import Server, eventually
from storage import Storage

CANCELLED = {"status": "cancelled", "error": "Task cancelled by user"}


@pytest.fixture
def storage():
    with Storage() as started:
        yield started


def shown(server):
    return server.get("/readyz").expect(200).json["dependencies"]["storage"]


def until_told(server):
    return eventually(lambda: shown(server)["backlog"] == 0, what="an empty backlog")


def test_each_end(make_server, storage):
    server = make_server("--workers", "2", "--storage-url", storage.url)
    good = server.run("print(1)")["eval_id"]
    bad = server.run("raise SystemExit(3)")["eval_id"]
    stopped = server.start(SLEEPS)
    server.kill(stopped, {"wait": 10}).expect(200)
    until_told(server)
    assert storage.of(good) == [{"status": "succeeded", "error": None}]
    assert storage.of(bad) == [{"status": "failed", "error": "exited with status 3"}]
    assert storage.of(stopped) == [CANCELLED]
    _, _, headers = storage.asked[0]
    assert headers["Content-Type"] == "application/json" and "Authorization" not in headers


def test_it_is_told_whose_trace_it_is(make_server, storage):
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
             "tracestate": "rojo=1"}
    server = make_server("--workers", "0", "--storage-url", storage.url)
    body = {"code": "1", "language": "python"}
    for headers in (trace, {}):
        eval_id = server.post("/api/eval", body, headers=headers).expect(201).json["eval_id"]
        server.cancel(eval_id).expect(200)
    until_told(server)
    first, second = (headers for _, _, headers in storage.asked)
    assert {name: first[name] for name in trace} == trace
    assert "traceparent" not in second and "tracestate" not in second


def test_one_put_for_duplicate_cancels_at_once(make_server, storage):
    server = make_server("--workers", "2", "--storage-url", storage.url)
    running, queued = server.start(SLEEPS), server.submit("1", queue_ttl_s=600)["eval_id"]
    for eval_id, body in ((running, {"terminate": True}), (queued, {})):
        threads = [threading.Thread(target=server.cancel, args=[eval_id, body]) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.wait(eval_id)
    until_told(server)
    server.cancel(running).expect(200)
    assert len(storage.of(running)) == 1 and len(storage.of(queued)) == 1
    assert storage.of(running) == [CANCELLED]
    assert len(storage.asked) == 2


def test_attempts_are_told_in_order(make_server, storage):
    server = make_server("--workers", "0", "--storage-url", storage.url)
    storage.stop()
    eval_id = server.submit("1")["eval_id"]
    for _ in range(3):
        server.cancel(eval_id).expect(200)
        server.post(f"/api/eval/{eval_id}/restore").expect(200)
    server.cancel(eval_id, {"reason": "enough"}).expect(200)
    other = server.submit("1")["eval_id"]
    server.cancel(other).expect(200)
    assert shown(server)["backlog"] == 5
    storage.start()
    until_told(server)
    assert storage.of(eval_id) == [CANCELLED] * 4 and storage.of(other) == [CANCELLED]


@pytest.mark.deadline(120)
def test_nothing_is_lost_while_it_is_down(make_server, storage):
    """It shows, it outlives a server that is killed, and it drains by itself."""
    server = make_server("--workers", "0", "--storage-url", storage.url)
    storage.stop()
    ids = [server.submit("1", eval_id=f"down-{n}")["eval_id"] for n in range(60)]
    for eval_id in ids:
        server.cancel(eval_id).expect(200)
    away = eventually(lambda: (lambda seen: seen["state"] == "away" and seen)(shown(server)))
    assert away["backlog"] == 60 and away["since"] and "connect" in away["detail"].lower()
    assert any("storage:" in line and "wait until it is back" in line for line in server.log)
    server.crash()
    server.again()
    assert shown(server)["backlog"] == 60
    storage.start()
    until_told(server)
    assert shown(server)["state"] == "ok"
    for eval_id in ids:
        assert storage.of(eval_id) == [CANCELLED]


@pytest.mark.deadline(120)
def test_nothing_is_lost_by_a_server_that_is_killed_while_it_tells(make_server, storage):
    server = make_server("--workers", "0", "--storage-url", storage.url)
    ids = []
    for life in range(4):
        fresh = [server.submit("1", eval_id=f"life-{life}-{n}")["eval_id"] for n in range(40)]
        for eval_id in fresh:
            server.cancel(eval_id).expect(200)
        ids += fresh
        server.crash()
        server.again()
    until_told(server)
    for eval_id in ids:
        assert CANCELLED in storage.of(eval_id)


def test_a_slow_one_never_slows_a_stop(make_server, storage):
    server = make_server("--workers", "1", "--storage-url", storage.url)
    storage.hold.clear()
    for n in range(40):
        server.submit("1", eval_id=f"slow-{n}", priority=0, queue_ttl_s=600)
    eval_id = server.start(SLEEPS, priority=9)
    for n in range(40):
        server.cancel(f"slow-{n}")
    eventually(lambda: len(storage.asked) >= 16, what="deliveries that hang")
    begun = time.monotonic()
    stop = server.kill(eval_id, {"wait": 10}).expect(200).json
    assert stop["cancelled"] and time.monotonic() - begun < 5
    begun = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - begun < 5
    storage.hold.set()
    server.again()
    until_told(server)
    assert CANCELLED in storage.of(eval_id)


def test_a_refusal_is_logged_and_not_repeated(make_server, storage):
    server = make_server("--workers", "0", "--storage-url", storage.url + "/base/")
    storage.answer = lambda path: 404 if path.endswith("/strange") else 200
    for eval_id in ("strange", "known"):
        server.submit("1", eval_id=eval_id)
        server.cancel(eval_id).expect(200)
    until_told(server)
    assert sorted(path for path, _, _ in storage.asked) == [
        "/base/evaluations/known", "/base/evaluations/strange"]
    assert any("/strange was answered with 404" in line for line in server.log)
    assert shown(server)["state"] == "ok"


def test_a_key_is_sent_and_a_wrong_one_loses_nothing(make_server, storage, tmp_path):
    key = tmp_path / "storage.key"
    key.touch(0o600)
    key.write_text("first-key\n", encoding="ascii")
    flags = ["--workers", "0", "--storage-url", storage.url, "--storage-key-file", str(key)]
    storage.answer = lambda path: 401
    server = make_server(*flags)
    eval_id = server.submit("1")["eval_id"]
    server.cancel(eval_id).expect(200)
    eventually(lambda: shown(server)["state"] == "away", what="a breaker that opens")
    assert "401" in shown(server)["detail"] and "first-key" not in str(shown(server))
    server.end()
    key.write_text("second-key\n", encoding="ascii")
    storage.answer = lambda path: 200
    server.again()
    until_told(server)
    assert storage.of(eval_id) == [CANCELLED]
    sent = [headers["Authorization"] for _, _, headers in storage.asked]
    assert sent[0] == "Bearer first-key" and sent[-1] == "Bearer second-key"


def test_what_waits_is_kept_where_no_service_is_set_up(make_server, storage):
    server = make_server("--workers", "0", "--storage-url", storage.url)
    storage.stop()
    eval_id = server.submit("1")["eval_id"]
    server.cancel(eval_id).expect(200)
    server.end()
    server.flags = ["--workers", "0"]
    server.again()
    assert "storage" not in server.get("/readyz").json["dependencies"]
    assert any("1 letters wait, and no such outlet is set up" in line for line in server.log)
    server.ask("DELETE", f"/api/eval/{eval_id}").expect(204)
    server.end()
    storage.start()
    server.flags = ["--workers", "0"]
    server.env = {"STORAGE_SERVICE_URL": storage.url}
    server.again()
    until_told(server)
    assert storage.of(eval_id) == [CANCELLED]


def test_doctor_shows_it(make_server, storage):
    server = make_server("--workers", "0", "--storage-url", storage.url)
    storage.stop()
    server.cancel(server.submit("1")["eval_id"]).expect(200)
    eventually(lambda: shown(server)["state"] == "away", what="a breaker that opens")
    said = os.popen(f"{server.command()[0]} doctor --url http://127.0.0.1:{server.port}"
                    f" --key {server.key}").read()
    line = next(line for line in said.splitlines() if line.startswith("storage"))
    assert "away" in line or "probing" in line
    assert "1 wait to be told to it" in line


# ---- settings ----

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("listen,host", [
    ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("0.0.0.0", "127.0.0.1"),
    ("0.0.0.0", socket.gethostname()), ("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.3.4.5"),
    ("127.0.0.1", "[::ffff:127.0.0.1]")])
def test_itself_is_refused(listen, host, tmp_path):
    port = free_port()
    server = Server("--storage-url", f"http://{host}:{port}/", listen=f"{listen}:{port}",
                    data=str(tmp_path))
    status, said = server.refused()
    assert status == 2 and "this server itself" in said


def test_itself_is_refused_from_the_environment(tmp_path):
    port = free_port()
    server = Server(env={"STORAGE_SERVICE_URL": f"http://localhost:{port}"},
                    listen=f"127.0.0.1:{port}", data=str(tmp_path))
    status, said = server.refused()
    assert status == 2 and "STORAGE_SERVICE_URL" in said


@pytest.mark.parametrize("url,why", [
    ("ftp://host/", "http:// and https://"), ("nonsense", "wants http://"),
    ("http://me:secret@host/", "--storage-key-file"), ("http://host/?a=b", "leave that out"),
    ("http://", "wants http://")])
def test_urls_that_will_not_do(url, why, tmp_path):
    status, said = Server("--storage-url", url, data=str(tmp_path)).refused()
    assert status == 2 and why in said and "secret" not in said


def test_another_port_or_host_is_another_service(make_server):
    port = free_port()
    server = make_server("--workers", "0", "--storage-url", f"http://127.0.0.2:{port}",
                         listen=f"127.0.0.1:{port}")
    assert shown(server)["state"] == "ok"


@pytest.mark.parametrize("mode,text,why", [
    (0o644, "key\n", "read by others"), (0o600, "\n", "is no key"),
    (0o600, "two words\n", "is no key"), (0o600, "k" * 5000, "is no key")])
def test_key_files_that_will_not_do(mode, text, why, tmp_path):
    key = tmp_path / "key"
    key.touch()
    key.chmod(mode)
    key.write_text(text, encoding="ascii")
    server = Server("--storage-url", "http://127.0.0.1:1", "--storage-key-file", str(key),
                    data=str(tmp_path / "data"))
    status, said = server.refused()
    assert status == 2 and why in said
