"""Runs inside the container of test_systemd.py: uses the unit as an operator would."""
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import traceback

from quell import Client, eventually, left_behind, members, processes

DATA = "/var/lib/quell"
COUNTS = """
import sys, time
for number in range(60):
    print(number, flush=True)
    time.sleep(0.05)
sys.exit(7)
"""
SLEEPS = "import time; print('ready'); time.sleep(600)"


def systemctl(*words):
    return subprocess.run(["systemctl", *words], check=False, text=True, capture_output=True).stdout


def show(name):
    return systemctl("show", "--value", "-p", name, "quell").strip()


def connect(data=DATA, port=8080):
    def look():
        try:
            with open(f"{data}/admin.key", encoding="ascii") as file:
                client = Client(port, file.read().strip())
            return client if client.get("/readyz").status == 200 else None
        except OSError:
            return None
    return eventually(look, what="the server")


def group_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as groups:
        return groups.read()


def look_around(seen):
    systemctl("start", "quell")
    client = connect()
    seen["first"] = client.run("print('hello')")
    seen["state"] = show("ActiveState")
    seen["cgroup"] = group_of(show("MainPID"))

    counting = client.start(COUNTS, ready="5\n")
    systemctl("restart", "quell")
    client = connect()
    seen["restart"] = {**client.wait(counting), "output": client.output(counting)}

    sleeping = client.start(SLEEPS)
    systemctl("kill", "--kill-who=main", "--signal=KILL", "quell")
    eventually(lambda: show("NRestarts") == "1", what="the restart")
    client = connect()
    client.kill(sleeping)
    seen["crash"] = client.wait(sleeping)
    seen["restarts"] = int(show("NRestarts"))

    sleeping = client.start(SLEEPS)
    systemctl("stop", "quell")
    seen["stopped"] = {"state": show("ActiveState"), "result": show("Result"),
                       "alive": bool(members(sleeping))}
    systemctl("start", "quell")
    client = connect()
    client.kill(sleeping)
    seen["again"] = client.wait(sleeping)

    eventually(lambda: not os.listdir(f"{DATA}/run"), what="the run folders' end")
    seen["left"] = left_behind(DATA)
    seen["said"] = journal("-t", "quell")
    scopes = systemctl("list-units", "--type=scope", "--no-legend", "--plain")
    seen["scopes"] = len(re.findall(r"quell serve", scopes))


def journal(*words):
    return subprocess.run(["journalctl", "--no-pager", "-n", "80", *words], text=True,
                          capture_output=True, check=False).stdout


def run_by_hand(seen, top, user):
    """As `make run` does it, by that user; ended as Ctrl-C would."""
    runtime = f"/run/user/{pwd.getpwnam(user).pw_uid}"
    data = f"/var/tmp/quell-{user}"
    with subprocess.Popen(
            ["runuser", "-u", user, "--", "env", f"XDG_RUNTIME_DIR={runtime}", f"{top}/tools/run",
             "/usr/local/bin/quell", "serve", "--listen", "127.0.0.1:8081", "--data", data],
            text=True, stderr=subprocess.PIPE) as server:
        client = connect(data, 8081)
        (pid,) = [pid for pid, line in processes() if line.startswith("/usr/local/bin/quell serve")]
        seen[user] = {"cgroup": group_of(pid), "status": client.run("print('hello')")["status"]}
        os.kill(pid, signal.SIGINT)
        seen[user].update(said=server.stderr.read(), exit=server.wait())


def main():
    seen = {}
    try:
        look_around(seen)
        systemctl("stop", "quell")
        if "walker" not in [user.pw_name for user in pwd.getpwall()]:
            subprocess.run(["useradd", "--create-home", "walker"], check=True)
        systemctl("start", f"user@{pwd.getpwnam('walker').pw_uid}")
        for user in ("root", "walker"):
            run_by_hand(seen, sys.argv[2], user)
    except BaseException:  # pylint: disable=broad-except
        seen["trouble"] = traceback.format_exc()
        seen["journal"] = journal()
    with open(sys.argv[1], "w", encoding="utf-8") as result:
        json.dump(seen, result)


if __name__ == "__main__":
    main()
