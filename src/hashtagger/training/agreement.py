"""Whether a network in another runtime still says what the network says."""

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.models.preprocess import preprocess
from hashtagger.models.weights import ModelConfig
from hashtagger.training.dataset import OTHER, read_photos, reading_loader, targets
from hashtagger.training.metrics import ranked_right, softmax

if TYPE_CHECKING:
    from torch import nn

    from hashtagger.models.runtimes import Runtime


def measure_agreement(
    network: "nn.Module", runtime: "Runtime", config: ModelConfig, data: "str | os.PathLike[str]"
) -> dict[str, Any]:
    """Ask a network in float32 and another runtime about the same labelled photos.

    Args:
        network: The network, in eval mode and on the CPU.
        runtime: Turns pixels into logits.
        config: What the weights file says of the network.
        data: Class folders or a manifest; of one with splits the photos of ``val`` count.

    Returns:
        ``photos``: their number; ``agreement``: part of them for which both put the same label first; ``difference``:
        the largest between two probabilities; ``top1`` and ``top1_float``: part for which the runtime and the network
        are right. All but the first in 0..1.

    Raises:
        TrainingError: No photos of the network's labels, or none that can be read.
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
    theirs, ours = np.concatenate(expected), np.concatenate(found)
    right = targets(read, config.keys, loss="sigmoid").numpy() > 0
    difference = np.abs(softmax(theirs, config.temperature) - softmax(ours, config.temperature)).max()
    return {
        "photos": len(read),
        "agreement": float((theirs.argmax(axis=1) == ours.argmax(axis=1)).mean()),
        "difference": float(difference),
        "top1": float(ranked_right(ours, right, 1).mean()),
        "top1_float": float(ranked_right(theirs, right, 1).mean()),
    }
