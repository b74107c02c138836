import csv
import errno
import io
import json
import os
import shutil
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from zipfile import ZipFile

import pytest

from hashtagger.errors import HashtaggerError, OrganizeError
from hashtagger.history import History
from hashtagger.organize import files, organize, undo, verify
from hashtagger.posts.post import Media, Post


def run(album, destination, **options):
    return organize(album, destination, **{"lang": "ko", "tag_untagged": False} | options)


def paths(destination):
    found = (path.relative_to(destination).as_posix() for path in destination.rglob("*.*") if path.is_file())
    return {
        path for path in found if path.startswith(("날짜", "해시태그", "date", "tag")) and not path.endswith(".xmp")
    }


def test_a_dry_run_shows_what_a_run_does_and_writes_nothing(album, tmp_path):
    destination = tmp_path / "sorted"
    plan = run(album, destination, dry_run=True)
    assert not destination.exists()
    planned = {placement.path for placement in plan.placements()}
    assert {placement.done for placement in plan.placements()} == {False}
    report = run(album, destination)
    assert paths(destination) == planned
    assert plan.totals() == report.totals()
    assert (report.posts, report.files, report.new_files, report.duplicates) == (13, 12, 12, 1)


def test_folders_by_month_and_by_tag(album, tmp_path, photo):
    run(album, tmp_path / "sorted")
    found = paths(tmp_path / "sorted")
    assert {"날짜/2021/04/IMG_0.jpg", "해시태그/강아지/IMG_0.jpg", "날짜/2022/01/clip.mp4"} <= found
    assert "해시태그/기타/IMG_1.jpg" in found  # has no tag
    assert (tmp_path / "sorted/날짜/2021/04/IMG_0.jpg").read_bytes() == photo(0)


def test_a_tag_used_less_than_min_count_goes_to_other(album, tmp_path, photo):
    for number, tags in enumerate((("한번만",), ("강아지", "두번째"))):
        (album.root / f"rare{number}.jpg").write_bytes(photo(50 + number))
        album.add(f"rare{number}.jpg", "2022-01-01T00:30:00", *tags)
    run(album, tmp_path / "few", min_count=2)
    assert not (tmp_path / "few/해시태그/한번만").exists()
    assert (tmp_path / "few/해시태그/기타/rare0.jpg").exists()
    assert not (tmp_path / "few/해시태그/기타/rare1.jpg").exists(), "it is among 강아지"
    run(album, tmp_path / "one", min_count=1)
    assert not (tmp_path / "one/해시태그/기타/rare0.jpg").exists()


def test_english_names_and_one_kind_of_folder(album, tmp_path):
    run(album, tmp_path / "sorted", lang="en", by=["tag"])
    assert {path.split("/")[0] for path in paths(tmp_path / "sorted")} == {"tag"}
    assert (tmp_path / "sorted/tag/other").is_dir()


def test_a_file_is_stored_once_and_keeps_its_time_and_permissions(album, tmp_path):
    run(album, tmp_path / "sorted")
    by_date, by_tag = tmp_path / "sorted/날짜/2021/04/IMG_0.jpg", tmp_path / "sorted/해시태그/강아지/IMG_0.jpg"
    source = album.root / "0/IMG_0.jpg"
    assert by_date.samefile(by_tag)
    assert not by_date.samefile(source)
    assert (by_date.stat().st_mtime_ns, by_date.stat().st_mode) == (source.stat().st_mtime_ns, source.stat().st_mode)


def test_without_hard_links_every_place_gets_its_own_copy(album, tmp_path, monkeypatch, picture):
    def refuse(*_args, **_options):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    report = run(album, tmp_path / "sorted")
    monkeypatch.undo()
    assert len(paths(tmp_path / "sorted")) == report.places
    assert all((tmp_path / "sorted" / path).stat().st_nlink == 1 for path in paths(tmp_path / "sorted"))
    assert verify(tmp_path / "sorted").problems == []
    undo(tmp_path / "sorted")
    assert not (tmp_path / "sorted").exists()


def test_same_content_is_stored_once_other_content_gets_a_number(album, tmp_path, photo):
    run(album, tmp_path / "sorted")
    # Number 11 is number 0 again: found in both months, but one file.
    assert (tmp_path / "sorted/날짜/2021/05/IMG_0.jpg").samefile(tmp_path / "sorted/날짜/2021/04/IMG_0.jpg")
    assert (tmp_path / "sorted/날짜/2021/04/IMG_0 (2).jpg").read_bytes() == photo(2)


def test_names_that_differ_in_case_only_are_kept_apart(album, tmp_path, photo):
    (album.root / "IMG_9.jpg").write_bytes(photo(30))
    (album.root / "img_9.JPG").write_bytes(photo(31))
    album.add("IMG_9.jpg", "2021-04-01T00:00:00", "카페")
    album.add("img_9.JPG", "2021-04-01T00:00:00", "카페")
    run(album, tmp_path / "sorted")
    assert {"날짜/2021/04/IMG_9.jpg", "날짜/2021/04/img_9 (2).JPG"} <= paths(tmp_path / "sorted")


def test_the_month_is_that_of_the_zone(album, tmp_path):
    class Midnight:
        problems = ()

        def posts(self):
            path = album.root / "clip.mp4"
            when = datetime(2021, 12, 31, 15, 30, tzinfo=timezone.utc)  # 00:30 on New Year's Day in Seoul
            yield Post(when, (Media("clip.mp4", str(path), "video", path),))

    run(Midnight(), tmp_path / "seoul")
    run(Midnight(), tmp_path / "utc", timezone="UTC")
    assert (tmp_path / "seoul/날짜/2022/01/clip.mp4").exists()
    assert (tmp_path / "utc/날짜/2021/12/clip.mp4").exists()


def test_a_photo_has_one_sidecar_beside_it_in_its_month_or_one_in_every_folder_of_tags(album, tmp_path):
    def sidecars(destination):
        return {path.relative_to(destination).as_posix().removesuffix(".xmp") for path in destination.rglob("*.xmp")}

    destination = tmp_path / "sorted"
    run(album, destination)
    assert sidecars(destination) == {path for path in paths(destination) if path.startswith("날짜")}
    run(album, destination, by=["tag"])
    assert sidecars(destination) == paths(destination)
    assert all(path.startswith("해시태그") for path in paths(destination))
    assert verify(destination).pending == 0
    run(album, destination)
    assert sidecars(destination) == {path for path in paths(destination) if path.startswith("날짜")}
    assert verify(destination).problems == []
    undo(destination)
    assert not destination.exists()


