"""Classify each location of a whole photo, in one pass and without gradients."""

from threading import Lock
from typing import TYPE_CHECKING, Any

from hashtagger.models.config import ModelConfig
from hashtagger.models.preprocess import network_pixels

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

    from hashtagger.models.dilated import DRN

STRIDE = 8
"""Input pixels between two neighbouring cells of a DRN's class map."""
LEAST_SIDE = 33
"""Minimum side in pixels of a network's input (8 k + 1) and of a photo to search in."""
_LONGEST = 8
"""Maximum aspect ratio of the input; longer photos are squeezed, which bounds the work."""
_COARSEST = 32
"""Largest stride of the usual networks."""

HOOKED = Lock()
"""Held while a network has hooks: those of one thread would also see what the network computes for another."""


def class_map(model: "DRN", config: ModelConfig, image: "Image", scale: float = 1.0) -> "Tensor":
    """Run a DRN over a whole photo and classify each cell of its last feature map.

    The photo is resized to 8 k + 1 pixels each way. The first and last cells of the map are then centred on the photo's
    edges, so that the map aligns with the photo corner to corner. A network with an output stride of 16 runs at 8
    (:meth:`~hashtagger.models.dilated.DRN.dense`).

    Args:
        model: A DRN (Yu, Koltun and Funkhouser, CVPR 2017), in eval mode.
        config: The network's metadata, from its weights file.
        image: Upright, in mode RGB.
        scale: Multiple of ``config.image_size`` that the photo's shorter side is resized to.

    Returns:
        float32 (classes, rows, columns) on the CPU: calibrated logits. Their mean over all cells is the photo's
        logits, up to the grid for an output stride of 16.
    """
    import torch

    pixels = network_input(config, image, *grid_size(image.size, config.image_size * scale))
    with torch.inference_mode():
        logits = model.dense().forward_class_map(pixels.to(next(model.parameters()).device))[0]
        return logits.float().cpu() / config.temperature


def grid_size(size: tuple[int, int], shorter: float) -> tuple[int, int]:
    """Fit ``size`` to 8 k + 1 pixels each way, near its aspect ratio, the shorter side near ``shorter``."""
    factor = shorter / min(size)
    longest = min(max(size) * factor, _LONGEST * shorter)
    width, height = (max(LEAST_SIDE, STRIDE * round((min(side * factor, longest) - 1) / STRIDE) + 1) for side in size)
    return width, height


def whole_photo(model: "nn.Module", config: ModelConfig, image: "Image") -> "Tensor":
    """Prepare a whole photo for any network: in its aspect ratio, or squeezed to a square if it takes only these."""
    from hashtagger.models.dilated import DRN

    side, settings = config.image_size, getattr(model, "pretrained_cfg", {})
    if hasattr(model, "patch_embed") or settings.get("fixed_input_size"):
        return network_input(config, image, side, side)
    width, height = grid_size(image.size, side)
    if not isinstance(model, DRN):
        # Some networks add up maps of several strides, which must all divide the input's sides.
        width, height = (-(-(length - 1) // _COARSEST) * _COARSEST for length in (width, height))
    return network_input(config, image, width, height)


def as_map(model: Any, features: Any, channels: int) -> "Tensor | None":
    """Convert tokens or channels-last output to (batch, channels, rows, columns); None if it is no map of features."""
    import torch

    if not isinstance(features, torch.Tensor):
        return None
    if features.ndim == 3:
        rows, columns = getattr(getattr(model, "patch_embed", None), "grid_size", None) or (0, 0)
        # The class token may be in front, or added in later layers only.
        if features.shape[1] - rows * columns not in (0, getattr(model, "num_prefix_tokens", 0)):
            return None
        return features[:, -rows * columns :].unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
    if features.ndim == 4 and features.shape[1] != channels == features.shape[3]:
        return features.permute(0, 3, 1, 2)
    return features if features.ndim == 4 else None


def network_input(config: ModelConfig, image: "Image", width: int, height: int, box: Any = None) -> "Tensor":
    """Resize a photo, or the part of it in ``box`` (xyxy), and normalize it: float32 (1, 3, height, width)."""
    import torch

    return torch.from_numpy(network_pixels(image, config, width, height, box))[None]
