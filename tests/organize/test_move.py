"""Moving: a source is deleted only once its content is verified in the tree, and undo restores exactly that."""

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

from hashtagger.organize import organize, undo, verify
from hashtagger.organize import run as run_module


def run(album, destination, **options):
    return organize(album, destination, **{"lang": "ko", "tag_untagged": False} | options)


@pytest.fixture
def two(album, photo):
    """An album of two photos of the same size."""
    album.rows.clear()
    shutil.rmtree(album.root)
    album.root.mkdir()
    for number, name in enumerate(("a.jpg", "b.jpg")):
        (album.root / name).write_bytes(photo(1)[:-2] + b"%d" % number)
        os.utime(album.root / name, (1_600_000_000 + number,) * 2)
        album.add(name, f"2021-0{4 + number}-01T12:00:00", "집")
    return album


def contents(root):
    return {path.read_bytes() for path in root.rglob("*.jpg") if not path.is_symlink()}


def replace(path, data):
    """Replace a photo by another one, like a camera that starts counting from 1 again."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def stop(*_arguments, **_options):
    raise KeyboardInterrupt


@pytest.mark.parametrize("again", ["touched", "by another path"])
def test_a_link_in_the_tree_is_no_copy_to_move_against(two, tmp_path, again):
    before = contents(two.root)
    run(two, tmp_path / "sorted", mode="symlink")
    if again == "touched":
        for path in two.root.iterdir():
            os.utime(path, (1_650_000_000, 1_650_000_000))
    else:
        (tmp_path / "alias").symlink_to(two.root)
        two.root = tmp_path / "alias"
    run(two, tmp_path / "sorted", mode="move")
    assert contents(tmp_path) == before


def test_a_source_stays_whose_place_has_become_a_link_to_it(two, tmp_path, monkeypatch):
    from hashtagger.organize import apply as module

    def link_then_release(db, root):
        for path in root.rglob("a.jpg"):
            path.unlink()
            path.symlink_to(two.root / "a.jpg")
        return release(db, root)

    before, release = contents(two.root), module.release
    monkeypatch.setattr(module, "release", link_then_release)
    report = run(two, tmp_path / "sorted", mode="move")
    assert [problem.location for problem in report.problems] == [str(two.root / "a.jpg")]
    assert contents(tmp_path) == before


@pytest.mark.parametrize("stopped", ["planned", "landed"])
def test_a_copying_run_deletes_nothing_that_a_move_left_undone(two, tmp_path, picture, monkeypatch, stopped):
    from hashtagger.organize import apply as module

    before = picture(two.root)
    monkeypatch.setattr(*((run_module, "apply") if stopped == "planned" else (module, "release")), stop)
    with pytest.raises(KeyboardInterrupt):
        run(two, tmp_path / "sorted", mode="move")
    monkeypatch.undo()
    plan = run(two, tmp_path / "sorted", mode="copy", dry_run=True)
    assert {place.how for place in plan.placements()} == {"copy" if stopped == "planned" else "move"}
    run(two, tmp_path / "sorted", mode="copy")
    assert picture(two.root) == before
    undo(tmp_path / "sorted")
    assert picture(two.root) == before


def test_a_mode_that_comes_too_late_is_named(two, tmp_path, photo, picture):
    before = picture(two.root)
    assert run(two, tmp_path / "sorted", mode="copy").problems == []
    for _again in range(2):
        (problem,) = run(two, tmp_path / "sorted", mode="move").problems
        assert "2 files are already here" in problem.cause
        assert picture(two.root) == before
    (two.root / "new.jpg").write_bytes(photo(9))
    two.add("new.jpg", "2022-01-01T12:00:00", "집")
    assert len(run(two, tmp_path / "sorted", mode="move").problems) == 1
    assert picture(two.root) == before


def test_a_copying_run_deletes_nothing_that_an_undo_brought_back(two, tmp_path):
    destination = tmp_path / "sorted"
    run(two, destination, mode="move")
    replace(two.root / "a.jpg", b"another")
    undo(destination)
    assert (destination / ".hashtagger").exists(), "it waits for the place of a.jpg"
    run(two, destination, mode="copy")
    assert (two.root / "b.jpg").exists()


@pytest.mark.parametrize("what", ["renamed", "deleted", "edited"])
def test_undo_names_what_it_cannot_bring_back(two, tmp_path, what):
    destination, lost = tmp_path / "sorted", two.root / "a.jpg"
    run(two, destination, mode="move")
    places = list(destination.rglob("a.jpg"))
    for path in places:
        if what == "renamed":
            path.rename(path.with_name("mine.jpg"))
        elif what == "deleted":
            path.unlink()
        else:
            replace(path, b"edited")
    if what == "edited":
        shutil.rmtree(destination / "해시태그")
        (problem,) = run(two, destination, mode="move").problems
        assert problem.cause.endswith(str(places[0]) if "날짜" in str(places[0]) else str(places[1]))
    found = {problem.location: problem.cause.split(":")[0] for problem in undo(destination).problems}
    assert found.pop(str(lost)) == "not restored"
    assert found == ({str(path): "changed since" for path in places if path.exists()} if what == "edited" else {})
    assert [path.name for path in two.root.iterdir()] == ["b.jpg"]
    assert not (destination / ".hashtagger").exists()


def test_undo_takes_a_source_that_somebody_put_back(two, tmp_path):
    destination = tmp_path / "sorted"
    run(two, destination, mode="move")
    shutil.copyfile(destination / "날짜/2021/04/a.jpg", two.root / "a.jpg")
    assert undo(destination).problems == []
    assert {path.name for path in two.root.iterdir()} == {"a.jpg", "b.jpg"}
    assert not destination.exists()


def test_undo_brings_back_a_moved_photo_that_an_earlier_copy_stands_for(two, tmp_path, picture):
    run(two, tmp_path / "sorted", mode="copy")
    shutil.copytree(two.root, tmp_path / "again")
    first, two.root = two.root, tmp_path / "again"
    before = picture(first), picture(two.root)
    run(two, tmp_path / "sorted", mode="move")
    assert not contents(two.root)
    assert undo(tmp_path / "sorted").problems == []
    assert (picture(first), picture(two.root)) == before
    assert not (tmp_path / "sorted").exists()


def test_undo_brings_back_only_what_was_moved(two, tmp_path, picture):
    before = picture(two.root)
    shutil.copytree(two.root, tmp_path / "again")
    run(two, tmp_path / "sorted", mode="move")
    first, two.root = two.root, tmp_path / "again"
    report = run(two, tmp_path / "sorted", mode="copy")
    assert (report.files, report.duplicates) == (2, 2)
    shutil.rmtree(two.root)
    assert undo(tmp_path / "sorted").problems == []
    assert picture(first) == before
    assert not two.root.exists()


def test_undo_waits_with_a_moved_photo_whose_path_is_taken(two, tmp_path, picture):
    destination, before = tmp_path / "sorted", picture(two.root)
    run(two, destination, mode="move")
    replace(two.root / "a.jpg", b"another")
    assert [problem.location for problem in undo(destination).problems] == [str(destination / "날짜/2021/04/a.jpg")]
    assert (two.root / "a.jpg").read_bytes() == b"another"
    (two.root / "a.jpg").unlink()
    assert undo(destination).problems == []
    assert picture(two.root) == before
    assert not destination.exists()


@pytest.mark.parametrize("mode", ["move", "hardlink"])
def test_another_photo_at_the_old_path_is_another_photo(two, tmp_path, mode):
    """Even if it has the same size as the stored one."""
    destination, old = tmp_path / "sorted", (two.root / "a.jpg").read_bytes()
    run(two, destination, mode=mode, min_count=3)
    new = old[:-1] + b"x"
    replace(two.root / "a.jpg", new)
    assert verify(destination).problems == []
    two.add("a.jpg", "2023-01-01T12:00:00", "집")
    two.rows = two.rows[2:]
    report = run(two, destination, mode=mode, min_count=3)
    assert (report.files, report.duplicates, report.problems) == (3, 0, [])
    # The tag is frequent now, so the stored photo gets one more place.
    assert [(destination / f"해시태그/집/{name}").read_bytes() for name in ("a.jpg", "a (2).jpg")] == [old, new]
    assert verify(destination).problems == []


def test_a_backup_of_moved_photos_is_not_stored_again(two, tmp_path):
    destination = tmp_path / "sorted"
    shutil.copytree(two.root, tmp_path / "backup")
    run(two, destination, mode="move")
    stored = sorted(destination.rglob("*.jpg"))
    two.root = tmp_path / "backup"
    report = run(two, destination)
    assert (report.posts, report.files, report.duplicates) == (2, 2, 2)
    assert sorted(destination.rglob("*.jpg")) == stored


def test_a_source_that_was_replaced_after_planning_is_not_linked_to(two, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "apply", stop)
    with pytest.raises(KeyboardInterrupt):
        run(two, tmp_path / "sorted", mode="hardlink")
    monkeypatch.undo()
    replace(two.root / "a.jpg", b"another")
    two.rows = two.rows[1:]
    report = run(two, tmp_path / "sorted", mode="hardlink")
    assert [problem.location for problem in report.problems] == [str(two.root / "a.jpg")]
    assert not list((tmp_path / "sorted").rglob("a.jpg"))


def test_a_moved_photo_is_known_by_its_content(two, tmp_path):
    destination = tmp_path / "sorted"
    run(two, destination, mode="move")
    edited = destination / "날짜/2021/04/a.jpg"
    stat = edited.stat()
    edited.unlink()
    edited.write_bytes(b"x" * stat.st_size)
    os.utime(edited, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [problem.location for problem in verify(destination).problems] == [str(edited)]


def test_a_source_that_cannot_be_deleted_is_named_and_stops_nothing(two, tmp_path, monkeypatch, picture):
    def unlink(path, **options):
        if Path(path) == two.root / "a.jpg":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
        real(path, **options)

    real, before = os.unlink, picture(two.root)
    monkeypatch.setattr(os, "unlink", unlink)
    for _again in range(2):
        report = run(two, tmp_path / "sorted", mode="move")
        assert [problem.location for problem in report.problems] == [str(two.root / "a.jpg")]
        assert [path.name for path in two.root.iterdir()] == ["a.jpg"]
        assert (tmp_path / "sorted/index.html").exists()
    monkeypatch.undo()
    assert undo(tmp_path / "sorted").problems == []
    assert picture(two.root) == before


@pytest.mark.parametrize("mode", ["copy", "hardlink", "move"])
def test_read_only_photos_where_such_are_not_removed(two, tmp_path, monkeypatch, picture, mode):
    """As on Windows, where all hard links to a file share the read-only attribute."""

    def unlink(path, *, dir_fd=None):
        if dir_fd is None and not os.lstat(path).st_mode & 0o200:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        real(path, dir_fd=dir_fd)

    real, real_apply = os.unlink, run_module.apply
    for path in two.root.iterdir():
        path.chmod(0o444)
    before = picture(two.root)
    monkeypatch.setattr(os, "unlink", unlink)

    def interrupted(db, destination, *arguments, **options):
        left = destination / ".hashtagger/stage/0/1"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"left by a killed run")
        left.chmod(0o444)
        return real_apply(db, destination, *arguments, **options)

    monkeypatch.setattr(run_module, "apply", interrupted)
    assert run(two, tmp_path / "sorted", mode=mode).problems == []
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "sorted").rglob("*.jpg")} == {0o444}
    assert mode == "move" or picture(two.root) == before
    assert undo(tmp_path / "sorted").problems == []
    assert picture(two.root) == before


def test_a_source_that_is_a_link_is_not_deleted(two, tmp_path, picture):
    (two.root / "c.jpg").symlink_to("a.jpg")
    (tmp_path / "outside.jpg").write_bytes(b"outside")
    (two.root / "d.jpg").symlink_to(tmp_path / "outside.jpg")
    for name in ("c.jpg", "d.jpg"):
        two.rows.insert(0, (name, "2021-01-01T12:00:00", (), ""))
    before = picture(two.root)
    report = run(two, tmp_path / "sorted", mode="move")
    assert {problem.location for problem in report.problems} == {str(two.root / name) for name in ("c.jpg", "d.jpg")}
    assert {path.name for path in two.root.iterdir()} == {"c.jpg", "d.jpg"}
    assert undo(tmp_path / "sorted").problems == []
    assert picture(two.root) == before
    assert not (tmp_path / "sorted").exists()


def test_a_source_is_not_deleted_for_a_copy_with_embedded_tags(two, tmp_path, picture, monkeypatch):
    """A copy that a killed undo left; after it, the next run's mode applies to all files."""
    module = sys.modules["hashtagger.organize.undo"]
    before = picture(two.root)
    run(two, tmp_path / "sorted", mode="copy", embed=True)
    monkeypatch.setattr(module, "_remove", stop)
    with pytest.raises(KeyboardInterrupt):
        undo(tmp_path / "sorted")
    monkeypatch.undo()
    run(two, tmp_path / "sorted", mode="move")
    assert picture(two.root) == before
    assert undo(tmp_path / "sorted").problems == []
    assert picture(two.root) == before


def test_undo_gives_a_source_the_permissions_that_it_had_when_it_was_moved(two, tmp_path, picture, monkeypatch):
    monkeypatch.setattr(run_module, "apply", stop)
    with pytest.raises(KeyboardInterrupt):
        run(two, tmp_path / "sorted", mode="move")
    monkeypatch.undo()
    (two.root / "a.jpg").chmod(0o600)
    before = picture(two.root)
    run(two, tmp_path / "sorted", mode="move")
    undo(tmp_path / "sorted")
    assert picture(two.root) == before


def test_undo_gives_each_duplicate_its_own_permissions(two, tmp_path, picture):
    (two.root / "b.jpg").write_bytes((two.root / "a.jpg").read_bytes())
    for name, permissions in (("a.jpg", 0o644), ("b.jpg", 0o600)):
        (two.root / name).chmod(permissions)
    before = picture(two.root)
    run(two, tmp_path / "sorted", mode="move")
    undo(tmp_path / "sorted")
    assert picture(two.root) == before
