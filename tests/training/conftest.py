"""A few small photos of two kinds, cut from scikit-learn's samples, and a network that learns them in seconds."""

import random

import pytest
import torch
from PIL import Image

from hashtagger.training.recipe import Recipe


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folders(tmp_path_factory, sample_photos):
    """Class folders `flower` and `palace` of 20 and 10 photos, 48 px."""
    root = tmp_path_factory.mktemp("folders")
    draw = random.Random(0)
    for key, count in (("flower", 20), ("palace", 10)):
        (root / key).mkdir()
        sample = Image.open(sample_photos[key])
        for number in range(count):
            left, top = draw.randrange(sample.width - 160), draw.randrange(sample.height - 160)
            sample.crop((left, top, left + 160, top + 160)).resize((48, 48)).save(root / key / f"{number:02}.png")
    return root


@pytest.fixture
def recipe():
    """All extras on, for a network of 16 channels.

    With fewer channels oneDNN's backward pass writes past its buffer on CPUs with AVX-512 and crashes
    (uxlfoundation/oneDNN#6035).
    """
    return Recipe(
        vocabulary="",
        model_options={"channels": [16, 16, 16, 16, 16, 16, 16, 16]},
        sizes=(24, 32),
        epochs=(1, 2),
        batch=8,
        precision="32-true",
        balance=0.5,
        learning_rate=0.05,
        warmup=0.5,
        ema=0.9,
        clip=5.0,
        label_smoothing=0.1,
        crop=(0.3, 1.0),
        flip=0.5,
        rescale=0.5,
        rescale_to=(16, 40),
        jitter=0.2,
        trivial_augment=0.5,
        erase=0.3,
        mixup=0.3,
        cutmix=0.5,
        mix_share=0.7,
        mix_off=1,
    )
