import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest

from hashtagger.errors import MissingExtraError, TaggingError, WeightsError
from hashtagger.scale.run import tag_photos
from hashtagger.scale.storage import remove


def read(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def whole(pile, weights, tmp_path_factory):
    """Rows of an uninterrupted run."""
    path = tmp_path_factory.mktemp("whole") / "tags.jsonl"
    report = tag_photos([str(pile)], path, batch=2, weights=weights)
    assert (report.photos, report.failed, report.resumed) == (150, 7, 0)
    rows = read(path)
    assert report.tagged == sum(bool(row["tags"]) for row in rows)
    assert not Path(f"{path}.parts").exists()
    return rows


def test_tables_of_all_kinds_say_the_same(whole, pile, weights, tmp_path):
    import pyarrow.parquet as pq

    for ending in ("parquet", "csv"):
        tag_photos([str(pile)], tmp_path / f"tags.{ending}", batch=2, weights=weights)
    table = pq.read_table(tmp_path / "tags.parquet")
    assert table.to_pylist() == whole
    assert [str(field.type) for field in table.schema] == [
        "string",
        "list<element: struct<tag: string, key: string, score: double>>",
        "struct<tag: string, key: string, score: double>",
        "string",
    ]
    with (tmp_path / "tags.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, expected in zip(rows, whole, strict=True):
        assert row["photo"] == expected["photo"]
        assert row["tags"].split() == [tag["tag"] for tag in expected["tags"]]
        assert row["keys"].split() == [tag["key"] for tag in expected["tags"]]
        assert [float(score) for score in row["scores"].split()] == [tag["score"] for tag in expected["tags"]]
        assert row["best_key"] == (expected["best"] or {"key": ""})["key"]
        assert row["error"] == (expected["error"] or "")


def start(*arguments):
    command = [sys.executable, "-m", "hashtagger", "tag", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env={**os.environ, "LANGUAGE": "en", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_killed_twice_ends_with_the_same_rows_and_redoes_no_part(whole, pile, weights, tmp_path):
    output = tmp_path / "tags.jsonl"
    parts = Path(f"{output}.parts")
    arguments = [pile, "--output", output, "--batch-size", 2, "--weights", weights]
    seen = {}
    for extra in ([], ["--resume"]):
        process = start(*arguments, *extra)
        while len(done := sorted(parts.glob("0*.jsonl"))) <= len(seen) + 3:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not output.exists()
        assert all(path.stat().st_mtime_ns == seen[path] for path in seen)
        seen = {path: path.stat().st_mtime_ns for path in done}
    assert 4 < len(seen) < 75
    # Photos added to the folder since are not part of the run.
    (pile / "0월" / "new.jpg").write_bytes(b"x")
    process = start(*arguments, "--resume", "--json")
    stdout, stderr = process.communicate()
    (pile / "0월" / "new.jpg").unlink()
    assert process.returncode == 1, stderr
    summary = json.loads(stdout)
    assert summary["resumed"] >= 2 * len(seen)
    assert (summary["photos"], summary["failed"]) == (150, 7)
    assert read(output) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tags.jsonl"]


def interrupted(pile, weights, output, after=20, **settings):
    """Leave a run that stopped in the middle."""

    def stop(done, _total):
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag_photos([str(pile)], output, batch=2, weights=weights, progress=stop, **settings)


def test_only_the_same_run_is_resumed(pile, weights, tmp_path):
    output = tmp_path / "tags.csv"
    interrupted(pile, weights, output)
    assert not list(tmp_path.rglob("*.partial"))
    with pytest.raises(TaggingError, match=r"tags\.csv\.parts: holds an unfinished run; add --resume"):
        tag_photos([str(pile)], output, batch=2, weights=weights)
    changed = [
        ({"batch": 4}, "batch"),
        # The bundled weights may run in int8.
        ({"weights": None}, "weights, (runtime, )?model"),
        ({"inputs": [str(pile / "0월")]}, "inputs"),
    ]
    for change, what in changed:
        settings = {"inputs": [str(pile)], "batch": 2, "weights": weights, **change}
        with pytest.raises(TaggingError, match=f"was begun with another {what};"):
            tag_photos(output=output, resume=True, **settings)
    tag_photos([str(pile)], output, batch=2, weights=weights, resume=True)
    with pytest.raises(TaggingError, match=r"tags\.csv: exists already"):
        tag_photos([str(pile)], output, batch=2, weights=weights)


def test_a_damaged_part_is_named_and_done_again_once_removed(whole, pile, weights, tmp_path):
    """After a power failure, files may be empty or lack their end."""
    output = tmp_path / "tags.jsonl"
    interrupted(pile, weights, output)
    part = tmp_path / "tags.jsonl.parts" / "00000001.jsonl"
    line = part.read_bytes().splitlines()[0]
    for content in (b"", line + b"\n", line[:20], b"\xff" + line):
        part.write_bytes(content)
        with pytest.raises(TaggingError, match=r"00000001\.jsonl: damaged; remove it and add --resume"):
            tag_photos([str(pile)], output, batch=2, weights=weights, resume=True)
        assert not output.exists()
    part.unlink()
    assert tag_photos([str(pile)], output, batch=2, weights=weights, resume=True).resumed == 146
    assert read(output) == whole


@pytest.mark.parametrize("name", ["job.json", "photos.jsonl"])
def test_a_run_whose_list_or_settings_are_damaged_is_named(pile, weights, tmp_path, name):
    interrupted(pile, weights, tmp_path / "tags.csv")
    damaged = tmp_path / "tags.csv.parts" / name
    damaged.write_bytes(b"".join(damaged.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(TaggingError, match=r"tags\.csv\.parts: damaged; remove this folder and start again"):
        tag_photos([str(pile)], tmp_path / "tags.csv", batch=2, weights=weights, resume=True)


def test_relative_inputs_are_resumed_where_they_are_the_same(whole, pile, weights, tmp_path, monkeypatch):
    output = tmp_path / "tags.jsonl"
    monkeypatch.chdir(pile.parent)
    interrupted(pile.name, weights, output)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaggingError, match="was begun with another working_directory;"):
        tag_photos([pile.name], output, batch=2, weights=weights, resume=True)
    monkeypatch.chdir(pile.parent)
    assert tag_photos([pile.name], output, batch=2, weights=weights, resume=True).failed == 7
    assert [row["best"] for row in read(output)] == [row["best"] for row in whole]
    interrupted(pile, weights, tmp_path / "again.jsonl")
    monkeypatch.chdir(tmp_path)
    tag_photos([str(pile)], tmp_path / "again.jsonl", batch=2, weights=weights, resume=True)
    assert read(tmp_path / "again.jsonl") == whole


def test_what_a_killed_run_leaves_of_its_table_lies_among_the_parts(pile, weights, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "hashtagger.scale.run.write_table", lambda *_table: seen.extend(path.name for path in tmp_path.iterdir())
    )
    tag_photos([str(pile)], tmp_path / "tags.csv", weights=weights)
    assert seen == ["tags.csv.parts"]
    assert [path.name for path in tmp_path.iterdir()] == ["tags.csv"]


def test_a_removal_that_was_cut_short_is_ended(pile, weights, tmp_path, monkeypatch):
    output = tmp_path / "tags.csv"
    remove = os.remove

    def killed(path, *rest, **options):
        if str(path).endswith("job.json"):
            raise KeyboardInterrupt
        remove(path, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr("os.remove", killed)
        patched.setattr("os.unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            tag_photos([str(pile)], output, weights=weights)
    assert [path.name for path in Path(f"{output}.parts").iterdir()] == ["job.json"]
    table = output.read_bytes()
    assert tag_photos([str(pile)], output, weights=weights, resume=True).already
    assert [path.name for path in tmp_path.iterdir()] == ["tags.csv"]
    assert output.read_bytes() == table


def test_weights_that_changed_under_their_name_are_noticed(pile, weights, tmp_path):
    from hashtagger.models.weights import load_weights, save_weights

    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(weights.read_bytes())
    interrupted(pile, mine, tmp_path / "tags.csv")
    model, config = load_weights(mine)
    model.fc.bias.data += 1
    save_weights(mine, model, config)
    with pytest.raises(TaggingError, match="another model;"):
        tag_photos([str(pile)], tmp_path / "tags.csv", batch=2, weights=mine, resume=True)


def test_progress_goes_on_where_it_was(pile, weights, tmp_path):
    interrupted(pile, weights, tmp_path / "tags.jsonl", after=31)
    calls = []
    tag_photos(
        [str(pile)],
        tmp_path / "tags.jsonl",
        batch=2,
        weights=weights,
        resume=True,
        progress=lambda *call: calls.append(call),
    )
    # 150 photos in batches of 2 make parts of 4: the 32nd photo of the 8th part was never written.
    assert calls == [(done, 150) for done in range(28, 151)]


def test_other_file_systems(whole, pile, weights):
    memory = fsspec.filesystem("memory")
    memory.put(str(pile), "/many", recursive=True)
    interrupted("memory://many", weights, "memory://out/tags.jsonl")
    assert memory.exists("/out/tags.jsonl.parts/00000000.jsonl")
    report = tag_photos(["memory://many"], "memory://out/tags.jsonl", batch=2, weights=weights, resume=True)
    assert report.resumed == 16
    rows = [json.loads(line) for line in memory.cat_file("/out/tags.jsonl").splitlines()]
    strip = len("memory:///many")
    assert [row["photo"][strip:] for row in rows] == [row["photo"][len(str(pile)) :] for row in whole]
    assert [row["best"] for row in rows] == [row["best"] for row in whole]
    assert memory.ls("/out", detail=False) == ["/out/tags.jsonl"]


def test_a_removal_that_was_cut_short_is_ended_on_other_file_systems():
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/cut/tags.csv.parts/job.json", b"{}")
    remove("memory://cut/tags.csv.parts", "job.json")
    assert not memory.exists("/cut/tags.csv.parts")


def test_names_that_are_no_text(pile, weights, tmp_path, sample_photos):
    name = os.fsencode(tmp_path) + b"/\xb2\xc9.jpg"
    try:
        Path(os.fsdecode(name)).write_bytes(sample_photos["flower"].read_bytes())
    except OSError:
        pytest.skip("this file system takes only text for names")
    for ending in ("parquet", "jsonl", "csv"):
        report = tag_photos([str(tmp_path)], tmp_path / f"tags.{ending}", weights=weights)
        assert (report.photos, report.failed) == (1, 0)
    assert read(tmp_path / "tags.jsonl")[0]["photo"] == rf"{tmp_path}/\udcb2\udcc9.jpg"


def test_users_mistakes(pile, weights, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for inputs, output, error, said in (
        ([str(pile)], "csv", TaggingError, r"csv: tags are written to \.parquet, \.jsonl or \.csv"),
        ([str(pile)], "tags.xlsx", TaggingError, r"tags\.xlsx: tags are written to \.parquet, \.jsonl or \.csv"),
        ([str(tmp_path / "empty")], "tags.csv", TaggingError, "no photos in .*empty"),
    ):
        with pytest.raises(error, match=said):
            tag_photos(inputs, tmp_path / output, weights=weights)
    for numbers in ({"batch": 0}, {"workers": -1}):
        with pytest.raises(ValueError, match="must be 1 or more"):
            tag_photos([str(pile)], tmp_path / "tags.csv", weights=weights, **numbers)
    with pytest.raises(WeightsError, match="no such weights file"):
        tag_photos([str(pile)], tmp_path / "tags.csv", weights=tmp_path / "no.safetensors")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TaggingError, match=r"file/tags\.csv\.parts/\S+: (Not a directory|File exists)"):
        tag_photos([str(pile)], tmp_path / "file" / "tags.csv", weights=weights)
    (tmp_path / "file").unlink()
    (tmp_path / "tags.csv").mkdir()
    with pytest.raises(TaggingError, match=r"tags\.csv: is a folder"):
        tag_photos([str(pile)], tmp_path / "tags.csv", weights=weights, resume=True)
    (tmp_path / "tags.csv").rmdir()
    (tmp_path / "tags.csv.parts").mkdir()
    (tmp_path / "tags.csv.parts" / "mine.txt").write_text("mine")
    with pytest.raises(TaggingError, match=r"tags\.csv\.parts: is in the way"):
        tag_photos([str(pile)], tmp_path / "tags.csv", weights=weights)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "tags.csv.parts"]
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[tag\]' in a clone"):
        tag_photos([str(pile)], tmp_path / "tags.parquet", weights=weights)


def test_the_command(pile, weights, tmp_path):
    from click.testing import CliRunner

    from hashtagger.cli import group

    def run(*arguments):
        return CliRunner().invoke(group, ["tag", *map(str, arguments), "--weights", str(weights)])

    result = run(pile, "--output", tmp_path / "a.parquet")
    assert result.exit_code == 1
    assert "150 photos, " in result.stdout
    assert f"7 of 150 photos could not be read; the column error of {tmp_path}/a.parquet says why" in result.stderr
    result = run(pile / "*" / "00[0-4].jpg", "--output", tmp_path / "b.csv", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["photos"] == 5
    result = run(pile, "--output", tmp_path / "b.csv")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {tmp_path}/b.csv: exists already; remove it or give another --output\n",
    )
    table = (tmp_path / "b.csv").read_bytes()
    result = run(pile, "--output", tmp_path / "b.csv", "--resume")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/b.csv: complete already; nothing to do\n")
    assert (tmp_path / "b.csv").read_bytes() == table
    assert run(pile).exit_code == 2
    result = run(pile, "--output", tmp_path / "c.csv", "--address", "auto")
    assert result.exit_code == 2
    assert "--address takes --engine ray" in result.stderr
