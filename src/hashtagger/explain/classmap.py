"""Classify each place of a whole photo, in one pass and without gradients."""

from typing import TYPE_CHECKING, Any

from hashtagger.models.preprocess import network_pixels
from hashtagger.models.weights import ModelConfig

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

STRIDE = 8
"""Pixels of the network's input between two places of a DRN's class map."""
LEAST_SIDE = 33
"""Pixels: the least side of a network's input, which is both 8 k + 1 and 16 k + 1, and of a photo to search in."""
_LONGEST = 8
"""A photo longer than this many times its shorter side is squeezed, which bounds the work."""


def class_map(model: "nn.Module", config: ModelConfig, image: "Image", scale: float = 1.0) -> "Tensor":
    """Run a DRN over the whole photo and classify each place of it.

    The photo is resized to 8 k + 1 pixels each way (16 k + 1 for an output stride of 16). The first and last places
    of the map are then centred on the photo's very edges, and the map fits the photo corner to corner, without a shift.

    Args:
        model: A DRN (Yu, Koltun and Funkhouser, CVPR 2017), in eval mode.
        config: What the weights file says of the network.
        image: Upright, in mode RGB.
        scale: The photo's shorter side is resized to this times ``config.image_size``.

    Returns:
        float32 (classes, rows, columns) on the CPU: calibrated logits. Their mean over all places is the logits of
        the photo.
    """
    import torch

    stride: int = model.feature_info[-1]["reduction"]  # type: ignore[index,assignment]
    pixels = network_input(config, image, *grid_size(image.size, config.image_size * scale, stride))
    with torch.inference_mode():
        logits = model.forward_class_map(pixels.to(next(model.parameters()).device))[0]  # type: ignore[operator]
        return logits.float().cpu() / config.temperature


def grid_size(size: tuple[int, int], shorter: float, stride: int = STRIDE) -> tuple[int, int]:
    """Width and height of ``stride`` k + 1 pixels, in a photo's aspect ratio; the shorter is close to ``shorter``."""
    factor = shorter / min(size)
    longest = min(max(size) * factor, _LONGEST * shorter)
    width, height = (max(LEAST_SIDE, stride * round((min(side * factor, longest) - 1) / stride) + 1) for side in size)
    return width, height


def whole_photo(model: "nn.Module", config: ModelConfig, image: "Image") -> "Tensor":
    """Make a whole photo the input of any network: in its aspect ratio, or for a transformer squeezed to a square."""
    side = config.image_size
    size = (side, side) if hasattr(model, "patch_embed") else grid_size(image.size, side)
    return network_input(config, image, *size)


def as_map(model: Any, features: "Tensor", channels: int) -> "Tensor":
    """Bring a layer's output to (batch, channels, rows, columns), from tokens or channels last; other shapes stay."""
    if features.ndim == 3 and hasattr(model, "patch_embed"):
        patches = features[:, getattr(model, "num_prefix_tokens", 0) :]
        return patches.unflatten(1, model.patch_embed.grid_size).permute(0, 3, 1, 2)
    if features.ndim == 4 and features.shape[1] != channels == features.shape[3]:
        return features.permute(0, 3, 1, 2)
    return features


def network_input(config: ModelConfig, image: "Image", width: int, height: int, box: Any = None) -> "Tensor":
    """Resize a photo, or the part of it in ``box`` (xyxy), and normalize it: float32 (1, 3, height, width)."""
    import torch

    return torch.from_numpy(network_pixels(image, config, width, height, box))[None]