@pytest.mark.parametrize("name", ["{}.jpg", "{}/a.jpg"])
def test_no_run_goes_through_a_folder_for_each_of_its_names(album, tmp_path, photo, name):
    """With many names in one folder, whether one is free, ours or foreign is found by an index lookup."""
    number_of_files = 500
    for number in range(number_of_files):
        path = album.root / name.format(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo(1)[:-2] + b"%d" % number)
        album.add(name.format(number), "2022-01-01T00:00:00")
    steps = 0

    def count():
        nonlocal steps
        steps += 1
        return 0

    from hashtagger.organize import journal

    real = journal.open_database

    def counting(path, **options):
        db = real(path, **options)
        db.set_progress_handler(count, 100)
        return db

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "open_database", counting)
        for _again in range(2):
            run(album, tmp_path / "sorted", by=["tag"])
    assert steps * 100 < 5 * number_of_files * number_of_files


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_sidecars_of_the_users_stay_beside_their_photos(tmp_path, photo, picture, mode):
    source, destination = tmp_path / "source", tmp_path / "sorted"
    for number, name in enumerate(["a/IMG_1.jpg", "b/IMG_1.jpg", "b/IMG_1.CR2", "b/IMG_2.jpg", "b/IMG_3.CR2"]):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(photo(number))
    for number, name in enumerate(["b/IMG_1.xmp", "b/IMG_2.jpg.xmp", "b/IMG_3.CR2.xmp", "a/IMG_1.jpg.xmp"]):
        (source / name).write_text(f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><!-- {number} --></x:xmpmeta>")
    for path in source.rglob("*.*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    before = picture(source)
    assert organize(source, destination, by="date", mode=mode, tag_untagged=False, lang="ko").problems == []
    whole = picture(destination)
    for name, theirs in {
        "IMG_1.jpg": "a/IMG_1.jpg",
        "IMG_1.jpg.xmp": "a/IMG_1.jpg.xmp",
        "IMG_1 (2).jpg": "b/IMG_1.jpg",
        "IMG_1 (2).CR2": "b/IMG_1.CR2",
        "IMG_1 (2).xmp": "b/IMG_1.xmp",
        "IMG_2.jpg.xmp": "b/IMG_2.jpg.xmp",
        "IMG_3.CR2.xmp": "b/IMG_3.CR2.xmp",
    }.items():
        assert whole[f"날짜/2020/09/{name}"][0] == before[theirs][0], name
    # There is no sidecar of ours that contradicts them.
    assert {path.name for path in destination.rglob("*.xmp")} == {
        "IMG_1.jpg.xmp", "IMG_1 (2).xmp", "IMG_2.jpg.xmp", "IMG_3.CR2.xmp"
    }  # fmt: skip
    assert verify(destination).problems == []
    assert organize(source, destination, by="date", mode=mode, tag_untagged=False).new_files == 0
    assert picture(destination) == whole
    assert undo(destination).problems == []
    assert picture(source) == before
    assert not destination.exists()


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_sidecars_of_one_content_stay_beside_their_photos(tmp_path, photo, picture, mode):
    """They are equal if, for example, a whole folder was tagged at once."""
    source, again, destination = tmp_path / "source", tmp_path / "again", tmp_path / "sorted"
    source.mkdir()
    rated = "<x:xmpmeta xmlns:x='adobe:ns:meta/'><!-- five stars --></x:xmpmeta>"
    for number, name in enumerate(["a.jpg", "b.jpg", "a.CR2", "raw_a.CR2", "raw_b.CR2"]):
        (source / name).write_bytes(photo(number))
        (source / name).with_suffix(".xmp").write_text(rated)
    (source / "b.jpg.xmp").write_text(rated)
    shutil.copytree(source, source / "twice", ignore=shutil.ignore_patterns("a.*"))
    (source / "raw").mkdir()
    shutil.copy(source / "a.CR2", source / "raw")
    for path in source.rglob("*.*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    shutil.copytree(source, again)
    before = picture(source)
    report = organize(source, destination, by="date", mode=mode, tag_untagged=False, lang="ko")
    assert (report.posts, report.files, report.duplicates, report.problems) == (4, 10, 8, [])
    whole = picture(destination)
    for path in filter(Path.is_file, again.glob("*")):
        assert whole[f"날짜/2020/09/{path.name}"][0] == path.read_bytes(), path.name
    for _again in range(2):
        report = organize(again, destination, by="date", mode=mode, tag_untagged=False)
        assert (report.posts, report.files, report.duplicates, report.new_files) == (4, 10, 26, 0)
        now = picture(destination)
        assert {path: now[path] for path in whole if path != "report.json"} == {
            path: whole[path] for path in whole if path != "report.json"
        }
    assert any(map(Path.is_file, again.rglob("*"))) == (mode == "copy")
    assert undo(destination).problems == []
    assert picture(source) == picture(again) == before
    assert not destination.exists()


@pytest.fixture
def rated(tmp_path, photo):
    """A photo with a sidecar of the user's, and how a photo manager gives it another keyword: in a new file."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "IMG_1.jpg").write_bytes(photo(1))
    os.utime(source / "IMG_1.jpg", (1_600_000_000, 1_600_000_000))

    def keyword(word):
        subject = f"<dc:subject><rdf:Bag><rdf:li>{word}</rdf:li></rdf:Bag></dc:subject>"
        (tmp_path / "new.xmp").write_text(
            "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' "
            f"xmlns:dc='http://purl.org/dc/elements/1.1/'><rdf:Description>{subject}</rdf:Description></rdf:RDF>",
            encoding="utf-8",
        )
        (tmp_path / "new.xmp").replace(source / "IMG_1.jpg.xmp")
        return (source / "IMG_1.jpg.xmp").read_bytes()

    keyword("강아지")
    return source, keyword


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
def test_a_sidecar_of_the_users_that_was_edited_replaces_the_one_in_the_tree(rated, tmp_path, mode):
    source, keyword = rated
    destination = tmp_path / "sorted"
    for word in ("강아지", "고양이", "강아지"):
        edited = keyword(word)
        report = run(source, destination, mode=mode, min_count=1)
        assert (report.posts, report.files, report.problems) == (1, 2, [])
        sidecars = {path.relative_to(destination).as_posix(): path for path in destination.rglob("*.xmp")}
        assert sidecars.keys() == {"날짜/2020/09/IMG_1.jpg.xmp", f"해시태그/{word}/IMG_1.jpg.xmp"}
        assert {path.read_bytes() for path in sidecars.values()} == {edited}
        assert verify(destination).problems == []
    assert undo(destination).problems == []
    assert not destination.exists()
    assert (source / "IMG_1.jpg.xmp").read_bytes() == edited


def test_a_sidecar_that_was_edited_in_the_tree_too_stays(rated, tmp_path):
    source, keyword = rated
    run(source, tmp_path / "sorted", by="date")
    theirs = tmp_path / "sorted/날짜/2020/09/IMG_1.jpg.xmp"
    theirs.write_text("rated in the tree")
    for word in ("고양이", "꽃"):  # The numbered one is replaced in its turn.
        edited = keyword(word)
        run(source, tmp_path / "sorted", by="date")
        assert {path.name: path.read_bytes() for path in theirs.parent.glob("*.xmp")} == {
            "IMG_1.jpg.xmp": b"rated in the tree", "IMG_1 (2).jpg.xmp": edited
        }  # fmt: skip
    assert [problem.location for problem in undo(tmp_path / "sorted").problems] == [str(theirs)]
    assert list(theirs.parent.iterdir()) == [theirs]


@pytest.mark.parametrize("moved", ["source", "again"])
def test_a_sidecar_that_undo_has_to_bring_back_is_not_replaced(rated, tmp_path, moved):
    """The file itself was moved, or another one because its content was in the tree already."""
    source, keyword = rated
    old = (source / "IMG_1.jpg.xmp").read_bytes()
    run(source, tmp_path / "sorted", by="date", mode="move" if moved == "source" else "copy")
    if moved == "again":
        shutil.copytree(source, tmp_path / "again")
        run(tmp_path / "again", tmp_path / "sorted", by="date", mode="move")
    shutil.copy2(tmp_path / "sorted/날짜/2020/09/IMG_1.jpg", source)
    edited = keyword("고양이")
    run(source, tmp_path / "sorted", by="date")
    assert {path.read_bytes() for path in (tmp_path / "sorted").rglob("*.xmp")} == {old, edited}
    undo(tmp_path / "sorted")
    assert (source / "IMG_1.jpg.xmp").read_bytes() == edited
    assert old in {path.read_bytes() for path in tmp_path.rglob("*.xmp")}


def test_a_photo_its_film_and_its_edit_keep_one_name(tmp_path, photo, picture):
    source, destination = tmp_path / "source", tmp_path / "sorted"
    for number, name in enumerate(["a/IMG_1.jpg", "b/IMG_1.jpg", "b/IMG_1.mov", "c/IMG_1.jpg", "c/IMG_1.mov"]):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(photo(number) if name.endswith("jpg") else b"\0\0\0\x14ftypqt  %d" % number)

    def sort():
        for path in source.rglob("*.*"):
            os.utime(path, (1_600_000_000, 1_600_000_000))
        organize(source, destination, by="date", tag_untagged=False, lang="ko")
        return {path.name: path.read_bytes() for path in destination.glob("날짜/2020/09/IMG*") if path.suffix != ".xmp"}

    named = {"": "a", " (2)": "b", " (3)": "c"}
    found = sort()
    assert found == {
        f"IMG_1{number}{suffix}": (source / folder / f"IMG_1{suffix}").read_bytes()
        for number, folder in named.items()
        for suffix in (".jpg", ".mov")
        if (folder, suffix) != ("a", ".mov")
    }
    # A companion added to a known post takes the number of its photo.
    (source / "b/IMG_1.aae").write_text("edit")
    assert sort() == found | {"IMG_1 (2).aae": b"edit"}


def test_files_of_one_post_that_have_one_name_stay_apart(tmp_path, photo):
    class Carousel:
        problems = ()

        def posts(self):
            files = [tmp_path / name for name in ("1/a.jpg", "1/a.mp4", "2/a.jpg")]
            for number, path in enumerate(files):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(photo(number))
            media = tuple(Media(path.name, str(path), "photo", path) for path in files)
            yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), media)

    run(Carousel(), tmp_path / "sorted", by="date")
    assert paths(tmp_path / "sorted") == {f"날짜/2021/04/{name}" for name in ("a.jpg", "a.mp4", "a (2).jpg")}


def test_a_post_met_again_says_what_it_did_not_say_before(album, tmp_path, picture):
    destination = tmp_path / "sorted"
    album.rows[3] = (*album.rows[3][:3], "")
    run(album, destination)
    sidecar = destination / "날짜/2021/05/IMG_1.jpg.xmp"
    assert "산책" not in sidecar.read_text(encoding="utf-8")
    edited = destination / "날짜/2021/04/IMG_0.jpg.xmp"
    edited.unlink()
    edited.write_text("rated")
    cropped = destination / "날짜/2021/05/IMG_0 (2).jpg"  # this photo gets more tags later, too
    cropped.write_bytes(b"cropped")
    untouched = (destination / "날짜/2021/04/IMG_1.jpg.xmp").stat().st_mtime_ns
    shutil.copytree(album.root, tmp_path / "again")
    album.root = tmp_path / "again"
    album.rows[3] = (*album.rows[3][:2], ("꽃", "산책"), "나중에 쓴 글")
    for number in (0, 1):
        file, when, tags, words = album.rows[number]
        album.rows[number] = (file, when, (*tags, "꽃"), words)
    report = run(album, destination)
    assert (report.posts, report.files, report.new_files) == (13, 12, 0)
    rows = list(csv.DictReader((destination / "posts.csv").read_text(encoding="utf-8-sig").splitlines()))
    row = next(row for row in rows if row["날짜"] == "2021-05-01 12:03:00")
    assert (row["내용"], row["해시태그"]) == ("나중에 쓴 글", "#꽃 #산책")
    data = json.loads((destination / "index.html").read_text(encoding="utf-8").split('id="data">')[1].split("<")[0])
    names = {number: name for number, name, _uses in data["tags"]}
    shown = next(post for post in data["posts"] if post[1] == "나중에 쓴 글")
    assert [names[number] for number in shown[4]] == ["꽃", "산책"]
    assert (destination / "해시태그/산책/IMG_1.jpg").exists()
    assert "나중에 쓴 글" in sidecar.read_text(encoding="utf-8")
    assert "산책" in sidecar.read_text(encoding="utf-8")
    assert edited.read_text() == "rated"
    assert (destination / "날짜/2021/04/IMG_1.jpg.xmp").stat().st_mtime_ns == untouched
    assert cropped.read_bytes() == b"cropped"
    assert not cropped.with_name("IMG_0 (3).jpg").exists()
    links = [path for path in destination.rglob("*.jpg") if path.samefile(cropped)]
    assert {problem.location for problem in verify(destination).problems} == {str(edited), *map(str, links)}
    whole = picture(destination)
    run(album, destination)
    assert picture(destination) == whole


@pytest.mark.parametrize(
    "options", [{"lang": "en"}, {"by": ["date"]}, {"by": ["tag"]}, {"min_count": 5}], ids=["en", "date", "tag", "few"]
)
def test_another_layout_makes_the_tree_that_it_makes_elsewhere(album, tmp_path, photo, picture, options):
    run(album, tmp_path / "sorted")
    (album.root / "new.jpg").write_bytes(photo(43))
    album.add("new.jpg", "2021-04-05T00:00:00", "집")
    run(album, tmp_path / "sorted", **options)
    run(album, tmp_path / "other", **options)
    assert picture(tmp_path / "sorted").keys() == picture(tmp_path / "other").keys()
    assert verify(tmp_path / "sorted").problems == []
    run(album, tmp_path / "sorted")
    run(album, tmp_path / "whole")
    assert picture(tmp_path / "sorted").keys() == picture(tmp_path / "whole").keys()
    undo(tmp_path / "sorted")
    assert not (tmp_path / "sorted").exists()


def test_a_folder_that_the_user_made_stays_when_it_is_empty(album, tmp_path):
    (tmp_path / "sorted/해시태그/강아지").mkdir(parents=True)
    run(album, tmp_path / "sorted")
    run(album, tmp_path / "sorted", by="date")
    assert {path.name for path in tmp_path.glob("sorted/해시태그/*")} == {"강아지"}


def test_what_was_planned_last_counts(album, tmp_path, monkeypatch):
    from hashtagger.organize import run as module

    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    # The number of places by month equals that by tag.
    album.rows = [(file, when, ("꽃",), words) for file, when, _tags, words in album.rows[:4]]
    run(album, tmp_path / "sorted")
    monkeypatch.setattr(module, "apply", stop)
    with pytest.raises(KeyboardInterrupt):
        run(album, tmp_path / "sorted", by=["date"])
    monkeypatch.undo()
    run(album, tmp_path / "sorted", by=["tag"])
    assert {path.split("/")[0] for path in paths(tmp_path / "sorted")} == {"해시태그"}


def test_a_copy_without_tags_of_a_photo_with_tags_is_not_among_the_rest(album, tmp_path):
    album.rows = [(file, when, () if file == "2/IMG_3.jpg" else tags, words) for file, when, tags, words in album.rows]
    run(album, tmp_path / "sorted")  # 2/IMG_3.jpg duplicates 0/IMG_0.jpg
    photo = tmp_path / "sorted/날짜/2021/04/IMG_0.jpg"
    found = [path.parent.name for path in (tmp_path / "sorted").rglob("*.jpg") if path.samefile(photo)]
    assert sorted(found) == ["04", "05", "강아지", "산책"]


@pytest.mark.parametrize(("lang", "rest"), [("ko", "해시태그/기타"), ("en", "tag/other")])
def test_a_tag_called_as_the_rest_has_a_folder_of_its_own(album, tmp_path, lang, rest):
    album.rows = [(file, when, (rest.split("/")[1],) if tags else (), words) for file, when, tags, words in album.rows]
    run(album, tmp_path / "sorted", lang=lang)
    names = {folder: len(list((tmp_path / "sorted" / folder).glob("IMG*"))) for folder in (rest, rest + " (2)")}
    assert names == {rest: 2, rest + " (2)": 9}


def test_a_second_run_changes_nothing(album, tmp_path, picture):
    run(album, tmp_path / "sorted")
    before = {path: path.lstat().st_ctime_ns for path in (tmp_path / "sorted").rglob("*") if ".hash" not in str(path)}
    report = run(album, tmp_path / "sorted")
    after = {path: path.lstat().st_ctime_ns for path in (tmp_path / "sorted").rglob("*") if ".hash" not in str(path)}
    assert report.new_files == 0
    assert before == after


def test_a_dry_run_names_what_goes_away(album, tmp_path):
    run(album, tmp_path / "sorted")
    plan = run(album, tmp_path / "sorted", by="date", dry_run=True)
    gone = {placement.path for placement in plan.placements() if placement.how == "remove"}
    assert gone == {path for path in paths(tmp_path / "sorted") if path.startswith("해시태그")}
    assert (plan.new_files, plan.places) == (0, len(paths(tmp_path / "sorted") - gone))
    report = run(album, tmp_path / "sorted", by="date")
    assert (report.new_files, report.places) == (0, plan.places)
    assert {placement.how for placement in report.placements()} == {"copy"}


def test_only_what_was_brought_is_counted(album, tmp_path):
    missing = tmp_path / "export.zip"
    real = album.posts

    class Album:
        problems = ()

        def posts(self):
            yield from real()
            media = Media("x.jpg", f"{missing}!x.jpg", "photo", None, missing, "x.jpg", 100)
            yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), (media,), tags=("집",))

    report = run(Album(), tmp_path / "sorted", min_count=3)
    assert [problem.location for problem in report.problems] == [f"{missing}!x.jpg"]
    assert (report.new_files, report.places) == (12, len(paths(tmp_path / "sorted")))
    report = run(Album(), tmp_path / "sorted", min_count=1)
    assert (report.new_files, report.places) == (0, len(paths(tmp_path / "sorted")))


@pytest.mark.parametrize("dry_run", [True, False])
def test_another_time_zone_than_the_trees_is_refused(album, tmp_path, dry_run, picture):
    run(album, tmp_path / "sorted", timezone="UTC")
    before = picture(tmp_path / "sorted")
    with pytest.raises(OrganizeError, match=r"sorted in time zone UTC; use the same one$"):
        run(album, tmp_path / "sorted", dry_run=dry_run)
    assert run(album, tmp_path / "sorted", timezone="UTC").new_files == 0
    assert picture(tmp_path / "sorted") == before


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"embed": True, "mode": "move"}, "embed writes into copies, so the mode must be copy"),
        ({"min_count": 0}, "min_count must be 1 or more, not 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_by_their_names(album, tmp_path, options, cause):
    with pytest.raises(OrganizeError, match=f"^{cause}$"):
        run(album, tmp_path / "sorted", **options)
    assert not (tmp_path / "sorted").exists()


def test_new_posts_are_added_without_redoing_the_old(album, tmp_path, photo, picture):
    rows, album.rows = album.rows, album.rows[3:]
    run(album, tmp_path / "sorted")
    old = paths(tmp_path / "sorted")
    held = tmp_path / "held"  # keeps old inodes from being reused by new files
    for path in old:
        (held / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(tmp_path / "sorted" / path, held / path)
    album.rows = rows
    (album.root / "new.jpg").write_bytes(photo(40))
    album.add("new.jpg", "2023-01-01T00:00:00", "집")  # used a third time now
    report = run(album, tmp_path / "sorted")
    assert report.new_files == 3  # one of the four has the content of a known post
    stay = {path for path in old if not path.startswith("해시태그/기타")}
    assert stay
    assert all((tmp_path / "sorted" / path).samefile(held / path) for path in stay)


def test_a_tag_that_becomes_frequent_moves_out_of_other(album, tmp_path, photo):
    album.rows = album.rows[:3]
    run(album, tmp_path / "sorted")
    (other,) = (tmp_path / "sorted/해시태그/기타").iterdir()
    assert other.read_bytes() == photo(2)
    (album.root / "new.jpg").write_bytes(photo(41))
    album.add("new.jpg", "2023-01-01T00:00:00", "집", "고양이", "산책")
    run(album, tmp_path / "sorted")
    assert not list((tmp_path / "sorted/해시태그").glob("기타/*"))
    assert len(list((tmp_path / "sorted/해시태그/집").glob("*.jpg"))) == 2
    assert verify(tmp_path / "sorted").problems == []


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_a_place_no_longer_called_for_is_left_only_for_another_that_is_there(album, tmp_path, mode, photo):
    destination = tmp_path / "sorted"
    run(album, destination, mode=mode)
    album.rows = []
    for path in destination.glob("날짜/**/*.jpg"):
        path.unlink()
    run(album, destination, mode=mode, by=["date"])
    assert {path.read_bytes() for path in destination.rglob("*.jpg")} == {photo(number) for number in range(11)}
    assert not list(destination.glob("해시태그/*/clip.mp4"))
    assert undo(destination).problems == []
    assert len([path for path in album.root.rglob("*") if path.is_file()]) == 13
    assert not destination.exists()


def test_the_same_posts_from_elsewhere_are_not_stored_again(album, tmp_path, picture):
    run(album, tmp_path / "sorted")
    before = picture(tmp_path / "sorted")
    shutil.copytree(album.root, tmp_path / "again")
    album.root = tmp_path / "again"
    report = run(album, tmp_path / "sorted")
    assert report.posts == 13
    assert {k: v for k, v in picture(tmp_path / "sorted").items() if k != "report.json"} == {
        k: v for k, v in before.items() if k != "report.json"
    }


@pytest.mark.parametrize("elsewhere", [True, False])
def test_an_edited_caption_takes_the_place_of_the_old_one(album, tmp_path, picture, elsewhere):
    """In next year's export, or when the same folder was fetched again."""
    destination, old = tmp_path / "sorted", album.rows
    album.rows = album.rows[:6]
    run(album, destination, min_count=1)
    if elsewhere:
        shutil.copytree(album.root, tmp_path / "again")
    edited = [("0/IMG_0.jpg", old[0][1], ("카페",), "고친 글 #카페"), ("1/IMG_0.jpg", old[1][1], (), "태그를 뺀 글")]

    def next_year():
        album.root, album.rows = tmp_path / ("again" if elsewhere else "source"), edited
        return run(album, destination, min_count=1)

    report = next_year()
    assert (report.posts, report.new_files, report.problems) == (6, 0, [])
    rows = {row["내용"]: row for row in csv.DictReader((destination / "posts.csv").read_text("utf-8-sig").splitlines())}
    assert rows["고친 글 #카페"]["해시태그"] == "#카페"
    assert rows["태그를 뺀 글"]["해시태그"] == ""
    assert not {"사진 0", "사진 1"} & rows.keys()
    assert {path for path in paths(destination) if path.endswith("/IMG_0.jpg")} == {
        "날짜/2021/04/IMG_0.jpg", "날짜/2021/05/IMG_0.jpg",
        "해시태그/카페/IMG_0.jpg", "해시태그/기타/IMG_0.jpg", "해시태그/고양이/IMG_0.jpg", "해시태그/집/IMG_0.jpg",
    }  # fmt: skip
    sidecar = (destination / "날짜/2021/04/IMG_0.jpg.xmp").read_text(encoding="utf-8")
    assert "고친 글" in sidecar
    assert "강아지" not in sidecar
    assert verify(destination).problems == []
    whole = picture(destination)
    next_year()
    assert picture(destination) == whole
    if elsewhere:  # The old source has not changed, so it does not override the new words.
        album.root, album.rows = tmp_path / "source", old[:6]
        run(album, destination, min_count=1)
        assert picture(destination).keys() == whole.keys()
    assert undo(destination).problems == []
    assert not destination.exists()


class Carousel:
    problems = ()

    def __init__(self, root, names, caption, *tags):
        media = tuple(Media(Path(name).name, str(root / name), "photo", root / name) for name in names)
        self.post = Post(datetime(2021, 4, 1, tzinfo=timezone.utc), media, caption, tags)

    def posts(self):
        yield self.post


def test_edited_tags_are_those_of_a_photo_that_its_carousel_has_lost(album, tmp_path):
    """Next year's export holds two of a post's three photos."""
    names = ["0/IMG_0.jpg", "1/IMG_0.jpg", "2/IMG_0.jpg"]
    shutil.copytree(album.root, tmp_path / "again")
    run(Carousel(album.root, names, "처음", "카페"), tmp_path / "sorted", min_count=1)
    run(Carousel(tmp_path / "again", names[:2], "고친 글", "여행"), tmp_path / "sorted", min_count=1)
    assert len([path for path in paths(tmp_path / "sorted") if path.startswith("해시태그/여행/")]) == 3
    assert not any("카페" in path or "기타" in path for path in paths(tmp_path / "sorted"))
    sidecars = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.xmp")]
    assert len(sidecars) == sum("<rdf:li>여행</rdf:li>" in text for text in sidecars) == 3


@pytest.mark.parametrize("caption", ["처음", "고친 글", ""])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_carousel_of_which_a_part_came_first_is_one_post(album, tmp_path, picture, caption, first):
    destination, names = tmp_path / "sorted", ["0/IMG_0.jpg", "1/IMG_0.jpg", "2/IMG_0.jpg"]
    shutil.copytree(album.root, tmp_path / "again")
    part = Carousel(album.root, names[first : first + 1], "처음", "카페")
    whole = Carousel(tmp_path / "again", names, caption, "여행", "카페")
    run(part, destination, min_count=1)
    report = run(whole, destination, min_count=1)
    assert (report.posts, report.files, report.duplicates) == (1, 3, 1)
    (row,) = csv.DictReader((destination / "posts.csv").read_text("utf-8-sig").splitlines())
    assert row["내용"] == (caption or "처음")
    assert set(row["해시태그"].split()) == {"#카페", "#여행"}
    assert row["파일"].count(".jpg") == 3
    for folder in ("날짜/2021/04", "해시태그/여행", "해시태그/카페"):
        assert {path.name for path in (destination / folder).glob("*.jpg")} == {
            "IMG_0.jpg", "IMG_0 (2).jpg", "IMG_0 (3).jpg"
        }  # fmt: skip
    sidecars = [path.read_text(encoding="utf-8") for path in destination.rglob("*.xmp")]
    assert len(sidecars) == 3
    assert all(word in text for text in sidecars for word in ("여행", "카페", caption))
    before = picture(destination)
    for source in (whole, part, whole):
        run(source, destination, min_count=1)
        assert picture(destination) == before
    assert verify(destination).problems == []
    assert undo(destination).problems == []
    assert not destination.exists()


@pytest.mark.parametrize("guess", [True, False])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("caption", ["처음", "고친 글"])
def test_a_carousel_whose_parts_came_one_by_one_is_one_post(album, tmp_path, picture, guess, together, caption):
    """As single photos that were saved from it, perhaps without their dates."""
    destination, names = tmp_path / "sorted", ["0/IMG_0.jpg", "1/IMG_0.jpg", "2/IMG_0.jpg"]
    shutil.copytree(album.root, tmp_path / "again")
    parts = [Carousel(album.root, names[:1], "처음", "카페"), Carousel(album.root, names[1:2], "")]
    for number, part in enumerate(parts if guess else ()):
        when = datetime(2022, 1 + number, 1, tzinfo=timezone.utc)
        part.post = replace(part.post, taken_at=when, time_is_guess=True)
    whole = Carousel(tmp_path / "again", names, caption, "여행", "카페")
    if together:
        album.posts = lambda: (source.post for source in (*parts, whole))
        report = run(album, destination, min_count=1)
    else:
        for source in (*parts, whole):
            report = run(source, destination, min_count=1)
    assert (report.posts, report.files, report.guesses, report.problems) == (1, 3, 0, [])
    (row,) = csv.DictReader((destination / "posts.csv").read_text("utf-8-sig").splitlines())
    assert (row["내용"], set(row["해시태그"].split())) == (caption, {"#카페", "#여행"})
    assert row["파일"].count(".jpg") == 3
    assert {path.rpartition("/")[0] for path in paths(destination)} == {
        "날짜/2021/04", "해시태그/여행", "해시태그/카페"
    }  # fmt: skip
    assert len(paths(destination)) == 9
    sidecars = [path.read_text(encoding="utf-8") for path in destination.rglob("*.xmp")]
    assert len(sidecars) == 3
    assert all(word in text for text in sidecars for word in ("여행", "카페", caption, "2021-04-01"))
    before = picture(destination)
    for source in (*parts, whole):
        run(source, destination, min_count=1)
        assert picture(destination) == before
    assert verify(destination).problems == []
    assert undo(destination).problems == []
    assert not destination.exists()


def test_a_carousel_of_which_a_part_came_first_shows_a_photo_that_another_post_has_too(album, tmp_path):
    posts = [Carousel(album.root, [f"{number}/IMG_0.jpg" for number in numbers], "") for numbers in ([0], [1], [0, 1])]
    posts[1].post = replace(posts[1].post, taken_at=datetime(2022, 4, 1, tzinfo=timezone.utc))
    album.posts = lambda: (source.post for source in posts)
    run(album, tmp_path / "sorted", by="date")
    rows = list(csv.DictReader((tmp_path / "sorted/posts.csv").read_text("utf-8-sig").splitlines()))
    assert [row["파일"].count(".jpg") for row in rows] == [2, 1]


def test_a_carousel_of_a_guessed_date_joins_no_parts_of_two_dates(album, tmp_path):
    parts = [Carousel(album.root, [f"{number}/IMG_0.jpg"], "") for number in range(2)]
    parts[1].post = replace(parts[1].post, taken_at=datetime(2022, 4, 1, tzinfo=timezone.utc))
    whole = Carousel(album.root, ["0/IMG_0.jpg", "1/IMG_0.jpg"], "")
    whole.post = replace(whole.post, taken_at=datetime(2023, 4, 1, tzinfo=timezone.utc), time_is_guess=True)
    album.posts = lambda: (source.post for source in (*parts, whole))
    run(album, tmp_path / "sorted", by="date")
    assert {"날짜/2021/04/IMG_0.jpg", "날짜/2022/04/IMG_0.jpg"} <= paths(tmp_path / "sorted")


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_part_that_has_not_changed_does_not_bring_back_the_caption_of_its_carousel(album, tmp_path, picture, first):
    destination, names = tmp_path / "sorted", ["0/IMG_0.jpg", "1/IMG_0.jpg", "2/IMG_0.jpg"]
    shutil.copytree(album.root, tmp_path / "again")
    part = Carousel(album.root, names[first : first + 1], "처음", "카페")
    run(part, destination, min_count=1)
    run(Carousel(tmp_path / "again", names, "처음", "카페"), destination, min_count=1)
    run(Carousel(tmp_path / "again", names, "고친 글", "여행"), destination, min_count=1)
    edited = picture(destination)
    run(part, destination, min_count=1)
    assert picture(destination) == edited


def test_a_photo_that_is_added_to_a_duplicate_belongs_to_the_post(album, tmp_path):
    destination, names = tmp_path / "sorted", ["0/IMG_0.jpg", "1/IMG_0.jpg"]
    shutil.copytree(album.root, tmp_path / "again")
    run(Carousel(album.root, names[:1], "글", "카페"), destination, min_count=1)
    run(Carousel(tmp_path / "again", names[:1], "글", "카페"), destination, min_count=1)
    for caption, tag in (("글", "카페"), ("고친 글", "여행")):
        report = run(Carousel(tmp_path / "again", names, caption, tag), destination, min_count=1)
        assert (report.posts, report.files) == (1, 2)
        (row,) = csv.DictReader((destination / "posts.csv").read_text("utf-8-sig").splitlines())
        assert (row["내용"], row["해시태그"], row["파일"].count(".jpg")) == (caption, f"#{tag}", 2)
        assert {path.rpartition("/")[0] for path in paths(destination)} == {"날짜/2021/04", f"해시태그/{tag}"}
        assert len(paths(destination)) == 4


def test_a_photo_that_is_added_to_a_duplicate_does_not_bring_back_its_caption(album, tmp_path):
    """Neither over the caption that a later source gave the post, nor over its own new one."""
    destination, names = tmp_path / "sorted", ["0/IMG_0.jpg", "1/IMG_0.jpg"]
    for copy in ("again", "last"):
        shutil.copytree(album.root, tmp_path / copy)
    run(Carousel(album.root, names[:1], "처음"), destination)
    run(Carousel(tmp_path / "again", names[:1], "다음"), destination)
    run(Carousel(tmp_path / "last", names[:1], "마지막"), destination)
    for added, edited, caption in ((names, "다음", "마지막"), ([*names, "2/IMG_0.jpg"], "고친 글", "고친 글")):
        run(Carousel(tmp_path / "again", added, edited), destination)
        (row,) = csv.DictReader((destination / "posts.csv").read_text("utf-8-sig").splitlines())
        assert row["내용"] == caption


def test_the_duplicates_of_a_post_that_becomes_one_itself_follow_it(album, tmp_path):
    destination, names = tmp_path / "sorted", ["0/IMG_0.jpg", "1/IMG_0.jpg"]
    for copy in ("again", "last"):
        shutil.copytree(album.root, tmp_path / copy)
    run(Carousel(album.root, names[1:], "", "카페"), destination, min_count=1)
    for copy in ("again", "last"):
        run(Carousel(tmp_path / copy, names[:1], "", "카페"), destination, min_count=1)
    assert run(Carousel(tmp_path / "again", names, "", "카페"), destination, min_count=1).posts == 1
    run(Carousel(tmp_path / "last", names[:1], "고친 글", "여행"), destination, min_count=1)
    (row,) = csv.DictReader((destination / "posts.csv").read_text("utf-8-sig").splitlines())
    assert (row["내용"], row["해시태그"], row["파일"].count(".jpg")) == ("고친 글", "#여행", 2)
    assert {path.rpartition("/")[0] for path in paths(destination)} == {"날짜/2021/04", "해시태그/여행"}
    assert len(paths(destination)) == 4


def test_a_photo_whose_film_comes_later_is_one_post(tmp_path, photo):
    source, backup = tmp_path / "source", tmp_path / "backup"
    for folder in (source, backup):
        folder.mkdir()
        (folder / "20200607_101112.jpg").write_bytes(photo(1))
    (backup / "20200607_101112.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    (backup / "20200607_101112.CR2").write_bytes(b"II*\0 raw")
    (backup / "20200607_101112.jpg.xmp").write_text("<x>rated</x>")
    run(source, tmp_path / "sorted", by="date")
    report = run(backup, tmp_path / "sorted", by="date")
    assert (report.posts, report.files, report.problems) == (1, 4, [])
    month = tmp_path / "sorted/날짜/2020/06"
    assert (month / "20200607_101112.jpg.xmp").read_text() == "<x>rated</x>"
    assert {path.name for path in month.iterdir()} == {path.name for path in backup.iterdir()} | {
        "20200607_101112.mov.xmp", "20200607_101112.CR2.xmp"
    }  # fmt: skip
    edited = (
        "<x xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        "<dc:description><rdf:li>글</rdf:li></dc:description></x>"
    )
    (backup / "20200607_101112.jpg.xmp").write_text(edited, encoding="utf-8")
    assert run(backup, tmp_path / "sorted", by="date").posts == 1
    assert (month / "20200607_101112.jpg.xmp").read_text(encoding="utf-8") == edited
    assert len(list(month.glob("*.xmp"))) == 3


def test_a_photo_of_a_guessed_date_joins_no_two_carousels(album, tmp_path):
    guessed = Carousel(album.root, ["0/IMG_0.jpg"], "")
    first = Carousel(album.root, ["0/IMG_0.jpg", "1/IMG_0.jpg"], "처음")
    second = Carousel(album.root, ["0/IMG_0.jpg", "2/IMG_0.jpg"], "다음")
    guessed.post = replace(guessed.post, time_is_guess=True)
    second.post = replace(second.post, taken_at=datetime(2022, 4, 1, tzinfo=timezone.utc))
    album.posts = lambda: iter([guessed.post, first.post, second.post])
    report = run(album, tmp_path / "sorted", by="date")
    assert (report.posts, report.guesses) == (2, 0)
    assert paths(tmp_path / "sorted") == {
        "날짜/2021/04/IMG_0.jpg", "날짜/2021/04/IMG_0 (2).jpg", "날짜/2022/04/IMG_0.jpg", "날짜/2022/04/IMG_0 (2).jpg"
    }  # fmt: skip


@pytest.mark.parametrize("killed", [True, False])
def test_an_edited_caption_reaches_the_sidecar_of_a_photo_that_is_still_planned(album, tmp_path, monkeypatch, killed):
    """The run that put it into the tree was killed before it recorded that, or somebody deleted the photo."""
    from hashtagger.organize.land import Lander

    def land_and_stop(lander, job):
        land(lander, job)
        raise KeyboardInterrupt

    album.rows, land = album.rows[:1], Lander._land_by_links
    if killed:
        monkeypatch.setattr(Lander, "_land_by_links", land_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run(album, tmp_path / "sorted")
        monkeypatch.undo()
    else:
        run(album, tmp_path / "sorted")
        (tmp_path / "sorted/날짜/2021/04/IMG_0.jpg").unlink()
    album.rows = [(*album.rows[0][:3], "고친 글")]
    run(album, tmp_path / "sorted")
    (sidecar,) = tmp_path.rglob("*.xmp")
    assert "고친 글" in sidecar.read_text(encoding="utf-8")
    assert verify(tmp_path / "sorted").problems == []


def test_another_language_is_that_of_old_sidecars_too(album, tmp_path):
    run(album, tmp_path / "sorted")
    run(album, tmp_path / "sorted", lang="en")
    sidecars = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.xmp")]
    assert any("tag|강아지" in text for text in sidecars)
    assert not any("해시태그|" in text for text in sidecars)
    assert verify(tmp_path / "sorted").problems == []


def test_posts_of_a_repeated_hour_are_in_order(album, tmp_path):
    album.rows = album.rows[:2]
    for number, when in enumerate(("2023-11-05T14:30:00", "2023-11-05T15:10:00")):  # 01:30 and, later, 01:10 there
        album.rows[number] = (album.rows[number][0], when, (), f"글 {number}")
    run(album, tmp_path / "sorted", timezone="America/New_York")
    rows = csv.DictReader((tmp_path / "sorted/posts.csv").read_text("utf-8-sig").splitlines())
    assert [row["내용"] for row in rows] == ["글 0", "글 1"]


def test_a_guessed_date_neither_doubles_nor_moves_a_post_and_gives_way_to_one_that_is_known(tmp_path, photo, picture):
    """Photos copied from a phone again have the time of that copy."""

    def sort(folder, name, year):
        path = tmp_path / folder / name
        path.parent.mkdir()
        path.write_bytes(photo(1))
        moment = datetime(year, 5, 1, tzinfo=timezone.utc).timestamp()
        os.utime(path, (moment, moment))
        report = organize(path.parent, destination, lang="ko", by="date", tag_untagged=False)
        assert (report.posts, verify(destination).problems) == (1, [])
        return report.guesses, paths(destination)

    destination = tmp_path / "sorted"
    assert sort("first", "a.jpg", 2021) == (1, {"날짜/2021/05/a.jpg"})
    assert "2021" not in (destination / "날짜/2021/05/a.jpg.xmp").read_text(encoding="utf-8")
    assert sort("again", "a.jpg", 2022) == (1, {"날짜/2021/05/a.jpg"})
    assert sort("named", "20200607_101112.jpg", 2023) == (0, {"날짜/2020/06/a.jpg"})
    assert "2020-06-07" in (destination / "날짜/2020/06/a.jpg.xmp").read_text(encoding="utf-8")
    assert sort("later", "a.jpg", 2024) == (0, {"날짜/2020/06/a.jpg"})
    assert undo(destination).problems == []
    assert not destination.exists()


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("names", "months"),
    [
        (("a", "20200607_101112"), {"2020/06"}),
        (("20200607_101112", "a"), {"2020/06"}),
        (("a", "20200607_101112", "20210708_101112"), {"2020/06", "2021/07"}),
        (("20200607_101112", "a", "20210708_101112"), {"2020/06", "2021/07"}),
        (("a", "20200607_101112", "b", "20200607_101130", "20210708_101112", "c"), {"2020/06", "2021/07"}),
    ],
)
def test_a_guess_gives_way_to_one_known_date_whatever_the_order(tmp_path, photo, picture, names, months, together):
    """A photo of a guessed date does not join two posts of different dates."""
    destination = tmp_path / "sorted"
    for number, name in enumerate(names):
        path = tmp_path / "source" / f"{0 if together else number}" / f"{number}" / f"{name}.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(photo(1))
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    for folder in sorted((tmp_path / "source").iterdir()):
        report = run(folder, destination, by="date")
    assert (report.posts, report.files, report.guesses, report.problems) == (len(months), 1, 0, [])
    assert {path.rpartition("/")[0] for path in paths(destination)} == {f"날짜/{month}" for month in months}
    whole = picture(destination)
    for folder in sorted((tmp_path / "source").iterdir()):
        run(folder, destination, by="date")
    assert picture(destination) == whole
    assert undo(destination).problems == []


@pytest.mark.parametrize(("seconds", "posts"), [((0, 40, 59), 3), ((0, 3, 400), 4)])
def test_times_of_one_post_differ_by_seconds(album, tmp_path, seconds, posts):
    album.rows = album.rows[:2]
    for number, second in enumerate(seconds):
        file = f"{number}.jpg"
        shutil.copy(album.root / "2/IMG_0.jpg", album.root / file)
        album.add(file, f"2022-01-31T23:{59 if second < 60 else 50}:{second % 60:02d}")
    assert run(album, tmp_path / "sorted").posts == posts


def test_a_thumbnail_more_makes_no_second_post(tmp_path, photo):
    class Film:
        problems = ()

        def __init__(self, folder, *names):
            self.paths = [tmp_path / folder / name for name in names]

        def posts(self):
            kinds = {".mp4": "video", ".jpg": "other"}
            media = tuple(Media(path.name, str(path), kinds[path.suffix], path) for path in self.paths)
            yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), media, "글")

    for folder in ("first", "again"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(5000))
        (tmp_path / folder / "clip.jpg").write_bytes(photo(1))
    assert run(Film("first", "clip.mp4"), tmp_path / "sorted").posts == 1
    report = run(Film("again", "clip.mp4", "clip.jpg"), tmp_path / "sorted")
    assert (report.posts, report.new_files) == (1, 1)
    assert verify(tmp_path / "sorted").problems == []


def test_old_words_do_not_come_back_where_their_files_were_moved(album, tmp_path, picture):
    destination, last_year = tmp_path / "sorted", album.rows[:3]
    new = [(file, when, ("카페",), f"고친 {words}") for file, when, _tags, words in last_year]
    shutil.copytree(album.root, tmp_path / "again")
    for root, rows in ((album.root, last_year), (tmp_path / "again", new)):
        album.root, album.rows = root, rows
        run(album, destination, mode="move")
    whole = picture(destination)
    album.root, album.rows = tmp_path / "source", last_year
    assert run(album, destination, mode="move").posts == 3
    assert picture(destination) == whole


def test_an_edited_post_is_known_where_its_files_are_in_another_archive(album, tmp_path):
    album.rows = album.rows[:3]
    run(album, tmp_path / "sorted")
    album.root = tmp_path / "missing"
    album.rows = [(file, when, ("카페",), f"고친 {words}") for file, when, _tags, words in album.rows]
    assert run(album, tmp_path / "sorted").posts == 3
    rows = csv.DictReader((tmp_path / "sorted/posts.csv").read_text("utf-8-sig").splitlines())
    assert {row["내용"] for row in rows} == {"고친 사진 0", "고친 사진 1", "고친 사진 2"}


def test_a_journal_from_before_words_were_remembered_is_taken_up(album, tmp_path):
    from hashtagger.organize.journal import connect, journal_path

    run(album, tmp_path / "sorted")
    with connect(journal_path(tmp_path / "sorted")) as db:
        db.execute("ALTER TABLE post DROP COLUMN said")
        db.execute("DELETE FROM meta WHERE name IN ('by', 'min_count')")
    assert run(album, tmp_path / "sorted").new_files == 0
    assert undo(tmp_path / "sorted").problems == []


def test_a_post_that_came_without_its_files_is_the_one_that_comes_with_them(tmp_path, photo):
    class Export:
        problems = ()

        def __init__(self, *files):
            self.files = files

        def posts(self):
            for number in range(2):  # Two posts of the same moment stay separate.
                media = tuple(Media(path.name, str(path), "photo", path) for path in self.files[number : number + 1])
                yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), media, "글", ("집",), "https://insta/p/1/")

    paths = [tmp_path / "1.jpg", tmp_path / "2.jpg"]
    for number, path in enumerate(paths):
        path.write_bytes(photo(number))
    assert run(Export(), tmp_path / "sorted").posts == 2
    for _again in range(2):
        assert run(Export(*paths), tmp_path / "sorted").posts == 2
    run(Export(*paths), tmp_path / "whole")
    for page in ("posts.csv", "index.html", "report.json"):
        assert (tmp_path / "sorted" / page).read_bytes() == (tmp_path / "whole" / page).read_bytes()


