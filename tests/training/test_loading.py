from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hashtagger.training.augment import Augment
from hashtagger.training.loading import reading_loader, sampling_weights, targets, training_loader
from hashtagger.training.photos import OTHER, Photo, read_photos


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


def test_photos_that_fit_no_label_have_their_share_of_the_draws(folders):
    labelled = read_photos(folders)
    other = [Photo(Path(f"{number}.png"), OTHER) for number in range(5)]
    for power in (0, 0.5, 1):
        alone = sampling_weights(labelled, power)
        weights = sampling_weights(labelled + other, power, 0.25)
        assert sum(weights[-5:]) / sum(weights) == pytest.approx(0.25)
        assert weights[-1] == weights[-5]
        assert weights[0] / weights[20] == pytest.approx(alone[0] / alone[20])
        # Without such photos, or with nothing else, the share has no meaning.
        assert sampling_weights(labelled, power, 0.25) == alone
        assert len(set(sampling_weights(other, power, 0.25))) == 1


def test_draws_of_photos_that_fit_no_label(folders, recipe):
    photos = [*read_photos(folders), Photo(read_photos(folders)[0].path, OTHER)]
    loader = training_loader(photos, Augment(recipe, 24), batch=8, balance=0.0, other_share=0.9, seed=0)
    drawn = [number for _pixels, index, _problems in loader for number in index.tolist()]
    assert drawn.count(len(photos) - 1) > len(drawn) / 2


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
