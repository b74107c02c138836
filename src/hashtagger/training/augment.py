"""Random augmentation of training photos."""

import math
import random
from typing import TYPE_CHECKING

from hashtagger.arrays import Array
from hashtagger.training.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


class Augment:
    """Turn a photo into a randomly augmented array: uint8 (3, size, size).

    Randomness comes from the global generators of Python and PyTorch, which the data loader seeds in its workers.
    """

    def __init__(self, recipe: Recipe, size: int) -> None:
        from torchvision.transforms import v2

        strength = recipe.jitter
        self.recipe = recipe
        self.size = size
        self.jitter = v2.ColorJitter(strength, strength, strength, strength / 4) if strength else None
        self.trivial = v2.TrivialAugmentWide() if recipe.trivial_augment else None

    def __call__(self, image: "Image") -> Array:
        """Augment ``image``, an RGB image of any size."""
        import numpy as np
        from PIL.Image import Resampling, Transpose

        recipe = self.recipe
        if random.random() < recipe.rescale:
            image = _shrink(image, random.uniform(*recipe.rescale_to))
        image = image.resize(
            (self.size, self.size), Resampling.BICUBIC, box=random_box(*image.size, recipe.crop), reducing_gap=3.0
        )
        if random.random() < recipe.flip:
            image = image.transpose(Transpose.FLIP_LEFT_RIGHT)
        if self.jitter:
            image = self.jitter(image)
        if self.trivial and random.random() < recipe.trivial_augment:
            image = self.trivial(image)
        pixels = np.array(image).transpose(2, 0, 1)
        if random.random() < recipe.erase:
            left, top, right, bottom = (round(edge) for edge in random_box(self.size, self.size, (0.02, 0.33)))
            pixels[:, top:bottom, left:right] = 128
        return np.ascontiguousarray(pixels)


def random_box(width: int, height: int, area: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Draw a random rectangle inside a photo: left, top, right, bottom in pixels.

    Its share of the photo's area is drawn from the range ``area``, and its aspect ratio from 3:4 to 4:3 (Szegedy
    et al., "Going Deeper with Convolutions", CVPR 2015). If ten draws in a row do not fit, the central square is used.
    """
    for _attempt in range(10):
        wanted = width * height * random.uniform(*area)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = math.sqrt(wanted * ratio), math.sqrt(wanted / ratio)
        if 1 <= w <= width and 1 <= h <= height:
            left, top = random.uniform(0, width - w), random.uniform(0, height - h)
            return left, top, left + w, top + h
    edge = min(width, height)
    left, top = (width - edge) / 2, (height - edge) / 2
    return left, top, left + edge, top + edge


def _shrink(image: "Image", shorter_side: float) -> "Image":
    from PIL.Image import Resampling

    scale = shorter_side / min(image.size)
    if scale >= 1:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)), Resampling.BILINEAR)


def mix(pixels: "Tensor", target: "Tensor", recipe: Recipe) -> "tuple[Tensor, Tensor]":
    """Mix each photo of a batch with another by MixUp or CutMix, with probability ``recipe.mix_share``.

    MixUp: Zhang et al., ICLR 2018, arXiv:1710.09412. CutMix: Yun et al., ICCV 2019, arXiv:1905.04899.

    Args:
        pixels: Float (batch, 3, size, size).
        target: Float (batch, labels).
        recipe: Sets the strength; if it enables both methods, one is drawn for each batch.
    """
    import torch

    kinds = [kind for kind in ("mixup", "cutmix") if getattr(recipe, kind)]
    if not kinds or random.random() >= recipe.mix_share:
        return pixels, target
    kind = random.choice(kinds)
    alpha = getattr(recipe, kind)
    keep = random.betavariate(alpha, alpha)
    other = torch.randperm(len(pixels), device=pixels.device)
    if kind == "mixup":
        pixels = torch.lerp(pixels[other], pixels, keep)
    else:
        height, width = pixels.shape[-2:]
        x, y = random.randrange(width), random.randrange(height)
        half_w, half_h = width * math.sqrt(1 - keep) / 2, height * math.sqrt(1 - keep) / 2
        left, right = max(0, round(x - half_w)), min(width, round(x + half_w))
        top, bottom = max(0, round(y - half_h)), min(height, round(y + half_h))
        pixels = pixels.clone()
        pixels[:, :, top:bottom, left:right] = pixels[other, :, top:bottom, left:right]
        keep = 1 - (right - left) * (bottom - top) / (width * height)
    return pixels, torch.lerp(target[other], target, keep)
