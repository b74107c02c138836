"""Weights files: find, verify, load, save.

A weights file is a safetensors file, or an ONNX file for onnxruntime. Its metadata contains a :class:`ModelConfig` with
everything needed to use it, so the file is self-contained. :mod:`hashtagger.models.convert` creates such files from
third-party checkpoints.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.digest import digest_at
from hashtagger.errors import WeightsError
from hashtagger.i18n import _
from hashtagger.vocabulary import Label

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

METADATA_KEY = "hashtagger"
"""Metadata key of the :class:`ModelConfig`."""
_BUNDLED = Path(__file__).parents[1] / "weights"
_CHECKOUT = Path(__file__).parents[3] / "weights"
CHECKSUMS = "SHA256SUMS"
"""Name of the file beside weights with their SHA-256 checksums, in the format of sha256sum."""
RESERVED = frozenset(
    {"num_classes", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
)
"""Arguments of ``timm.create_model`` that metadata must not set, because they would download or open other files."""


@dataclass(frozen=True)
class ModelConfig:
    """The description of a network that a weights file carries in its metadata.

    Attributes:
        architecture: The network's timm name: ``"drn_c_26"``.
        vocabulary: Name of the vocabulary; ``""`` if the outputs belong to none.
        keys: Label keys in the order of the outputs: all keys of the vocabulary, or the learned subset.
        image_size: Side length in pixels: the shorter side is resized to it, then the centre is cropped.
        mean: Mean of each RGB channel in 0..1, subtracted from the input.
        std: Standard deviation of each channel, by which the input is divided.
        temperature: Logits are divided by it before the softmax, which calibrates the scores.
        threshold: Calibrated probability in 0..1 below which a label is not recommended.
        model_args: Further arguments of the network's constructor, none of :data:`RESERVED`.
        figures: Measured results by name of the data set, for the model card and ``hashtagger info``.
        labels: The complete labels in the order of the outputs, for use without the vocabulary; may be empty.
    """

    architecture: str
    vocabulary: str
    keys: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    temperature: float = 1.0
    threshold: float = 0.0
    model_args: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[Label, ...] = ()

    def to_json(self) -> str:
        """Serialize the config to JSON, with an extra list of ``tags`` for programs that need only these.

        Dates and times in the labels' details become strings.
        """
        tags = [label.tag for label in self.labels]
        return json.dumps({**asdict(self), "tags": tags}, ensure_ascii=False, default=str)

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Parse the output of :meth:`to_json`; unknown fields are ignored.

        For files without ``labels``, which older versions wrote, labels are made from the keys and tags.

        Raises:
            ValueError: The text is not a valid config.
        """
        values = json.loads(text)
        try:
            known = _fields(cls, values)
            for name in ("keys", "mean", "std"):
                if name in known:
                    known[name] = tuple(known[name])
            tagged = zip(known.get("keys", ()), values.get("tags", ()), strict=False)
            labels = values.get("labels") or [{"key": key, "tag": tag, "name": key} for key, tag in tagged]
            known["labels"] = tuple(map(_label, labels))
            return cls(**known)
        except (AttributeError, TypeError) as error:
            raise ValueError(str(error)) from error


def _fields(dataclass: type, values: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: values[one.name] for one in fields(dataclass) if one.name in values}


def _label(values: Mapping[str, Any]) -> Label:
    return Label(**{**_fields(Label, values), "variants": tuple(values.get("variants", ()))})


def cache_folder() -> Path:
    """The folder in which :func:`find_weights` looks for the user's own weights."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("hashtagger")) / "weights"


def list_weights(vocabulary: "str | os.PathLike[str]") -> list[Path]:
    """List the weights files of a vocabulary, ``NETWORK-VOCABULARY.safetensors``, by name.

    Those of the network that the environment variable ``HASHTAGGER_NETWORK`` names come first, then the bundled ones,
    then those in :func:`cache_folder`.

    Args:
        vocabulary: Name or file of the vocabulary.
    """
    found = [path for path in _all_weights() if _of(path)[1] == _name(vocabulary)]
    preferred = _preferred()
    return sorted(found, key=lambda path: _of(path)[0] != preferred)


def _preferred() -> str:
    return os.environ.get("HASHTAGGER_NETWORK", "")


def _all_weights() -> list[Path]:
    folders = [_BUNDLED if _BUNDLED.is_dir() else _CHECKOUT, cache_folder()]
    return [path for folder in folders for path in sorted(folder.glob("*-*.safetensors"))]


def _of(weights: Path) -> tuple[str, str]:
    """Return the network and the vocabulary that a file's name tells."""
    network, _dash, vocabulary = weights.stem.partition("-")
    return network, vocabulary


def _name(vocabulary: "str | os.PathLike[str]") -> str:
    return Path(vocabulary).name.removesuffix(".toml")


def find_weights(vocabulary: "str | os.PathLike[str]" = "hashtags_ko", network: str = "") -> Path:
    """Find the weights of a vocabulary: the first of :func:`list_weights`.

    Args:
        vocabulary: Name or file of the vocabulary.
        network: timm name of the network that the weights must belong to; any by default.

    Raises:
        WeightsError: There are no weights for it, or none at all of the network that ``HASHTAGGER_NETWORK`` names.
    """
    name, found = _name(vocabulary), list_weights(vocabulary)
    preferred, networks = _preferred(), {_of(path)[0] for path in _all_weights()}
    if preferred and preferred not in networks:
        raise WeightsError(
            _("HASHTAGGER_NETWORK: no weights of network {network!r}; there are: {known}").format(
                network=preferred, known=", ".join(sorted(networks))
            )
        )
    for path in found:
        if network in ("", _of(path)[0]):
            return path
    if found:
        raise WeightsError(
            _("no weights of network {network!r} for vocabulary {name!r}; there are: {known}").format(
                network=network, name=name, known=", ".join(_of(path)[0] for path in found)
            )
        )
    known = {_of(path)[1] for path in _all_weights()}
    raise WeightsError(
        _(
            "no weights for vocabulary {name!r}: none are bundled, and {folder} has no *-{name}.safetensors (there are "
            'weights for: {known}); collect photos and train your own: hashtagger collect "#TAG" photos/ '
            "--vocabulary {given}, hashtagger train photos/ --vocabulary {given} --out RUN, then "
            "--weights RUN/weights.safetensors"
        ).format(name=name, given=os.fspath(vocabulary), folder=cache_folder(), known=", ".join(sorted(known)) or "-")
    )


def locate_weights(
    weights: "str | os.PathLike[str] | None", vocabulary: "str | os.PathLike[str]" = "hashtags_ko"
) -> Path:
    """Resolve what a user gives as weights: a file, the name of a network with weights, or nothing.

    Args:
        weights: A path; or a network's name without folder and extension, as :func:`find_weights` takes it; or None.
        vocabulary: Name or file of the vocabulary, for weights that are not a file.

    Returns:
        The path of the file, which may not exist if a path was given.

    Raises:
        WeightsError: There are no such weights.
    """
    if weights is None:
        return find_weights(vocabulary)
    path = Path(weights)
    is_name = len(path.parts) == 1 and not path.suffix and not path.exists()
    return find_weights(vocabulary, path.name) if is_name else path


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
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
