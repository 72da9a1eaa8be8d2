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
