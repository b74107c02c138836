"""Create a recipe's network, initialize it from other weights, and check it before any photo is read."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hashtagger.errors import TrainingError, WeightsError
from hashtagger.i18n import _
from hashtagger.models import create_model
from hashtagger.models.weights import load_weights, read_config
from hashtagger.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn


PRETRAINED = "pretrained"
"""In place of a weights file to start from: the weights that the network's authors published, through timm."""


def make_network(recipe: Recipe, labels: int, *, pretrained: bool = False) -> "nn.Module":
    """Create the recipe's network with one output per label.

    Args:
        recipe: Names the network.
        labels: Number of its outputs.
        pretrained: Load the published weights, which timm downloads the first time; the classifier starts fresh.

    Raises:
        ModelError: The network does not exist, does not accept ``model_options``, or has no published weights, or
            they cannot be downloaded.
    """
    options = dict(recipe.model_options)
    return create_model(recipe.model, num_classes=labels, drop_rate=recipe.drop_rate, pretrained=pretrained, **options)


def check_network(recipe: Recipe, init: "str | os.PathLike[str] | None" = None) -> None:
    """Check, quickly and without photos, that a recipe's network can be trained.

    Args:
        recipe: Names the network, its sizes and its teachers.
        init: Weights file to start from, or :data:`PRETRAINED`.

    Raises:
        TrainingError: The network does not accept photos of one of the sizes.
        ModelError: As :func:`make_network`.
        WeightsError: ``init`` or a teacher is not a weights file, or ``init`` belongs to another network.
    """
    for size in {*recipe.sizes, recipe.final_size}:
        count_macs(recipe, size=size)
    if init and os.fspath(init) == PRETRAINED:
        make_network(recipe, 2, pretrained=True)
    elif init:
        fitting_tensors(_meta_network(recipe, 2), Path(init), ())
    for teacher in recipe.teachers:
        read_config(teacher)


def count_macs(recipe: Recipe, labels: int = 2, size: int | None = None) -> int:
    """Count the multiply-accumulates of the recipe's network for one photo, on PyTorch's meta device.

    Args:
        recipe: Names the network.
        labels: Number of its outputs.
        size: Side of the photo in pixels; by default that of validation and use.

    Raises:
        TrainingError: The network does not accept photos of that size.
        ModelError: The network does not exist, or does not accept ``model_options``.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    size = size or recipe.final_size
    network = _meta_network(recipe, labels).eval()
    try:
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, size, size))
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(
            _("{network} does not take photos of {size} px: {cause}").format(
                network=recipe.model, size=size, cause=(str(error).splitlines() or [type(error).__name__])[0]
            )
        ) from error
    # A multiply-accumulate counts as two floating-point operations.
    return int(counter.get_total_flops()) // 2


def _meta_network(recipe: Recipe, labels: int) -> "nn.Module":
    """Create the recipe's network without allocating its weights."""
    import torch

    with torch.device("meta"):
        return make_network(recipe, labels)


def init_weights(network: "nn.Module", path: Path, keys: tuple[str, ...]) -> list[str]:
    """Load the tensors of a weights file that :func:`fitting_tensors` selects into a network.

    Returns:
        The names of the network's tensors that keep their values.

    Raises:
        WeightsError: As :func:`fitting_tensors`.
    """
    fitting = fitting_tensors(network, path, keys)
    network.load_state_dict(fitting, strict=False)
    return [name for name in network.state_dict() if name not in fitting]


def fitting_tensors(network: "nn.Module", path: Path, keys: tuple[str, ...]) -> "dict[str, Tensor]":
    """Select the tensors of a weights file that fit a network in name and shape.

    A classifier for labels other than ``keys`` does not fit, whatever its shape.

    Raises:
        WeightsError: The file is missing or damaged, or fits fewer than half of the network's tensors.
    """
    given, config = load_weights(path)
    if config.keys != keys:
        given.reset_classifier(0)  # type: ignore[operator]
    tensors, own = given.state_dict(), network.state_dict()
    fitting = {name: tensors[name] for name in own if name in tensors and tensors[name].shape == own[name].shape}
    if 2 * len(fitting) < len(own):
        raise WeightsError(
            _("{path}: of another network: {found} of {expected} tensors fit").format(
                path=path, found=len(fitting), expected=len(own)
            )
        )
    return fitting
