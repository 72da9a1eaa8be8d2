"""API keys, tokens, and the audit: through kills and restarts, and checked without a server."""
import base64
import contextlib
import json
import os
import sqlite3
import subprocess
import time

import pytest
from quell import QUELL, eventually, serving


def run_quell(*words, text=""):
    return subprocess.run([QUELL, *words], input=text, text=True,
                          capture_output=True, timeout=60, check=False)


def export(server):
    url = f"http://127.0.0.1:{server.port}"
    return run_quell("audit", "export", "--url", url, "--key", server.admin_key())


@pytest.fixture
def idle_server():
    with serving("--workers", "0") as server:
        yield server


def test_keys_survive_a_crash(idle_server):
    key = idle_server.post("/api/keys", {"owner": "carol", "scopes": ["read"]}).expect(201).json
    gone = idle_server.post("/api/keys", {"owner": "carol"}).expect(201).json
    idle_server.ask("DELETE", f"/api/keys/{gone['key_id']}").expect(204)
    idle_server.crash()
    idle_server.again()
    carol = idle_server.client(key["key"])
    carol.get("/api/evaluations").expect(200)
    assert carol.post("/api/eval", {"code": "1", "language": "python"}).status == 403
    assert idle_server.client(gone["key"]).get("/api/evaluations").status == 401
    with open(os.path.join(idle_server.data, "quell.db"), "rb") as store:
        assert key["key"].rsplit("_", 1)[1].encode() not in store.read()


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens with a key of its own."""

    def __init__(self, folder, kid):
        self.kid = kid
        self.path = folder / f"{kid}.pem"
        subprocess.run(["openssl", "genrsa", "-out", self.path, "2048"], check=True,
                       stderr=subprocess.DEVNULL)

    def jwk(self):
        said = subprocess.run(["openssl", "rsa", "-in", self.path, "-noout", "-modulus"],
                              check=True, capture_output=True, text=True).stdout
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "e": "AQAB",
                "n": url64(bytes.fromhex(said.strip().split("=")[1]))}

    def token(self, owner, seconds=600, **claims):
        claims = {"sub": owner, "exp": time.time() + seconds, "iss": "me", **claims}
        parts = [{"alg": "RS256", "kid": self.kid}, claims]
        text = ".".join(url64(json.dumps(part).encode()) for part in parts)
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.path],
                                   input=text.encode(), check=True, capture_output=True).stdout
        return f"{text}.{url64(signature)}"


def publish(path, *issuers):
    """As one rotates keys: the new file takes the old one's place at once."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"keys": [issuer.jwk() for issuer in issuers]}), encoding="ascii")
    new.rename(path)


def test_keys_of_tokens_are_rotated_without_a_restart(make_server, tmp_path):
    one, two = Issuer(tmp_path, "one"), Issuer(tmp_path, "two")
    jwks = tmp_path / "jwks.json"
    publish(jwks, one)
    server = make_server("--workers", "0", "--jwt-jwks-file", str(jwks), "--jwt-issuer", "me")

    def status(token):
        return server.client(token).get("/api/evaluations").status

    old, new = one.token("dave"), two.token("dave", role=["operator"])
    assert (status(old), status(new)) == (200, 401)
    assert status(one.token("dave", iss="you")) == 401
    publish(jwks, one, two)
    eventually(lambda: status(new) == 200, what="the new key")
    assert status(old) == 200
    jwks.write_text("{", encoding="ascii")  # somebody's editor
    eventually(lambda: any("stay as they were" in line for line in server.log), what="a word")
    assert (status(old), status(new)) == (200, 200)
    publish(jwks, two)
    eventually(lambda: status(old) == 401, what="the end of the old key")
    assert status(new) == 200


