"""Members of chains and chords: what depends on the end of a task that was cancelled."""
from celery import chain, chord
from conftest import system
from deployment import Sent


def signature(deployed, name, *args, **options):
    key = deployed.key()
    task = deployed.app.tasks[f"stock.{name}"]
    return key, task.si(key, *args).set(**options)


def members(deployed, pairs, results):
    return [Sent(deployed, key, result.id) for (key, _), result in zip(pairs, results)]


def chained(deployed):
    """Three links; returns them in their order. The first one waits where nobody consumes."""
    pairs = [signature(deployed, "mark", queue="nobodys") for _ in range(3)]
    last = chain(*(one for _, one in pairs)).apply_async()
    return members(deployed, pairs, [last.parent.parent, last.parent, last])


def test_chain(deployed, worker):
    plain, held = chained(deployed), chained(deployed)
    deployed.revoke(plain[0])
    assert held[0].cancel(wait=10).expect(200).json["cancelled"]
    deployed.app.control.add_consumer("nobodys", destination=[worker.node])
    deployed.fence(queue="nobodys")
    deployed.app.control.cancel_consumer("nobodys", destination=[worker.node])
    plain[0].until_state("REVOKED")
    assert [one.state for one in plain[1:]] == ["PENDING", "PENDING"]  # for ever
    for one in held:
        one.until_state("REVOKED")
    assert not any(one.said for one in plain + held)


def running_chain(deployed):
    """The first of three links runs, and is not acknowledged before its end."""
    pairs = [signature(deployed, name) for name in ("late", "mark", "mark")]
    last = chain(*(one for _, one in pairs)).apply_async()
    links = members(deployed, pairs, [last.parent.parent, last.parent, last])
    links[0].until("began")
    return links


def test_chain_whose_element_runs(deployed, worker):
    plain = running_chain(deployed)
    deployed.revoke(plain[0], terminate=True)
    plain[0].until_state("REVOKED")
    held = running_chain(deployed)
    told = held[0].cancel(terminate="true", grace=5, wait=20).expect(200).json
    assert told["cancelled"] and told["outcome"] == "terminated", told
    for one in held:
        one.until_state("REVOKED")
    deployed.fence()
    assert [one.state for one in plain[1:]] == ["PENDING", "PENDING"]  # for ever
    assert not any(one.said for one in plain[1:] + held[1:])
    assert deployed.client.exists(f"quell:chain:{held[0].id}") == 0


def test_chain_whose_element_is_done_first(deployed, worker):
    """Asked to stop, it goes on to its end, and so does its chain."""
    links = running_chain(deployed)
    assert not links[0].cancel(wait=0).expect(202).json["cancelled"]
    system.eventually(lambda: deployed.client.exists(f"quell:chain:{links[0].id}"),
                      what="its message to be found")
    links[0].release()
    for one in links:
        one.until_state("SUCCESS")
    system.eventually(lambda: links[0].record().json["status"] == "succeeded", what="its record")


def chorded(deployed):
    pairs = [signature(deployed, "mark", queue="members") for _ in range(3)]
    key = deployed.key()
    body = chord(one for _, one in pairs)(deployed.app.tasks["stock.total"].s(key))
    return members(deployed, pairs, body.parent.results), Sent(deployed, key, body.id)


def failure(body, member):
    """What it failed with; how its member was revoked is said in other words."""
    told = dict(body.meta["result"])
    words = " ".join(told.pop("exc_message")).replace(member.id, "MEMBER")
    return told, words.replace("'expired'", "'revoked'")


def test_chord(deployed, worker):
    """Its body must fail, as one member will never come: as it does where the workers know of a revoke. A
    message that is only deleted lets it wait for ever."""
    stock, stock_body = chorded(deployed)
    plain, plain_body = chorded(deployed)
    held, held_body = chorded(deployed)
    deployed.revoke(stock[1])
    for wire in deployed.client.lrange("members", 0, -1):
        if plain[1].id.encode() in wire and b'"id": "' + plain[1].id.encode() in wire:
            deployed.client.lrem("members", 1, wire)  # what cleaners of queues do
    assert held[1].cancel(wait=10).expect(200).json["cancelled"]
    back = deployed.quell.post(f"/api/eval/task:{held[1].id}/restore").problem(409)
    assert "marked in its place" in back["detail"]  # both would be heard of by its chord
    deployed.app.control.add_consumer("members", destination=[worker.node])
    for one in (stock[0], stock[2], plain[0], plain[2], held[0], held[2]):
        one.until("ran")
    for one in (stock_body, held_body):
        one.until_state("FAILURE")
    assert failure(held_body, held[1]) == failure(stock_body, stock[1])
    assert "ChordError" in held_body.meta["result"]["exc_type"]
    assert plain_body.state == "PENDING"
    assert not any(one.said for one in (stock[1], stock_body, plain[1], plain_body, held[1],
                                        held_body))
    held[1].until_state("REVOKED")
    system.eventually(lambda: held[1].record().json["status"] == "cancelled", what="its record")
