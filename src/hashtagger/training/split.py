"""Split labelled photos into those to train on and those to validate on."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter

from hashtagger.groups import merge
from hashtagger.training.duplicates import duplicate_groups
from hashtagger.training.photos import Photo

_ORDERS = 100
"""Number of random orders in which groups of sources are assigned; the most even split is used."""


def split_photos(photos: Sequence[Photo], val_share: float, *, seed: int, group_by_source: bool = False) -> list[Photo]:
    """Assign each photo to ``"train"`` or ``"val"``, class by class, unless the data already has a ``"val"`` split.

    Near-duplicates always end up in the same split.

    Args:
        photos: If any photo has the split ``"val"``, all are returned unchanged. If none has, but some have another
            split, ``"val"`` is drawn only from the photos of ``"train"``.
        val_share: Fraction of each class used for validation, 0..1, met as closely as the groups allow.
        seed: Seeds the random draw.
        group_by_source: Keep all photos of one source in the same split too.
    """
    given = {photo.split for photo in photos}
    if "val" in given:
        return list(photos)
    side = "train" if any(given) else ""
    pool = [photo for photo in photos if photo.split == side]
    groups = duplicate_groups([photo.path for photo in pool])
    if group_by_source:
        groups = _join(groups, [photo.source or str(photo.path) for photo in pool])
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    order = list(members.values())
    draw = random.Random(seed)
    draw.shuffle(order)
    # Large groups first, so that the small ones can even out the result.
    order.sort(key=len, reverse=True)
    # With few, large sources a single order may give a very uneven split, so others are tried as well.
    others = (draw.sample(order, len(order)) for _try in range(_ORDERS if group_by_source else 0))
    keys = [photo.key for photo in pool]
    _off, val = min((_choose(tried, keys, val_share) for tried in (order, *others)), key=itemgetter(0))
    sides = iter(["val" if index in val else "train" for index in range(len(pool))])
    return [replace(photo, split=next(sides)) if photo.split == side else photo for photo in photos]


def _choose(order: Iterable[Sequence[int]], keys: Sequence[str], val_share: float) -> tuple[float, set[int]]:
    """Greedily take each group of photos, in order, that brings the classes closer to their share.

    Returns:
        The number of photos by which the classes miss their share in total, and the indices of the photos taken.
    """
    wanted = {key: count * val_share for key, count in Counter(keys).items()}
    taken: set[int] = set()
    for group in order:
        counts = Counter(keys[index] for index in group)
        gain = sum(abs(wanted[key]) - abs(wanted[key] - count) for key, count in counts.items())
        if gain > 0:
            taken.update(group)
            for key, count in counts.items():
                wanted[key] -= count
    return sum(map(abs, wanted.values())), taken


def _join(groups: Sequence[int], names: Sequence[str]) -> list[int]:
    """Merge groups that share a name; each group is identified by the index of its first member."""
    first: dict[str, int] = {}
    named = ((first.setdefault(name, index), index) for index, name in enumerate(names))
    return merge(len(groups), [*((group, index) for index, group in enumerate(groups)), *named])
