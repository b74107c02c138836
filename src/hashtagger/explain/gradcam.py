"""Heat maps for networks without a class map of their own, with the grad-cam library."""

from typing import TYPE_CHECKING, Any

from hashtagger.arrays import Array
from hashtagger.errors import MissingExtraError, ModelError
from hashtagger.explain.classmap import HOOKED, as_map, whole_photo
from hashtagger.i18n import _
from hashtagger.models.config import ModelConfig

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn


def grad_cam(model: "nn.Module", config: ModelConfig, image: "Image", index: int) -> Array:
    """Weight the last features by the label's gradient: Grad-CAM (Selvaraju et al., ICCV 2017).

    A convolutional network sees the whole photo in its aspect ratio, a transformer the photo squeezed to a square.

    Returns:
        float32 (height, width) of the photo, in 0..1, scaled so that the maximum is 1.

    Raises:
        MissingExtraError: grad-cam is not installed.
        ModelError: The network has no suitable layer.
    """
    import torch

    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        raise MissingExtraError(
            _(
                "a heat map of a network other than DRN takes grad-cam: "
                "pip install '.[explain]' in a clone of hashtagger"
            )
        ) from error
    layer, channels = target_layer(model), getattr(model, "num_features", 0)
    pixels = whole_photo(model, config, image).to(next(model.parameters()).device)

    def transform(features: "Tensor") -> "Tensor":
        if (found := as_map(model, features, channels)) is None:
            raise _no_layer(model)
        return found

    with HOOKED, GradCAM(model, [layer], reshape_transform=transform) as cam, torch.enable_grad():
        try:
            heat = cam(pixels, [ClassifierOutputTarget(index)])
        except AttributeError as error:  # no gradient, because the layer's output does not lead to the label
            raise _no_layer(model) from error
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(heat)[:, None], (image.height, image.width), mode="bilinear", align_corners=False
    )
    # Between the cells' centres, the maximum is a little lower.
    return (resized / resized.amax().clamp_min(1e-7))[0, 0].clamp(0, 1).numpy()


def target_layer(model: Any) -> "nn.Module":
    """Choose the layer for Grad-CAM: the last features with spatial dimensions.

    In a transformer this is the first norm of the last block, because after the last attention only the class token
    has a gradient.

    Raises:
        ModelError: The network has no ``feature_info`` that names such a layer.
    """
    blocks = getattr(model, "blocks", None)
    if hasattr(model, "patch_embed") and blocks is not None and hasattr(blocks[-1], "norm1"):
        return blocks[-1].norm1
    try:
        return model.get_submodule(model.feature_info[-1]["module"])
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise _no_layer(model) from error


def _no_layer(model: Any) -> ModelError:
    return ModelError(
        _("{name}: no layer to look at; networks of timm with feature_info have one").format(name=type(model).__name__)
    )
