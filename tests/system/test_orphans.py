"""Orphans: real ones, made here. Found, left alone with one mark, reaped with two; another server's never."""
import contextlib
import ctypes
import os
import secrets
import subprocess

import pytest
from programs import SLEEPS
from quell import QUELL, eventually

LIBC = ctypes.CDLL(None, use_errno=True)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="cgroups and mounts of others take root")


@pytest.fixture
def watched(make_server):
    """What is found is no orphan for being young."""
    return make_server("--workers", "2", "--orphan-age", "0s")


def look(server):
    return server.get("/api/orphans").expect(200).json


def reap(server, **more):
    return server.post("/api/orphans/reap", {"dry_run": False, **more}).expect(200).json


def of(answer, run):
    """What was found of one run, by kind."""
    return {orphan["kind"]: orphan for orphan in answer["orphans"] if orphan["run"] == run}


def of_eval(answer, eval_id):
    return next((orphan for orphan in answer["orphans"] if orphan["eval_id"] == eval_id), None)


def make_run():
    return secrets.token_hex(8)


def cgroup_places(server):
    """Where this host lets the server's runs have cgroups: asked of a run that lives."""
    eval_id = server.start(SLEEPS)
    name = server.runs()[0]
    suffix = f"quell-{look(server)['server']}-{name}"
    found = [os.path.dirname(os.path.join(top, folder))
             for top, folders, _ in os.walk("/sys/fs/cgroup") for folder in folders if folder == suffix]
    server.kill(eval_id).expect(200)
    assert found
    return found


@contextlib.contextmanager
def program(run):
    """A process with the environment of that run."""
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, "QUELL_RUN": run})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def cgroup(place, server_name, run):
    path = os.path.join(place, f"quell-{server_name}-{run}")
    os.mkdir(path)
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(path)


def enter(path, pid):
    with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as procs:
        procs.write(str(pid))


def test_a_process_with_one_mark_is_shown_and_with_two_reaped(watched):
    place, name, run = cgroup_places(watched)[0], look(watched)["server"], make_run()
    with cgroup(place, name, run) as path, program(run) as process:
        for _ in range(3):
            reap(watched)
        shown = of(look(watched), run)["process"]
        assert shown["pid"] == process.pid and shown["marks"] == ["environment"]
        assert shown["verdict"] == "unsure" and not shown["reapable"]
        assert process.poll() is None and not os.path.exists(path)
        os.mkdir(path)
        enter(path, process.pid)
        first = of(reap(watched), run)
        assert first["process"]["verdict"] == "orphan" and first["process"]["outcome"] is None
        assert first["cgroup"]["verdict"] == "unsure", "a process stands in it"
        assert process.poll() is None, "one look is not enough"
        dry = watched.post("/api/orphans/reap").expect(200).json
        assert dry["dry_run"] and of(dry, run)["process"]["reapable"] and process.poll() is None
        reaped = of(reap(watched), run)["process"]
        assert reaped["outcome"] == "reaped"
        assert process.wait(20) == -9
        eventually(lambda: reap(watched) and not of(look(watched), run))
        assert not os.path.exists(path)


def test_each_reap_is_in_the_audit_the_log_and_the_metrics(watched):
    place, name, run = cgroup_places(watched)[0], look(watched)["server"], make_run()
    with cgroup(place, name, run) as path:
        look(watched)
        assert of(reap(watched), run)["cgroup"]["outcome"] == "reaped"
        rows = watched.get("/api/audit?verb=orphan-reap").expect(200).json["rows"]
        row = next(row["row"] for row in rows if row["row"]["target"] == path)
        assert row["actor"] == "user:admin" and row["outcome"] == "accepted"
        assert row["reason"] == "cgroup: name, empty"
        text = watched.get("/metrics").expect(200).text
        assert 'quell_orphans_found_total{kind="cgroup"} 1' in text
        assert 'quell_orphans_reaped_total{kind="cgroup"} 1' in text
        eventually(lambda: any(path in line and "reaped" in line for line in watched.log))


def kept(server, eval_id):
    """The folder that an evaluation's output is kept in; its record is there and is then taken away."""
    for top, folders, _ in os.walk(os.path.join(server.data, "kept")):
        for folder in folders:
            if folder.startswith(eval_id + "~"):
                return os.path.join(top, folder)
    return None


def test_a_folder_without_a_record_is_reaped_unless_it_holds_something_else(watched):
    first, second = (watched.run("print(1)")["eval_id"] for _ in range(2))
    folders = {eval_id: kept(watched, eval_id) for eval_id in (first, second)}
    look(watched)
    assert not look(watched)["orphans"], "they have records"
    for eval_id, folder in folders.items():
        with open(os.path.join(folder, "output"), "rb") as output:
            text = output.read()
        watched.insist("DELETE", f"/api/eval/{eval_id}", 204)
        eventually(lambda: not os.path.exists(folder))
        os.mkdir(folder)
        with open(os.path.join(folder, "output"), "wb") as output:
            output.write(text)
    with open(os.path.join(folders[second], "notes"), "w", encoding="ascii") as notes:
        notes.write("somebody's own")
    look(watched)
    answer = reap(watched)
    assert of_eval(answer, first)["outcome"] == "reaped" and not os.path.exists(folders[first])
    other = of_eval(answer, second)
    assert other["marks"] == ["name"] and other["verdict"] == "unsure" and other["outcome"] is None
    assert sorted(os.listdir(folders[second])) == ["notes", "output"]


