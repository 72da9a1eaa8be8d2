"""Programs that the tests submit, in Python. Each says «ready» when it may be stopped."""

SLEEPS = "import time; print('ready'); time.sleep(600)"

IGNORES_TERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready')
time.sleep(600)
"""

CATCHES_TERM = """
import signal, sys, time
def leave(*_):
    print('leaving', flush=True)
    sys.exit({code})
signal.signal(signal.SIGTERM, leave)
print('ready')
time.sleep(600)
"""

CATCHES_TERM_AND_STAYS = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True))
print('ready')
until = time.monotonic() + 600
while time.monotonic() < until:
    time.sleep(1)
"""

# Ignores SIGTERM (which is not catching it) and ends by itself once the notice is there.
ENDS_UNDER_TERM = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready')
while not os.path.exists(os.environ['QUELL_CANCEL']):
    time.sleep(0.01)
time.sleep(0.3)
sys.exit({code})
"""

# Waits for the notice, shows it, and then does what `last` says.
NOTICES = """
import json, os, sys, time
path = os.environ['QUELL_CANCEL']
print('ready')
while not os.path.exists(path):
    time.sleep(0.01)
with open(path) as notice:
    print('notice', json.dumps(json.load(notice)))
{last}
"""


def notices(last):
    return NOTICES.format(last=last)
