"""What a network looks for and what it finds: the filters of its first layer, and the strongest channels of a level."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashtagger.arrays import Array
from hashtagger.errors import ModelError
from hashtagger.explain.classmap import as_map, whole_photo
from hashtagger.i18n import _
from hashtagger.models.weights import ModelConfig

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn


@dataclass(frozen=True)
class Channel:
    """One feature map of a photo.

    Attributes:
        number: Its place among the level's channels, from 0.
        strength: Its mean over the photo.
        values: float32 (rows, columns).
    """

    number: int
    strength: float
    values: Array


def first_filters(model: "nn.Module") -> Array:
    """Show the filters of the first convolution as small pictures.

    Returns:
        float32 (filters, rows, columns, 3) in 0..1: grey is zero, and each filter's own largest weight
        reaches 0 or 1.

    Raises:
        ModelError: There is no convolution that sees RGB.
    """
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            weights = module.weight.detach().float().cpu()
            largest = weights.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
            return (0.5 + 0.5 * weights / largest).permute(0, 2, 3, 1).numpy()
    raise ModelError(_("{name}: no convolution that sees colours").format(name=type(model).__name__))


def levels(model: "nn.Module") -> list[str]:
    """Names of the modules whose outputs are a network's levels, first to last; level 1 is the first."""
    return [str(level["module"]) for level in getattr(model, "feature_info", ())]


def strongest_channels(
    model: "nn.Module", config: ModelConfig, image: "Image", level: int, count: int = 24
) -> list[Channel]:
    """Run a network over the whole photo and keep a level's channels of highest mean, strongest first.

    Args:
        model: A network in eval mode.
        config: What the weights file says of the network.
        image: Upright, in mode RGB.
        level: Its number, from 1.
        count: At most this many channels.

    Raises:
        ModelError: The network has no levels or none of that number, or the level's output is no map.
    """
    import torch

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
    seen: list[Tensor] = []
    hook = model.get_submodule(names[level - 1]).register_forward_hook(
        # A copy, as the next layer may change it in place.
        lambda _module, _inputs, output: seen.append(output.detach().float().cpu().clone())
    )
    pixels = whole_photo(model, config, image)
    try:
        with torch.inference_mode():
            model(pixels.to(next(model.parameters()).device))
    finally:
        hook.remove()
    features = as_map(model, seen[0], model.feature_info[level - 1]["num_chs"])  # type: ignore[index,arg-type]
    if features.ndim != 4:
        raise ModelError(_("{name}: level {level} has no places to draw").format(name=config.architecture, level=level))
    strength = features[0].mean((1, 2))
    order = strength.argsort(descending=True, stable=True)[:count].tolist()
    return [Channel(i, float(strength[i]), features[0, i].numpy()) for i in order]
