"""The client for asyncio, against the real server, and its HTTP against answers of other shapes."""
import asyncio
import contextlib
import functools
import time

import pytest

import quell
from conftest import url_of
from quell.aio import Head, Wire

ENDLESS = "print('ready', flush=True)\nwhile True: pass"


def runs(test):
    """A test that is a coroutine function. Its event loop is its own."""
    @functools.wraps(test)
    def run(*args, **named):
        asyncio.run(test(*args, **named))
    return run


@contextlib.asynccontextmanager
async def client_of(server, **more):
    async with quell.AsyncClient(url_of(server), server.key, **more) as made:
        yield made


async def started(client, code=ENDLESS):
    eval_id = (await client.submit(code, "python"))["eval_id"]
    async with contextlib.aclosing(client.follow(eval_id)) as pieces:
        async for piece in pieces:
            if b"ready" in piece:
                return eval_id
    raise AssertionError("it ended")


@runs
async def test_a_life(server):
    async with client_of(server) as client:
        made = await client.submit("print('hello')", "python")
        done = await client.wait(made["eval_id"])
        assert done["status"] == "succeeded"
        assert await client.output(made["eval_id"]) == b"hello\n"
        assert (await client.timeline(made["eval_id"]))[-1]["status"] == "succeeded"
        assert made["eval_id"] in [row["eval_id"] async for row in client.list(limit=50)]
        late = await client.cancel(made["eval_id"])
        assert not late["cancelled"] and late["outcome"] == "finished_first"
        until = time.monotonic() + 30
        while True:  # the last run's files are removed after its end
            try:
                await client.delete(made["eval_id"])
                break
            except quell.Conflict:
                assert time.monotonic() < until
        with pytest.raises(quell.NotFound):
            await client.get(made["eval_id"])


@runs
async def test_stops(server):
    async with client_of(server) as client:
        killed = await client.kill(await started(client), wait=30)
        assert killed["cancelled"] and killed["evidence"] == "verified"
        ended = await client.terminate(await started(client), wait=30)
        assert ended["outcome"] == "terminated"
        rows = [row["cancellation_id"] async for row in client.cancellations(mode="kill")]
        assert killed["cancellation_id"] in rows
        kept = await client.cancellation(killed["cancellation_id"])
        assert (kept["outcome"], kept["stop_ms"]) == ("killed", killed["stop_ms"])


@runs
async def test_many_at_once_share_connections(server):
    async with client_of(server) as client:
        made = await asyncio.gather(*[client.submit(command=["true"]) for _ in range(30)])
        ends = await asyncio.gather(*[client.wait(row["eval_id"]) for row in made])
        assert {end["status"] for end in ends} == {"succeeded"}
        assert 0 < len(client._idle) <= 16


@runs
async def test_a_cancelled_wait_closes_its_connection(server):
    async with client_of(server) as client:
        eval_id = await started(client)
        waiting = asyncio.ensure_future(client.wait(eval_id))
        await asyncio.wait([waiting], timeout=0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not any(wire.complete is False for wire in client._idle)
        with pytest.raises(TimeoutError):
            await client.wait(eval_id, 0.1)
        assert (await client.kill(eval_id, wait=30))["cancelled"]


@runs
async def test_events(server):
    async with client_of(server) as client:
        seen = []

        async def listen():
            async with contextlib.aclosing(client.events()) as events:
                async for event in events:
                    seen.append(event)
                    if event.kind == "evaluation" and event.data["status"] == "succeeded":
                        return

        listening = asyncio.ensure_future(listen())
        while not seen:
            await client.wait((await client.submit(command=["true"]))["eval_id"])
        await asyncio.wait_for(listening, 30)
        assert seen[-1].id


@runs
async def test_an_idle_connection_that_the_server_closed_is_replaced(make_server):
    server = make_server("--workers", "0")
    async with client_of(server, patience=0.2) as client:
        await client.ready()
        server.listen = f"127.0.0.1:{server.port}"
        server.end()
        with pytest.raises(quell.Unreachable, match="quell serve"):
            await client.ready()
        with pytest.raises(quell.Unreachable, match="0.2 s"):
            await client.wait("x")
        server.again()
        assert (await client.ready())["status"] == "ready"
        assert client._idle
        server.end()
        server.again()
        assert (await client.ready())["status"] == "ready"


async def body_of(data, **headers):
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    wire = Wire(reader, None)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return wire, b"".join([piece async for piece in wire.pieces(Head(200, names))])


@runs
async def test_bodies_of_each_shape():
    chunked = b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    wire, body = await body_of(chunked, transfer_encoding="chunked")
    assert body == b"abcde" and wire.complete
    wire, body = await body_of(b"abcde", content_length="5")
    assert body == b"abcde" and wire.complete
    wire, body = await body_of(b"abc", content_length="3", connection="close")
    assert body == b"abc" and not wire.complete
    for torn in (b"3\r\nab", b"3\r\nabc\r\n", b"zz\r\n"):
        with pytest.raises((EOFError, ValueError)):
            await body_of(torn, transfer_encoding="chunked")
    with pytest.raises(EOFError):
        await body_of(b"abc", content_length="5")


@runs
async def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    async def silent(_reader, writer):
        await asyncio.sleep(20)
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    began = time.monotonic()
    async with quell.AsyncClient(f"http://127.0.0.1:{port}", "key", timeout=0.3) as client:
        with pytest.raises(quell.Unreachable):
            await client.ready()
    assert time.monotonic() - began < 10
    listener.close()