def test_files_of_others_at_the_destination_are_never_touched(album, tmp_path, picture):
    destination = tmp_path / "sorted"
    (destination / "날짜/2021/04").mkdir(parents=True)
    (destination / "날짜/2021/04/img_0.JPG").write_text("mine")
    (destination / "날짜/2021/04/IMG_1.jpg.xmp").write_text("mine")
    (destination / "index.html").write_text("mine")
    before = picture(destination)
    run(album, destination)
    after = picture(destination)
    assert {name: after[name] for name in before} == before
    assert {"날짜/2021/04/IMG_0 (2).jpg", "날짜/2021/04/IMG_1 (2).jpg", "index (2).html"} <= after.keys()
    run(album, destination)
    assert picture(destination) == after
    undo(destination)
    assert picture(destination) == before


def test_a_file_that_appears_between_plan_and_landing_is_not_overwritten(album, tmp_path, monkeypatch):
    from hashtagger.organize import run as module

    def late(db, root, *args, **options):
        (root / "날짜/2021/04").mkdir(parents=True)
        (root / "날짜/2021/04/IMG_0.jpg").write_text("mine")
        return apply(db, root, *args, **options)

    apply = module.apply
    monkeypatch.setattr(module, "apply", late)
    run(album, tmp_path / "sorted")
    assert (tmp_path / "sorted/날짜/2021/04/IMG_0.jpg").read_text() == "mine"
    assert verify(tmp_path / "sorted").problems == []
    assert len(list((tmp_path / "sorted/날짜/2021/04").glob("*.jpg"))) == 7


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "move"])
def test_undo_gives_the_old_trees_back(album, tmp_path, mode, picture):
    source, destination = picture(album.root), tmp_path / "a/b/sorted"
    run(album, destination, mode=mode)
    assert verify(destination).problems == []
    gone = {path for path in source if not (album.root / path).exists()}
    assert gone == ({path for path in source if "." in path} if mode == "move" else set())
    assert undo(destination).problems == []
    assert picture(album.root) == source
    assert not (tmp_path / "a").exists()


