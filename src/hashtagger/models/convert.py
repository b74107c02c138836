"""Convert third-party checkpoints to our weights files."""

import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.errors import WeightsError
from hashtagger.i18n import _
from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.weights import load_state, read_config, save_weights
from hashtagger.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from torch import Tensor

_PARALLEL_PREFIX = "module."
_STUDY_IMAGE_SIZE = 300


def convert(old: "str | os.PathLike[str]", new: "str | os.PathLike[str]") -> ModelConfig:
    """Convert a DRN checkpoint to a weights file, keeping its tensors unchanged (float32).

    Two kinds are supported, distinguished by their keys. The original study's checkpoint is a ``DataParallel`` state
    dict (``module.`` prefix) whose first twenty outputs are the hashtags, with mean and std 0.5. The DRN authors'
    ImageNet checkpoints have plain keys and 1000 outputs, which match none of our vocabularies. A ``.pth`` file is
    loaded with ``torch.load(weights_only=True)``, which executes no code from the file.

    Args:
        old: A ``.pth`` or ``.safetensors`` file.
        new: The file to write, ending in ``.safetensors``.

    Returns:
        The config stored in the new file.

    Raises:
        WeightsError: The file is missing, damaged, contains code, belongs to a network that is not a DRN, or is a
            weights file already, whose labels and calibration would be lost.
    """
    import torch

    old, new = Path(old), Path(new)
    if new.suffix != ".safetensors":
        raise WeightsError(_("{path}: the new file's name must end in .safetensors").format(path=new))
    if not new.parent.is_dir():
        raise WeightsError(_("{path}: no such folder").format(path=new.parent))
    if _is_converted(old):
        raise WeightsError(_("{path}: already a weights file of hashtagger").format(path=old))
    state = read_state(old)
    of_the_study = all(key.startswith(_PARALLEL_PREFIX) for key in state)
    state = {key.removeprefix(_PARALLEL_PREFIX): tensor for key, tensor in state.items()}
    # Checkpoints from before PyTorch 0.4 lack num_batches_tracked.
    counts = (key.replace("running_mean", "num_batches_tracked") for key in state if key.endswith("running_mean"))
    state |= {key: torch.tensor(0) for key in counts if key not in state}
    architecture = recognize(state, str(old))
    if of_the_study:
        vocabulary = load_vocabulary("hashtags_ko")
        keys = tuple(vocabulary.keys)
        if state["fc.bias"].numel() < len(keys):
            raise WeightsError(
                _("{path}: {found} outputs, expected at least {expected}").format(
                    path=old, found=state["fc.bias"].numel(), expected=len(keys)
                )
            )
        state |= {name: state[name][: len(keys)] for name in ("fc.weight", "fc.bias")}
        config = ModelConfig(
            architecture, vocabulary.name, keys, _STUDY_IMAGE_SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
        )
        model = create_model(architecture, num_classes=len(keys))
    else:
        outputs = state["fc.bias"].numel()
        model = create_model(architecture, num_classes=outputs)
        preprocessing: Mapping[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
        config = ModelConfig(
            architecture,
            vocabulary="",
            keys=tuple(str(i) for i in range(outputs)),
            image_size=preprocessing["input_size"][-1],
            mean=preprocessing["mean"],
            std=preprocessing["std"],
        )
    load_state(model, state, str(old))
    save_weights(new, model, config, dtype=torch.float32)
    return config


def _is_converted(path: Path) -> bool:
    try:
        read_config(path)
    except WeightsError:
        return False
    return True


def read_state(path: Path) -> "dict[str, Tensor]":
    """Read a state dict from a ``.pth`` or ``.safetensors`` file without executing code from it.

    Raises:
        WeightsError: The file is missing or damaged, or contains anything but named tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(_("{path}: no such weights file").format(path=path))
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            _("{path}: refused: not a plain checkpoint of tensors, or one that holds code").format(path=path)
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            _("{path}: truncated, or not a checkpoint ({cause})").format(path=path, cause=cause)
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not (
        isinstance(content, dict)
        and content
        and all(isinstance(key, str) and _has_values(tensor) for key, tensor in content.items())
    ):
        raise WeightsError(_("{path}: holds no state dict of named tensors").format(path=path))
    return dict(content)


def _has_values(value: object) -> bool:
    """Whether it is a tensor that holds all its values: neither sparse nor without data (meta)."""
    import torch

    return isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta


def recognize(state: "Mapping[str, Tensor]", name: str) -> str:
    """Return the name of the DRN that a state dict belongs to, by keys and shapes, for any number of outputs.

    Raises:
        WeightsError: No DRN matches; the message names the closest one and the first difference.
    """
    import torch

    from hashtagger.models.dilated import DRN, VARIANTS

    shapes = {key: tuple(tensor.shape) for key, tensor in state.items() if not key.startswith("fc.")}
    fewest, nearest, first = sys.maxsize, "", ""
    for architecture, arguments in VARIANTS.items():
        with torch.device("meta"):
            model = DRN(num_classes=1, **arguments)
        expected = {key: tuple(t.shape) for key, t in model.state_dict().items() if not key.startswith("fc.")}
        different = sorted(set(shapes.items()) ^ set(expected.items()))
        if not different and {"fc.weight", "fc.bias"} <= state.keys():
            return architecture
        if len(different) < fewest:
            fewest, nearest, first = len(different), architecture, different[0][0] if different else "fc"
    raise WeightsError(
        _("{name}: not a DRN checkpoint: nearest is {nearest}, from which {n} tensors differ, first {first}").format(
            name=name, nearest=nearest, n=fewest, first=first
        )
    )
