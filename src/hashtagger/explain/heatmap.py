"""How much each place of a photo looks like a label, in 0..1, aligned to the upright photo."""

from typing import TYPE_CHECKING

from hashtagger.arrays import Array
from hashtagger.explain.classmap import class_map
from hashtagger.models.weights import ModelConfig

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn


def heat_map(model: "nn.Module", config: ModelConfig, image: "Image", index: int) -> Array:
    """Show where a network sees a label.

    A DRN tells by itself, in one pass without gradients: the value at a place is the calibrated probability of the
    label there. For any other network the map comes from Grad-CAM (Selvaraju et al., ICCV 2017) and is relative: its
    highest value is 1, whatever the label's score.

    Args:
        model: A network in eval mode.
        config: What the weights file says of the network.
        image: Upright, in mode RGB.
        index: The label's place among the network's outputs.

    Returns:
        float32 (height, width) of the photo, in 0..1.

    Raises:
        MissingExtraError: The network is no DRN and grad-cam is not installed.
        ModelError: The network has no layer that Grad-CAM could look at.
    """
    import torch

    from hashtagger.models.dilated import DRN

    if not isinstance(model, DRN):
        from hashtagger.explain.gradcam import grad_cam

        return grad_cam(model, config, image, index)
    places = class_map(model, config, image).softmax(0)[index]
    size = (image.height, image.width)
    # The class map fits the photo corner to corner.
    heat = torch.nn.functional.interpolate(places[None, None], size, mode="bicubic", align_corners=True)
    return heat[0, 0].clamp(0, 1).numpy()
