"""Show what a network looks for and finds: its first-layer filters, and the strongest channels of a level."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashtagger.arrays import Array
from hashtagger.errors import ModelError
from hashtagger.explain.classmap import HOOKED, as_map, whole_photo
from hashtagger.i18n import _
from hashtagger.models.config import ModelConfig

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn


@dataclass(frozen=True)
class Channel:
    """One feature map of a photo.

    Attributes:
        number: Index among the level's channels.
        strength: Mean over the photo.
        values: float32 (rows, columns).
    """

    number: int
    strength: float
    values: Array


def first_filters(model: "nn.Module") -> Array:
    """Return the filters of the first RGB convolution as small pictures.

    Returns:
        float32 (filters, rows, columns, 3) in 0..1: grey is zero, and the largest weight of each filter
            becomes 0 or 1.

    Raises:
        ModelError: The network has no convolution with three input channels.
    """
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            weights = module.weight.detach().float().cpu()
            largest = weights.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
            return (0.5 + 0.5 * weights / largest).permute(0, 2, 3, 1).numpy()
    raise ModelError(_("{name}: no convolution that sees colours").format(name=type(model).__name__))


def levels(model: "nn.Module") -> list[str]:
    """Names of the modules whose outputs are a network's levels, in order, starting with level 1."""
    return [str(level["module"]) for level in getattr(model, "feature_info", ())]


def strongest_channels(
    model: "nn.Module", config: ModelConfig, image: "Image", level: int, count: int = 24
) -> list[Channel]:
    """Run a network over a whole photo and return a level's channels with the highest means, strongest first.

    A DRN runs at an output stride of 8 (:meth:`~hashtagger.models.dilated.DRN.dense`).

    Args:
        model: A network in eval mode.
        config: The network's metadata, from its weights file.
        image: Upright, in mode RGB.
        level: Number of the level, from 1.
        count: Maximum number of channels.

    Raises:
        ModelError: The network has no levels, no level of that number, or the level's output is not a feature map.
    """
    import torch

    from hashtagger.models.dilated import DRN

    if isinstance(model, DRN):
        model = model.dense()
    names = levels(model)
    if not names:
        raise ModelError(
            _("{name}: no layer to look at; networks of timm with feature_info have one").format(
                name=config.architecture
            )
        )
    if not 1 <= level <= len(names):
        raise ModelError(
            _("{name} has no level {level}; it has: {known}").format(
                name=config.architecture,
                level=level,
                known=", ".join(f"{number} ({module})" for number, module in enumerate(names, start=1)),
            )
        )
    channels: int = model.feature_info[level - 1]["num_chs"]  # type: ignore[index,assignment]
    seen: list[Tensor | None] = []

    def keep(_module: "nn.Module", _inputs: object, output: object) -> None:
        found = as_map(model, output, channels)
        # A copy, because the next layer may modify it in place.
        seen.append(None if found is None else found.detach().float().cpu().clone())

    mapless = _("{name}: level {level} has no feature map to draw").format(name=config.architecture, level=level)
    pixels = whole_photo(model, config, image)
    try:
        module = model.get_submodule(names[level - 1])
    except AttributeError as error:  # timm lists levels of some networks that are no modules
        raise ModelError(mapless) from error
    with HOOKED:
        hook = module.register_forward_hook(keep)
        try:
            with torch.inference_mode():
                model(pixels.to(next(model.parameters()).device))
        finally:
            hook.remove()
    if not seen or (features := seen[0]) is None:
        raise ModelError(mapless)
    strength = features[0].mean((1, 2))
    order = strength.argsort(descending=True, stable=True)[:count].tolist()
    return [Channel(i, float(strength[i]), features[0, i].numpy()) for i in order]
