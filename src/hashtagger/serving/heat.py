"""Heat maps as pictures to overlay on a photo."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

_COLD, _HOT = (255, 214, 64), (224, 36, 94)
_MAX_ALPHA = 190  # of 255: the photo stays visible under the hottest spot


def overlay(heat: "np.ndarray[Any, Any]") -> "Image":
    """Turn a map (h, w) in 0..1 into an RGBA picture: transparent at 0, then yellow, red at 1."""
    import numpy as np
    from PIL import Image

    level = np.clip(heat, 0, 1)[..., None].astype(np.float32)
    colour = (1 - level) * np.array(_COLD, np.float32) + level * np.array(_HOT, np.float32)
    pixels = np.concatenate([colour, level * _MAX_ALPHA], axis=2)
    return Image.fromarray(pixels.round().astype(np.uint8), "RGBA")
