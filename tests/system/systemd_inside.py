"""Runs inside the container of test_systemd.py: uses the unit as an operator would."""
import json
import os
import re
import subprocess
import sys
import traceback

from quell import Client, eventually, left_behind, members

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


def ready():
    with open(f"{DATA}/admin.key", encoding="ascii") as file:
        client = Client(8080, file.read().strip())
    try:
        return client if client.get("/readyz").status == 200 else None
    except OSError:
        return None


def connect():
    def look():
        try:
            return ready()
        except FileNotFoundError:
            return None
    return eventually(look, what="the server")


def look_around(seen):
    systemctl("start", "quell")
    client = connect()
    seen["first"] = client.run("print('hello')")
    seen["state"] = show("ActiveState")
    with open(f"/proc/{show('MainPID')}/cgroup", encoding="ascii") as groups:
        seen["cgroup"] = groups.read()

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
    scopes = systemctl("list-units", "--type=scope", "--no-legend", "--plain")
    seen["scopes"] = len(re.findall(r"quell serve", scopes))


def main():
    seen = {}
    try:
        look_around(seen)
    except BaseException:  # pylint: disable=broad-except
        seen["trouble"] = traceback.format_exc()
        seen["journal"] = subprocess.run(["journalctl", "--no-pager", "-n", "60"], text=True,
                                         capture_output=True, check=False).stdout
    with open(sys.argv[1], "w", encoding="utf-8") as result:
        json.dump(seen, result)


if __name__ == "__main__":
    main()
