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
