"""What a program leaves in QUELL_CHECKPOINT, collected after its end; and a start from it."""
import io
import os
import tarfile
import time

import pytest
from wire import ACK, FAILED_START, IS_SALVAGED, REFUSED, SALVAGE, SALVAGED

HEAD = "import os, socket, stat\nos.chdir(os.environ['QUELL_CHECKPOINT'])\n"


def collect(run):
    """The archive's members by name, and the SALVAGED that told of it."""
    run.ask(SALVAGE)
    told = run.until(SALVAGED)
    assert run.until(ACK, REFUSED).kind == ACK
    path = f"{run.keep}/checkpoint.tar"
    if told.truth.checkpoint_bytes < 0:
        assert not os.path.exists(path)
        return {}, told
    assert os.path.getsize(path) == told.truth.checkpoint_bytes
    with tarfile.open(path) as tar:
        members = {member.name: member for member in tar}
        assert all(member.isfile() or member.isdir() for member in members.values())
        return {name: tar.extractfile(member).read() if member.isfile() else None
                for name, member in members.items()}, told


def left_by(place, code, **spec):
    run = place.python(HEAD + code, **spec).run()
    truth = run.end().truth
    assert truth.exit_code == 0, run.output(2)
    return run


def test_nothing(place):
    run = left_by(place, "")
    members, told = collect(run)
    assert members == {} and told.truth.checkpoint_bytes == -1 and not told.text
    assert told.truth.flags & IS_SALVAGED
    assert run.forget() == 0


def test_files_and_folders(place):
    deep = "d/" * 40 + "x" * 200
    run = left_by(place, f"""
open('a', 'w').write('1')
open('empty', 'w').close()
os.mkdir('folder')
open('folder/b', 'wb').write(bytes(range(256)) * 100)
os.chmod('folder/b', 0o640)
os.makedirs({os.path.dirname(deep)!r})
open({deep!r}, 'w').write('deep')
open('na\\u00efve \\n name', 'w').write('odd')
open('x' * 100, 'w').write('100')
open('y' * 101, 'w').write('101')
""")
    members, _ = collect(run)
    assert members["a"] == b"1" and members["empty"] == b"" and members["folder"] is None
    assert members["folder/b"] == bytes(range(256)) * 100
    assert members[deep] == b"deep" and members["na\u00efve \n name"] == b"odd"
    assert members["x" * 100] == b"100" and members["y" * 101] == b"101"


def test_only_files_and_folders_and_nothing_from_outside(place):
    run = left_by(place, """
os.symlink('/etc/passwd', 'link')
os.symlink('/', 'root')
os.symlink('folder', 'inner')
os.mkfifo('pipe')
socket.socket(socket.AF_UNIX).bind('socket')
os.mkdir('folder')
os.symlink('../../../../../../etc', 'folder/up')
open('folder/kept', 'w').write('1')
os.mkdir('..odd')
open('closed', 'w').write('2')
os.chmod('closed', 0)
""")
    members, _ = collect(run)
    closed = {"closed"} & set(members)  # root may read it, an ordinary user may not
    assert set(members) == {"folder", "folder/kept", "..odd"} | closed


def test_deeper_than_any_path(place):
    """10,000 folders, each in the one before: the shallow ones are kept."""
    run = left_by(place, """
open('top', 'w').write('1')
try:
    while True:
        os.mkdir('d')
        os.chdir('d')
except OSError:
    pass
""")
    members, told = collect(run)
    assert members["top"] == b"1" and not told.text
    assert len(members) == 66


def test_many_files(place):
    run = left_by(place, """
count = 0
try:
    for count in range(20000):
        open(str(count), 'w').close()
except OSError as e:
    assert e.errno == 28
print(count)
""")
    members, _ = collect(run)
    assert len(members) == int(run.output(1)) and 9000 < len(members) < 10000


def test_the_folder_is_bounded(place):
    run = left_by(place, """
total = 0
out = open('x', 'wb', buffering=0)
try:
    while True:
        total += out.write(b'x' * 65536)
except OSError as e:
    print(e.errno, total)
""", memory_mb=512)
    assert run.output(1) == b"28 67108864\n"
    members, told = collect(run)
    assert members == {} and b"larger than 67108864" in told.text


def test_a_sparse_giant(place):
    run = left_by(place, "open('giant', 'wb').truncate(1 << 50)\nopen('small', 'w').write('1')")
    began = time.monotonic()
    members, told = collect(run)
    assert members == {} and b"larger" in told.text
    assert time.monotonic() - began < 2