def test_modes_link_to_the_source(album, tmp_path):
    run(album, tmp_path / "hard", mode="hardlink")
    run(album, tmp_path / "soft", mode="symlink")
    source = album.root / "0/IMG_0.jpg"
    assert (tmp_path / "hard/해시태그/강아지/IMG_0.jpg").samefile(source)
    assert (tmp_path / "soft/해시태그/강아지/IMG_0.jpg").readlink() == source


@pytest.mark.parametrize("mode", ["hardlink", "symlink"])
def test_a_linked_photo_that_was_edited_is_the_same_photo(album, tmp_path, mode):
    destination, edited = tmp_path / "sorted", album.root / "1/IMG_0.jpg"
    run(album, destination, mode=mode)
    before = paths(destination)
    with edited.open("ab") as file:
        file.write(b"edited")
    report = run(album, destination, mode=mode)
    assert (report.posts, report.files, report.new_files, report.problems) == (13, 12, 0, [])
    assert paths(destination) == before
    assert (destination / "날짜/2021/05/IMG_0 (2).jpg").samefile(edited)
    assert verify(destination).problems == []
    with edited.open("ab") as file:
        file.write(b"once more")
    assert undo(destination).problems == []
    assert not destination.exists()


def test_a_linked_photo_that_was_edited_is_the_same_photo_where_its_month_was_deleted(album, tmp_path):
    run(album, tmp_path / "sorted", mode="hardlink")
    shutil.rmtree(tmp_path / "sorted/날짜")
    with (album.root / "0/IMG_0.jpg").open("ab") as file:
        file.write(b"edited")
    report = run(album, tmp_path / "sorted", mode="hardlink")
    assert (report.posts, report.files, report.problems) == (13, 12, [])
    assert verify(tmp_path / "sorted").problems == []


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "move"])
@pytest.mark.parametrize("deleted", [True, False])
def test_a_photo_that_was_edited_before_it_came_into_the_tree_is_one_photo(album, tmp_path, monkeypatch, mode, deleted):
    """After an interrupted run, or after somebody had deleted it from the tree."""
    destination, edited = tmp_path / "sorted", album.root / "clip.mp4"
    if deleted:
        run(album, destination, mode="copy")
        for path in destination.rglob("clip.mp4*"):
            path.unlink()
    else:
        with monkeypatch.context() as patched:
            patched.setattr(files, "remove_tree", refuse)
            with pytest.raises(OrganizeError):
                run(album, destination, mode=mode)
    with edited.open("ab") as file:
        file.write(b"edited")
    content = edited.read_bytes()
    report = run(album, destination, mode=mode)
    assert (report.posts, report.files) == (13, 12)
    assert [path.read_bytes() for path in destination.rglob("clip*.mp4")] == [content] * 2
    assert not list(destination.rglob("clip (2)*"))
    assert verify(destination).pending == 0
    assert undo(destination).problems == []
    assert edited.read_bytes() == content


