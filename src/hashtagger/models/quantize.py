"""Quantize an ONNX network to int8: weights per channel, activations per tensor, with ranges calibrated on photos.

ONNX Runtime's own calibration methods (extremes, percentiles, entropy) change the top label of 2 to 9 % of photos here,
because in the last levels a few photos have values ten times larger than the others. Instead, each tensor gets the
range that minimizes the combined error of clipping and rounding, as in Banner et al., "Post training 4-bit quantization
of convolutional networks for rapid-deployment", NeurIPS 2019. The error of each photo is relative to the photo's own
values, so that the few photos with large values do not dominate.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.arrays import Array
from hashtagger.models.config import METADATA_KEY, ModelConfig
from hashtagger.models.export import require_onnx
from hashtagger.models.weights import replacing

if TYPE_CHECKING:
    import numpy as np

_SAMPLES = 400
"""Values sampled per tensor and photo."""
_SHARES = 60
"""Number of candidate ranges, from 1/50 of the tensor's full range to all of it."""


def quantize(network: Path, out: Path, batches: Sequence[Array]) -> None:
    """Convert a float ONNX network to int8.

    The last layer and everything after it stay in float, because they affect the result most and take little time.

    Args:
        network: A file written by :func:`~hashtagger.models.export.export_onnx`.
        out: A path that ends in ``.onnx``, in an existing folder.
        batches: Calibration data: pixels of representative photos, each batch float32 (photos, 3, size, size).

    Raises:
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    require_onnx()
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.shape_inference.infer_shapes(onnx.load(network))
    last = max(number for number, node in enumerate(model.graph.node) if node.op_type in ("Conv", "Gemm", "MatMul"))
    ranges = TensorsData(CalibrationMethod.MinMax, fit_ranges(model, batches))
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=[node.name for node in model.graph.node[last:]],
        op_types_to_quantize=["Add", "Conv", "Gemm", "MatMul", "MaxPool", "Relu"],
        extra_options={},
    )
    quantizer.quantize_model()
    with replacing(out) as partial:
        quantizer.model.save_model_to_file(str(partial), False)


def fit_ranges(model: Any, batches: Iterable[Array]) -> dict[str, tuple["np.float32", "np.float32"]]:
    """Calibrate the range of each tensor: the lowest and the highest value that int8 will represent."""
    import numpy as np

    samples, extremes = _sample(model, batches)
    ranges = {}
    for name, kept in samples.items():
        low, high = _least_error(np.concatenate(kept), *extremes[name])
        ranges[name] = (np.float32(low), np.float32(high))
    return ranges


def write_config(path: Path, config: ModelConfig) -> None:
    """Replace the config in an ONNX file's metadata."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {METADATA_KEY: config.to_json()})
    with replacing(path) as partial:
        onnx.save(model, partial)


def _sample(model: Any, batches: Iterable[Array]) -> tuple[dict[str, list[Array]], dict[str, tuple[float, float]]]:
    """Run a network and collect for every tensor its extremes and, per batch, sampled values (photos, samples)."""
    import numpy as np
    import onnx
    import onnxruntime

    exposed = onnx.ModelProto()  # a copy in which every tensor is an output
    exposed.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output]
    exposed.graph.ClearField("output")
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    # Higher levels would fuse nodes and eliminate the tensors between them.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    draw = np.random.default_rng(0)
    samples: dict[str, list[Array]] = {}
    extremes: dict[str, tuple[float, float]] = {}
    for batch in batches:
        for name, tensor in zip([entry, *names], [batch, *session.run(None, {entry: batch})], strict=True):
            if tensor.dtype.kind != "f":
                continue  # a shape, or a value computed from one
            # A tensor that cannot be split by photo is treated as a single photo.
            values = tensor.reshape(1 if tensor.size % len(batch) else len(batch), -1)
            samples.setdefault(name, []).append(values[:, draw.integers(values.shape[1], size=_SAMPLES)])
            low, high = extremes.get(name, (0.0, 0.0))
            extremes[name] = (min(low, float(values.min())), max(high, float(values.max())))
    return samples, extremes


def _least_error(values: Array, low: float, high: float) -> tuple[float, float]:
    import numpy as np

    power = (values**2).mean(axis=1) + np.finfo(np.float32).tiny

    def error(share: float) -> float:
        step = share * (high - low) / 255
        zero = round(-share * low / step)
        rounded = (np.clip(np.round(values / step) + zero, 0, 255) - zero) * step
        return float((((values - rounded) ** 2).mean(axis=1) / power).mean())

    if low == high:
        return low, high
    best = min(np.geomspace(0.02, 1, _SHARES), key=error)
    return float(best * low), float(best * high)
