"""Checkpoint, resume, restore, delete."""
import io
import os
import tarfile

import pytest
from programs import SLEEPS, notices
from quell import eventually

SAVES = """
import os, time
folder = os.environ['QUELL_CHECKPOINT']
path = os.path.join(folder, 'count')
count = int(open(path).read()) if os.path.exists(path) else 0
print('from', count, 'attempt', os.environ['QUELL_ATTEMPT'])
with open(path, 'w') as out:
    out.write(str(count + 1))
print('ready')
if count < 2:
    time.sleep(600)
"""


def checkpoint(client, eval_id):
    reply = client.get(f"/api/eval/{eval_id}/checkpoint").expect(200)
    assert reply.headers.get_content_type() == "application/x-tar"
    return tarfile.open(fileobj=io.BytesIO(reply.body))


def plain(member):
    return member.name.removeprefix("./")


# checkpoint


@pytest.mark.parametrize("stop", ["cancel", "terminate", "kill"])
def test_what_a_stopped_program_saved_is_kept(server, stop):
    if stop == "cancel":
        eval_id = server.start(SAVES.replace("time.sleep(600)", """
    while not os.path.exists(os.environ['QUELL_CANCEL']): time.sleep(0.01)
    os._exit(75)"""))
        server.cancel(eval_id, {"wait": 30}).expect(200)
    else:
        eval_id = server.start(SAVES)
        server.post(f"/api/eval/{eval_id}/{'kill' if stop == 'kill' else 'cancel'}",
                    {} if stop == "kill" else {"terminate": True}).expect(200)
    seen = server.show(eval_id)
    if stop == "kill":  # salvage comes after the answer
        seen = eventually_saved(server, eval_id)
    assert seen["checkpoint"]["bytes"] > 0 and seen["checkpoint"]["at"]
    with checkpoint(server, eval_id) as tar:
        (member,) = [one for one in tar if one.isfile()]
        assert plain(member) == "count" and tar.extractfile(member).read() == b"1"


def eventually_saved(server, eval_id):
    def look():
        seen = server.show(eval_id)
        return seen if seen["checkpoint"] else None
    return eventually(look, what="the checkpoint")


def test_what_a_finished_program_saved_is_kept(server):
    seen = server.run("import os; open(os.environ['QUELL_CHECKPOINT'] + '/a', 'w').write('b')")
    assert seen["status"] == "succeeded"
    with checkpoint(server, seen["eval_id"]) as tar:
        assert [plain(one) for one in tar if one.isfile()] == ["a"]


def test_no_checkpoint_answers_404(server):
    seen = server.run("pass")
    assert seen["checkpoint"] is None
    server.get(f"/api/eval/{seen['eval_id']}/checkpoint").problem(404)


HOSTILE = """
import os, socket
os.chdir(os.environ['QUELL_CHECKPOINT'])
open('good', 'w').write('good')
os.symlink('/etc/passwd', 'link')
os.symlink('/', 'root')
os.mkfifo('pipe')
socket.socket(socket.AF_UNIX).bind('sock')
os.makedirs('deep/er/still')
open('deep/er/still/file', 'w').write('deep')
os.chmod('deep/er', 0)
try:
    os.link('/etc/passwd', 'hard')
except OSError:
    pass
"""


def test_a_checkpoint_holds_plain_files_and_folders_only(server):
    seen = server.run(HOSTILE)
    assert seen["status"] == "succeeded"
    with checkpoint(server, seen["eval_id"]) as tar:
        members = list(tar)
        assert all(one.isfile() or one.isdir() for one in members)
        names = {plain(one) for one in members}
        assert "good" in names and not names & {"link", "root", "pipe", "sock"}
        assert not any(name.startswith("/") or ".." in name.split("/") for name in names)


def test_a_checkpoint_is_bounded(server):
    seen = server.run("""
import os
try:
    with open(os.environ['QUELL_CHECKPOINT'] + '/big', 'wb') as out:
        for _ in range(100):
            out.write(b'x' * (1 << 20))
except OSError as error:
    print(error.strerror)
""", memory_mb=512)
    assert "No space left" in server.output(seen["eval_id"])
    assert seen["checkpoint"] is None or seen["checkpoint"]["bytes"] <= (64 << 20) + (1 << 20)


def test_a_checkpoint_has_few_inodes(server):
    seen = server.run("""
import os
try:
    for number in range(20000):
        open(f"{os.environ['QUELL_CHECKPOINT']}/{number}", 'w').close()
except OSError as error:
    print(number, error.strerror)
""")
    number, said = server.output(seen["eval_id"]).split(" ", 1)
    assert 9000 < int(number) <= 10000 and "No space left" in said


# resume


