"""python3 usual.py N: what the usual service in front of Celery does first of all when N requests to cancel come
at once, each on a thread of its own. Prints how many of them came back, once none has for three seconds.
"""
import os
import sys
import threading
import time
import uuid

import stock

PATIENCE = 3


def main(count):
    gate = threading.Barrier(count)
    over = []

    def cancel():
        gate.wait()
        stock.app.AsyncResult(str(uuid.uuid4())).revoke(terminate=True)
        over.append(time.monotonic())

    for _ in range(count):
        threading.Thread(target=cancel, daemon=True).start()
    began = time.monotonic()
    while len(over) < count and time.monotonic() < max([began, *over]) + PATIENCE:
        time.sleep(stock.STEP)
    print(len(over), flush=True)
    os._exit(0)  # those that wait for each other do so for ever


if __name__ == "__main__":
    main(int(sys.argv[1]))
