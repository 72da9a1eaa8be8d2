"""Tasks that run: what a terminate leaves behind, and the pools that know none."""
import signal

import pytest
from conftest import system
from deployment import alive

STOCK = {"STOCK_VISIBILITY": "1"}
POOLS = [["-P", "prefork", "-c", "2"], ["-P", "gevent", "-c", "4"], ["-P", "threads", "-c", "4"],
         ["-P", "solo"]]


def gone(*sent):
    return not any(alive(pid) for one in sent for pid in one.pids)


def test_sigterm_is_swallowed(deployed, worker):
    plain, stopped = deployed.began("stubborn"), deployed.began("stubborn")
    deployed.revoke(plain, terminate=True)
    plain.until("swallowed")
    plain.until_state("REVOKED")
    assert alive(plain.pids[0])  # revoked, and at work

    told = stopped.cancel(terminate="true", grace=1, wait=20).expect(200).json
    assert told["cancelled"] and told["killed"] and told["outcome"] == "killed", told
    assert gone(stopped) and "swallowed" in stopped.said
    plain.release()
    plain.until("ended")
    assert "ended" not in stopped.said


def test_subprocess_is_left(deployed, worker):
    plain, stopped = deployed.began("parent"), deployed.began("parent")
    orphan, child = int(plain.until("child")), int(stopped.until("child"))
    deployed.revoke(plain, terminate=True)
    system.eventually(lambda: gone(plain), what="its process to go")
    assert alive(orphan)

    told = stopped.cancel(terminate="true", grace=5, wait=20).expect(200).json
    assert told["cancelled"], told
    assert gone(stopped) and not alive(child)
    system.os.kill(orphan, signal.SIGKILL)


def test_late_acknowledged_and_delivered_twice(deployed):
    """A visibility timeout, shortened to 1 s, passes; the sweep of a worker's start sends it again."""
    with deployed.worker("-c", "4"):
        plain, stopped = deployed.began("late"), deployed.began("late")
        system.eventually(lambda: deployed.client.zcount(
            "unacked_index", 0, system.time.time() - 1.5) == 2, what="their time to pass")
        with deployed.worker("-Q", "elsewhere", node="w2"):
            for sent in (plain, stopped):
                sent.until("began", times=2)
            deployed.revoke(plain, terminate=True)
            plain.until_state("REVOKED")
            told = stopped.cancel(terminate="true", grace=2, wait=20).expect(200).json
            assert told["cancelled"], told
            assert gone(stopped)
            assert not gone(plain)  # the older of the two is at work
            plain.release()
            plain.until("ended")
            assert "ended" not in stopped.said
    with deployed.worker():
        deployed.fence()
    assert len(stopped.pids) == 2


@pytest.mark.parametrize("flags", POOLS, ids=lambda flags: flags[1])
def test_pool(deployed, flags):
    with deployed.worker(*flags) as worker:
        plain = deployed.began("work")
        if flags[1] != "prefork":
            waiting = deployed.send("mark", countdown=600) if flags[1] != "solo" else None
        deployed.revoke(plain, terminate=True)
        if flags[1] == "prefork":
            system.eventually(lambda: gone(plain), what="its end")
        else:
            plain.release()
            plain.until("ended")
            assert plain.until_state("SUCCESS", "REVOKED")

        # what looks whether it was aborted stops on every pool
        polite = deployed.began("polite")
        told = polite.cancel(wait=20).expect(200).json
        assert told["cancelled"] and told["outcome"] == "stopped", told
        assert polite.said[-1] == "stopped"

        # what does not is ended, or it is said that it can't be
        rude = deployed.began("work")
        reply = rude.cancel(terminate="true", grace=1, wait=25)
        if flags[1] == "prefork":
            assert reply.expect(200).json["cancelled"] and gone(rude)
        else:
            assert not reply.json["cancelled"], reply
            assert flags[1] in reply.text or "thread" in reply.text, reply
            rude.release()
            rude.until("ended")
