"""Near-duplicate photos, found by perceptual hash."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hashtagger.errors import ImageError
from hashtagger.groups import merge
from hashtagger.i18n import _
from hashtagger.images import load_image

if TYPE_CHECKING:
    from PIL.Image import Image

NEAR = 6
"""Maximum number of differing bits, of 64, between the hashes of near-duplicates."""


def perceptual_hash(image: "Image") -> int:
    """Hash a photo's appearance into 64 bits, of which scaled and recompressed copies differ in few.

    Each bit says whether one of the lowest 8x8 frequencies of the cosine transform of a 32x32 grey copy exceeds their
    median (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).
    """
    import numpy as np
    from PIL.Image import Resampling

    grey = np.asarray(image.convert("L").resize((32, 32), Resampling.LANCZOS), dtype=np.float64)
    angles = np.pi / 32 * np.outer(np.arange(8), np.arange(32) + 0.5)
    # Rounded, so that a photo of one colour gives zeros rather than floating-point noise.
    low = np.round(np.cos(angles) @ grey @ np.cos(angles).T, 3)
    bits = low.ravel() > np.median(low.ravel()[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _hash_file(path: Path) -> int | None:
    try:
        return _hash_once(path, path.stat().st_mtime_ns)
    except (ImageError, OSError):
        return None


@cache
def _hash_once(path: Path, _modified: int) -> int:
    # Cached, because each network of a comparison splits the same photos again.
    return perceptual_hash(load_image(path, shorter_side=64))


def near_pairs(hashes: Sequence[int | None], near: int = NEAR) -> list[tuple[int, int]]:
    """List the pairs of positions (first < second) whose hashes differ in at most ``near`` bits.

    Photos without a hash, or with that of a single-colour image, have no duplicates.
    """
    import numpy as np

    positions = np.array([i for i, value in enumerate(hashes) if value is not None and 1 < value.bit_count() < 63])
    if not len(positions):
        return []
    values = np.array([hashes[i] for i in positions], dtype=np.uint64)
    as_bytes = values.view(np.uint8).reshape(-1, 8)
    ones = np.array([byte.bit_count() for byte in range(256)], dtype=np.uint8)
    pairs = []
    for row in range(len(values) - 1):
        distance = ones[as_bytes[row + 1 :] ^ as_bytes[row]].sum(axis=1)
        pairs += [(int(positions[row]), int(positions[row + 1 + j])) for j in np.flatnonzero(distance <= near)]
    return pairs


def duplicate_groups(paths: Sequence[Path]) -> list[int]:
    """Assign each photo to a group of near-duplicates, identified by the position of its first photo."""
    from tqdm import tqdm

    hashes = [_hash_file(path) for path in tqdm(paths, desc=_("photos compared"), disable=None)]
    return merge(len(paths), near_pairs(hashes))
