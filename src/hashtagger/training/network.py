"""The network of a recipe: made, started from other weights, and tried on paper before any photo is read."""

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


def make_network(recipe: Recipe, labels: int) -> "nn.Module":
    """Make the recipe's network, with as many outputs as there are labels.

    Raises:
        ModelError: It does not exist, or does not take the recipe's ``model_options``.
    """
    return create_model(recipe.model, num_classes=labels, drop_rate=recipe.drop_rate, **dict(recipe.model_options))


def check_network(recipe: Recipe, init: "str | os.PathLike[str] | None" = None) -> None:
    """Make sure, in a second and without photos, that a recipe's network can be trained.

    Args:
        recipe: Names the network, its sizes and its teachers.
        init: Weights file to start from.

    Raises:
        TrainingError: The network does not take photos of one of the sizes.
        ModelError: It does not exist, or does not take the recipe's ``model_options``.
        WeightsError: ``init`` or a teacher is no weights file, or ``init`` is of another network.
    """
    for size in {*recipe.sizes, recipe.final_size}:
        count_macs(recipe, size=size)
    if init:
        fitting_tensors(_on_paper(recipe, 2), Path(init), ())
    for teacher in recipe.teachers:
        read_config(teacher)


def count_macs(recipe: Recipe, labels: int = 2, size: int | None = None) -> int:
    """Count the multiply-accumulates that the recipe's network spends on one photo, without computing anything.

    Args:
        recipe: Names the network.
        labels: Its outputs.
        size: Side of the photo in pixels; by default the one that the trained network is used at.

    Raises:
        TrainingError: The network does not take photos of that size.
        ModelError: It does not exist, or does not take the recipe's ``model_options``.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    size = size or recipe.final_size
    network = _on_paper(recipe, labels).eval()
    try:
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, size, size))
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(
            _("{network} does not take photos of {size} px: {cause}").format(
                network=recipe.model, size=size, cause=(str(error).splitlines() or [type(error).__name__])[0]
            )
        ) from error
    # One multiplication and one addition are two operations.
    return int(counter.get_total_flops()) // 2


def _on_paper(recipe: Recipe, labels: int) -> "nn.Module":
    """The recipe's network without any numbers in it."""
    import torch

    with torch.device("meta"):
        return make_network(recipe, labels)


def init_weights(network: "nn.Module", path: Path, keys: tuple[str, ...]) -> list[str]:
    """Take over from a weights file what :func:`fitting_tensors` finds in it.

    Returns:
        The names of the network's tensors that stay as they are.

    Raises:
        WeightsError: As :func:`fitting_tensors`.
    """
    fitting = fitting_tensors(network, path, keys)
    network.load_state_dict(fitting, strict=False)
    return [name for name in network.state_dict() if name not in fitting]


def fitting_tensors(network: "nn.Module", path: Path, keys: tuple[str, ...]) -> "dict[str, Tensor]":
    """Find what a network can start from: the tensors of a weights file whose name and shape fit.

    A classifier of other labels than ``keys`` does not fit, whatever its shape.

    Raises:
        WeightsError: The file is missing, damaged or of another network, one that fewer than half of the tensors fit.
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
