"""Accuracy per millisecond of the bundled networks: python benchmarks/bundled.py [--seconds 3].

For each network of the twenty hashtags: its input size, its multiplications, its accuracy as stored in its file, and
the time for one photo on the CPU, in torch and, if there is an ONNX file, in onnxruntime, all measured in turn.
"""

import argparse
import statistics
import time

import numpy as np
from common import count_macs, machine

from hashtagger import Recommender
from hashtagger.models.find import find_weights, list_weights
from hashtagger.models.weights import load_weights

_ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to repeat each of the measurements")
    options = parser.parse_args()
    print(f"{machine('torch', 'onnxruntime')}\n")
    recommenders = {}
    for path in list_weights("hashtags_ko"):
        network = path.stem.partition("-")[0]
        recommenders[network, "torch"] = Recommender("hashtags_ko", network, "cpu", "torch")
        if any(path.parent.glob(f"{path.stem}*.onnx")):
            recommenders[network, "onnx"] = Recommender("hashtags_ko", network, "cpu", "onnx")
    times = in_turn(recommenders, options.seconds)
    print("| network | size | MB | million multiplications | val top-1 | val_other top-1 | runtime | ms | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    slowest = max(times.values())
    for (network, runtime), recommender in recommenders.items():
        config, file, taken = recommender.config, recommender.choice.file, times[network, runtime]
        macs = count_macs(load_weights(find_weights("hashtags_ko", network))[0], config.image_size)
        shown = [f"{config.figures[name]['top1']['value']:.3f}" for name in ("val", "val_other")]
        print(
            f"| {network} | {config.image_size} | {file.stat().st_size / 1e6:.1f} | {macs / 1e6:,.0f} | "
            f"{' | '.join(shown)} | {runtime} | {taken * 1e3:.1f} | {slowest / taken:.1f} |"
        )


def in_turn(recommenders: dict[tuple[str, str], Recommender], seconds: float) -> dict[tuple[str, str], float]:
    """Measure the median time of one photo's scores, in rounds, so that all meet the same state of the machine."""
    times: dict[tuple[str, str], list[float]] = {name: [] for name in recommenders}
    for _ in range(_ROUNDS):
        for name, recommender in recommenders.items():
            pixels = np.zeros((1, 3, recommender.image_size, recommender.image_size), np.float32)
            recommender.score_pixels(pixels)
            until = time.perf_counter() + seconds / _ROUNDS
            while time.perf_counter() < until:
                start = time.perf_counter()
                recommender.score_pixels(pixels)
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in times.items()}


if __name__ == "__main__":
    main()
