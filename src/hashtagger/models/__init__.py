"""Networks by name: timm's and ours, which are registered with timm at the first use."""

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hashtagger.errors import ModelError
from hashtagger.i18n import _

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build_model", "create_model", "normalization"]


def create_model(architecture: str, **kwargs: Any) -> "nn.Module":
    """Create a network by its name: timm's, or one of ours (``drn_*``, ``sequential_cnn``).

    Args:
        architecture: ``"drn_c_26"``, ``"resnet50"``, ...
        **kwargs: What ``timm.create_model`` takes: ``num_classes``, ``pretrained``, ...

    Raises:
        ModelError: There is no network of that name, it does not take these arguments, or it has no pretrained weights.
    """
    import timm

    import hashtagger.models.drn
    import hashtagger.models.sequential  # noqa: F401  (both register their networks with timm)

    if not timm.is_model(architecture):
        alike = difflib.get_close_matches(architecture, timm.list_models(), 8, 0.5)
        known = alike or [*timm.list_models("drn_*"), "sequential_cnn"]
        raise ModelError(
            _("no network {name!r}; alike: {known} (any name of timm.list_models() works)").format(
                name=architecture, known=", ".join(known)
            )
        )
    try:
        model: nn.Module = timm.create_model(architecture, **kwargs)
    except (TypeError, KeyError, ValueError, RuntimeError, OSError) as error:
        cause = " ".join(str(error).split())
        raise ModelError(
            _("network {name} cannot be made so: {cause}").format(name=architecture, cause=cause)
        ) from error
    return model


def build_model(architecture: str, **kwargs: Any) -> "nn.Module":
    """Create a network as :func:`create_model` does, but a DRN without importing timm (nor timm's ``*_cfg``).

    Raises:
        ModelError: There is no network of that name, or it does not take these arguments.
    """
    from hashtagger.models.dilated import DRN, VARIANTS

    if architecture in VARIANTS:
        # What only timm takes, or nobody, is left to create_model.
        with suppress(TypeError, ValueError):
            return DRN(**{**VARIANTS[architecture], **kwargs})
    return create_model(architecture, **kwargs)


def normalization(architecture: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Tell the mean and standard deviation, per channel of RGB in 0..1, with which a network's authors normalize.

    Raises:
        ModelError: There is no network of that name.
    """
    import torch

    with torch.device("meta"):
        config: Any = create_model(architecture, num_classes=1).pretrained_cfg
    return tuple(config["mean"]), tuple(config["std"])
