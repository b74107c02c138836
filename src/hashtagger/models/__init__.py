"""Networks by name: ours (registered with timm on first use) and timm's, and their weights."""

from typing import TYPE_CHECKING, Any

from hashtagger.errors import ModelError
from hashtagger.i18n import _

if TYPE_CHECKING:
    from torch import nn

__all__ = ["create_model"]


def create_model(architecture: str, **kwargs: Any) -> "nn.Module":
    """Create a network by its timm name; ours (``drn_*``) are known too.

    Args:
        architecture: ``"drn_c_26"``, ``"resnet50"``, ...
        **kwargs: What ``timm.create_model`` takes: ``num_classes``, ``pretrained``, ...

    Raises:
        ModelError: There is no network of that name.
    """
    import timm

    import hashtagger.models.drn  # noqa: F401  (registers the networks with timm)

    if not timm.is_model(architecture):
        known = ", ".join(timm.list_models(f"*{architecture[:4]}*")[:12] or timm.list_models("drn_*"))
        raise ModelError(
            _("no network {name!r}; alike: {known} (any name of timm.list_models() works)").format(
                name=architecture, known=known
            )
        )
    model: nn.Module = timm.create_model(architecture, **kwargs)
    return model