def refuse(*arguments, **options):
    raise OSError(errno.EIO, "unplugged")


def test_links_that_were_copied_to_another_drive_are_ours(album, tmp_path, picture):
    before = picture(album.root)
    run(album, tmp_path / "sorted", mode="hardlink")
    shutil.copytree(tmp_path / "sorted", tmp_path / "copied")
    assert verify(tmp_path / "copied").problems == []
    assert undo(tmp_path / "copied").problems == []
    assert not list((tmp_path / "copied").rglob("*.*"))
    assert picture(album.root) == before


def test_links_follow_a_source_that_was_moved(album, tmp_path):
    destination = tmp_path / "sorted"
    run(album, destination, mode="symlink")
    before = paths(destination)
    album.root = album.root.rename(tmp_path / "elsewhere")
    report = run(album, destination, mode="symlink")
    assert (report.posts, report.files, report.problems) == (13, 12, [])
    assert paths(destination) == before
    assert (destination / "해시태그/강아지/clip.mp4").readlink() == album.root / "clip.mp4"
    assert verify(destination).problems == []
    assert run(album, destination, mode="symlink").new_files == 0
    assert undo(destination).problems == []
    assert not destination.exists()


def test_links_to_nothing_are_named(album, tmp_path):
    run(album, tmp_path / "sorted", mode="symlink")
    (album.root / "clip.mp4").unlink()
    album.rows.pop()
    (problem,) = run(album, tmp_path / "sorted", mode="symlink").problems
    assert Path(problem.location).name == "clip.mp4"


