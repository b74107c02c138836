"""Oversample small classes with augmented copies, which are written to disk so that they can be inspected."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hashtagger.errors import ImageError
from hashtagger.images import load_image
from hashtagger.training.augment import Augment
from hashtagger.training.photos import OTHER, Photo
from hashtagger.training.recipe import Recipe

_QUALITY = 95


def write_variations(photos: Sequence[Photo], recipe: Recipe, folder: Path, *, anew: bool) -> list[Photo]:
    """Write augmented copies for each label with fewer than ``recipe.balance_to`` photos, until it has that many.

    Photos are augmented as in training, at the recipe's largest size. Pass training photos only: copies of validation
    photos would leak into training and make validation too easy.

    Args:
        photos: Photos with the key ``other`` are skipped.
        recipe: Sets the number of photos and their augmentation.
        folder: Receives a class folder for each label that is filled up; created if missing.
        anew: Overwrite existing files, because a run that was interrupted at its start may have left truncated files,
            or copies of other photos. Otherwise existing files are kept.

    Returns:
        The copies, each with the split, source and further labels of its original.
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
            # Seeded by file number, so that a folder filled in two runs is identical to one filled in a single run.
            random.seed(recipe.seed * 1_000_000 + len(variations))
            torch.manual_seed(recipe.seed * 1_000_000 + len(variations))
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(augment(image).transpose(1, 2, 0)).save(path, quality=_QUALITY)
        variations.append(replace(photo, path=path))
    return variations
