"""Heat maps: how much each location of a photo looks like a label, in 0..1, aligned with the upright photo."""

from typing import TYPE_CHECKING

from hashtagger.arrays import Array
from hashtagger.explain.classmap import class_map
from hashtagger.models.config import ModelConfig

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn


def heat_map(model: "nn.Module", config: ModelConfig, image: "Image", index: int) -> Array:
    """Compute where in a photo a network sees a label.

    A DRN computes the map itself, in one pass without gradients: each value is the calibrated probability of the label
    at that location. For any other network the map comes from Grad-CAM (Selvaraju et al., ICCV 2017) and is relative:
    its maximum is 1, whatever the label's score.

    Args:
        model: A network in eval mode.
        config: The network's metadata, from its weights file.
        image: Upright, in mode RGB.
        index: Index of the label among the network's outputs.

    Returns:
        float32 (height, width) of the photo, in 0..1.

    Raises:
        MissingExtraError: The network is not a DRN and grad-cam is not installed.
        ModelError: The network has no layer that Grad-CAM can use.
    """
    import torch

    from hashtagger.models.dilated import DRN

    if not isinstance(model, DRN):
        from hashtagger.explain.gradcam import grad_cam

        return grad_cam(model, config, image, index)
    places = class_map(model, config, image).softmax(0)[index]
    size = (image.height, image.width)
    # The class map aligns with the photo corner to corner.
    heat = torch.nn.functional.interpolate(places[None, None], size, mode="bicubic", align_corners=True)
    return heat[0, 0].clamp(0, 1).numpy()
