"""What the program says is kept in order, with its stream, up to the bound, and is never in its way."""
import os
import subprocess
import time

import pytest
from test_stop import wait_output
from wire import EXITED, GONE, KILL, OUTPUT, RELEASE, RUNNING, SALVAGE, SALVAGED, TRUNCATED


def test_order_and_streams(place):
    run = place.python("""
import os
for i in range(200):
    os.write(1 + i % 2, b'%d\\n' % i)
    if i % 2:
        os.sched_yield()
""").run()
    run.end()
    assert run.output(1) == b"".join(b"%d\n" % i for i in range(0, 200, 2))
    assert run.output(2) == b"".join(b"%d\n" % i for i in range(1, 200, 2))


def test_one_stream_alone_is_in_order(place):
    run = place.make("seq", "100000").run()
    truth = run.end().truth
    want = "".join(f"{i}\n" for i in range(1, 100001)).encode()
    assert run.output() == want and truth.output_bytes == len(want) and truth.flags == 0


def test_a_flood_is_cut_at_the_bound_and_the_program_ends(place):
    run = place.make("sh", "-c", "head -c 30000000 /dev/zero; echo $? >&2", output_max=1 << 20).run()
    truth = run.end().truth
    assert truth.exit_code == 0
    assert truth.flags & TRUNCATED and truth.output_bytes == 1 << 20
    assert run.output() == bytes(1 << 20)


def test_exactly_the_bound_is_whole(place):
    truth = place.make("head", "-c", "1000", "/dev/zero", output_max=1000).run().end().truth
    assert truth.output_bytes == 1000 and not truth.flags & TRUNCATED


def test_nothing_is_kept_with_a_bound_of_zero(place):
    truth = place.make("echo", "x", output_max=0).run().end().truth
    assert truth.output_bytes == 0 and truth.flags & TRUNCATED


def test_what_a_run_before_left_is_not_its_own(place):
    run = place.make("true")
    os.mkdir(run.keep)
    for name in ("output", "index"):
        with open(f"{run.keep}/{name}", "w", encoding="ascii") as file:
            file.write("of another")
    assert run.run().end().truth.output_bytes == 0
    assert [os.path.getsize(f"{run.keep}/{name}") for name in ("output", "index")] == [0, 0]


def test_a_keep_folder_that_cannot_be_made_costs_output_and_not_the_run(place):
    above = f"{place.folder}/above"
    os.mkdir(above)
    run = place.make("sh", "-c", "echo x; echo y > $QUELL_CHECKPOINT/z; exit 3",
                     keep=f"{above}/keep").start()
    os.rmdir(above)
    run.ask(RELEASE)
    truth = run.end().truth
    assert truth.exit_code == 3 and truth.flags & TRUNCATED and truth.output_bytes == 0
    run.ask(SALVAGE)
    told = run.until(SALVAGED)
    assert told.truth.checkpoint_bytes == -1 and "make the keep folder" in told.text.decode()
    assert run.forget() == 0


def test_it_is_readable_while_it_runs_and_hinted(place):
    run = place.make("sh", "-c", "echo first; sleep 100").run()
    assert run.until(OUTPUT).truth.output_bytes == 6
    assert run.output() == b"first\n"
    run.do(KILL)
    run.end()


def test_hints_are_few(place):
    run = place.python("for i in range(20000): print(i)").run()
    run.end()
    assert sum(tell.startswith("OUTPUT") for tell in run.tells) < 100


def test_a_killed_programs_last_words_are_kept(place):
    for _ in range(5):
        run = place.make("sh", "-c", "echo last; kill -9 $$").run()
        run.end()
        assert run.output() == b"last\n"


def test_closing_its_streams_is_no_end(place):
    run = place.make("sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 4").run()
    assert run.end().truth.exit_code == 4


def test_a_full_pipe_blocks_nobody(place):
    """A program that floods from many processes is killed as fast as any other."""
    run = place.make("sh", "-c", "for i in 1 2 3 4; do cat /dev/zero & done; wait").run()
    run.until(OUTPUT)
    began = time.monotonic()
    run.ask(KILL)
    run.end()
    assert time.monotonic() - began < 2


@pytest.mark.root
def test_a_full_disk_costs_output_and_not_the_run(place):
    full = f"{place.folder}/full"
    os.mkdir(full)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "test", full], check=True)
    try:
        keep = f"{full}/keep"
        run = place.make("sh", "-c", "head -c 1000000 /dev/zero; exit 3", keep=keep)
        run.keep = keep
        truth = run.run().end().truth
        assert truth.exit_code == 3 and truth.flags & TRUNCATED
        assert 0 < truth.output_bytes < 256 << 10
        assert run.output() == bytes(truth.output_bytes)
        assert run.forget() == 0
    finally:
        subprocess.run(["umount", "-l", full], check=True)


def test_ends_are_told_in_order(place):
    run = place.make("echo", "x").run()
    run.end()
    told = [tell.split("(")[0] for tell in run.tells]
    assert told.index("RUNNING") < told.index("EXITED") < told.index("GONE")
    assert run.until and RUNNING < EXITED < GONE


def test_silence(place):
    run = place.make("sh", "-c", "echo ready; sleep 100").run()
    wait_output(run, b"ready")
    with pytest.raises(TimeoutError):
        run.until(EXITED, timeout=0.2)
    run.do(KILL)
    run.end()