def test_sixty_megabytes_in_time(place):
    run = left_by(place, "open('x', 'wb').write(b'x' * (60 << 20))", memory_mb=512)
    began = time.monotonic()
    members, told = collect(run)
    assert members["x"] == b"x" * (60 << 20) and not told.text
    assert time.monotonic() - began < 4


def test_before_the_end_it_is_refused(place):
    run = place.make("sleep", "100").run()
    assert b"not proven" in run.do(SALVAGE).text


def test_a_killed_program_leaves_it_too(place):
    run = place.python(HEAD + "open('a', 'w').write('1')\nprint('ready')\nimport signal\nsignal.pause()")
    run.run()
    while run.output() != b"ready\n":
        pass
    run.ask(4)
    run.end()
    assert collect(run)[0] == {"a": b"1"}


def test_the_next_attempt_goes_on_from_it(place):
    first = left_by(place, """
open('step', 'w').write('1')
os.mkdir('sub')
open('sub/' + 'n' * 150, 'w').write('long')
os.chmod('step', 0o400)
""")
    collect(first)
    second = left_by(place, """
assert open('sub/' + 'n' * 150).read() == 'long'
assert os.stat('step').st_uid == os.getuid()
open('step', 'a').write('2')
""", checkpoint=f"{first.keep}/checkpoint.tar")
    assert collect(second)[0]["step"] == b"12"


def archive(*members, **options):
    """Bytes of a tar with (name, kind, content) members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **options) as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def start_from(place, data, code="print(sorted(os.listdir()))"):
    path = os.path.join(place.folder, f"archive-{len(place.runs)}")
    with open(path, "wb") as out:
        out.write(data)
    return place.python(HEAD + code, checkpoint=path)


FILE, FOLDER, LINK, HARD, DEVICE = (
    tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)


@pytest.mark.parametrize("data", [
    archive(("../x", FILE, b"1")),
    archive(("/tmp/x", FILE, b"1")),
    archive(("a/../../x", FILE, b"1")),
    archive(("a", LINK, "/tmp")),
    archive(("a", LINK, "/tmp"), ("a/x", FILE, b"1")),
    archive(("a", HARD, "/etc/passwd")),
    archive(("a", DEVICE, b"")),
    archive(("a", FILE, b"1"), ("a", FILE, b"2")),
    archive(("a", FILE, b"1"), ("a/b", FILE, b"2")),
    archive(("a//b", FILE, b"2")),
    archive(("x" * 2000, FILE, b"1"), format=tarfile.PAX_FORMAT),
    archive(("../" + "x" * 200, FILE, b"1"), format=tarfile.PAX_FORMAT),
    archive(("x" * 200, FILE, b"1"), format=tarfile.GNU_FORMAT),
    archive(("a", FILE, b"1" * 5000))[:2000],
    archive(("a", FILE, b"1" * 5000))[:100],
    b"x" * 512,
    b"\x80" * 10240,
    archive(("a", FILE, b"1"))[:124] + b"7" * 11 + archive(("a", FILE, b"1"))[135:],
], ids=range(18))
def test_a_hostile_archive_is_refused(place, data):
    told = start_from(place, data).spawn().receive()
    assert told.kind == FAILED_START and b"checkpoint" in told.text


@pytest.mark.parametrize("data, has", [
    (archive(), b"[]\n"),
    (b"", b"[]\n"),
    (archive(("./", FOLDER, b""), ("./a", FILE, b"1"), ("./b/", FOLDER, b"")), b"['a', 'b']\n"),
    (archive(("n" * 120, FILE, b"1"), format=tarfile.PAX_FORMAT), b"['" + b"n" * 120 + b"']\n"),
    (archive(("p" * 90 + "/", FOLDER, b""), ("p" * 90 + "/" + "q" * 90, FILE, b"1"),
             format=tarfile.USTAR_FORMAT), b"['" + b"p" * 90 + b"']\n"),
], ids=range(5))
def test_archives_of_others(place, data, has):
    run = start_from(place, data).run()
    run.end()
    assert run.output() == has


def test_one_that_is_too_large_is_refused(place):
    data = archive(("a", FILE, b"x" * (65 << 20)))
    told = start_from(place, data).spawn().receive()
    assert told.kind == FAILED_START and b"No space" in told.text
