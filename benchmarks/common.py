"""Shared code of the benchmarks: describing the machine, and generating photos that anyone can reproduce."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hashtagger.images import find_photos
from hashtagger.models.device import cpu_name

CAMERA = (4000, 3000)
_GRAIN = 6.0
_QUALITY = 90


def machine(*packages: str) -> str:
    """Describe the CPU, its cores and the versions of packages, for the heading of a table."""
    return ", ".join(
        [cpu_name(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}", *map(_named, packages)]
    )


def _named(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def make_photos(folder: Path, count: int, size: tuple[int, int] = CAMERA) -> list[Path]:
    """Make JPEGs of one size (width, height) from crops of scikit-learn's two photos, with noise like a sensor's."""
    import numpy as np
    import sklearn.datasets
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    samples = [Image.fromarray(image) for image in sklearn.datasets.load_sample_images().images]
    draw = np.random.default_rng(0)
    paths = []
    for number in range(count):
        sample = samples[number % 2]
        side = int(draw.integers(200, 400))
        left, top = draw.integers(sample.width - side), draw.integers(sample.height - side)
        photo = sample.crop((left, top, left + side, top + side)).resize(size, Image.Resampling.BICUBIC)
        grain = draw.normal(scale=_GRAIN, size=(size[1], size[0], 1))
        pixels = np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=_QUALITY)
    return paths


def count_macs(network: Any, size: int) -> float:
    """Count the multiplications of a torch network for one photo of ``size`` x ``size`` pixels."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() / 2


def link(photos: Sequence[Path], folder: Path, count: int) -> Path:
    """Fill a folder with ``count`` symlinks to a few photos, a thousand per subfolder."""
    for number in range(count):
        name = folder / f"{number // 1000:04}" / f"{number:08}.jpg"
        name.parent.mkdir(parents=True, exist_ok=True)
        name.symlink_to(photos[number % len(photos)].resolve())
    return folder


def camera_photos(given: Path | None, folder: Path, count: int) -> list[Path]:
    """Find the photos of the given folder, or make ``count`` photos of 12 megapixels."""
    return find_photos(given) if given else make_photos(folder, count)
