"""Choose and open the runtime that computes a network's logits: torch, or onnxruntime without torch.

A runtime is a function from pixels, float32 (photos, 3, size, size), to logits, float32 (photos, labels).
"""

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from hashtagger.arrays import Array
from hashtagger.errors import HashtaggerError, MissingExtraError, WeightsError
from hashtagger.i18n import _
from hashtagger.models.device import computes_bfloat16, sums_int8_exactly
from hashtagger.models.weights import fingerprint, load_weights, read_config, verify

if TYPE_CHECKING:
    from torch import nn

    Runtime: TypeAlias = Callable[[Array], Array]

RUNTIMES = ("auto", "torch", "onnx")
LEAST_AGREEMENT = 0.985
"""Minimum share of photos whose top label must be the same for an int8 network as for its original."""


@dataclass(frozen=True)
class Choice:
    """A runtime and why it was chosen.

    Attributes:
        runtime: ``"torch"`` or ``"onnx"``.
        file: The file that it loads: ``.safetensors`` or ``.onnx``.
        why: The reason, in the user's language.
    """

    runtime: Literal["torch", "onnx"]
    file: Path
    why: str


def choose(weights: Path, device: str, runtime: str = "auto", *, bundled: bool = True) -> Choice:
    """Choose the runtime for weights; ``"auto"`` selects the fastest installed one that preserves accuracy.

    That is onnxruntime on the CPU if a file beside the weights was made from them: an int8 file that agrees with them
    on :data:`LEAST_AGREEMENT` of the photos, or else a float one. Otherwise it is torch.

    Args:
        weights: A ``.safetensors`` or an ``.onnx`` file.
        device: A device name as returned by :func:`~hashtagger.models.device.find_device`.
        runtime: One of :data:`RUNTIMES`.
        bundled: Whether the weights were found by their vocabulary. If the user named the file, ``"auto"`` runs that
            file and no other.

    Raises:
        HashtaggerError: There is no such runtime, or it does not support the device.
        WeightsError: The runtime cannot run these weights, or a file beside them is damaged.
    """
    if runtime not in RUNTIMES:
        raise HashtaggerError(
            _("no runtime {name!r}; there are: {known}").format(name=runtime, known=", ".join(RUNTIMES))
        )
    own = weights.suffix == ".onnx"
    if runtime == "torch" or (runtime == "auto" and not own):
        if own:
            raise WeightsError(_("{path}: the torch runtime takes a .safetensors file").format(path=weights))
        if runtime == "torch":
            return Choice("torch", weights, _("as asked"))
        if not bundled:
            why = _("a weights file was given; runtime onnx uses the ONNX file beside it")
            return Choice("torch", weights, why)
        file, why = _faster(weights, device)
        return Choice("onnx", file, why) if file else Choice("torch", weights, why)
    if device != "cpu":
        raise HashtaggerError(_("the onnx runtime computes on the CPU only, not on {device}").format(device=device))
    if own:
        return Choice("onnx", weights, _("as asked"))
    read_config(weights)  # reports weights that are missing as such, not as lacking an ONNX file
    int8, exact = _twins(weights)
    file = int8 if int8.is_file() and _cost(int8).get("made_from") == fingerprint(weights) else exact
    if not file.is_file():
        raise WeightsError(
            _("{path}: no {name} beside it; make it: hashtagger export --weights {path} --format onnx {name}").format(
                path=weights, name=exact.name
            )
        )
    if file == exact and _origin(exact) not in (None, fingerprint(weights)):
        raise WeightsError(f"{weights}: " + _("{name} was made from other weights").format(name=exact.name))
    return Choice("onnx", file, _("as asked"))


def open_runtime(choice: Choice, device: str) -> "Runtime":
    """Load the chosen runtime.

    Raises:
        WeightsError: The file is missing, damaged, or does not fit the network it names.
        MissingExtraError: onnxruntime is not installed.
    """
    if choice.runtime == "onnx":
        return onnx_runtime(choice.file)
    return torch_runtime(load_weights(choice.file)[0], device)


