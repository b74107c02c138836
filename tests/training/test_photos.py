import json
import shutil
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from hashtagger.errors import TrainingError
from hashtagger.training.photos import Photo, choose_keys, read_photos, set_aside, write_manifest


def test_class_folders_are_read_without_hidden_files(folders):
    (folders / "flower" / "._00.png").write_bytes(b"x")
    (folders / "flower" / ".DS_Store").write_bytes(b"x")
    photos = read_photos(folders)
    assert Counter(photo.key for photo in photos) == {"flower": 20, "palace": 10}
    assert choose_keys(photos, "") == ("flower", "palace")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["train/dog/1.png", "val/dog/2.png"], [("dog", "train"), ("dog", "val")]),
        (["Training/dog/a/1.png", "Testing/cat/2.png"], [("cat", "test"), ("dog", "train")]),
        (
            ["train/dog/1.png", "valid/dog/2.png", "val_other/dog/3.png"],
            [("dog", s) for s in ("train", "val_other", "val")],
        ),
        (["test/cat/1.png", "validation/cat/2.png"], [("cat", "test"), ("cat", "val")]),
        # A folder with the name of a split is a class if it is beside other classes or has no subfolders.
        (["test/2024/1.png", "dog/2.png"], [("dog", ""), ("test", "")]),
        (["train/1.png", "test/2.png"], [("test", ""), ("train", "")]),
    ],
)
def test_folders_of_splits_are_told_from_classes(tmp_path, files, expected):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    assert [(photo.key, photo.split) for photo in read_photos(tmp_path)] == expected


@pytest.mark.parametrize("written", ["recipe.toml", "report.json", "comparison.md", "findings.jsonl"])
def test_photos_outside_class_folders_or_of_an_earlier_run_are_ignored_with_a_warning(tmp_path, caplog, written):
    for file in ("dog/1.png", "dog/puppy/2.png", "beside.png", "runs/mine/curves.png", "runs/mine/report/labels.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    (tmp_path / "runs" / "mine" / written).write_bytes(b"")
    assert [(photo.path.name, photo.key) for photo in read_photos(tmp_path)] == [("1.png", "dog"), ("2.png", "dog")]
    said = "ignored because they are not in a class folder or belong to an earlier run: 3 photos"
    assert caplog.messages == [said]


@pytest.mark.parametrize("place", ["", "train"])
def test_empty_or_linked_class_folders_are_warned_about(folders, tmp_path, caplog, place):
    data = tmp_path / "data"
    shutil.copytree(folders, data / place)
    (data / place / "empty").mkdir()
    (data / place / "linked").symlink_to(folders / "palace")
    assert {photo.key for photo in read_photos(data)} == {"flower", "palace"}
    names = f"{Path(place, 'empty')}, {Path(place, 'linked')}"
    assert f"no photos in these folders: {names}" in caplog.messages


def test_a_manifest_is_read_relative_to_itself(tmp_path):
    lines = [
        {"file": "a/1.png", "key": "dog", "split": "val", "source": "s", "also": ["summer"]},
        {"file": "a/2.png", "key": "other"},
    ]
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    expected = [Photo(tmp_path / "a/1.png", "dog", "val", "s", ("summer",)), Photo(tmp_path / "a/2.png", "other")]
    assert read_photos(tmp_path) == read_photos(path) == expected
    assert len(choose_keys(expected, "hashtags_ko")) == 20


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_keys_are_composed_however_a_folder_or_manifest_writes_them(tmp_path, form):
    (tmp_path / unicodedata.normalize(form, "꽃")).mkdir()
    (tmp_path / unicodedata.normalize(form, "꽃") / "1.png").write_bytes(b"x")
    assert [photo.key for photo in read_photos(tmp_path)] == ["꽃"]
    line = {"file": "1.png", "key": unicodedata.normalize(form, "꽃"), "also": [unicodedata.normalize(form, "봄")]}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line), encoding="utf-8")
    assert read_photos(tmp_path) == [Photo(tmp_path / "1.png", "꽃", also=("봄",))]


def test_a_manifest_holds_any_file_name(tmp_path):
    photos = [Photo(tmp_path / name, "dog", "val") for name in ("\udcb2\udcc9.png", "a\u2028b\x85c.png", "봄.png")]
    write_manifest(photos, tmp_path / "manifest.jsonl")
    assert read_photos(tmp_path) == photos
    raw = json.dumps({"file": "a\u2028b\x85c.png", "key": "dog"}, ensure_ascii=False)
    # As Notepad on Windows writes it.
    (tmp_path / "manifest.jsonl").write_text(raw + "\r\n" + raw, encoding="utf-8-sig")
    assert len(read_photos(tmp_path)) == 2


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"file": "x"}',
        '{"file": 3, "key": "dog"}',
        '{"file": "x", "key": "dog", "also": "cat"}',
        '{"file": "x", "key": "dog", "also": [1]}',
        '{"file": "x", "key": "dog", "split": 1}',
        '{"file": "x", "key": "dog", "split": "../val"}',
        '{"file": "x", "key": "dog", "source": ["s"]}',
    ],
)
def test_a_wrong_line_of_a_manifest_is_named(tmp_path, line):
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"file": "a.png", "key": "dog"}\n' + line, encoding="utf-8")
    with pytest.raises(TrainingError, match="line 2"):
        read_photos(path)


def test_data_without_photos_is_refused(tmp_path, folders):
    with pytest.raises(TrainingError, match="no such folder"):
        read_photos(tmp_path / "absent")
    with pytest.raises(TrainingError, match="no photos"):
        read_photos(tmp_path)
    with pytest.raises(TrainingError, match="30 photos have keys that vocabulary hashtags_ko lacks: palace$"):
        choose_keys([replace(photo, key="palace") for photo in read_photos(folders)], "hashtags_ko")


def test_photos_that_are_set_aside_go_to_a_further_label_that_stays():
    photos = [Photo(Path(str(number)), "dog") for number in range(3)]
    aside = [
        Photo(Path("a"), "puppy"),
        Photo(Path("b"), "puppy", also=("rain", "dog")),
        Photo(Path("c"), "rain", also=("puppy",)),
        Photo(Path("d"), "other", also=("dog",)),
    ]
    keys = [photo.key for photo in set_aside([*photos, *aside], ["rain"], 3)]
    assert keys == ["dog", "dog", "dog", "other", "dog", "other", "other"]
