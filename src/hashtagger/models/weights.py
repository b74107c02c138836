"""Weights files: verify, load, save.

A weights file is a safetensors file, or an ONNX file for onnxruntime. Its metadata contains a
:class:`~hashtagger.models.config.ModelConfig` with everything needed to use it, so the file is self-contained.
:mod:`hashtagger.models.find` finds such files, and :mod:`hashtagger.models.convert` creates them from third-party
checkpoints.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hashtagger.digest import digest_at
from hashtagger.errors import WeightsError
from hashtagger.i18n import _
from hashtagger.models.config import METADATA_KEY, RESERVED, ModelConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

CHECKSUMS = "SHA256SUMS"
"""Name of the file beside weights with their SHA-256 checksums, in the format of sha256sum."""


def verify(path: Path) -> None:
    """Check a file against the checksum file beside it; a file that is not listed there passes.

    Raises:
        WeightsError: The checksum does not match.
    """
    expected = _listed_digest(path)
    if expected and (found := digest_at(path)) != expected:
        raise WeightsError(
            _("{path}: damaged: its SHA-256 is {found}, expected {expected}").format(
                path=path, found=found[:12] + "…", expected=expected[:12] + "…"
            )
        )


def fingerprint(path: Path) -> str:
    """Return a file's SHA-256: as listed in the checksum file beside it, else computed from its content."""
    return _listed_digest(path) or digest_at(path)


def renew_checksum(path: Path) -> None:
    """Update a file's SHA-256 in the checksum file beside it, if the file is listed there."""
    if not (listed := _listed_digest(path)):
        return
    sums = path.parent / CHECKSUMS
    old, new = (f"{digest}  {path.name}" for digest in (listed, digest_at(path)))
    lines = [new if line == old else line for line in sums.read_text(encoding="utf-8").splitlines()]
    sums.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _listed_digest(path: Path) -> str:
    sums = path.parent / CHECKSUMS
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    listed = (line.partition("  ") for line in lines)
    return next((digest for digest, _space, name in listed if name == path.name), "")


def read_config(path: "str | os.PathLike[str]") -> ModelConfig:
    """Read the config of a weights file without loading its tensors or importing torch.

    Raises:
        WeightsError: The file is missing, damaged, or was not written by hashtagger.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(_("{path}: no such weights file").format(path=path))
    if path.suffix == ".pt2":
        raise WeightsError(
            _(
                "{path}: a program for torch.export.load; give an .onnx file, or the .safetensors it was made from"
            ).format(path=path)
        )
    if path.suffix not in (".safetensors", ".onnx"):
        raise WeightsError(
            _("{path}: not a .safetensors file; convert it first: hashtagger convert {name} NEW.safetensors").format(
                path=path, name=path.name
            )
        )
    metadata = _onnx_metadata(path) if path.suffix == ".onnx" else _safetensors_metadata(path)
    try:
        return ModelConfig.from_json(metadata[METADATA_KEY])
    except ValueError as error:
        raise WeightsError(_("{path}: unreadable metadata ({cause})").format(path=path, cause=error)) from error


def _safetensors_metadata(path: Path) -> Mapping[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            _("{path}: truncated, or not a safetensors file ({cause})").format(path=path, cause=error)
        ) from error
    if METADATA_KEY not in metadata:
        raise WeightsError(
            _("{path}: does not name its network; convert it first: hashtagger convert {name} NEW.safetensors").format(
                path=path, name=path.name
            )
        )
    return metadata


def _onnx_metadata(path: Path) -> Mapping[str, str]:
    from hashtagger.models.onnxfile import read_metadata

    try:
        metadata = read_metadata(path)
    except (ValueError, OSError) as error:
        raise WeightsError(
            _("{path}: truncated, or not an ONNX file ({cause})").format(path=path, cause=error)
        ) from error
    if METADATA_KEY not in metadata:
        raise WeightsError(
            _("{path}: does not name its labels; only ONNX files made by hashtagger export do").format(path=path)
        )
    return metadata


def load_weights(path: "str | os.PathLike[str]") -> "tuple[nn.Module, ModelConfig]":
    """Load a network and its weights.

    Returns:
        The network in eval mode and float32 on the CPU, and its config.

    Raises:
        WeightsError: The file is missing, damaged, an ONNX file, does not match the network it names, or sets
            :data:`RESERVED` arguments.
        ModelError: The file names a network that does not exist.
    """
    from safetensors.torch import load_file

    from hashtagger.models import build_model

    path = Path(path)
    config = read_config(path)
    if path.suffix == ".onnx":
        raise WeightsError(
            _("{path}: an ONNX file is for recommending only; give the .safetensors it was made from").format(path=path)
        )
    verify(path)
    if reserved := [name for name in config.model_args if name in RESERVED]:
        raise WeightsError(_("{path}: its metadata may not set {names}").format(path=path, names=", ".join(reserved)))
    model = build_model(config.architecture, num_classes=len(config.keys), **config.model_args)
    load_state(model, load_file(path), f"{path} ({config.architecture})")
    return model.eval(), config


def load_state(model: "nn.Module", state: "Mapping[str, Tensor]", name: str) -> None:
    """Load a state dict of any float type into a network. If anything does not match, the network is unchanged.

    Raises:
        WeightsError: Keys or shapes differ; the message names what was expected and what was found.
    """
    expected = model.state_dict()
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    if missing or unexpected:
        key = (missing or unexpected)[0]
        raise WeightsError(
            _("{name}: another network: {missing} tensors missing and {unexpected} unknown, first {key}").format(
                name=name, missing=len(missing), unexpected=len(unexpected), key=key
            )
        )
    for key, tensor in expected.items():
        if state[key].shape != tensor.shape:
            raise WeightsError(
                _("{name}: {key} has shape {found}, expected {expected}").format(
                    name=name, key=key, found=list(state[key].shape), expected=list(tensor.shape)
                )
            )
    model.load_state_dict({key: state[key].to(tensor.dtype) for key, tensor in expected.items()})


def save_weights(
    path: "str | os.PathLike[str]", model: "nn.Module", config: ModelConfig, dtype: "torch.dtype | None" = None
) -> None:
    """Save a network's weights with their config, atomically.

    Args:
        path: A path that ends in ``.safetensors``, in an existing folder.
        model: The network.
        config: Stored in the file's metadata.
        dtype: Type of the floating-point tensors in the file, float16 by default.

    Raises:
        WeightsError: A value is too large for ``dtype``.
    """
    import torch
    from safetensors.torch import save

    dtype = dtype or torch.float16
    path = Path(path)
    tensors = {}
    for key, tensor in model.state_dict().items():
        saved = tensor.to(dtype) if tensor.is_floating_point() else tensor
        if not torch.equal(saved.isfinite(), tensor.isfinite()):
            raise WeightsError(
                _("{path}: {key} has values too large for {dtype}").format(path=path, key=key, dtype=dtype)
            )
        tensors[key] = saved.contiguous().cpu().clone()
    with replacing(path) as partial:
        partial.write_bytes(save(tensors, metadata={METADATA_KEY: config.to_json()}))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which atomically replaces ``path`` on success and is removed on failure."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
