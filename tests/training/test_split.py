from collections import Counter
from dataclasses import replace

from PIL import Image

from hashtagger.training.photos import read_photos
from hashtagger.training.split import split_photos


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
