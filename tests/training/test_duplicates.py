import io
import os

import numpy as np
from PIL import Image, ImageEnhance

from hashtagger.training.duplicates import duplicate_groups, merge, near_pairs, perceptual_hash
from hashtagger.training.photos import read_photos


def recompressed(image, size, quality):
    buffer = io.BytesIO()
    image.resize(size).save(buffer, "jpeg", quality=quality)
    return Image.open(buffer)


def distance(a, b):
    return (perceptual_hash(a) ^ perceptual_hash(b)).bit_count()


def test_copies_hash_alike_and_different_photos_do_not(sample_photos):
    flower, palace = (Image.open(sample_photos[name]) for name in ("flower", "palace"))
    for image in (flower, palace):
        assert distance(image, recompressed(image, (200, 130), 40)) <= 4
        assert distance(image, ImageEnhance.Brightness(image).enhance(1.2)) <= 6
    assert distance(flower, palace) > 16


def test_pairs_match_a_count_of_bits_by_hand():
    generator = np.random.default_rng(0)
    hashes = [int(value) for value in generator.integers(1, 2**63, 40, dtype=np.uint64)]
    hashes += [value ^ 0b10101 for value in hashes[:5]] + [hashes[7]]
    expected = [
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (hashes[i] ^ hashes[j]).bit_count() <= 3
    ]
    assert near_pairs(hashes, near=3) == expected
    assert len(expected) >= 6


def test_empty_photos_and_those_without_a_hash_have_no_duplicates():
    blank = perceptual_hash(Image.new("RGB", (40, 40), "white"))
    assert near_pairs([blank, blank, None, None]) == []


def test_merge_follows_chains():
    assert merge(6, [(0, 1), (4, 5), (5, 1)]) == [0, 0, 2, 3, 0, 0]


def test_groups_of_files(folders, tmp_path, capfd):
    paths = [photo.path for photo in read_photos(folders)][:4]
    copy = tmp_path / "copy.jpg"
    Image.open(paths[2]).save(copy, quality=80)
    (tmp_path / "broken.jpg").write_bytes(b"")
    files = [*paths, copy, tmp_path / "broken.jpg"]
    assert duplicate_groups(files) == [0, 1, 2, 3, 2, 5]
    assert capfd.readouterr().err == "", "a progress bar without a terminal"
    # Again after a file has changed.
    Image.open(paths[1]).save(copy, quality=80)
    os.utime(copy, ns=(0, 0))
    assert duplicate_groups(files) == [0, 1, 2, 3, 1, 5]
