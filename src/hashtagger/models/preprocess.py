"""Convert an upright RGB photo to the input of a network."""

from typing import TYPE_CHECKING

from hashtagger.arrays import Array
from hashtagger.models.config import ModelConfig

if TYPE_CHECKING:
    from PIL.Image import Image


def preprocess(image: "Image", config: ModelConfig) -> Array:
    """Crop the central square, resize it to the network's size and normalize it.

    Args:
        image: A photo in mode RGB, of any size.
        config: Provides the size in pixels, and the mean and std of each channel.

    Returns:
        float32 of shape (3, size, size).
    """
    left, top, edge = central_square(*image.size)
    box = (left, top, left + edge, top + edge)
    return network_pixels(image, config, config.image_size, config.image_size, box)


def network_pixels(
    image: "Image", config: ModelConfig, width: int, height: int, box: tuple[float, float, float, float] | None = None
) -> Array:
    """Resize a photo, or its region ``box`` (xyxy, pixels), and normalize it: float32 (3, height, width)."""
    import numpy as np
    from PIL.Image import Resampling

    resized = image.resize((width, height), Resampling.BICUBIC, box=box, reducing_gap=3.0)
    pixels = np.asarray(resized, dtype=np.float32) / 255
    pixels = (pixels - np.array(config.mean, np.float32)) / np.array(config.std, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def central_square(width: int, height: int) -> tuple[float, float, int]:
    """Left, top and edge, in pixels, of the largest central square of a photo."""
    edge = min(width, height)
    return (width - edge) / 2, (height - edge) / 2, edge
