import random

import numpy as np
import pytest
import torch
from PIL import Image

from hashtagger.training.augment import Augment, mix, random_box
from hashtagger.training.recipe import Recipe


@pytest.fixture
def flower(sample_photos):
    return Image.open(sample_photos["flower"])


def test_without_extras_a_photo_is_its_central_square(flower):
    pixels = Augment(Recipe(), 32)(flower)
    edge = flower.height
    left = (flower.width - edge) // 2
    expected = np.asarray(flower.crop((left, 0, left + edge, edge)).resize((32, 32), Image.Resampling.BICUBIC))
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.transpose(1, 2, 0).astype(int) - expected).mean() < 2


def test_draws_follow_the_seed(flower, recipe):
    def draw(seed):
        random.seed(seed)
        torch.manual_seed(seed)
        return Augment(recipe, 32)(flower)

    assert np.array_equal(draw(0), draw(0))
    assert not np.array_equal(draw(0), draw(1))


def test_flip_and_erase(flower):
    plain = Augment(Recipe(), 32)(flower)
    assert np.array_equal(Augment(Recipe(flip=1.0), 32)(flower)[:, :, ::-1], plain)
    random.seed(0)
    erased = Augment(Recipe(erase=1.0), 32)(flower)
    changed = (erased != plain).any(axis=0)
    assert (erased[:, changed] == 128).all()
    assert 0.01 < changed.mean() < 0.4


def test_rescaling_removes_detail(flower):
    def detail(recipe):
        return np.abs(np.diff(Augment(recipe, 128)(flower).astype(int))).mean()

    assert detail(Recipe(rescale=1.0, rescale_to=(24, 24))) < 0.6 * detail(Recipe())


def test_boxes_lie_inside_and_cover_the_given_area():
    random.seed(0)
    for width, height in ((160, 240), (300, 160)):
        for _draw in range(200):
            left, top, right, bottom = random_box(width, height, (0.25, 0.5))
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            assert 0.249 < (right - left) * (bottom - top) / (width * height) < 0.501


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_targets_are_mixed_as_the_pixels_are(kind):
    # Each photo has a single value, which its target encodes, so the mean of the mixed pixels must match the target.
    values = torch.arange(8.0)
    pixels = values.view(-1, 1, 1, 1).expand(-1, 3, 20, 20)
    random.seed(1)
    torch.manual_seed(1)
    for _draw in range(5):
        mixed, target = mix(pixels, torch.eye(8), Recipe(**{kind: 1.0}))
        assert not torch.equal(mixed, pixels)
        assert torch.allclose(mixed.mean(dim=(1, 2, 3)), target @ values, atol=1e-4)
        assert torch.allclose(target.sum(1), torch.ones(8))


def test_mix_applies_to_its_share_of_the_batches():
    random.seed(0)
    pixels, target = torch.rand(4, 3, 8, 8), torch.eye(4)
    untouched = sum(mix(pixels, target, Recipe(mixup=0.4, mix_share=0.3))[0] is pixels for _draw in range(500))
    assert 0.6 < untouched / 500 < 0.8
    assert mix(pixels, target, Recipe())[0] is pixels
