import json
import os

import pytest
from click.testing import CliRunner

from hashtagger.cli import group
from hashtagger.organize import run


def call(*arguments):
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def test_organize_verify_undo(album, tmp_path, picture):
    destination = tmp_path / "sorted"
    options = ("--lang", "en", "--no-tag-untagged", "--json")
    before = picture(album.root)
    plan = json.loads(call("organize", album.root, destination, "--dry-run", *options).stdout)
    assert plan["dry_run"]
    assert not destination.exists()
    done = json.loads(call("organize", album.root, destination, *options).stdout)
    assert (done["files"], done["duplicates"], done["problems"]) == (12, 1, [])
    assert [place["path"] for place in done["placements"]] == [place["path"] for place in plan["placements"]]
    verified = call("verify", destination, "--json")
    assert verified.exit_code == 0
    assert json.loads(verified.stdout)["problems"] == []
    next(destination.glob("date/*/*/*.jpg")).unlink()
    assert call("verify", destination).exit_code == 1
    assert json.loads(call("undo", destination, "--json").stdout)["problems"] == []
    assert not destination.exists()
    assert picture(album.root) == before


def test_a_mistake_is_one_line(album, tmp_path):
    for arguments in (
        ("organize", album.root, tmp_path / "sorted", "--by", "colour"),
        ("organize", album.root, album.root / "sorted"),
        ("organize", tmp_path / "nowhere", tmp_path / "sorted"),
        ("undo", album.root),
        ("verify", album.root),
    ):
        result = call(*arguments)
        assert result.exit_code == 1, arguments
        assert len(result.stderr.splitlines()) == 1
        assert not (tmp_path / "sorted").exists()


def test_the_table_lists_each_place(album, tmp_path):
    result = call("organize", album.root, tmp_path / "sorted", "--dry-run", "--no-tag-untagged", "--lang", "en")
    paths = [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert "tag/other/clip.mp4" in paths


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_paths_are_shown_in_one_line_without_dots(tmp_path, photo, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    for name, content in (("a\n\x1b[31m.jpg", photo(1)), ("b\n.txt", b"x")):
        (source / name).write_bytes(content)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    plan = call("organize", "../source", "../sorted", "--dry-run", "--no-tag-untagged", "--lang", "en", "--by", "date")
    assert [line.split("\t")[2] for line in plan.stdout.splitlines()] == [rf"{source}/a\n\x1b[31m.jpg"]
    first = call("organize", "../source", "../sorted", "--no-tag-untagged", "--lang", "en")
    assert first.stdout.splitlines()[-1].endswith(f"{tmp_path}/sorted/index.html")
    assert first.stderr.startswith(rf"{source}/b\n.txt: neither")
    again = call("organize", source, tmp_path / "sorted", "--no-tag-untagged", "--json")
    assert json.loads(again.stdout)["duplicates"] == 0


def test_the_table_says_what_goes_away(album, tmp_path):
    call("organize", album.root, tmp_path / "sorted", "--no-tag-untagged", "--lang", "en")
    result = call("organize", album.root, tmp_path / "sorted", "--no-tag-untagged", "--dry-run", "--by", "date")
    assert f"tag/other/clip.mp4\tremove\t{album.root / 'clip.mp4'}" in result.stdout.splitlines()


def test_many_files_with_one_problem_are_one_line(tmp_path):
    uris = [f"media/posts/202104/{number}.jpg" for number in range(9)]
    posts = [{"media": [{"uri": uri, "creation_timestamp": 1617246000, "title": uri}]} for uri in uris]
    (tmp_path / "export/content").mkdir(parents=True)
    (tmp_path / "export/content/posts_1.json").write_text(json.dumps(posts))
    result = call("organize", tmp_path / "export", tmp_path / "sorted", "--lang", "en")
    (line,) = (line for line in result.stderr.splitlines() if "named in" in line)
    assert line.startswith("media/posts/202104/0.jpg and 8 more: named in ")
    assert line.endswith("give them all")
    assert len(json.loads((tmp_path / "sorted/report.json").read_text())["problems"]) == 9


def test_ctrl_c_says_that_the_same_command_goes_on(album, tmp_path, monkeypatch):
    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "apply", stop)
    result = call("organize", album.root, tmp_path / "sorted", "--no-tag-untagged")
    assert result.exit_code == 130
    assert [line for line in result.stderr.splitlines() if "%" not in line] == [
        "stopped; run the same command again to go on"
    ]


def test_an_undo_that_keeps_photos_says_why_once_and_fails(album, tmp_path):
    call("organize", album.root, tmp_path / "sorted", "--no-tag-untagged", "--lang", "en")
    for path in album.root.rglob("*.jpg"):
        path.unlink()
    result = call("undo", tmp_path / "sorted")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "and 10 more: kept" in line
    assert result.stdout.endswith("11 problems\n")


def test_a_moved_export_is_not_called_missing(tmp_path, photo, picture):
    posts = [
        {"media": [{"uri": f"media/posts/202104/{number}.jpg", "creation_timestamp": 1617246000 + number, "title": ""}]}
        for number in range(3)
    ]
    export = tmp_path / "export"
    (export / "content").mkdir(parents=True)
    (export / "content/posts_1.json").write_text(json.dumps(posts))
    (export / "media/posts/202104").mkdir(parents=True)
    for number in range(3):
        (export / f"media/posts/202104/{number}.jpg").write_bytes(photo(number))
    before = picture(export)
    arguments = (
        "organize",
        export,
        tmp_path / "sorted",
        "--mode",
        "move",
        "--no-tag-untagged",
        "--lang",
        "ko",
        "--json",
    )
    first = json.loads(call(*arguments).stdout)
    whole = picture(tmp_path / "sorted")
    assert not list(export.rglob("*.jpg"))
    assert (first["files"], first["problems"]) == (3, [])
    second = json.loads(call(*arguments).stdout)
    assert (second["posts"], second["files"], second["new_files"], second["problems"]) == (3, 3, 0, [])
    assert picture(tmp_path / "sorted") == whole
    call("undo", tmp_path / "sorted")
    assert picture(export) == before