def link_within(drive):
    """Return a stand-in for ``files.link`` that treats a folder as a separate drive."""

    def link(origin, final):
        if drive not in Path(origin).parents:
            return False
        os.link(origin, final)
        return True

    return link


def test_move_to_another_drive(album, tmp_path, monkeypatch, picture):
    from hashtagger.organize import files

    source = picture(album.root)
    monkeypatch.setattr(files, "link", link_within(tmp_path / "sorted"))
    report = run(album, tmp_path / "sorted", mode="move")
    assert report.problems == []
    assert not [path for path in album.root.rglob("*") if path.is_file()]
    assert undo(tmp_path / "sorted").problems == []
    assert picture(album.root) == source


@pytest.mark.parametrize("mode", ["hardlink", "move"])
def test_a_file_that_cannot_be_linked_to_among_others_that_can_is_copied(album, tmp_path, monkeypatch, picture, mode):
    from hashtagger.organize import files

    def refuse_one(origin, final):
        return not str(origin).endswith("source/1/IMG_2.jpg") and link(origin, final)

    link, before = files.link, picture(album.root)
    monkeypatch.setattr(files, "link", refuse_one)
    destination = tmp_path / "sorted"
    assert run(album, destination, mode=mode).problems == []
    assert verify(destination).problems == []
    copied = next(destination.glob("날짜/2021/05/IMG_2*.jpg"))
    assert copied.read_bytes() == before["1/IMG_2.jpg"][0]
    assert mode == "move" or not copied.samefile(album.root / "1/IMG_2.jpg")
    undo(destination)
    assert picture(album.root) == before
    assert not destination.exists()


def test_move_keeps_a_source_that_changed_after_planning(album, tmp_path, monkeypatch):
    from hashtagger.organize import apply as module

    def edit_then_release(db, root):
        (album.root / "0/IMG_0.jpg").write_text("edited")
        return release(db, root)

    release = module.release
    monkeypatch.setattr(module, "release", edit_then_release)
    monkeypatch.setattr(module.files, "link", link_within(tmp_path / "sorted"))  # as if on another drive
    report = run(album, tmp_path / "sorted", mode="move")
    assert (album.root / "0/IMG_0.jpg").read_text() == "edited"
    assert [problem.location for problem in report.problems] == [str(album.root / "0/IMG_0.jpg")]