def torch_runtime(network: "nn.Module", device: str) -> "Runtime":
    """Compute with torch: batch norms folded into the convolutions, channels-last, bfloat16 if the device has it."""
    import torch

    dtype = torch.bfloat16 if computes_bfloat16(device) else torch.float32
    layout: Any = {"device": device, "dtype": dtype, "memory_format": torch.channels_last}
    folded = fold(network).to(**layout)

    def compute(pixels: Array) -> Array:
        with torch.inference_mode():
            logits: Array = folded(torch.from_numpy(pixels).to(**layout)).float().cpu().numpy()
        return logits

    return compute


def fold(network: "nn.Module") -> "nn.Module":
    """Copy a network with its batch norms folded into the preceding convolutions, which is equivalent but faster.

    A network that torch.fx cannot trace is copied unchanged.
    """
    from torch.fx.experimental.optimization import fuse

    try:
        return fuse(network)
    except Exception:  # networks can raise anything when torch.fx traces them with proxies instead of tensors
        return copy.deepcopy(network)


def onnx_runtime(path: Path) -> "Runtime":
    """Compute with onnxruntime on the CPU. Like torch, it uses ``OMP_NUM_THREADS`` threads if that is set.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        WeightsError: The file is damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            _("the onnx runtime requires: pip install '.[onnx]' in a clone of hashtagger")
        ) from error
    verify(path)
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
    # Spinning idle threads would take CPU time from the threads that decode photos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not sums_int8_exactly():
        # Otherwise sums of int8 products saturate silently on such CPUs; with this option they are exact, but slower.
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base class
        cause = " ".join(str(error).split())
        raise WeightsError(_("{path}: damaged ONNX file ({cause})").format(path=path, cause=cause)) from error
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels})[0]


def _twins(weights: Path) -> tuple[Path, Path]:
    """Paths of the int8 and the float ONNX file beside a weights file."""
    return weights.with_suffix(".int8.onnx"), weights.with_suffix(".onnx")


def _cost(int8: Path) -> Mapping[str, Any]:
    """The entry in an int8 file's config about its source weights and its agreement with them."""
    cost: Mapping[str, Any] = read_config(int8).figures.get("int8", {})
    return cost


def _origin(exact: Path) -> str | None:
    """The fingerprint of the weights that a float file was made from, if it says so."""
    origin: str | None = read_config(exact).figures.get("onnx", {}).get("made_from")
    return origin


def _faster(weights: Path, device: str) -> tuple[Path | None, str]:
    """The ONNX file that can replace the weights, or None, and the reason in either case."""
    int8, exact = _twins(weights)
    if device != "cpu":
        return None, _("the device is {device}").format(device=device)
    if not (int8.is_file() or exact.is_file()):
        return None, _("there is no {name}").format(name=int8.name)
    if find_spec("onnxruntime") is None:
        return None, _("onnxruntime is not installed and faster: pip install '.[onnx]' in a clone of hashtagger")
    why_not = _objection(int8, weights) if int8.is_file() else ""
    if int8.is_file() and not why_not:
        said = _("int8 is the fastest here and agrees on {agreement:.1%} of photos")
        return int8, said.format(agreement=_cost(int8)["agreement"])
    if exact.is_file() and _origin(exact) == fingerprint(weights):
        return exact, _("onnxruntime is faster here than torch")
    return None, why_not or _("{name} was made from other weights").format(name=exact.name)


def _objection(int8: Path, weights: Path) -> str:
    """Why an int8 file cannot replace the weights; ``""`` if it can."""
    cost = _cost(int8)
    if cost.get("made_from") != fingerprint(weights):
        return _("{name} was made from other weights").format(name=int8.name)
    agreement = cost.get("agreement")
    if agreement is None:
        return _("the agreement of {name} was not measured: export it with --check").format(name=int8.name)
    if agreement < LEAST_AGREEMENT:
        return _("{name} agrees on {agreement:.1%} of photos only").format(name=int8.name, agreement=agreement)
    return ""
