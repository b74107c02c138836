import json

from click.testing import CliRunner

from hashtagger.cli import group


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


def test_the_table_says_what_goes_away(album, tmp_path):
    call("organize", album.root, tmp_path / "sorted", "--no-tag-untagged", "--lang", "en")
    result = call("organize", album.root, tmp_path / "sorted", "--no-tag-untagged", "--dry-run", "--by", "date")
    assert f"tag/other/clip.mp4\tremove\t{album.root / 'clip.mp4'}" in result.stdout.splitlines()


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
