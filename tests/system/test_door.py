"""Keys, and what keeps a web page elsewhere out."""
import json
import os
import stat

import pytest
from conftest import serving
from quell import Client, Server, raw

GOOD = {"code": "1", "language": "python"}
OPEN = ["/healthz", "/readyz"]
CLOSED = ["/api/evaluations", "/api/eval/x", "/api/cancellations", "/api/events", "/evaluations/x",
          "/openapi.json"]


def test_the_key_file_is_private(idle):
    assert stat.S_IMODE(os.stat(f"{idle.data}/admin.key").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(idle.data).st_mode) & 0o077 == 0
    assert len(idle.key) >= 32


@pytest.mark.parametrize("path", OPEN)
def test_these_need_no_key(idle, path):
    assert Client(idle.port).get(path).status == 200


@pytest.mark.parametrize("path", CLOSED)
def test_all_else_needs_one(idle, path):
    reply = Client(idle.port).get(path)
    reply.problem(401, "unauthorized")
    assert "Bearer" in reply.headers["WWW-Authenticate"]


@pytest.mark.parametrize("value", ["Bearer wrong", "Bearer", "Basic x", "", "bearer", "Bearer  "])
def test_wrong_keys(idle, value):
    Client(idle.port).get("/api/evaluations", headers={"Authorization": value}).problem(401)


def test_an_unauthorised_submission_changes_nothing(idle):
    Client(idle.port).post("/api/eval", {**GOOD, "eval_id": "sneaky"}).problem(401)
    idle.get("/api/eval/sneaky").problem(404)


def test_a_key_for_one_evaluation_opens_its_report_alone(idle):
    eval_id = idle.submit("1")["eval_id"]
    own = idle.client(idle.eval_key(eval_id))
    own.ask("PUT", f"/evaluations/{eval_id}", {"output": "x"}).expect(200)
    own.get(f"/evaluations/{eval_id}").expect(200)
    other = idle.submit("1")["eval_id"]
    assert own.ask("PUT", f"/evaluations/{other}", {"output": "x"}).status in (401, 404)
    own.get(f"/api/eval/{eval_id}").problem(401)
    own.post(f"/api/eval/{eval_id}/kill").problem(401)


def ask_raw(server, head, path="/api/evaluations", body=b""):
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Authorization: Bearer {server.key}",
             *head, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    said = raw(server.port, "\r\n".join(lines).encode() + body)
    return int(said.split(b" ", 2)[1])


@pytest.fixture(scope="module", params=["keys", "none"])
def door(request):
    with serving("--workers", "0", "--auth", request.param) as server:
        yield server


def test_host_must_be_the_listen_name(door):
    right = f"127.0.0.1:{door.port}"
    assert ask_raw(door, [f"Host: {right}"]) == 200
    assert ask_raw(door, [f"Host: localhost:{door.port}"]) == 200
    for wrong in ("evil.example", f"evil.example:{door.port}", "127.0.0.1.evil.example",
                  f"127.0.0.1:{door.port}.evil.example"):
        assert ask_raw(door, [f"Host: {wrong}"]) == 403, wrong
    assert ask_raw(door, []) in (400, 403)


def test_a_foreign_origin_is_refused(door):
    host = f"Host: 127.0.0.1:{door.port}"
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{door.port}",
                   "http://127.0.0.1:1"):
        assert ask_raw(door, [host, f"Origin: {origin}"]) == 403, origin
        assert ask_raw(door, [host, f"Origin: {origin}", "Content-Type: application/json"],
                       "/api/eval", json.dumps(GOOD).encode()) == 403
    assert ask_raw(door, [host, f"Origin: http://127.0.0.1:{door.port}"]) == 200


def test_a_form_can_do_nothing(door):
    host = f"Host: 127.0.0.1:{door.port}"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert ask_raw(door, [host, f"Content-Type: {kind}"], "/api/eval",
                       json.dumps(GOOD).encode()) == 415
    for verb in ("cancel", "kill"):  # what an <img> or a link could send
        assert door.get(f"/api/eval/x/{verb}").status == 405


def test_without_keys_nobody_is_asked(make_server):
    server = make_server("--workers", "0", "--auth", "none")
    anybody = Client(server.port)
    eval_id = anybody.submit("1")["eval_id"]
    anybody.cancel(eval_id).expect(200)
    assert any("may do anything" in line or "no keys" in line for line in server.log)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_no_keys_on_other_addresses_is_refused(tmp_path, listen):
    server = Server("--workers", "0", "--auth", "none", listen=listen, data=str(tmp_path))
    status, said = server.refused()
    assert status == 2 and "without keys" in said


@pytest.mark.parametrize("flag,value,why", [
    ("--task-id", "bad", "--task-id: a task id needs {eval_id} once"),
    ("--broker", "redis://:1:2/x", "redis://"),
    ("--docker-host", "ssh://x", "unix:///PATH or tcp://HOST:PORT")])
def test_settings_that_will_not_do_are_wrong_usage(flag, value, why, tmp_path):
    flags = ["--runtime", "docker"] if flag == "--docker-host" else []
    status, said = Server(flag, value, *flags, data=str(tmp_path)).refused()
    assert status == 2 and why in said


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    key = tmp_path / "admin.key"
    key.write_text("0" * 64 + "\n")
    key.chmod(0o644)
    status, said = Server("--workers", "0", data=str(tmp_path)).refused()
    assert status and "admin.key" in said


def test_owners_have_keys_of_their_own(make_server):
    server = make_server("--workers", "0", owners=["alice"])
    assert server.owner("alice").submit("1")["owner"] == "alice"
    assert server.submit("1")["owner"] == "admin"


# rough clients


@pytest.mark.parametrize("request_bytes", [
    b"\r\n\r\n", b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100000,
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    b"POST /api/eval HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/eval HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"\0\xff\xfe\x00" * 100 + b"\r\n\r\n",
], ids=["empty", "garbage", "version", "long-line", "many-headers", "negative", "huge", "binary"])
def test_garbage_gets_an_answer_or_the_door(idle, request_bytes):
    said = raw(idle.port, request_bytes, seconds=3)
    assert said == b"" or said.startswith(b"HTTP/1.") and b" 20" not in said.split(b"\r\n")[0]


def test_a_body_in_chunks_is_read(idle):
    body = json.dumps({**GOOD, "eval_id": "chunks"}).encode()
    request = (f"POST /api/eval HTTP/1.1\r\nHost: 127.0.0.1:{idle.port}\r\n"
               f"Authorization: Bearer {idle.key}\r\nContent-Type: application/json\r\n"
               "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n").encode()
    for at in range(0, len(body), 7):
        piece = body[at:at + 7]
        request += f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    said = raw(idle.port, request + b"0\r\n\r\n")
    assert b" 201 " in said.split(b"\r\n")[0]
