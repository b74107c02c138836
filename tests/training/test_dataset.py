import json
import shutil
import unicodedata
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashtagger.errors import TrainingError
from hashtagger.training.augment import Augment
from hashtagger.training.dataset import (
    Photo,
    choose_keys,
    read_photos,
    reading_loader,
    sampling_weights,
    set_aside,
    split_photos,
    targets,
    training_loader,
    write_manifest,
)


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


def test_the_split_is_stratified_and_depends_on_the_seed_alone(folders):
    photos = read_photos(folders)
    split = split_photos(photos, 0.3, seed=1)
    assert Counter((photo.key, photo.split) for photo in split) == {
        ("flower", "train"): 14,
        ("flower", "val"): 6,
        ("palace", "train"): 7,
        ("palace", "val"): 3,
    }
    assert split == split_photos(photos, 0.3, seed=1)
    assert split != split_photos(photos, 0.3, seed=2)
    assert [replace(photo, split="") for photo in split] == photos


def test_a_split_that_is_given_stays(folders):
    photos = [replace(photo, split="val") for photo in read_photos(folders)]
    assert split_photos(photos, 0.3, seed=0) == photos


def test_near_duplicates_stay_on_one_side(folders, tmp_path):
    photos = read_photos(folders)
    copies = []
    for number, photo in enumerate(photos):
        path = tmp_path / f"{number}.jpg"
        Image.open(photo.path).resize((64, 64)).save(path, quality=70)
        copies.append(replace(photo, path=path))
    for seed in range(3):
        split = split_photos(photos + copies, 0.3, seed=seed)
        assert {photo.split for photo in split} == {"train", "val"}
        for photo, copy in zip(split[:30], split[30:], strict=True):
            assert photo.split == copy.split


def test_one_sources_photos_stay_on_one_side_on_demand(folders):
    photos = [replace(photo, source=f"s{number % 7}") for number, photo in enumerate(read_photos(folders))]
    split = split_photos(photos, 0.3, seed=0, group_by_source=True)
    sides = {source: {photo.split for photo in split if photo.source == source} for source in {p.source for p in split}}
    assert all(len(side) == 1 for side in sides.values())
    assert {"train"} in sides.values()
    assert {"val"} in sides.values()


def test_sources_are_shared_out_near_to_what_is_wanted(folders):
    """Of sources of 10, 6 and 4 flowers the 6 are taken, though taking the 10 first is closer than taking none."""
    flowers = [photo for photo in read_photos(folders) if photo.key == "flower"]
    photos = [
        replace(photo, source=source) for photo, source in zip(flowers, "a" * 10 + "b" * 6 + "c" * 4, strict=True)
    ]
    for seed in range(3):
        split = split_photos(photos, 0.3, seed=seed, group_by_source=True)
        assert {photo.source for photo in split if photo.split == "val"} == {"b"}
        assert split == split_photos(photos, 0.3, seed=seed, group_by_source=True)


def test_where_no_photo_is_of_val_it_is_drawn_from_train_alone(folders):
    photos = [replace(photo, split="" if n % 10 else "test") for n, photo in enumerate(read_photos(folders))]
    drawn = split_photos([replace(photo, split=photo.split or "train") for photo in photos], 0.3, seed=0)
    assert Counter(photo.split for photo in drawn) == {"train": 19, "val": 8, "test": 3}
    assert [photo.split == "test" for photo in drawn] == [photo.split == "test" for photo in photos]
    # Without a photo of train there is nothing to draw from.
    assert split_photos(photos, 0.3, seed=0) == photos


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


def test_targets():
    photos = [Photo(Path("a"), "dog"), Photo(Path("b"), "dog", also=("sea", "walk", "sea")), Photo(Path("c"), "other")]
    keys = ("dog", "sea", "walk", "cat")
    assert np.allclose(
        targets(photos, keys, loss="softmax", also_share=0.4),
        [[1, 0, 0, 0], [0.6, 0.2, 0.2, 0], [0.25, 0.25, 0.25, 0.25]],
    )
    assert targets(photos, keys, loss="sigmoid").tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_balance_draws_classes_by_a_power_of_their_size(folders):
    photos = read_photos(folders)
    for power, ratio in ((0, 2), (0.5, 2**0.5), (1, 1)):
        weights = sampling_weights(photos, power)
        assert sum(weights[:20]) / sum(weights[20:]) == pytest.approx(ratio)


def test_an_epoch_is_the_same_each_time_it_is_read(folders, recipe):
    photos = read_photos(folders)

    def epoch(seed):
        loader = training_loader(photos, Augment(recipe, 24), batch=8, balance=0.5, seed=seed)
        return [(pixels.numpy(), index.tolist()) for pixels, index, _problems in loader], loader

    first, loader = epoch(3)
    assert len(first) == 3
    assert first[0][0].shape == (8, 3, 24, 24)
    for again in (epoch(3)[0], [(pixels.numpy(), index.tolist()) for pixels, index, _problems in loader]):
        assert all(np.array_equal(a[0], b[0]) and a[1] == b[1] for a, b in zip(first, again, strict=True))
    assert first[0][1] != epoch(4)[0][0][1]


def test_unreadable_photos_are_listed_and_the_others_read(folders, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a photo")
    photos = [Photo(tmp_path / "broken.png", "flower"), *read_photos(folders)[:3]]
    loader = reading_loader(photos, partial(np.array, dtype=np.uint8), batch=4, shorter_side=48)
    ((pixels, index, problems),) = list(loader)
    assert pixels.shape == (3, 48, 48, 3)
    assert index.tolist() == [1, 2, 3]
    assert problems == [f"{tmp_path / 'broken.png'}: not a photo"]
