"""Locate a label in a photo: boxes from a DRN's class maps, or from a classic sliding window."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np

from hashtagger.arrays import Array
from hashtagger.errors import ImageError, ModelError
from hashtagger.explain.classmap import LEAST_SIDE, class_map, network_input
from hashtagger.i18n import _
from hashtagger.models.config import ModelConfig

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

Method = Literal["map", "window"]

_WINDOWS = (0.25, 0.354, 0.5, 0.707, 1.0)
"""Sides of the square windows, as fractions of the photo's shorter side."""
_STEP = 0.125
"""Step between neighbouring windows, as a fraction of their side."""
_SCALES = (2.0, 3.0)
"""Scales of the class maps; above 1, because windows are smaller than the photo."""
_OVERLAP = 0.25
"""Maximum fraction of the smaller of two boxes that the other may cover; beyond it both show the same object."""
_BATCH = 64
"""Windows per forward pass."""


@dataclass(frozen=True)
class Detection:
    """One detected region.

    Attributes:
        box: Left, top, right, bottom in pixels of the upright photo.
        score: Calibrated probability of the label in the box, in 0..1.
    """

    box: tuple[int, int, int, int]
    score: float


def detect(
    model: "nn.Module",
    config: ModelConfig,
    image: "Image",
    index: int,
    method: Method = "map",
    threshold: float = 0.5,
    limit: int = 10,
) -> list[Detection]:
    """Find the boxes of a label, those with the most evidence first.

    Both methods score the same square windows, by :func:`map_scores` or :func:`window_scores`. Of overlapping
    windows, the one with the most :func:`evidence` is kept.

    Args:
        model: A network in eval mode; a DRN for the method ``"map"``.
        config: The network's metadata, from its weights file.
        image: Upright, in mode RGB.
        index: Index of the label among the network's outputs.
        method: ``"map"`` or ``"window"``.
        threshold: Probability in 0..1 below which a window is dropped.
        limit: Maximum number of boxes.

    Raises:
        ImageError: The photo is too small.
        ModelError: The network is not a DRN and the method is ``"map"``.
    """
    boxes = windows(*image.size)
    score = map_scores if method == "map" else window_scores
    scores = score(model, config, image, boxes)
    rank = evidence(scores, boxes)[:, index]
    scores = scores[:, index]
    found = np.flatnonzero(scores >= threshold)
    best_first = found[np.argsort(-rank[found], kind="stable")]
    return [
        Detection(tuple(int(edge) for edge in boxes[i].round()), float(scores[i]))  # type: ignore[arg-type]
        for i in islice(_apart(boxes, best_first), limit)
    ]


def _apart(boxes: Array, best_first: Array) -> Iterator[int]:
    """Yield the indices of boxes that do not overlap a better box too much, as a fraction of the smaller of the two.

    Unlike non-maximum suppression by intersection over union, this also drops a small box inside a large one.
    """
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept: list[int] = []
    for i in best_first:
        corner, opposite = np.maximum(boxes[i, :2], boxes[kept, :2]), np.minimum(boxes[i, 2:], boxes[kept, 2:])
        common = np.prod((opposite - corner).clip(0), axis=1)
        if (common <= _OVERLAP * np.minimum(area[i], area[kept])).all():
            kept.append(int(i))
            yield int(i)


def windows(width: int, height: int) -> Array:
    """List the square windows of a photo: float32 (n, 4), xyxy in pixels.

    Raises:
        ImageError: The photo is too small.
    """
    shorter = min(width, height)
    if shorter < LEAST_SIDE:
        raise ImageError(
            _("{width}x{height} pixels are too small to search; it takes {least} or more each way").format(
                width=width, height=height, least=LEAST_SIDE
            )
        )
    found = []
    for part in _WINDOWS:
        edge = part * shorter
        left, top = np.meshgrid(_starts(width, edge), _starts(height, edge))
        corner = np.stack([left.ravel(), top.ravel()], axis=1)
        found.append(np.concatenate([corner, corner + edge], axis=1))
    return np.concatenate(found).astype(np.float32)


def _starts(length: int, edge: float) -> Array:
    room = length - edge
    return np.linspace(0, room, int(np.ceil(room / (_STEP * edge))) + 1)


def evidence(scores: Array, boxes: Array) -> Array:
    """Combine the confidence in each window with the area that it covers.

    The evidence is the log-odds of a label, relative to a uniform guess among all labels, times the area. Like a sum
    over the box, it is greatest for the box that holds the whole object and nothing else (Lampert, Blaschko and
    Hofmann, "Beyond Sliding Windows", CVPR 2008). By probability alone, a window on a distinctive part would win.

    Args:
        scores: (boxes, classes), probabilities.
        boxes: (boxes, 4), xyxy in pixels.

    Returns:
        float32 (boxes, classes), comparable among the boxes of one photo.
    """
    sure = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    odds = np.log(sure / (1 - sure)) + np.log(max(scores.shape[1] - 1, 1))
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return (odds * area[:, None]).astype(np.float32)


def map_scores(model: "nn.Module", config: ModelConfig, image: "Image", boxes: Array) -> Array:
    """Score windows by the means of class maps over them, with one pass of the network for each scale.

    Because a DRN averages its class map into logits, the map's mean over a region of the photo gives the logits of
    that region. A summed-area table (Crow, SIGGRAPH 1984) yields the mean over any window in four look-ups.

    Returns:
        float32 (boxes, classes): calibrated probabilities.

    Raises:
        ModelError: The network is not a DRN.
    """
    import torch

    from hashtagger.models.dilated import DRN

    if not isinstance(model, DRN):
        raise ModelError(
            _("{name} has no class map; the method map takes a DRN, the method window any network").format(
                name=config.architecture
            )
        )
    logits = [_means(class_map(model, config, image, scale), image.size, boxes) for scale in _SCALES]
    return torch.stack(logits).mean(0).softmax(1).numpy()


def _means(places: "Tensor", size: tuple[int, int], boxes: Array) -> "Tensor":
    """Average ``places``, (classes, rows, columns), over each box: (boxes, classes)."""
    import torch

    sums = torch.nn.functional.pad(places.double().cumsum(1).cumsum(2), (1, 0, 1, 0))
    rows, columns = places.shape[1:]
    # The first and last cells are centred on the photo's edges.
    left, right = _span(boxes[:, 0], boxes[:, 2], (columns - 1) / size[0])
    top, bottom = _span(boxes[:, 1], boxes[:, 3], (rows - 1) / size[1])
    total = sums[:, bottom, right] - sums[:, top, right] - sums[:, bottom, left] + sums[:, top, left]
    return (total / torch.from_numpy((bottom - top) * (right - left))).T.float()


def _span(start: Array, end: Array, factor: float) -> tuple[Array, Array]:
    first = np.rint(start * factor).astype(np.int64)
    last = np.rint(end * factor).astype(np.int64)
    return first, np.maximum(first, last) + 1


def window_scores(model: "nn.Module", config: ModelConfig, image: "Image", boxes: Array) -> Array:
    """Score windows separately: crop each, resize it to the network's input size, and classify them in batches.

    Returns:
        float32 (boxes, classes): calibrated probabilities.
    """
    import torch

    device = next(model.parameters()).device
    side = config.image_size
    rows = []
    for start in range(0, len(boxes), _BATCH):
        batch = boxes[start : start + _BATCH].tolist()
        pixels = torch.cat([network_input(config, image, side, side, tuple(box)) for box in batch])
        with torch.inference_mode():
            logits = model(pixels.to(device)).float().cpu() / config.temperature
        rows.append(logits.softmax(1))
    return torch.cat(rows).numpy()
