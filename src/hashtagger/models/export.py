"""Export networks as ONNX files and torch.export programs, with their ModelConfig embedded."""

import io
import logging
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.errors import MissingExtraError
from hashtagger.i18n import _
from hashtagger.models.config import METADATA_KEY, ModelConfig
from hashtagger.models.runtimes import fold
from hashtagger.models.weights import replacing

if TYPE_CHECKING:
    from torch import nn


def require_onnx() -> None:
    """Check that the packages needed to write ONNX files are installed.

    Raises:
        MissingExtraError: One of them is missing.
    """
    if not all(find_spec(package) for package in ("onnx", "onnxruntime", "onnxscript")):
        raise MissingExtraError(_("writing ONNX files requires: pip install '.[onnx]' in a clone of hashtagger"))


def export_onnx(network: "nn.Module", config: ModelConfig, out: "str | os.PathLike[str]") -> None:
    """Write a float32 ONNX file, batch norms folded, that maps any number of photos of the config's size to logits.

    Args:
        network: The network, in eval mode and on the CPU.
        config: Stored in the file's metadata.
        out: A path that ends in ``.onnx``, in an existing folder.

    Raises:
        MissingExtraError: onnx, onnxruntime or onnxscript is not installed.
    """
    require_onnx()
    import torch

    pixels, photos = _example(config)
    with warnings.catch_warnings():
        # The exporter warns about torch's own code.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program: Any = torch.onnx.export(
            fold(network),
            (pixels,),
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_shapes=({0: photos},),
            dynamo=True,
            verbose=False,
        )
    program.model.metadata_props[METADATA_KEY] = config.to_json()
    with replacing(Path(out)) as partial:
        program.save(partial, external_data=False)


def export_program(network: "nn.Module", config: ModelConfig, out: "str | os.PathLike[str]") -> None:
    """Write a torch.export program (``.pt2``), batch norms folded, that takes any number of photos.

    The program runs without this package: ``torch.export.load(out).module()(pixels)``. Its extra file ``hashtagger``
    contains the config as JSON.

    Args:
        network: The network, in eval mode and on the CPU.
        config: Stored in the extra file.
        out: A path that ends in ``.pt2``, in an existing folder.
    """
    import torch

    pixels, photos = _example(config)
    program = torch.export.export(fold(network), (pixels,), dynamic_shapes=({0: photos},))
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={METADATA_KEY: config.to_json()})
    with replacing(Path(out)) as partial:
        partial.write_bytes(content.getvalue())


def _example(config: ModelConfig) -> tuple[Any, Any]:
    """Two blank photos to trace a network with, and the dynamic dimension: the number of photos."""
    import torch

    return torch.zeros(2, 3, config.image_size, config.image_size), torch.export.Dim("photos")
