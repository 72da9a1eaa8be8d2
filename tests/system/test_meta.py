"""/healthz, /readyz, /openapi.json, and the contract held against what is really answered."""
import re

import pytest
from programs import SLEEPS


def test_alive_and_ready(server):
    assert server.get("/healthz").status == 200
    ready = server.get("/readyz").expect(200).json
    assert "store" in str(ready) and "sandbox" in str(ready)


def test_the_start_says_what_is_enforced(server):
    said = "\n".join(server.log)
    for word in ("memory", "pids", "cpu", "python", "ready at"):
        assert word in said


@pytest.fixture(scope="module")
def contract(idle):
    return idle.get("/openapi.json").expect(200).json


ROUTES = """POST /api/eval, POST /api/eval-batch, GET /api/eval/{id}, GET /api/evaluations,
    GET /api/eval/{id}/output, GET /api/eval/{id}/timeline, GET /api/eval/{id}/checkpoint,
    POST /api/eval/{id}/cancel, POST /api/eval/{id}/kill, POST /api/eval/{id}/restore,
    POST /api/eval/{id}/resume, DELETE /api/eval/{id}, GET /api/cancellations/{cid},
    GET /api/cancellations, GET /api/events, GET /evaluations/{id}, PUT /evaluations/{id},
    GET /healthz, GET /readyz, GET /metrics, GET /openapi.json"""


@pytest.mark.parametrize("route", [route.strip() for route in ROUTES.split(",")])
def test_each_route_is_in_the_contract_and_is_served(idle, contract, route):
    method, path = route.split()
    shape = re.sub(r"\{\w+\}", "{}", path)
    paths = {re.sub(r"\{\w+\}", "{}", name): item for name, item in contract["paths"].items()}
    assert method.lower() in paths[shape]
    if path != "/api/events":
        reply = idle.ask(method, path.replace("{id}", "nobody").replace("{cid}", "nobody~1"))
        assert reply.status != 405 and "no such path" not in reply.text


def resolve(contract, schema):
    while "$ref" in schema:
        where = contract
        for name in schema["$ref"].lstrip("#/").split("/"):
            where = where[name]
        schema = where
    if "allOf" in schema:
        merged = {"properties": {}}
        for part in schema["allOf"]:
            merged["properties"].update(resolve(contract, part).get("properties", {}))
        return merged
    return schema


def schema_of(contract, method, path, status):
    content = resolve(contract, contract["paths"][path][method]["responses"][status])["content"]
    return resolve(contract, next(iter(content.values()))["schema"])


def test_members_are_as_the_contract_says(server, contract):
    eval_id = server.start(SLEEPS)
    stop = server.kill(eval_id).expect(200).json
    paths = {re.sub(r"\{\w+\}", "{}", name): name for name in contract["paths"]}
    seen = server.show(eval_id)
    schema = schema_of(contract, "get", paths["/api/eval/{}"], "200")
    assert set(seen) == set(schema["properties"])
    schema = schema_of(contract, "post", paths["/api/eval/{}/kill"], "200")
    assert set(stop) == set(schema["properties"])


def test_head_is_get_without_a_body(idle):
    reply = idle.ask("HEAD", "/healthz")
    assert reply.status == 200 and reply.body == b""


def test_connections_are_kept(idle):
    connection = idle.send("GET", "/healthz")
    connection.getresponse().read()
    port = connection.sock.getsockname()[1]
    for _ in range(50):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() is not None
        assert connection.sock.getsockname()[1] == port
    connection.close()