def test_undo_keeps_what_was_edited_and_copies_whose_source_is_gone(album, tmp_path):
    destination = tmp_path / "sorted"
    run(album, destination)
    edited, sidecar = destination / "날짜/2021/05/IMG_0 (2).jpg", destination / "날짜/2022/01/clip.mp4.xmp"
    os.utime(edited, (1, 1))
    edited.write_bytes(b"edited")
    sidecar.unlink()
    sidecar.write_text("rated")
    for name in ("0/IMG_0.jpg", "2/IMG_3.jpg"):  # Both are the same photo.
        (album.root / name).unlink()
    undone = undo(destination)
    assert edited.read_bytes() == b"edited"
    assert sidecar.read_text() == "rated"
    assert (destination / "날짜/2021/04/IMG_0.jpg").exists()
    assert {problem.location for problem in undone.problems} >= {str(edited), str(sidecar)}
    assert not (destination / "해시태그/고양이").exists()
    (album.root / "0/IMG_0.jpg").write_bytes((destination / "날짜/2021/04/IMG_0.jpg").read_bytes())
    os.utime(album.root / "0/IMG_0.jpg", ns=(0, (destination / "날짜/2021/04/IMG_0.jpg").stat().st_mtime_ns))
    undo(destination)
    assert {path.name for path in destination.rglob("*") if path.is_file()} == {edited.name, sidecar.name}


@pytest.mark.parametrize("mode", ["copy", "hardlink"])
@pytest.mark.parametrize("what", ["touched", "moved"])
def test_undo_knows_a_source_by_its_content_and_wherever_it_was_met(album, tmp_path, mode, what):
    destination = tmp_path / "sorted"
    run(album, destination, mode=mode)
    if what == "touched":
        for path in album.root.rglob("*.*"):
            os.utime(path, (1_650_000_000, 1_650_000_000))
    else:
        album.root = album.root.rename(tmp_path / "elsewhere")
        run(album, destination, mode=mode)
    assert undo(destination).problems == []
    assert not destination.exists()
    assert len(list(album.root.rglob("*.*"))) == 13


def test_a_link_into_the_tree_is_no_source_to_undo_for(album, tmp_path, photo):
    destination, favorite = tmp_path / "sorted", tmp_path / "favorites/IMG_1.jpg"
    run(album, destination)
    (stored,) = destination.glob("날짜/2021/05/IMG_1.jpg")
    favorite.parent.mkdir()
    favorite.symlink_to(stored)
    whole = stored.read_bytes()
    album.root, album.rows = favorite.parent, [("IMG_1.jpg", "2021-05-01T12:03:00", (), "")]
    run(album, destination)
    shutil.rmtree(tmp_path / "source")
    assert undo(destination).problems
    assert stored.read_bytes() == whole


def test_undo_knows_an_archive_by_its_content(tmp_path, photo):
    archive = export(tmp_path / "export.zip", photo(1))
    run(archive, tmp_path / "sorted")
    os.utime(archive, (1_650_000_000, 1_650_000_000))
    assert undo(tmp_path / "sorted").problems == []
    run(archive, tmp_path / "sorted")
    archive.unlink()
    export(archive, photo(2))
    assert len(undo(tmp_path / "sorted").problems) == 1
    assert (tmp_path / "sorted/날짜/2021/04/0.jpg").read_bytes() == photo(1)


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "move"])
def test_what_was_deleted_by_hand_is_brought_again(album, tmp_path, picture, mode):
    destination = tmp_path / "sorted"
    run(album, destination, mode=mode)
    whole = picture(destination)
    shutil.rmtree(destination / "해시태그")
    if mode != "move":
        shutil.rmtree(destination / "날짜/2022")
    (destination / "날짜/2021/04/IMG_0.jpg.xmp").unlink()
    (destination / "posts.csv").unlink()
    plan = run(album, destination, mode=mode, dry_run=True)
    assert {one.path for one in plan.placements() if not one.done} > {"해시태그/강아지/IMG_0.jpg"}
    assert run(album, destination, mode=mode).problems == []
    assert picture(destination).keys() == whole.keys()
    assert verify(destination).problems == []
    assert undo(destination).problems == []
    assert not destination.exists()


