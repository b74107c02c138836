"""Measure how closely a network in another runtime agrees with the original."""

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.models.config import ModelConfig
from hashtagger.models.preprocess import preprocess
from hashtagger.training.loading import reading_loader, targets
from hashtagger.training.metrics import ranked_right, softmax
from hashtagger.training.photos import OTHER, read_photos

if TYPE_CHECKING:
    from torch import nn

    from hashtagger.models.runtimes import Runtime


def measure_agreement(
    network: "nn.Module", runtime: "Runtime", config: ModelConfig, data: "str | os.PathLike[str]"
) -> dict[str, Any]:
    """Compare a float32 network with another runtime on the same labelled photos.

    Args:
        network: The network, in eval mode and on the CPU.
        runtime: Maps pixels to logits.
        config: The network's metadata, from its weights file.
        data: Class folders or a manifest; photos of splits other than ``val`` are ignored.

    Returns:
        ``photos``: number of photos compared; ``agreement``: fraction on which both predict the same label;
        ``difference``: largest absolute difference between two probabilities; ``top1`` and ``top1_float``: top-1
        accuracy of the runtime and of the network. All but the first are in 0..1.

    Raises:
        TrainingError: There are no photos with the network's labels, or none of them can be read.
    """
    import numpy as np
    import torch
    from tqdm import tqdm

    photos = [photo for photo in read_photos(data) if photo.split in ("val", "") and photo.key != OTHER]
    photos = [photo for photo in photos if photo.key in config.keys]
    loader = reading_loader(photos, partial(preprocess, config=config), batch=32, shorter_side=config.image_size)
    expected, found, read = [], [], []
    with torch.inference_mode():
        for pixels, numbers, _failed in tqdm(loader, desc=_("comparing"), unit="batch", disable=None):
            if len(numbers):
                expected.append(network(pixels).numpy())
                found.append(runtime(pixels.numpy()))
                read += [photos[number] for number in numbers.tolist()]
    if not read:
        raise TrainingError(_("{path}: no readable photos of the network's labels to compare on").format(path=data))
    by_network, by_runtime = np.concatenate(expected), np.concatenate(found)
    right = targets(read, config.keys, loss="sigmoid").numpy() > 0
    difference = np.abs(softmax(by_network, config.temperature) - softmax(by_runtime, config.temperature)).max()
    return {
        "photos": len(read),
        "agreement": float((by_network.argmax(axis=1) == by_runtime.argmax(axis=1)).mean()),
        "difference": float(difference),
        "top1": float(ranked_right(by_runtime, right, 1).mean()),
        "top1_float": float(ranked_right(by_network, right, 1).mean()),
    }
