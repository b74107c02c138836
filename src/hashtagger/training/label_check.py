"""Find likely wrong labels and outliers from a network's features."""

from collections import Counter
from collections.abc import Sequence

from hashtagger.arrays import Array

FEWEST = 10
"""Labels with fewer photos are not checked."""


def wrong_labels(features: Array, keys: Sequence[str], seed: int = 0) -> list[tuple[int, str, float]]:
    """Find photos whose label is likely wrong, by confident learning.

    A logistic regression on the features predicts each photo out of fold (five folds). A photo is reported if another
    label is more probable than its own, and at least as probable as it is on average for photos of that label.
    Northcutt, Jiang and Chuang, "Confident Learning", JAIR 2021 (arXiv:1911.00068).

    Args:
        features: float (photos, features).
        keys: Label of each photo.
        seed: Seeds the random draw of the folds.

    Returns:
        (index of the photo, more probable label, difference in probability), largest difference first.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = _of_large_labels(keys)
    labels, given = np.unique(np.array(keys)[chosen], return_inverse=True)
    if len(labels) < 2:
        return []
    # With this many features, a strong penalty ranks planted wrong labels better than a weak one.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    probabilities = cross_val_predict(model, features[chosen], given, cv=folds, method="predict_proba")
    typical = np.array([probabilities[given == label, label].mean() for label in range(len(labels))])
    confident = np.where(probabilities >= typical, probabilities, 0)
    likelier = confident.argmax(axis=1)
    rows = np.arange(len(given))
    margin = confident[rows, likelier] - probabilities[rows, given]
    found = np.flatnonzero((likelier != given) & (margin > 0))
    return [(int(chosen[i]), str(labels[likelier[i]]), float(margin[i])) for i in found[np.argsort(-margin[found])]]


def outliers(features: Array, keys: Sequence[str], limit: float = 4.0) -> list[tuple[int, float]]:
    """Find photos far from all others of their label.

    The distance is the mean cosine distance to the label's ten nearest other photos (or fewer if there are fewer);
    a photo is an outlier if it lies more than ``limit`` robust standard deviations (1.4826 times the median
    absolute deviation) above the label's median.

    Returns:
        (index of the photo, distance from the median in robust standard deviations), farthest first.
    """
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    chosen = _of_large_labels(keys)
    found = []
    for key in {keys[i] for i in chosen}:
        members = np.array([i for i in chosen if keys[i] == key])
        nearest = NearestNeighbors(n_neighbors=min(10, len(members) - 1), metric="cosine").fit(features[members])
        distance = nearest.kneighbors()[0].mean(axis=1)
        middle = np.median(distance)
        spread = max(1.4826 * float(np.median(np.abs(distance - middle))), 1e-6)
        found += [(int(members[i]), float((distance[i] - middle) / spread)) for i in range(len(members))]
    return sorted(((i, score) for i, score in found if score > limit), key=lambda pair: -pair[1])


def _of_large_labels(keys: Sequence[str]) -> Array:
    import numpy as np

    counts = Counter(keys)
    return np.array([i for i, key in enumerate(keys) if counts[key] >= FEWEST], dtype=int)
