"""Classification metrics in NumPy.

Throughout, ``right`` is bool (photos, labels): the labels that count as correct for a photo; ``truth`` and ``said``
are int (photos,): the photo's label, and the label that the network predicts.
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
    """Whether a correct label is among the ``k`` highest scores of each photo: bool (photos,)."""
    import numpy as np

    first = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.asarray(np.take_along_axis(right, first, axis=1).any(axis=1))


def confusion(truth: Array, said: Array, labels: int) -> Array:
    """Count photos by true label (row) and predicted label (column)."""
    import numpy as np

    return np.bincount(truth * labels + said, minlength=labels * labels).reshape(labels, labels)


def precision_recall_f1(table: Array) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 of each label, 0..1, from a confusion matrix; 0 where undefined."""
    import numpy as np

    hit, said, true = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    return hit / np.maximum(said, 1), hit / np.maximum(true, 1), 2 * hit / np.maximum(said + true, 1)


def macro_f1(truth: Array, said: Array, labels: int) -> float:
    """Mean F1 of the labels that have photos, 0..1."""
    table = confusion(truth, said, labels)
    f1 = precision_recall_f1(table)[2]
    return float(f1[table.sum(axis=1) > 0].mean())


def calibration_bins(confidence: Array, hit: Array, bins: int = 15) -> list[tuple[int, float, float]]:
    """Bin photos by confidence into bins of equal width: (photos, mean confidence, accuracy) of each bin."""
    import numpy as np

    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    photos, sure, right = (np.bincount(bin_of, weights, bins) for weights in (None, confidence, hit))
    some = np.maximum(photos, 1)
    return list(zip(photos.tolist(), (sure / some).tolist(), (right / some).tolist(), strict=True))


def calibration_error(confidence: Array, hit: Array, bins: int = 15) -> float:
    """Expected calibration error, 0..1: mean gap between confidence and accuracy over bins of equal width.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (arXiv:1706.04599).
    """
    table = calibration_bins(confidence, hit, bins)
    return sum(count * abs(mean - part) for count, mean, part in table) / max(1, len(confidence))


def fit_temperature(logits: Array, truth: Array) -> float:
    """Find the temperature, 0.05..20, that maximizes the likelihood of the truth (Guo et al. 2017)."""
    import numpy as np

    def loss(temperature: float) -> float:
        likelihood = softmax(logits, temperature)[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(likelihood, 1e-30)).mean())

    low, high = 0.05, 20.0
    # The loss is unimodal in 1 / temperature, so a grid search that closes in on the minimum converges.
    for _round in range(4):
        grid = np.geomspace(low, high, 21)
        best = int(np.argmin([loss(temperature) for temperature in grid]))
        low, high = grid[max(0, best - 1)], grid[min(20, best + 1)]
    return float(grid[best])


def coverage_curve(confidence: Array, hit: Array) -> tuple[Array, Array, Array]:
    """Coverage and precision at each threshold: (thresholds in descending order, coverage, precision)."""
    import numpy as np

    order = np.argsort(-confidence, kind="stable")
    said = np.arange(1, len(order) + 1)
    # No threshold separates photos of equal confidence, so only the last of them is a point of the curve.
    ends = np.append(np.diff(confidence[order]) != 0, True)
    return confidence[order][ends], (said / len(order))[ends], (np.cumsum(hit[order]) / said)[ends]


def fit_threshold(confidence: Array, hit: Array, precision: float = 0.9) -> float:
    """Find the lowest threshold that reaches ``precision``; 1.0 if none does."""
    thresholds, _coverage, precisions = coverage_curve(confidence, hit)
    enough = precisions >= precision
    return float(thresholds[enough][-1]) if enough.any() else 1.0


def bootstrap(
    measure: Callable[..., Any], arrays: Sequence[Array], *, draws: int = 1000, seed: int = 0
) -> tuple[Array, Array]:
    """95% interval of a measure under resampling of the photos (percentile bootstrap; Efron 1979).

    Args:
        measure: Maps the arrays to a number or an array of numbers; NaN where a resample gives no value.
        arrays: Arrays with photos as their first axis; all are resampled with the same indices.
        draws: Number of resamples.
        seed: Seeds the random draws.

    Returns:
        The 2.5% and 97.5% percentiles, in the shape of the measure's result.
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
