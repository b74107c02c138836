"""Fill up small classes with variations of their photos, written to disk where they can be looked at."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hashtagger.errors import ImageError
from hashtagger.images import load_image
from hashtagger.training.augment import Augment
from hashtagger.training.dataset import OTHER, Photo
from hashtagger.training.recipe import Recipe

_QUALITY = 95


def write_variations(photos: Sequence[Photo], recipe: Recipe, folder: Path, *, anew: bool) -> list[Photo]:
    """Write, for each label of fewer than ``recipe.balance_to`` photos, variations until there are as many.

    They vary as photos do in training by the recipe, at its largest size. Pass training photos alone: to learn from
    variations of the validation photos would make validation too easy.

    Args:
        photos: Photos of key ``other`` are passed over.
        recipe: Says how many, and how they vary.
        folder: Gets a class folder for each filled label; made if missing.
        anew: Write over the files that are there: a run that was stopped at its start may have left torn ones, or
            those of other photos. Otherwise they stay.

    Returns:
        The variations, each with its photo's split, source and further labels.
    """
    augment = Augment(recipe, max(recipe.sizes))
    by_key: dict[str, list[Photo]] = {}
    for photo in photos:
        if photo.key != OTHER:
            by_key.setdefault(photo.key, []).append(photo)
    return [new for key, own in by_key.items() for new in _fill(own, recipe, augment, folder / key, anew)]


def _fill(own: list[Photo], recipe: Recipe, augment: Augment, folder: Path, anew: bool) -> list[Photo]:
    import torch
    from PIL import Image

    variations: list[Photo] = []
    missing = recipe.balance_to - len(own)
    sources = list(own)
    while len(variations) < missing and sources:
        photo = sources[len(variations) % len(sources)]
        path = folder / f"{len(variations):05}-{photo.path.stem}.jpg"
        if anew or not path.exists():
            try:
                image = load_image(photo.path, shorter_side=2 * augment.size)
            except ImageError:
                sources.remove(photo)
                continue
            # By the file's own number, so that a folder filled in two goes is as one filled in one.
            random.seed(recipe.seed * 1_000_000 + len(variations))
            torch.manual_seed(recipe.seed * 1_000_000 + len(variations))
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(augment(image).transpose(1, 2, 0)).save(path, quality=_QUALITY)
        variations.append(replace(photo, path=path))
    return variations
