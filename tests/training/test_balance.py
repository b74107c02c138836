import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from hashtagger.training.balance import write_variations
from hashtagger.training.photos import OTHER, Photo, read_photos


@pytest.fixture
def photos(folders):
    return [dataclasses.replace(photo, split="train") for photo in read_photos(folders)]


def test_small_classes_are_filled_up_and_large_ones_left(photos, recipe, tmp_path):
    recipe = dataclasses.replace(recipe, balance_to=15)
    other = Photo(photos[0].path, OTHER, "train")
    new = write_variations([*photos, other], recipe, tmp_path, anew=True)
    assert Counter(photo.key for photo in new) == {"palace": 5}
    assert {photo.split for photo in new} == {"train"}
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(photo.path for photo in new)
    for photo in new:
        with Image.open(photo.path) as image:
            assert (image.size, image.mode) == ((32, 32), "RGB")
    # Each from a different photo, because there are more photos than variations.
    assert len({photo.path.stem.split("-")[1] for photo in new}) == 5


def test_variations_vary_and_a_second_run_gives_the_same(photos, recipe, tmp_path):
    recipe = dataclasses.replace(recipe, balance_to=25)
    first = write_variations(photos, recipe, tmp_path / "a", anew=True)
    palaces = [photo for photo in first if photo.key == "palace"]
    assert len(palaces) == 15
    assert len({photo.path.read_bytes() for photo in palaces}) == 15
    (tmp_path / "b" / "palace").mkdir(parents=True)
    for photo in palaces[:4]:
        (tmp_path / "b" / "palace" / photo.path.name).write_bytes(photo.path.read_bytes())
    second = write_variations(photos, recipe, tmp_path / "b", anew=False)
    assert [photo.path.read_bytes() for photo in second] == [photo.path.read_bytes() for photo in first]


def test_files_of_an_interrupted_run_are_overwritten(photos, recipe, tmp_path):
    recipe = dataclasses.replace(recipe, balance_to=21)
    flowers = [photo for photo in photos if photo.key == "flower"]
    (first,) = write_variations(flowers, recipe, tmp_path, anew=True)
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:300])
    write_variations(flowers, recipe, tmp_path, anew=True)
    assert first.path.read_bytes() == whole
    # Another photo with the same name.
    palace = next(photo for photo in photos if photo.key == "palace" and photo.path.stem == flowers[0].path.stem)
    changed = [dataclasses.replace(flowers[0], path=palace.path), *flowers[1:]]
    (second,) = write_variations(changed, recipe, tmp_path, anew=True)
    assert second.path == first.path
    assert second.path.read_bytes() != whole


def test_unreadable_photos_are_not_varied(recipe, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    recipe = dataclasses.replace(recipe, balance_to=3)
    assert write_variations([Photo(Path(broken), "dog", "train")], recipe, tmp_path / "out", anew=True) == []
