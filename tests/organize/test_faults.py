"""After SIGKILL at any instant or a full disk, a second run gives the same tree and undo the original one."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback

import pytest

from hashtagger.errors import OrganizeError
from hashtagger.organize import files, organize, undo, verify
from hashtagger.organize import run as run_module
from hashtagger.organize.journal import State, connect, journal_path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
STEPS = ("open", "os.", "shutil.", "sqlite3.connect")
POINTS = 50


def run(album, destination, mode):
    return organize(album, destination, mode=mode, lang="ko", tag_untagged=False)


def in_child(act, step=None, seconds=None):
    """Run in a child process that is killed before its n-th file system operation (``step``), or after some time.

    Returns the signal that ended it, and how many operations it made if it was not killed.
    """
    counted, report = os.pipe()
    child = os.fork()
    if not child:
        taken = 0

        def hook(event, _arguments):
            nonlocal taken
            if event.startswith(STEPS):
                taken += 1
                if taken == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            act()
            os.write(report, str(taken).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(report)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(counted) as pipe:
        text = pipe.read()
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0), int(text or 0)


def differences(one, other):
    """Return the paths at which two pictures differ, so that a failed assertion does not print whole photos."""
    return sorted(name for a, b in zip(one, other, strict=True) for name in a | b if a.get(name) != b.get(name))


@pytest.fixture
def clean(album, tmp_path, picture):
    """A destination with a file of the user's, and pictures of source and destination before and after a run."""
    destination = tmp_path / "sorted"
    (destination / "날짜").mkdir(parents=True)
    (destination / "날짜/mine.txt").write_text("mine")
    before = picture(album.root), picture(destination)

    def after(mode):
        run(album, destination, mode)
        pictures = picture(album.root), picture(destination)
        undo(destination)
        assert differences((picture(album.root), picture(destination)), before) == []
        return pictures

    return destination, before, after


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_killed_anywhere_it_resumes_to_the_same_tree(album, picture, clean, mode):
    destination, before, after = clean
    whole = after(mode)
    _signal, steps = in_child(lambda: run(album, destination, mode))
    assert picture(destination) == whole[1]
    undo(destination)
    killed = 0
    for step in random.Random(f"organize {mode}").sample(range(1, steps + 1), POINTS // 2):
        killed += in_child(lambda: run(album, destination, mode), step)[0] == signal.SIGKILL
        if step % 2:
            run(album, destination, mode)
            assert differences((picture(album.root), picture(destination)), whole) == [], step
            assert verify(destination).problems == []
        if (destination / ".hashtagger/journal.sqlite").exists():
            assert undo(destination).problems == []
        assert differences((picture(album.root), picture(destination)), before) == [], step
    assert killed == POINTS // 2


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_killed_at_any_time_it_resumes_to_the_same_tree(album, picture, clean, mode):
    destination, before, after = clean
    started = time.monotonic()
    whole = after(mode)
    for part in range(1, 6):
        in_child(lambda: run(album, destination, mode), seconds=(time.monotonic() - started) * part / 10)
        started = time.monotonic()
        run(album, destination, mode)
        assert differences((picture(album.root), picture(destination)), whole) == []
        undo(destination)
        assert differences((picture(album.root), picture(destination)), before) == []


@pytest.mark.parametrize(("by", "lang"), [("date", "ko"), ("tag", "ko"), ("tag", "en")])
def test_killed_anywhere_as_words_and_folders_change_it_resumes_to_the_same_tree(album, tmp_path, picture, by, lang):
    """Some sidecars are rewritten and others removed, as are places and folders."""
    destination, again = tmp_path / "sorted", tmp_path / "again"
    shutil.copytree(album.root, again)
    said = album.rows
    silent = [(file, when, (), "") for file, when, _tags, _caption in album.rows]
    before = picture(album.root)

    def old():
        album.root, album.rows = tmp_path / "source", silent
        organize(album, destination, by=by, lang="ko", tag_untagged=False)
        album.root, album.rows = again, said

    def new():
        organize(album, destination, lang=lang, tag_untagged=False)

    old()
    new()
    whole = picture(destination)
    undo(destination)
    old()
    _signal, steps = in_child(new)
    assert picture(destination) == whole
    undo(destination)
    for step in random.Random(f"{by} {lang}").sample(range(1, steps + 1), 20):
        old()
        assert in_child(new, step)[0] == signal.SIGKILL
        if step % 2:
            new()
            assert differences([picture(destination)], [whole]) == [], step
            assert verify(destination).problems == []
        assert undo(destination).problems == []
        assert not destination.exists()
    assert picture(tmp_path / "source") == picture(again) == before


@pytest.mark.parametrize("mode", ["copy", "hardlink"])
def test_killed_anywhere_as_a_sidecar_of_the_users_is_replaced_it_resumes_to_the_same_tree(
    tmp_path, photo, picture, mode
):
    source, destination = tmp_path / "source", tmp_path / "sorted"
    source.mkdir()
    (source / "2020-09-13 101112.jpg").write_bytes(photo(1))
    theirs = source / "2020-09-13 101112.jpg.xmp"

    def old():
        theirs.unlink(missing_ok=True)
        theirs.write_bytes(b"<x>old</x>")
        run(source, destination, mode)
        (tmp_path / "new.xmp").write_bytes(b"<x>new one</x>")
        (tmp_path / "new.xmp").replace(theirs)

    old()
    _signal, steps = in_child(lambda: run(source, destination, mode))
    whole = picture(destination)
    assert {path.read_bytes() for path in destination.rglob("*.xmp")} == {theirs.read_bytes()}
    undo(destination)
    for step in random.Random(f"replace {mode}").sample(range(1, steps + 1), POINTS // 2):
        old()
        assert in_child(lambda: run(source, destination, mode), step)[0] == signal.SIGKILL
        if step % 2:
            run(source, destination, mode)
            assert differences([picture(destination)], [whole]) == [], step
            assert verify(destination).problems == []
        if undo(destination).problems:  # It was killed before the plan was complete, so the old one is the last.
            assert step % 2 == 0
            assert {path.read_bytes() for path in destination.rglob("*.xmp")} == {b"<x>old</x>"}
            shutil.rmtree(destination)
        assert not destination.exists()
        assert theirs.read_bytes() == b"<x>new one</x>"


@pytest.mark.parametrize("written", [0, 40])
def test_killed_within_a_sidecar_it_resumes_to_the_same_tree(album, picture, clean, monkeypatch, written):
    destination, before, after = clean
    whole = after("hardlink")
    write_all = files._write_all

    def write_and_die(file, data):
        if data.startswith(b"<x:xmpmeta"):
            write_all(file, data[:written])
            os.kill(os.getpid(), signal.SIGKILL)
        write_all(file, data)

    def killed():
        monkeypatch.setattr(files, "_write_all", write_and_die)
        run(album, destination, "hardlink")

    assert in_child(killed)[0] == signal.SIGKILL
    assert [path.stat().st_size for path in destination.rglob("*.xmp")] == [written]
    if not written:
        assert undo(destination).problems == []
        assert differences((picture(album.root), picture(destination)), before) == []
        assert in_child(killed)[0] == signal.SIGKILL
    run(album, destination, "hardlink")
    assert differences((picture(album.root), picture(destination)), whole) == []


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_a_killed_undo_is_taken_up(album, picture, clean, mode):
    destination, before, after = clean
    whole = after(mode)
    run(album, destination, mode)
    _signal, steps = in_child(lambda: undo(destination))
    for step in random.Random(f"undo {mode}").sample(range(1, steps + 1), 20):
        run(album, destination, mode)
        assert in_child(lambda: undo(destination), step)[0] == signal.SIGKILL
        if step % 3 == 0:
            run(album, destination, mode)
            assert differences((picture(album.root), picture(destination)), whole) == [], step
        if (destination / ".hashtagger/journal.sqlite").exists():
            undo(destination)
        assert differences((picture(album.root), picture(destination)), before) == [], step
        shutil.rmtree(destination / ".hashtagger", ignore_errors=True)


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_a_write_that_fails_anywhere_loses_nothing(album, picture, clean, monkeypatch, mode):
    destination, before, after = clean
    whole = after(mode)
    write = files._write_all
    for good in (0, 3, 7, 11):
        calls = iter(range(1000))

        def fill_up(file, data, calls=calls, good=good):
            if next(calls) >= good:
                write(file, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(file, data)

        monkeypatch.setattr(files, "_write_all", fill_up)
        with pytest.raises(OrganizeError, match="no space left"):
            run(album, destination, mode)
        monkeypatch.setattr(files, "_write_all", write)
        run(album, destination, mode)
        assert differences((picture(album.root), picture(destination)), whole) == []
        undo(destination)
        assert differences((picture(album.root), picture(destination)), before) == []


@pytest.fixture
def drive(tmp_path):
    """A tmpfs drive, and a function that remounts it with other options."""
    path = tmp_path / "drive"
    path.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not mount("size=128k"):
        pytest.skip("cannot mount a small drive here")
    yield path, lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_drive_stops_it_and_room_lets_it_go_on(album, tmp_path, picture, drive):
    root, remount = drive
    source = picture(album.root)
    for size in (64, 96, 128, 160, 192, 224):
        assert remount(f"size={size}k")
        with pytest.raises(OrganizeError, match="no space left; .* again"):
            run(album, root / "sorted", "copy")
        assert picture(album.root) == source
    assert remount("size=8m")
    run(album, root / "sorted", "copy")
    run(album, tmp_path / "other", "copy")
    assert picture(root / "sorted") == picture(tmp_path / "other")
    assert verify(root / "sorted").problems == []
    undo(root / "sorted")
    assert list(root.iterdir()) == []


def test_an_undo_names_the_drive_that_has_no_room_for_what_was_moved(album, tmp_path, picture, drive):
    root, _remount = drive
    album.root = shutil.copytree(album.root, root / "source")
    before = picture(album.root)
    run(album, tmp_path / "sorted", "move")
    (root / "other").write_bytes(bytes(shutil.disk_usage(root).free))
    with pytest.raises(OrganizeError, match=f"{album.root}/.*: no space left; nothing is lost, free some"):
        undo(tmp_path / "sorted")
    (root / "other").unlink()
    assert undo(tmp_path / "sorted").problems == []
    assert picture(album.root) == before


def test_a_read_only_drive_is_called_that(album, drive):
    root, remount = drive
    assert remount("size=8m")
    run(album, root / "sorted", "copy")
    assert remount("ro")
    for act in (lambda: run(album, root / "sorted", "copy"), lambda: undo(root / "sorted")):
        with pytest.raises(OrganizeError, match="sorted: read-only; make it writable"):
            act()
    assert verify(root / "sorted").problems == []


@pytest.mark.parametrize("state", ["LANDED", "PLANNED"])
@pytest.mark.parametrize(("begun", "zeros"), [(0, 0), (0, 300), (300, 0), (300, 300)])
def test_what_a_power_cut_tore_is_made_again(album, tmp_path, picture, state, begun, zeros):
    """A power cut may also lose the last writes to the journal, which then still says PLANNED."""
    destination = tmp_path / "sorted"
    run(album, destination, "copy")
    whole = picture(destination)
    torn = destination / "날짜/2021/05/IMG_0 (2).jpg"
    time_before = torn.stat().st_mtime_ns
    torn.write_bytes(torn.read_bytes()[:begun] + bytes(zeros))
    os.utime(torn, ns=(time_before, time_before))
    (destination / ".hashtagger/stage").mkdir()
    with connect(journal_path(destination)) as db:
        db.execute("UPDATE place SET state = ?", (State[state],))
        if state == "PLANNED":
            db.execute("UPDATE file SET content = NULL, digest = NULL, sidecar = NULL")
    run(album, destination, "copy")
    assert {name: value[0] for name, value in picture(destination).items()} == {
        name: value[0] for name, value in whole.items()
    }


@pytest.mark.parametrize("state", ["LANDED", "PLANNED"])
@pytest.mark.parametrize("mode", ["copy", "hardlink"])
def test_what_was_edited_after_an_interruption_stays(album, tmp_path, photo, state, mode):
    """Some editors keep a photo's modification time."""
    destination = tmp_path / "sorted"
    run(album, destination, mode)
    edited = {"IMG_0 (2).jpg": photo(1) + b"edited", "IMG_1 (2).jpg": photo(1)[:-9] + b"edited"}
    for name, data in edited.items():
        path = destination / "날짜/2021/05" / name
        time_before = path.stat().st_mtime_ns
        path.unlink()
        path.write_bytes(data)
        os.utime(path, ns=(time_before, time_before))
    (destination / ".hashtagger/stage").mkdir()
    with connect(journal_path(destination)) as db:
        db.execute("UPDATE place SET state = ?", (State[state],))
    run(album, destination, mode)
    assert verify(destination).problems == []
    for name, data in edited.items():
        assert (destination / "날짜/2021/05" / name).read_bytes() == data
    assert {path.read_bytes() for path in destination.glob("날짜/**/*.jpg")} == {
        *(photo(number) for number in range(11)), *edited.values()
    }  # fmt: skip


def test_a_sidecar_that_a_power_cut_emptied_is_written_again(album, tmp_path, picture):
    destination = tmp_path / "sorted"
    run(album, destination, "copy")
    whole = picture(destination)
    (destination / "날짜/2021/05/IMG_0 (2).jpg.xmp").write_bytes(b"")
    with connect(journal_path(destination)) as db:
        db.execute("UPDATE place SET state = ?", (State.LANDED,))
    run(album, destination, "copy")
    assert {name: value[0] for name, value in picture(destination).items()} == {
        name: value[0] for name, value in whole.items()
    }


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "move"])
def test_a_photo_whose_first_source_is_gone_is_brought_again_from_another(tmp_path, photo, mode):
    destination = tmp_path / "sorted"
    for source in (tmp_path / "old", tmp_path / "new"):
        source.mkdir()
        (source / "2020-09-13 101112.jpg").write_bytes(photo(1))
        run(source, destination, "copy")
    shutil.rmtree(tmp_path / "old")
    for path in destination.rglob("*.jpg"):
        path.unlink()
    run(tmp_path / "new", destination, mode)
    assert {path.read_bytes() for path in destination.rglob("*.jpg")} == {photo(1)}
    assert verify(destination).problems == []
    assert undo(destination).problems == []
    assert (tmp_path / "new/2020-09-13 101112.jpg").read_bytes() == photo(1)
    assert not destination.exists()


@pytest.mark.parametrize("mode", ["copy", "hardlink", "move"])
@pytest.mark.parametrize("what", ["deleted", "edited"])
def test_a_photo_whose_first_source_goes_after_planning_is_taken_from_another(tmp_path, photo, monkeypatch, mode, what):
    source, destination, apply = tmp_path / "source", tmp_path / "sorted", run_module.apply
    for folder in ("a", "b"):
        (source / folder).mkdir(parents=True)
        (source / folder / "2020-09-13 101112.jpg").write_bytes(photo(1))

    def lose(*arguments, **options):
        shutil.rmtree(source / "a")
        if what == "edited":
            (source / "a").mkdir()
            (source / "a/2020-09-13 101112.jpg").write_bytes(photo(2))
        return apply(*arguments, **options)

    monkeypatch.setattr(run_module, "apply", lose)
    problems = run(source, destination, mode).problems
    assert [problem.location for problem in problems] == (
        [str(source / "a/2020-09-13 101112.jpg")] if (what, mode) == ("edited", "move") else []
    )
    assert {path.read_bytes() for path in destination.rglob("*.jpg")} == {photo(1)}
    assert verify(destination).problems == []
    assert undo(destination).problems == []
    assert (source / "b/2020-09-13 101112.jpg").read_bytes() == photo(1)


@pytest.mark.parametrize("what", ["deleted", "renamed"])
def test_no_sidecar_stays_in_a_folder_that_its_photo_has_left(album, tmp_path, what):
    destination = tmp_path / "sorted"
    run(album, destination, "copy")
    photo = destination / "날짜/2021/05/IMG_0 (2).jpg"
    photo.unlink() if what == "deleted" else photo.rename(destination / "mine.jpg")
    organize(album, destination, by="tag", lang="ko", tag_untagged=False)
    assert not (destination / "날짜").exists()
    assert undo(destination).problems == []
    assert [path.name for path in destination.rglob("*")] == ([] if what == "deleted" else ["mine.jpg"])


def test_a_sidecar_that_undo_keeps_of_a_photo_that_was_there_twice_goes_to_other_folders(tmp_path, photo):
    source, destination = tmp_path / "source", tmp_path / "sorted"
    for folder in ("a", "b"):
        (source / folder).mkdir(parents=True)
        (source / folder / "2020-09-13 101112.jpg").write_bytes(photo(1))
    theirs = source / "b/2020-09-13 101112.xmp"
    theirs.write_bytes(b"<x>mine</x>")
    organize(source, destination, by="date", tag_untagged=False)
    theirs.unlink()
    assert len(undo(destination).problems) == 1
    organize(source, destination, by="tag", tag_untagged=False)
    assert verify(destination).pending == 0
    assert [path.read_bytes() for path in (destination / "해시태그").rglob(theirs.name)] == [b"<x>mine</x>"]
