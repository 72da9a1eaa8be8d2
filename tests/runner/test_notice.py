"""The notice, in a folder where the program may do as it likes."""
import pytest
from test_stop import wait_output
from wire import (ACK, KILL, NOTICE, REFUSED, SAID_STOPPED, SENT_NOTICE, SENT_TERMINATE,
                  TERMINATE)

TEXT = b'{"reason":"enough","deadline":"2026-01-01T00:00:00.000Z"}\n'

# {before} runs before the notice is given, {after} once it is seen.
PROGRAM = """
import os, sys
path = os.environ['QUELL_CANCEL']
folder = os.path.dirname(path)
def seen():
    try:
        with open(path) as f:
            return f.read().startswith('{{')
    except OSError:
        return False
def keep():
    try:
        os.link(path, folder + '/kept')
    except PermissionError:  # not its own file, under protected_hardlinks
        os.rename(path, folder + '/kept')
        os.symlink('kept', path)
{before}
print('ready')
while not seen():
    pass
{after}
sys.exit({code})
"""


def notified(place, before="pass", after="pass", code=0):
    run = place.python(PROGRAM.format(before=before, after=after, code=code)).run()
    wait_output(run, b"ready\n")
    assert run.do(NOTICE, text=TEXT).kind == ACK
    truth = run.end().truth
    assert truth.exit_code == code, run.output(2)
    assert truth.sent == SENT_NOTICE
    return run, bool(truth.flags & SAID_STOPPED)


def test_it_is_read_whole_and_left(place):
    run, stopped = notified(place, after="print(open(path).read(), end='')")
    assert run.output(1) == b"ready\n" + TEXT
    assert not stopped


@pytest.mark.parametrize("after", [
    "os.unlink(path)",
    "os.rename(path, folder + '/other')",
    "open(folder + '/new', 'w').close(); os.rename(folder + '/new', path)",
    "keep(); os.unlink(path)",
    "os.unlink(path); os.mkdir(path)",
    "os.unlink(path); os.symlink('other', path)",
])
def test_removed_in_whatever_way(place, after):
    assert notified(place, after=after)[1]


@pytest.mark.parametrize("after", [
    "os.chmod(folder, 0); os.utime(folder)",
    "open(folder + '/notice2', 'w').close(); os.unlink(folder + '/notice2')",
    "open('/tmp/notice', 'w').close()",
])
def test_not_removed_by_other_deeds(place, after):
    assert not notified(place, after=after)[1]


def test_the_word_is_exit_75_too(place):
    assert notified(place, code=75)[1]


@pytest.mark.parametrize("before", [
    "open(path, 'w').close()",
    "os.mkdir(path); open(path + '/x', 'w').close()",
    "os.symlink('/etc/passwd', path)",
    "import socket; socket.socket(socket.AF_UNIX).bind(path)",
    "os.chmod(folder, 0o500)",
    "[open(f'{folder}/{i}', 'w').close() for i in range(61)]",
    "open(folder + '/x', 'wb').write(b'x' * 60000)",
])
def test_it_comes_whatever_the_program_put_there(place, before):
    notified(place, before=before)


def test_a_full_folder_cannot_keep_it_away(place):
    notified(place, before="""
try:
    for i in range(1000):
        open(f'{folder}/{i}', 'wb', buffering=0).write(b'x' * 4096)
except OSError as e:
    assert e.errno == 28
try:
    for i in range(1000):
        open(f'{folder}/e{i}', 'wb').close()
except OSError as e:
    assert e.errno == 28
""")


def test_a_forged_notice_removed_is_no_word(place):
    """Before the notice was given nothing can be said by removing it."""
    run = place.python("""
import os
path = os.environ['QUELL_CANCEL']
open(path, 'w').close()
os.unlink(path)
""").run()
    assert not run.end().truth.flags & SAID_STOPPED


def test_a_second_one_replaces_the_text(place):
    run = place.make("sleep", "100").run()
    run.do(NOTICE, text=TEXT)
    second = TEXT.replace(b"enough", b"now")
    assert run.do(NOTICE, text=second).kind == ACK
    path = f"/proc/{run.held.truth.pid}/root/quell/cancel/notice"
    with open(path, "rb") as text:
        assert text.read() == second
    run.do(TERMINATE)
    truth = run.end().truth
    assert (truth.sent, truth.flags) == (SENT_TERMINATE, 0)


def test_held(place):
    run = place.make("sh", "-c", "test -f $QUELL_CANCEL").start()
    assert run.do(NOTICE, text=TEXT).kind == ACK
    run.do(1)
    assert run.end().truth.exit_code == 0


def test_bounds(place):
    run = place.make("sleep", "100").run()
    assert run.do(NOTICE, text=b"x" * 2048).kind == ACK
    ask = run.ask(KILL)
    assert ask and run.end()
    assert run.do(NOTICE, text=TEXT).kind == REFUSED
