"""Speed of the network: python benchmarks/network.py [--sizes 128 224] [--batches 1 32] [--seconds 2].

Runs DRN-C-26 in plain eager float32 (as in the public reference implementation), on hashtagger's torch runtime and on
onnxruntime in float and int8, all of these also at an output stride of 16 (as the bundled weights use it), and timm's
resnet34 and resnet50 in plain eager float32, at the same sizes and batches. The floor is the number of multiplications
divided by this machine's matrix multiplication rate, measured in the same run. The weights are random, since speed does
not depend on them; `hashtagger export --check` measures accuracy.

With a GPU, also measures photos per second in bfloat16 and channels last, with and without torch.compile, and in
training, against the floor of the GPU's measured rate.
"""

import argparse
import copy
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from common import count_macs

from hashtagger.models import create_model
from hashtagger.models.config import ModelConfig
from hashtagger.models.device import computes_bfloat16, cpu_name
from hashtagger.models.export import export_onnx
from hashtagger.models.quantize import quantize
from hashtagger.models.runtimes import onnx_runtime, torch_runtime

_SIDE = 2048
"""Side of the square matrices that are multiplied to measure the CPU's rate."""
_SIDE_GPU = 8192
_LABELS = 20
_FLOORS = ("bfloat16", "int8")
"""Types whose rate gives a floor; float32 has none, because its convolutions outpace its matrix multiplication."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 224])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--gpu-batch", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to repeat each measurement")
    options = parser.parse_args()
    print(
        f"{cpu_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; Python {platform.python_version()}, "
        f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}\n"
    )
    rates = cpu_rates(options.seconds)
    print("| matrix multiply | GMAC/s |\n|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate / 1e9:.0f} |")
    print(
        "\nThe floor is the multiplications over these rates; float32 has none, as its convolutions beat the rate of "
        "its matrices."
    )
    for size in options.sizes:
        on_cpu(size, options.batches, options.seconds, rates)
    if torch.cuda.is_available():
        for size in options.sizes:
            on_gpu(size, options.gpu_batch, options.seconds)
    else:
        print("\nNo GPU here: that part is left out.")


def on_cpu(size: int, batches: list[int], seconds: float, rates: dict[str, float]) -> None:
    runtimes = {**drn_on_cpu(size, 8), **drn_on_cpu(size, 16)}
    for name in ("resnet34", "resnet50"):
        network = create_model(name, num_classes=_LABELS).eval()
        runtimes[f"{name}: plain eager float32"] = Way(eager(network), count_macs(network, size))
    print(f"\n{size} px\n")
    print("| | GMAC | batch | ms a photo | times plain eager | times its floor |\n|---|---|---|---|---|---|")
    for batch in batches:
        taken = side_by_side({name: way.run for name, way in runtimes.items()}, pixels(batch, size), seconds)
        plain = next(iter(taken.values()))
        for name, (_run, macs, kind) in runtimes.items():
            floor = f"{taken[name] / batch / (macs / rates[kind]):.2f}" if kind in _FLOORS else ""
            each, times = taken[name] / batch * 1e3, plain / taken[name]
            print(f"| {name} | {macs / 1e9:.2f} | {batch} | {each:.2f} | {times:.2f} | {floor} |")


class Way(NamedTuple):
    """A way to run a network, its multiplications for a photo, and the type that it computes in if it has a floor."""

    run: Callable[[np.ndarray], np.ndarray]
    macs: int
    kind: str = ""


def drn_on_cpu(size: int, stride: int) -> dict[str, Way]:
    network = create_model("drn_c_26", num_classes=_LABELS, output_stride=stride).eval()
    macs, ours = count_macs(network, size), "bfloat16" if computes_bfloat16("cpu") else "float32"
    with tempfile.TemporaryDirectory() as folder:
        exact, int8 = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        export_onnx(network, ModelConfig("drn_c_26", "", tuple(map(str, range(_LABELS))), size), exact)
        quantize(exact, int8, [pixels(2, size)])
        ways = {
            "plain eager float32": Way(eager(network), macs),
            f"our torch runtime ({ours})": Way(torch_runtime(network, "cpu"), macs, ours),
            "onnx float32": Way(onnx_runtime(exact), macs),
            "onnx int8": Way(onnx_runtime(int8), macs, "int8"),
        }
    title = "DRN-C-26" if stride == 8 else f"DRN-C-26, output stride {stride}"
    return {f"{title}: {name}": way for name, way in ways.items()}


def on_gpu(size: int, batch: int, seconds: float) -> None:
    network = create_model("drn_c_26", num_classes=_LABELS)
    macs = count_macs(network.eval(), size)
    layout = {"device": "cuda", "dtype": torch.bfloat16, "memory_format": torch.channels_last}
    x = torch.from_numpy(pixels(batch, size)).to(**layout)
    a = torch.randn(_SIDE_GPU, _SIDE_GPU, device="cuda", dtype=torch.bfloat16)
    rate = _SIDE_GPU**3 / measure(on_stream(lambda: a @ a), seconds)
    fast = copy.deepcopy(network).to(**layout)
    compiled = torch.compile(fast, mode="max-autotune-no-cudagraphs")
    trained = copy.deepcopy(network).train().to("cuda", memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(trained.parameters(), 0.1, momentum=0.9)
    target = torch.randint(_LABELS, (batch,), device="cuda")

    def train() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(trained(x.float()), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    print(
        f"\n{torch.cuda.get_device_name()}, {size} px, batch {batch}: bfloat16 matrix multiply {rate / 1e12:.0f} TMAC/s"
    )
    print("\n| | photos/s | times its floor |\n|---|---|---|")
    with torch.inference_mode():
        for name, run in (("bfloat16, channels last", fast), ("the same, torch.compile", compiled)):
            taken = measure(on_stream(lambda run=run: run(x)), seconds) / batch
            print(f"| {name} | {1 / taken:.0f} | {taken / (macs / rate):.2f} |")
    taken = measure(on_stream(train), seconds) / batch
    print(f"| training (three times the multiplications) | {1 / taken:.0f} | {taken / (3 * macs / rate):.2f} |")


def eager(network: torch.nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def compute(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(x)).numpy()

    return compute


def pixels(batch: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 2, (batch, 3, size, size)).astype(np.float32)


def cpu_rates(seconds: float) -> dict[str, float]:
    """Return the rate of multiplications in square matrix products by type: torch for floats, onnxruntime for int8."""
    a = torch.randn(_SIDE, _SIDE)
    half = a.bfloat16()
    signed = np.random.default_rng(0).integers(-127, 127, (_SIDE, _SIDE), dtype=np.int8)
    unsigned = signed.view(np.uint8)
    session = integer_product(signed)
    products = {
        "float32": lambda: a @ a,
        "bfloat16": lambda: half @ half,
        "int8": lambda: session.run(None, {"a": unsigned}),
    }
    return {name: _SIDE**3 / measure(product, seconds) for name, product in products.items()}


def integer_product(matrix: np.ndarray) -> onnxruntime.InferenceSession:
    """Make a product of unsigned activations and signed weights into int32, as in an int8 convolution."""
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", kinds.UINT8, matrix.shape)],
        [helper.make_tensor_value_info("c", kinds.INT32, matrix.shape)],
        [onnx.numpy_helper.from_array(matrix, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def side_by_side(runs: dict[str, Callable], x: np.ndarray, seconds: float) -> dict[str, float]:
    """Return the minimum seconds of each run; they take turns, so that other load on the machine affects all alike."""
    for run in runs.values():
        run(x)
    least = dict.fromkeys(runs, float("inf"))
    end = time.perf_counter() + seconds * len(runs)
    while time.perf_counter() < end or max(least.values()) == float("inf"):
        for name, run in runs.items():
            begin = time.perf_counter()
            run(x)
            least[name] = min(least[name], time.perf_counter() - begin)
    return least


def measure(run: Callable[[], object], seconds: float) -> float:
    return side_by_side({"": lambda _x: run()}, np.empty(0), seconds)[""]


def on_stream(run: Callable[[], object]) -> Callable[[], None]:
    """Wait for the GPU after each run."""

    def waited() -> None:
        run()
        torch.cuda.synchronize()

    return waited


if __name__ == "__main__":
    main()