@pytest.mark.deadline(120)
def test_resume_goes_on_from_the_checkpoint(server):
    eval_id = server.start(SAVES)
    server.cancel(eval_id, {"terminate": True}).expect(200)
    for attempt in (2, 3):
        again = server.insist("POST", f"/api/eval/{eval_id}/resume", 201).json
        assert (again["attempt"], again["status"]) == (attempt, "queued")
        assert again["task_id"] == f"celery-{eval_id}~{attempt}"
        assert again["cancellation"] is None and again["finished_at"] is None
        server.until_output(eval_id, "ready")
        if attempt == 2:
            server.kill(eval_id, {"wait": 30}).expect(200)
            eventually_saved(server, eval_id)
    seen = server.wait(eval_id, status="succeeded")
    assert seen["attempt"] == 3
    for attempt in (1, 2, 3):
        said = server.output(eval_id, f"?attempt={attempt}")
        assert said.startswith(f"from {attempt - 1} attempt {attempt}\n")
    first = server.get(f"/api/cancellations/{eval_id}~1").expect(200).json
    assert first["outcome"] == "terminated" and first["attempt"] == 1
    assert {step["attempt"] for step in server.timeline(eval_id)} == {1, 2, 3}


def test_resume_without_a_checkpoint_starts_empty(server):
    eval_id = server.start(SLEEPS)
    server.kill(eval_id).expect(200)
    server.insist("POST", f"/api/eval/{eval_id}/resume", 201)
    server.until_output(eval_id, "ready\n")
    server.kill(eval_id).expect(200)


def test_what_cannot_be_resumed(server, idle):
    done = server.run("pass")["eval_id"]
    server.post(f"/api/eval/{done}/resume").problem(409)
    live = server.start(SLEEPS)
    server.post(f"/api/eval/{live}/resume").problem(409)
    server.kill(live).expect(200)
    queued = idle.submit("1")["eval_id"]
    idle.post(f"/api/eval/{queued}/resume").problem(409)


# restore


def test_restore_undoes_a_cancel_of_one_that_never_started(idle):
    eval_id = idle.submit("1", priority=7)["eval_id"]
    first = idle.cancel(eval_id).expect(200).json
    seen = idle.post(f"/api/eval/{eval_id}/restore").expect(200).json
    assert (seen["status"], seen["attempt"], seen["priority"]) == ("queued", 2, 7)
    assert seen["cancellation"] is None and seen["cause"] is None
    assert idle.get(f"/api/cancellations/{first['cancellation_id']}").expect(200).json == first
    idle.post(f"/api/eval/{eval_id}/restore").problem(409)
    second = idle.cancel(eval_id).expect(200).json
    assert second["attempt"] == 2 and second["task_id"] == f"celery-{eval_id}~2"


def test_a_restored_one_runs(make_server):
    server = make_server("--workers", "1")
    blocker = server.start(SLEEPS)
    eval_id = server.submit("import os; print(os.environ['QUELL_ATTEMPT'])")["eval_id"]
    server.cancel(eval_id).expect(200)
    server.post(f"/api/eval/{eval_id}/restore").expect(200)
    server.kill(blocker).expect(200)
    server.wait(eval_id, status="succeeded")
    assert server.output(eval_id) == "2\n"


def test_what_cannot_be_restored(server):
    done = server.run("pass")["eval_id"]
    server.post(f"/api/eval/{done}/restore").problem(409)
    ran = server.start(SLEEPS)
    server.post(f"/api/eval/{ran}/restore").problem(409)
    server.kill(ran).expect(200)
    problem = server.post(f"/api/eval/{ran}/restore").problem(409)
    assert "resume" in problem["detail"]


def test_a_cancel_of_an_old_attempt_is_fenced(idle):
    eval_id = idle.submit("1")["eval_id"]
    idle.cancel(eval_id).expect(200)
    idle.post(f"/api/eval/{eval_id}/restore").expect(200)
    idle.kill(eval_id, headers={"If-Match": '"attempt-1"'}).problem(412)
    assert idle.show(eval_id)["status"] == "queued"


# delete


def test_delete_forgets_and_the_id_is_never_used_again(server):
    eval_id = server.start(SAVES)
    server.ask("DELETE", f"/api/eval/{eval_id}").problem(409)
    server.kill(eval_id).expect(200)
    eventually_saved(server, eval_id)
    assert server.insist("DELETE", f"/api/eval/{eval_id}", 204).body == b""
    for path in ("", "/output", "/timeline", "/checkpoint"):
        server.get(f"/api/eval/{eval_id}{path}").problem(404)
    server.get(f"/api/cancellations/{eval_id}~1").problem(404)
    server.ask("DELETE", f"/api/eval/{eval_id}").problem(404)
    server.post("/api/eval", {"code": "1", "language": "python", "eval_id": eval_id}).problem(409)


def test_delete_removes_the_files(make_server):
    server = make_server("--workers", "1")
    eval_id = server.run("print('x' * 1000)")["eval_id"]

    def kept():
        return [os.path.join(where, name) for where, _, names in
                os.walk(os.path.join(server.data, "kept")) for name in names]
    assert kept()
    server.insist("DELETE", f"/api/eval/{eval_id}", 204)
    eventually(lambda: not kept(), what="its files' end")


def test_a_noticing_program_may_be_resumed(server):
    eval_id = server.start(notices(
        "open(os.environ['QUELL_CHECKPOINT'] + '/x', 'w').write('x'); sys.exit(75)"))
    server.cancel(eval_id, {"wait": 30}).expect(200)
    server.insist("POST", f"/api/eval/{eval_id}/resume", 201)
    server.until_output(eval_id, "ready")
    server.kill(eval_id).expect(200)