def test_what_was_answered_is_in_the_audit(idle_server):
    idle_server.post("/api/eval", {"eval_id": "one", "command": ["true"]}).expect(201)
    idle_server.post("/api/eval/one/cancel", {"reason": "no need"}).expect(200)
    idle_server.ask("DELETE", "/api/eval/one").expect(204)
    idle_server.crash()
    idle_server.again()
    rows = [json.loads(line).get("row") for line in export(idle_server).stdout.splitlines()]
    assert [(row["verb"], row["target"], row["outcome"]) for row in rows if row] == [
        ("submit", "one", "accepted"), ("cancel", "one", "accepted"),
        ("delete", "one", "accepted")]
    assert rows[1]["reason"] == "no need"


def test_an_export_is_checked_offline(idle_server):
    for number in range(3):
        idle_server.post("/api/keys", {"owner": f"user{number}"}).expect(201)
    text = export(idle_server).stdout
    lines = text.splitlines(keepends=True)
    assert run_quell("audit", "verify", text=text).returncode == 0
    changed = run_quell("audit", "verify", text=text.replace("user:admin", "user:eve", 1))
    assert changed.returncode == 1 and "row 1 is broken" in changed.stderr
    lacking = run_quell("audit", "verify", text="".join(lines[:1] + lines[2:]))
    assert lacking.returncode == 1 and "row 3 follows row 1" in lacking.stderr
    cut = run_quell("audit", "verify", text="".join(lines[:2] + lines[3:]))
    assert cut.returncode == 1 and "goes to row 3" in cut.stderr


@pytest.mark.parametrize("change, why", [
    ("UPDATE audit SET text = replace(text, 'create', 'revoke') WHERE seq = 2", "row 2 is broken"),
    ("UPDATE audit SET at = at - 1 WHERE seq = 1", "row 1 is broken"),
    ("UPDATE audit SET text = 'nothing' WHERE seq = 3", "row 3 is broken"),
    ("DELETE FROM audit WHERE seq = 1", "begin with row 2"),
    ("DELETE FROM audit WHERE seq = 2", "row 3 follows row 1"),
    ("DELETE FROM audit WHERE seq = 3", "goes to row 3, and the last row here is 2"),
    ("INSERT INTO audit SELECT 4, at, text, hash FROM audit WHERE seq = 3", "row 4 is broken")])
def test_who_edits_the_store_is_found(make_server, change, why):
    server = make_server("--workers", "0")
    for number in range(3):
        server.post("/api/keys", {"owner": f"user{number}"}).expect(201)
    server.end()
    with contextlib.closing(sqlite3.connect(os.path.join(server.data, "quell.db"))) as store:
        with pytest.raises(sqlite3.DatabaseError):  # not by accident
            store.executescript("UPDATE audit SET at = 0; DELETE FROM audit")
        store.executescript(f"""DROP TRIGGER audit_fixed; DROP TRIGGER audit_oldest_first;
                            {change}""")
    server.again()
    said = run_quell("audit", "verify", text=export(server).stdout)
    assert said.returncode == 1 and why in said.stderr
    asked = subprocess.run([QUELL, "audit", "verify", "--url", f"http://127.0.0.1:{server.port}",
                            "--key", server.key], stdin=subprocess.DEVNULL, text=True,
                           capture_output=True, timeout=60, check=False)
    assert asked.returncode == 1 and why in asked.stderr


def test_what_is_forgotten_leaves_a_signed_anchor():
    with serving("--workers", "0", "--audit-keep-bytes", "600") as server:
        for number in range(6):
            server.post("/api/keys", {"owner": f"user{number}"}).expect(201)
        server.end()
        server.again()
        eventually(lambda: "anchor" in export(server).stdout, what="an anchor")
        text = export(server).stdout
        whole = run_quell("audit", "verify", text=text)
        assert whole.returncode == 0 and "up to row 6" in whole.stdout
        assert "not here" not in whole.stdout and 0 < len(text.splitlines()) - 2 < 6
        seq = json.loads(text.splitlines()[0])["anchor"]["seq"]
        forged = text.replace(f'"seq":{seq},', f'"seq":{seq - 1},', 1)
        assert run_quell("audit", "verify", text=forged).returncode == 1