def test_a_mount_is_taken_off_and_one_in_use_is_stuck(watched):
    run = make_run()
    point = os.path.join(os.path.realpath(os.path.join(watched.data, "run")), run)
    os.mkdir(point)
    mounted = LIBC.mount(f"quell-{run}".encode(), point.encode(), b"tmpfs", 0, None)
    assert mounted == 0, os.strerror(ctypes.get_errno())
    try:
        with subprocess.Popen(["sleep", "600"], cwd=point) as user:
            look(watched)
            found = of(reap(watched), run)
            user.kill()
        assert found["mount"]["marks"] == ["source", "place"]
        assert found["mount"]["outcome"] == "stuck" and "busy" in found["mount"]["why"]
        # the runtime's own trace, the folder under the mount, goes once that is off
        eventually(lambda: reap(watched) and not os.path.ismount(point))
        eventually(lambda: reap(watched) and not os.path.exists(point))
    finally:
        LIBC.umount2(point.encode(), 0)


def test_what_is_another_servers_is_never_touched(watched, make_server):
    other = make_server("--workers", "2", "--orphan-age", "0s")
    eval_id = other.start(SLEEPS)
    run = other.runs()[0]
    place, name = cgroup_places(watched)[0], look(other)["server"]
    assert name != look(watched)["server"]
    gone = make_run()
    with cgroup(place, name, gone) as path, program(gone) as process:
        enter(path, process.pid)
        for _ in range(3):
            answer = reap(watched)
            assert not of(answer, run) and not of(answer, gone)
        assert process.poll() is None and other.show(eval_id)["status"] == "running"
        look(other)
        assert of(reap(other), gone)["process"]["outcome"] == "reaped"
        assert process.wait(20) == -9
    assert other.show(eval_id)["status"] == "running", "its own live run has a record"
    other.kill(eval_id).expect(200)


def test_what_an_earlier_life_left_is_its_own_yet(watched, make_server):
    """The name in its cgroups is another one after a restart without live runs."""
    place, name, run = cgroup_places(watched)[0], look(watched)["server"], make_run()
    other = make_server("--workers", "2", "--orphan-age", "0s")
    with cgroup(place, name, run) as path, program(run) as process:
        enter(path, process.pid)
        names = {name}
        for _ in range(2):
            assert watched.end() == 0
            watched.again()
            names.add(look(watched)["server"])
        assert len(names) == 3, "each life has a name of its own"
        seen = of(look(watched), run)["process"]
        assert seen["marks"] == ["environment", "cgroup"] and seen["verdict"] == "orphan"
        for _ in range(2):
            assert not of(reap(other), run), "it is another server's"
        assert of(reap(watched), run)["process"]["outcome"] == "reaped"
        assert process.wait(20) == -9
        eventually(lambda: reap(watched) and not of(look(watched), run))
        assert not os.path.exists(path)


def test_the_young_are_left_alone_and_a_sweep_is_capped(watched, make_server):
    young = make_server("--workers", "2")
    run = make_run()
    with cgroup(cgroup_places(young)[0], look(young)["server"], run) as path:
        for _ in range(3):
            assert not of(reap(young), run)
        assert os.path.exists(path)
    place, name = cgroup_places(watched)[0], look(watched)["server"]
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(cgroup(place, name, make_run())) for _ in range(3)]
        look(watched)
        assert reap(watched, limit=2)["reaped"] == 2
        assert sum(os.path.exists(path) for path in paths) == 1
        assert reap(watched, limit=2)["reaped"] == 1


def quell(server, *words):
    return subprocess.run([QUELL, *words], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False,
                          env={**server.environment(), "QUELL_KEY": server.key,
                               "QUELL_URL": f"http://127.0.0.1:{server.port}"})


def test_the_command_line_asks_before_it_reaps(watched):
    run = make_run()
    assert "no orphans" in quell(watched, "orphans").stderr
    with cgroup(cgroup_places(watched)[0], look(watched)["server"], run) as path:
        first = quell(watched, "orphans")
        assert first.returncode == 0 and path in first.stdout and "found once" in first.stdout
        asked = quell(watched, "orphans", "--reap")
        assert asked.returncode == 2 and "--yes" in asked.stderr and os.path.exists(path)
        done = quell(watched, "orphans", "--reap", "--yes")
        assert done.returncode == 0 and "1 reaped, 0 stuck" in done.stderr
        assert not os.path.exists(path)


def test_only_an_admin_sees_them(make_server):
    server = make_server("--workers", "0", owners=["alice"])
    alice = server.owner("alice")
    alice.get("/api/orphans").problem(403, "forbidden")
    alice.post("/api/orphans/reap").problem(403, "forbidden")
    server.post("/api/orphans/reap", {"limit": 33}).problem(422, "invalid")
    server.post("/api/orphans/reap", {"all": True}).problem(422, "invalid")