def test_what_is_gone_everywhere_is_named_and_not_shown(album, tmp_path):
    destination = tmp_path / "sorted"
    run(album, destination, mode="move")
    for path in list(destination.rglob("clip.mp4*")):
        path.unlink()
    album.rows.pop()
    report = run(album, destination, mode="move")
    assert [problem.location for problem in report.problems] == [str(album.root / "clip.mp4")]
    assert "clip.mp4" not in (destination / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_an_undo_that_has_to_keep_a_photo_forgets_the_others(album, tmp_path, photo, mode):
    destination, mine = tmp_path / "sorted", album.root / "0/IMG_0.jpg"
    album.rows = album.rows[:6]
    run(album, destination, mode=mode)
    if mode == "copy":
        mine.unlink()
    else:
        mine.write_bytes(b"another photo")
    kept = {"날짜/2021/04/IMG_0.jpg", "해시태그/강아지/IMG_0.jpg"}
    undone = undo(destination)
    assert [problem.location for problem in undone.problems] == [str(destination / "날짜/2021/04/IMG_0.jpg")]
    assert paths(destination) == kept
    assert verify(destination).problems == []
    (row,) = csv.DictReader((destination / "posts.csv").read_text("utf-8-sig").splitlines())
    assert row["파일"] == "날짜/2021/04/IMG_0.jpg"
    assert "날짜/2021/04/IMG_0.jpg" in (destination / "index.html").read_text(encoding="utf-8")
    assert len(json.loads((destination / "report.json").read_text(encoding="utf-8"))["problems"]) == 1

    other = tmp_path / "other"
    other.mkdir()
    (other / "new.jpg").write_bytes(photo(44))
    report = organize(other, destination, tag_untagged=False)
    assert report.files == 2
    assert {path for path in paths(destination) if "new" not in path} == {
        "날짜/2021/04/IMG_0.jpg", "해시태그/기타/IMG_0.jpg"
    }  # fmt: skip
    run(album, destination, mode="copy")
    assert verify(destination).pending == 0
    assert kept < paths(destination)


def test_verify_names_what_is_missing_or_changed(album, tmp_path):
    destination = tmp_path / "sorted"
    run(album, destination)
    (destination / "날짜/2022/01/clip.mp4").unlink()
    changed = destination / "해시태그/꽃/IMG_1 (2).jpg"
    data = bytearray(changed.read_bytes())
    data[-10] ^= 1
    with changed.open("rb+") as file:
        file.write(data)
    named = {problem.location for problem in verify(destination).problems}
    assert str(destination / "날짜/2022/01/clip.mp4") in named
    assert any(destination.joinpath(place).samefile(changed) for place in named if "clip" not in place)


def test_verify_reads_sidecars_and_pages_too(album, tmp_path):
    destination = tmp_path / "sorted"
    run(album, destination)
    verified = verify(destination)
    assert verified.places == len(paths(destination)) + len(list(destination.rglob("*.xmp"))) + 3
    changed = [destination / "날짜/2021/04/IMG_1.jpg.xmp", destination / "index.html"]
    missing = [destination / "날짜/2022/01/clip.mp4.xmp", destination / "posts.csv"]
    for path in changed:
        path.write_text("changed")
    for path in missing:
        path.unlink()
    found = {problem.location: problem.cause for problem in verify(destination).problems}
    assert found.keys() == {str(path) for path in (*changed, *missing)}
    assert {found[str(path)].split(";")[0] for path in missing} == {"missing"}
    run(album, destination)
    assert [problem.location for problem in verify(destination).problems] == [str(changed[0])]


def export(archive, *photos):
    """Write a data export with one post per photo."""
    posts = []
    with ZipFile(archive, "w") as file:
        for number, data in enumerate(photos):
            uri = f"media/posts/202104/{number}.jpg"
            file.writestr(uri, data)
            posts.append({"media": [{"uri": uri, "creation_timestamp": 1_617_246_000 + number, "title": ""}]})
        file.writestr("your_instagram_activity/media/posts_1.json", json.dumps(posts))
    return archive


@pytest.mark.parametrize("unpacked", [False, True])
def test_photos_of_one_size_in_an_archive_are_told_apart(tmp_path, photo, unpacked):
    same, other = photo(1)[:-2] + b"11", photo(1)[:-2] + b"22"
    source = export(tmp_path / "export.zip", same, other, same)
    if unpacked:  # and one of them in a folder beside it
        folder = tmp_path / "both"
        (folder / "media/posts/202104").mkdir(parents=True)
        source.rename(folder / "export.zip")
        (folder / "media/posts/202104/9.jpg").write_bytes(other)
        (folder / "your_instagram_activity/media").mkdir(parents=True)
        entry = {"media": [{"uri": "media/posts/202104/9.jpg", "creation_timestamp": 1_617_246_009, "title": ""}]}
        (folder / "your_instagram_activity/media/posts_2.json").write_text(json.dumps([entry]))
        source = folder
    report = run(source, tmp_path / "sorted")
    assert (report.files, report.duplicates, report.problems) == (2, 1 + unpacked, [])
    assert {path.read_bytes() for path in tmp_path.glob("sorted/날짜/2021/04/*.jpg")} == {same, other}


def test_an_archive_may_lie_at_the_destination(tmp_path, photo, picture):
    archive = export(tmp_path / "export.zip", photo(1))
    before = picture(tmp_path)
    run(archive, tmp_path, mode="move")
    assert (tmp_path / "날짜/2021/04/0.jpg").read_bytes() == photo(1)
    assert undo(tmp_path).problems == []
    assert picture(tmp_path) == before


def test_media_in_an_archive_is_copied_with_the_post_time(tmp_path, photo):
    archive = tmp_path / "export.zip"
    with ZipFile(archive, "w") as file:
        file.writestr("media/posts/1.jpg", photo(1))

    class Export:
        problems = ()

        def posts(self):
            media = Media("1.jpg", f"{archive}!media/posts/1.jpg", "photo", None, archive, "media/posts/1.jpg", None)
            yield Post(datetime(2021, 4, 1, tzinfo=timezone.utc), (media,), tags=("꽃",))

    report = run(Export(), tmp_path / "sorted", mode="move")
    stored = tmp_path / "sorted/날짜/2021/04/1.jpg"
    assert [(problem.location, problem.cause) for problem in report.problems] == [
        (str(archive), "files in an archive are always copied; mode move does not apply")
    ]
    assert {placement.how for placement in report.placements()} == {"copy"}
    assert run(Export(), tmp_path / "sorted", mode="move").totals() == report.totals()
    assert stored.read_bytes() == photo(1)
    assert stored.stat().st_mtime == datetime(2021, 4, 1, tzinfo=timezone.utc).timestamp()
    assert archive.exists()
    undo(tmp_path / "sorted")
    assert not (tmp_path / "sorted").exists()


def test_a_file_that_cannot_be_read_is_named_and_stops_nothing(album, tmp_path):
    (album.root / "0/IMG_0.jpg").unlink()
    (album.root / "1/IMG_0.jpg").unlink()
    (album.root / "1/IMG_0.jpg").mkdir()
    report = run(album, tmp_path / "sorted")
    assert {problem.location for problem in report.problems} == {
        str(album.root / "0/IMG_0.jpg"),
        str(album.root / "1/IMG_0.jpg"),
    }
    assert (tmp_path / "sorted/날짜/2022/01/clip.mp4").exists()


def test_files_without_permission_are_named_once_with_the_cause(tmp_path, photo, monkeypatch):
    def refuse(path, *arguments, **options):
        if "locked" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return io_open(path, *arguments, **options)

    monkeypatch.chdir(tmp_path)
    Path("source").mkdir()
    for number, name in enumerate(["a.jpg", "locked.jpg", "locked film.mp4", "z.jpg"]):
        Path("source", name).write_bytes(photo(number))
    io_open = io.open
    for module in ("builtins", "io"):
        monkeypatch.setattr(f"{module}.open", refuse)
    report = run("source", "sorted", by="date")
    assert {(problem.location, problem.cause) for problem in report.problems} == {
        ("source/locked.jpg", "permission denied"), ("source/locked film.mp4", "permission denied")
    }  # fmt: skip
    assert len(report.problems) == 2
    assert {Path(path).name for path in paths(tmp_path / "sorted")} == {"a.jpg", "z.jpg"}
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run("source", "sorted", by="date").problems == []
    assert len(paths(tmp_path / "sorted")) == 4


def test_table_and_report(album, tmp_path):
    album.rows[0] = (*album.rows[0][:3], '=HYPERLINK("x")')
    run(album, tmp_path / "sorted")
    raw = (tmp_path / "sorted/posts.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert len(rows) == 13
    assert rows[0]["날짜"] == "2021-04-01 12:00:00"
    assert rows[0]["내용"] == '\'=HYPERLINK("x")'
    assert rows[0]["해시태그"] == "#강아지 #산책"
    assert rows[0]["파일"] == "날짜/2021/04/IMG_0.jpg"
    report = json.loads((tmp_path / "sorted/report.json").read_text(encoding="utf-8"))
    assert (report["posts"], report["files"], report["problems"]) == (13, 12, [])


def test_an_edited_page_is_kept_and_the_new_one_named(album, tmp_path, photo):
    assert run(album, tmp_path / "sorted").page == tmp_path / "sorted/index.html"
    for name in ("posts.csv", "index.html"):
        (tmp_path / "sorted" / name).write_text("edited")
    (album.root / "new.jpg").write_bytes(photo(42))
    album.add("new.jpg", "2023-01-01T00:00:00")
    report = run(album, tmp_path / "sorted")
    for name, new in (("posts.csv", "posts (2).csv"), ("index.html", "index (2).html")):
        assert (tmp_path / "sorted" / name).read_text() == "edited"
        assert "new.jpg" in (tmp_path / "sorted" / new).read_text(encoding="utf-8")
        (problem,) = (one for one in report.problems if one.location == str(tmp_path / "sorted" / name))
        assert problem.cause.endswith(f"the new one is {new}")
    assert report.page == tmp_path / "sorted/index (2).html"
    again = run(album, tmp_path / "sorted")
    assert (again.page, again.problems) == (report.page, [])
    report.page.unlink()
    again = run(album, tmp_path / "sorted")
    assert (again.page, again.problems) == (report.page, [])
    for path in tmp_path.glob("sorted/index*.html"):
        path.unlink()
    again = run(album, tmp_path / "sorted")
    assert (again.page, again.problems) == (tmp_path / "sorted/index.html", [])


def test_gallery_holds_the_posts_and_no_markup_of_theirs(album, tmp_path):
    album.rows[0] = (*album.rows[0][:3], "</script><script>alert(1)</script>")
    run(album, tmp_path / "sorted")
    page = (tmp_path / "sorted/index.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    assert "http://" not in page
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert len(data["posts"]) == 13
    time, caption, permalink, guess, _tags, files, _place = data["posts"][0]
    assert (time, permalink, guess) == ("2021-04-01 12:00", "https://www.instagram.com/p/IMG_0/", 0)
    assert caption.startswith("</script>")
    assert files == [["날짜/2021/04/IMG_0.jpg", 1]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": ["place"]},
        {"by": []},
        {"mode": "steal"},
        {"min_count": 0},
        {"timezone": "Mars/Base"},
        {"lang": "fr"},
        {"mode": "move", "embed": True},
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(album, tmp_path, wrong):
    with pytest.raises(HashtaggerError):
        run(album, tmp_path / "sorted", **wrong)
    assert not (tmp_path / "sorted").exists()


def test_kinds_of_folders_may_be_one_text_as_on_the_command_line(album, tmp_path):
    run(album, tmp_path / "sorted", by="tag, date")
    assert {path.split("/")[0] for path in paths(tmp_path / "sorted")} == {"날짜", "해시태그"}


def test_source_and_destination_must_not_overlap(album):
    with pytest.raises(OrganizeError, match="must not overlap"):
        organize(album.root, album.root / "sorted")


def test_a_tree_that_came_without_its_hidden_folder_is_not_doubled(album, tmp_path, picture):
    run(album, tmp_path / "sorted")
    shutil.copytree(tmp_path / "sorted", tmp_path / "copy", ignore=shutil.ignore_patterns(".hashtagger"))
    before = picture(tmp_path / "copy")
    for dry_run in (True, False):
        with pytest.raises(OrganizeError, match="hidden folder"):
            run(album, tmp_path / "copy", dry_run=dry_run)
    assert picture(tmp_path / "copy") == before
    shutil.copytree(tmp_path / "sorted/.hashtagger", tmp_path / "copy/.hashtagger")
    assert run(album, tmp_path / "copy").new_files == 0


def test_nothing_to_undo_or_verify(tmp_path):
    for what in (undo, verify):
        with pytest.raises(OrganizeError, match="nothing was organized"):
            what(tmp_path)


def test_a_damaged_journal_is_one_line(album, tmp_path):
    destination = tmp_path / "sorted"
    run(album, destination)
    journal = destination / ".hashtagger/journal.sqlite"
    data = journal.read_bytes()
    journal.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    for act in (lambda: run(album, destination), lambda: run(album, destination, dry_run=True)):
        with pytest.raises(OrganizeError, match="malformed"):
            act()
    for act in (undo, verify):
        with pytest.raises(OrganizeError, match="malformed"):
            act(destination)


def test_a_journal_is_read_with_its_log(album, tmp_path, picture):
    """A full drive can stop SQLite while it merges the log, which leaves the journal invalid without the log."""
    from hashtagger.organize.journal import connect, journal_path

    destination = tmp_path / "sorted"
    run(album, destination, timezone="UTC")
    whole = picture(destination)
    journal = journal_path(destination)
    log = journal.with_name("journal.sqlite-wal")
    with connect(journal) as db:
        db.execute("VACUUM")  # writes every page to the log
        data, logged = journal.read_bytes(), log.read_bytes()
    journal.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    log.write_bytes(logged)
    assert run(album, destination, timezone="UTC", dry_run=True).new_files == 0
    assert run(album, destination, timezone="UTC").new_files == 0
    assert picture(destination) == whole


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="needs somebody who may not write")
def test_a_tree_that_one_may_only_read_is_verified(album, tmp_path):
    run(album, tmp_path / "sorted")
    paths = [tmp_path / "sorted", *(tmp_path / "sorted").rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert verify(tmp_path / "sorted").problems == []
        with pytest.raises(OrganizeError):
            undo(tmp_path / "sorted")
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)


def test_what_others_put_into_our_own_folder_stays(album, tmp_path, picture):
    destination, before = tmp_path / "sorted", picture(album.root)
    run(album, destination, mode="move")
    own = destination / ".hashtagger"
    (own / "@eaDir").mkdir()
    (own / "@eaDir/mine").write_text("mine")
    assert undo(destination).problems == []
    assert [path.name for path in own.iterdir()] == ["@eaDir"]
    assert picture(album.root) == before
    run(album, destination)
    assert undo(destination).problems == []
    assert (own / "@eaDir/mine").exists()


def test_a_second_process_is_kept_out(album, tmp_path):
    from hashtagger.organize.journal import only_one

    run(album, tmp_path / "sorted")
    with only_one(tmp_path / "sorted"), pytest.raises(OrganizeError, match="another"):
        run(album, tmp_path / "sorted")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are text")
def test_a_file_name_of_any_bytes(tmp_path, photo, picture):
    """A name written by an old Korean Windows is not UTF-8, but is sorted, recognized and undone all the same."""
    source = tmp_path / "source"
    source.mkdir()
    for number, name in enumerate(["꽃 사진.jpg".encode("cp949"), b"\xff\xfe.jpg", "평범.jpg".encode()]):
        Path(os.fsdecode(os.fsencode(source) + b"/" + name)).write_bytes(photo(number))
    before = picture(source)
    for mode in ("copy", "move"):
        destination = tmp_path / f"sorted-{mode}"
        for _again in range(2):
            report = organize(source, destination, mode=mode, tag_untagged=False, lang="ko")
            assert (report.files, report.problems) == (3, [])
        assert {"꽃 사진.jpg", "평범.jpg"} < {path.name for path in destination.glob("해시태그/기타/*.jpg")}
        json.loads((destination / "report.json").read_text(encoding="utf-8"))
        assert len(list(report.placements())) == 6
        assert not verify(destination).problems
        assert not undo(destination).problems
        assert picture(source) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' folder names are text")
@pytest.mark.parametrize("name", [b"\xbd\xc3", b"so\nrted"])
def test_a_destination_name_of_any_bytes(album, tmp_path, name):
    destination = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)) / "sorted"
    assert run(album, destination).problems == []
    assert verify(destination).problems == []
    assert undo(destination).problems == []
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_folders_are_named_as_the_user_spells(album, tmp_path):
    history = History([["댕댕이", "산책"]] * 3)
    organize(album, tmp_path / "sorted", tag_untagged=False, lang="ko", history=history)
    names = {path.name for path in (tmp_path / "sorted" / "해시태그").iterdir()}
    assert "댕댕이" in names
    assert "강아지" not in names
    assert "꽃" in names
