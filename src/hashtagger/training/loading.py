"""Load labelled photos in batches, with their training targets."""

import math
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hashtagger.arrays import Array
from hashtagger.errors import ImageError
from hashtagger.images import load_image
from hashtagger.training.photos import OTHER, Photo

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader


def targets(photos: Sequence[Photo], keys: Sequence[str], *, loss: str, also_share: float = 0.0) -> "torch.Tensor":
    """Make the training targets: float32 (photos, keys).

    With ``loss`` ``"softmax"`` each row is a probability distribution: a photo's further labels share ``also_share``
    equally, and a photo that no label fits gets the uniform distribution (outlier exposure: Hendrycks, Mazeika and
    Dietterich, ICLR 2019, arXiv:1812.04606). With ``"sigmoid"`` every fitting label is 1.
    """
    import torch

    column = {key: number for number, key in enumerate(keys)}
    rows = torch.zeros(len(photos), len(keys))
    for row, photo in zip(rows, photos, strict=True):
        also = [column[key] for key in dict.fromkeys(photo.also) if key in column and key != photo.key]
        if loss == "sigmoid":
            row[[column[key] for key in (photo.key,) if key in column] + also] = 1.0
        elif photo.key not in column:
            row.fill_(1 / len(keys))
        else:
            row[also] = also_share / len(also) if also else 0.0
            row[column[photo.key]] = 1 - also_share if also else 1.0
    return rows


def sampling_weights(photos: Sequence[Photo], power: float, other_share: float = 0.0) -> list[float]:
    """Relative sampling weight of each photo: the size of its class to the power of ``-power``.

    If ``other_share`` is not 0, photos that fit no label together have that share of the weight instead.
    """
    counts = Counter(photo.key for photo in photos)
    weights = [counts[photo.key] ** -power for photo in photos]
    if not other_share or len({photo.key == OTHER for photo in photos}) < 2:
        return weights
    other = counts[OTHER] ** (1 - power)
    labelled = sum(weights) - other
    shares = {True: other_share / other, False: (1 - other_share) / labelled}
    return [weight * shares[photo.key == OTHER] for photo, weight in zip(photos, weights, strict=True)]


class PhotoStream:
    """A map-style data set that reads each photo from disk on access.

    An item is (pixels, index, problem): the output of ``transform``, the photo's index and ``""``; or ``None``, the
    index and one line on why the photo cannot be read.
    """

    def __init__(
        self, photos: Sequence[Photo], transform: "Callable[[Any], Any]", shorter_side: int | None = None
    ) -> None:
        self.photos = photos
        self.transform = transform
        self.shorter_side = shorter_side

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> "tuple[Any, int, str]":
        try:
            return self.transform(load_image(self.photos[index].path, shorter_side=self.shorter_side)), index, ""
        except ImageError as error:
            return None, index, str(error)


def collate(items: "Sequence[tuple[Any, int, str]]") -> "tuple[torch.Tensor, torch.Tensor, list[str]]":
    """Stack the readable photos of a batch: pixels, their indices, and the problems of the unreadable ones."""
    import numpy as np
    import torch

    readable = [(pixels, index) for pixels, index, problem in items if not problem]
    stacked = torch.from_numpy(np.stack([pixels for pixels, _index in readable])) if readable else torch.empty(0)
    return (
        stacked,
        torch.tensor([index for _pixels, index in readable], dtype=torch.long),
        [problem for *_rest, problem in items if problem],
    )


def workers() -> int:
    """Number of data loader processes; one core is left to the main process."""
    return max(1, min(16, (os.cpu_count() or 1) - 1))


def training_loader(
    photos: Sequence[Photo],
    transform: Callable[[Any], Array],
    *,
    batch: int,
    balance: float,
    other_share: float = 0.0,
    seed: int,
    rank: int = 0,
    shorter_side: int | None = None,
) -> "DataLoader[Any]":
    """Load one epoch in a random, class-balanced order.

    The order depends only on ``seed``, so that several devices can divide it among themselves; the augmentation also
    depends on the device's ``rank``.
    """
    import torch
    from torch.utils.data import DataLoader

    batch = min(batch, len(photos))
    weights = torch.tensor(sampling_weights(photos, balance, other_share), dtype=torch.double)
    # Drawn here rather than by the loader, so that each iteration over it gives the same photos.
    order = torch.multinomial(
        weights,
        steps_per_epoch(len(photos), batch) * batch,
        replacement=balance > 0 or other_share > 0,
        generator=torch.Generator().manual_seed(seed),
    )
    stream: Any = PhotoStream(photos, transform, shorter_side)
    return DataLoader(
        stream,
        batch_size=batch,
        sampler=order.tolist(),
        num_workers=workers(),
        collate_fn=collate,
        worker_init_fn=partial(_seed_worker, seed, rank),
        # Its own, because the loader would otherwise draw from the global generator, which MixUp uses.
        generator=torch.Generator(),
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4,
    )


def _seed_worker(seed: int, rank: int, worker: int) -> None:
    import torch

    # Unique for each epoch, device and worker of a run, because there are fewer than 64 workers.
    own = (rank << 32) + seed * 64 + worker
    random.seed(own)
    torch.manual_seed(own)


def steps_per_epoch(photos: int, batch: int, devices: int = 1) -> int:
    """Steps per epoch: full batches, at least one, divided among the devices."""
    return math.ceil(max(1, photos // batch) / devices)


def reading_loader(
    photos: Sequence[Photo], transform: Callable[[Any], Array], *, batch: int, shorter_side: int
) -> "DataLoader[Any]":
    """Load all photos once, in order."""
    from torch.utils.data import DataLoader

    stream: Any = PhotoStream(photos, transform, shorter_side)
    return DataLoader(stream, batch_size=batch, num_workers=workers(), collate_fn=collate)
