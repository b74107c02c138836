"""Fixtures: a folder of small photos, some of them unreadable, and a tiny, fast network."""

import dataclasses
import random
from pathlib import Path

import pytest
import torch
from PIL import Image


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Use one thread: a network this small is slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """Weights of a tiny network for the twenty hashtags; it is sure of some photos and not of others."""
    from hashtagger.models import create_model
    from hashtagger.models.config import ModelConfig
    from hashtagger.models.weights import save_weights
    from hashtagger.vocabulary import load_vocabulary

    torch.manual_seed(0)
    channels = {"channels": [4, 4, 8, 8, 8, 8, 8, 8]}
    model = create_model("drn_c_26", num_classes=20, **channels).eval()
    keys = tuple(load_vocabulary("hashtags_ko").keys)
    config = ModelConfig("drn_c_26", "hashtags_ko", keys, 32, model_args=channels)
    with torch.no_grad():
        # Untrained, it gives all photos the same scores; large weights in the last layer make them differ.
        model.fc.weight.normal_(std=30.0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, model, dataclasses.replace(config, threshold=0.7))
    return path


@pytest.fixture(scope="session")
def pile(tmp_path_factory, sample_photos) -> Path:
    """150 files in four folders, 7 of which are not photos."""
    root = tmp_path_factory.mktemp("pile")
    draw = random.Random(0)
    samples = [Image.open(path) for path in sample_photos.values()]
    for number in range(150):
        path = root / f"{number % 4}월" / f"{number:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        if number % 23 == 5:
            path.write_bytes(b"no photo" if number % 2 else b"")
        else:
            sample = samples[number % 2]
            left, top = draw.randrange(sample.width - 200), draw.randrange(sample.height - 200)
            sample.crop((left, top, left + 200, top + 200)).save(path)
    return root
