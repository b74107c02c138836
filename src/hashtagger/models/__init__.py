"""Create networks by name: timm's, and ours, which are registered with timm on first use."""

import difflib
from contextlib import suppress
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from hashtagger.errors import ModelError
from hashtagger.i18n import _

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build_model", "create_model", "normalization"]


def create_model(architecture: str, **kwargs: Any) -> "nn.Module":
    """Create a network by name: one of timm's or of ours (``drn_*``, ``sequential_cnn``).

    Args:
        architecture: ``"drn_c_26"``, ``"resnet50"``, ...
        **kwargs: Arguments of ``timm.create_model``: ``num_classes``, ``pretrained``, ...

    Raises:
        ModelError: There is no network of that name, it rejects the arguments, or it has no pretrained weights.
    """
    import timm
    from safetensors import SafetensorError

    import hashtagger.models.drn
    import hashtagger.models.sequential  # noqa: F401  (both register their networks with timm)

    if not timm.is_model(architecture):
        alike = difflib.get_close_matches(architecture, timm.list_models(), 8, 0.5)
        known = alike or [*timm.list_models("drn_*"), "sequential_cnn"]
        raise ModelError(
            _("no network {name!r}; similar: {known} (any name of timm.list_models() works)").format(
                name=architecture, known=", ".join(known)
            )
        )
    try:
        model: nn.Module = timm.create_model(architecture, **kwargs)
    except (TypeError, KeyError, ValueError, RuntimeError, OSError, SafetensorError, UnpicklingError) as error:
        # timm logs which file is missing and raises an error without words.
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            _("network {name} cannot be created: {cause}").format(name=architecture, cause=cause)
        ) from error
    return model


def build_model(architecture: str, **kwargs: Any) -> "nn.Module":
    """Like :func:`create_model`, but create a DRN without importing timm (and without timm's ``*_cfg`` attributes).

    Raises:
        ModelError: There is no network of that name, or it rejects the arguments.
    """
    from hashtagger.models.dilated import DRN, VARIANTS

    if architecture in VARIANTS:
        # On arguments that DRN rejects, fall through to create_model, which handles timm's or raises ModelError.
        with suppress(TypeError, ValueError):
            return DRN(**{**VARIANTS[architecture], **kwargs})
    return create_model(architecture, **kwargs)


def normalization(architecture: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return a network's input normalization: mean and standard deviation of each RGB channel, in 0..1.

    Raises:
        ModelError: There is no network of that name.
    """
    import torch

    with torch.device("meta"):
        config: Any = create_model(architecture, num_classes=1).pretrained_cfg
    return tuple(config["mean"]), tuple(config["std"])
