from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hashtagger.training.augment import Augment
from hashtagger.training.loading import reading_loader, sampling_weights, targets, training_loader
from hashtagger.training.photos import Photo, read_photos


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
