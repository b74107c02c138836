"""Measures of a classifier, from its logits and the truth, in NumPy.

Everywhere ``right`` is bool (photos, labels): the labels that count as right for a photo; ``truth`` and
``said`` are int (photos,): the label of the photo, and the one that the network puts first.
"""

from collections.abc import Callable, Sequence
from typing import Any

from hashtagger.arrays import Array


def softmax(logits: Array, temperature: float = 1.0) -> Array:
    """Turn logits (photos, labels) into probabilities; rows sum to 1."""
    import numpy as np

    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def ranked_right(scores: Array, right: Array, k: int) -> Array:
    """Tell for each photo whether a right label is among the ``k`` of the highest scores: bool (photos,)."""
    import numpy as np

    first = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.asarray(np.take_along_axis(right, first, axis=1).any(axis=1))


def confusion(truth: Array, said: Array, labels: int) -> Array:
    """Count photos by true label (row) and said label (column)."""
    import numpy as np

    return np.bincount(truth * labels + said, minlength=labels * labels).reshape(labels, labels)


def precision_recall_f1(table: Array) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 of each label, 0..1, from a confusion table; without photos they are 0."""
    import numpy as np

    hit, said, true = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    return hit / np.maximum(said, 1), hit / np.maximum(true, 1), 2 * hit / np.maximum(said + true, 1)


def macro_f1(truth: Array, said: Array, labels: int) -> float:
    """Mean F1 of the labels that have photos, 0..1."""
    table = confusion(truth, said, labels)
    f1 = precision_recall_f1(table)[2]
    return float(f1[table.sum(axis=1) > 0].mean())


def calibration_bins(confidence: Array, hit: Array, bins: int = 15) -> list[tuple[int, float, float]]:
    """Sort photos into ``bins`` equally wide bins of confidence: (photos, mean confidence, part right) of each."""
    import numpy as np

    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    photos, sure, right = (np.bincount(bin_of, weights, bins) for weights in (None, confidence, hit))
    some = np.maximum(photos, 1)
    return list(zip(photos.tolist(), (sure / some).tolist(), (right / some).tolist(), strict=True))


def calibration_error(confidence: Array, hit: Array, bins: int = 15) -> float:
    """Expected calibration error, 0..1: mean distance of confidence and part right over equally wide bins.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (arXiv:1706.04599).
    """
    table = calibration_bins(confidence, hit, bins)
    return sum(count * abs(mean - part) for count, mean, part in table) / max(1, len(confidence))


def fit_temperature(logits: Array, truth: Array) -> float:
    """Find the temperature, 0.05..20, that makes the truth likeliest (Guo et al. 2017)."""
    import numpy as np

    def loss(temperature: float) -> float:
        likelihood = softmax(logits, temperature)[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(likelihood, 1e-30)).mean())

    low, high = 0.05, 20.0
    # The loss has one valley in 1 / temperature, so a grid that closes in on its lowest point finds it.
    for _round in range(4):
        grid = np.geomspace(low, high, 21)
        best = int(np.argmin([loss(temperature) for temperature in grid]))
        low, high = grid[max(0, best - 1)], grid[min(20, best + 1)]
    return float(grid[best])


def coverage_curve(confidence: Array, hit: Array) -> tuple[Array, Array, Array]:
    """What a threshold costs and gives: (thresholds falling, part of photos said, part of those right)."""
    import numpy as np

    order = np.argsort(-confidence, kind="stable")
    said = np.arange(1, len(order) + 1)
    # Where photos share a confidence, no threshold parts them: only the last of them is a point.
    ends = np.append(np.diff(confidence[order]) != 0, True)
    return confidence[order][ends], (said / len(order))[ends], (np.cumsum(hit[order]) / said)[ends]


def fit_threshold(confidence: Array, hit: Array, precision: float = 0.9) -> float:
    """Find the lowest threshold at which ``precision`` of what is said is right; 1.0 where none does."""
    thresholds, _coverage, precisions = coverage_curve(confidence, hit)
    enough = precisions >= precision
    return float(thresholds[enough][-1]) if enough.any() else 1.0


def bootstrap(
    measure: Callable[..., Any], arrays: Sequence[Array], *, draws: int = 1000, seed: int = 0
) -> tuple[Array, Array]:
    """95% interval of a measure under resampling of the photos (percentile bootstrap; Efron 1979).

    Args:
        measure: Takes the arrays, gives a number or an array of them; NaN where a resample says nothing.
        arrays: Their first axis is the photos'; all are resampled alike.
        draws: How many resamples.
        seed: Seeds the random draws.

    Returns:
        The 2.5% and the 97.5% percentile, of the measure's shape.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    count = len(arrays[0])
    values = []
    for _draw in range(draws):
        chosen = generator.integers(0, count, count)
        values.append(measure(*(array[chosen] for array in arrays)))
    low, high = np.nanpercentile(np.array(values), [2.5, 97.5], axis=0)
    return low, high
