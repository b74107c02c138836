"""Throughput of Ray workers, and the cost of 100 million photos: python benchmarks/scale.py [--workers 1 2].

Compares the Ray engine, with one core per worker, with the local engine on all cores. Rates are measured from the
first finished part to the last, which excludes starting Ray and loading networks. The cost is computed from these
rates; its assumptions are printed with it and can be changed with options.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from common import camera_photos, count_macs, link, machine

from hashtagger.models.find import find_weights
from hashtagger.models.weights import load_weights
from hashtagger.scale.run import tag_photos

_BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of JPEGs; by default some of 12 megapixels are made")
    parser.add_argument("--count", type=int, default=512, help="photos to tag")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--target", type=float, default=1e8, help="photos of the cost model")
    parser.add_argument("--core-price", type=float, default=0.04, help="dollars per core-hour")
    parser.add_argument("--gpu-price", type=float, default=4.0, help="dollars per GPU-hour")
    parser.add_argument("--gpu-rate", type=float, default=100.0, help="TFLOP/s that a GPU reaches on this network")
    parser.add_argument("--storage-price", type=float, default=0.023, help="dollars per gigabyte and month")
    parser.add_argument("--request-price", type=float, default=0.4, help="dollars per million reads of an object")
    options = parser.parse_args()
    print(f"{machine('torch', 'onnxruntime', 'ray', 'pillow')}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = camera_photos(options.photos, folder / "made", 8)
        size = sum(path.stat().st_size for path in photos) / len(photos)
        link(photos, folder / "many", options.count)
        print(
            f"{options.count} JPEGs of {size / 1e6:.1f} MB\n\n| engine | photos/s | times one worker |\n|---|---|---|"
        )
        rates = {}
        for workers in options.workers:
            rates[workers] = rate(folder, engine="ray", workers=workers)
            times = rates[workers] / rates[options.workers[0]]
            print(f"| Ray, one-core workers: {workers} | {rates[workers]:.1f} | {times:.2f} |", flush=True)
        here = rate(folder, engine="local")
        print(f"| local, all cores | {here:.1f} | {here / rates[options.workers[0]]:.2f} |")
        most = max(rates)
        cost(options, rates[most] / most, decoding_rate(photos), size)


def rate(folder: Path, **engine: Any) -> float:
    """Return the photos per second between the first finished part and the last."""
    moments: list[tuple[float, int]] = []
    output = folder / "tags.parquet"
    output.unlink(missing_ok=True)
    tag_photos(
        [str(folder / "many")],
        output,
        batch=_BATCH,
        progress=lambda done, _total: moments.append((time.perf_counter(), done)),
        **engine,
    )
    done = [moment for moment in moments if moment[1] > 0]
    (begin, first), (end, last) = done[0], done[-1]
    return (last - first) / (end - begin)


def decoding_rate(photos: list[Path]) -> float:
    """Return the photos per second that one core decodes, in the best of three rounds."""
    from hashtagger.recommend import Recommender

    recommender, rates = Recommender(), []
    for _round in range(3):
        begin = time.perf_counter()
        for path in photos:
            recommender.prepare(path)
        rates.append(len(photos) / (time.perf_counter() - begin))
    return max(rates)


def cost(options: argparse.Namespace, per_core: float, decoded: float, size: float) -> None:
    n = options.target
    model, config = load_weights(find_weights())
    core_hours, decoding_hours = n / per_core / 3600, n / decoded / 3600
    flops = 2 * count_macs(model, config.image_size)
    gpu_hours = n * flops / (options.gpu_rate * 1e12) / 3600
    terabytes = n * size / 1e12
    print(f"\n| {n:,.0f} photos | how | amount | dollars |\n|---|---|---|---|")
    print(
        f"| on CPUs alone | {per_core:.1f} photos/s a core, measured above | {core_hours:,.0f} core-hours | "
        f"{core_hours * options.core_price:,.0f} |"
    )
    print(
        f"| with GPUs: decoding | {decoded:.1f} photos/s a core, measured | {decoding_hours:,.0f} core-hours | "
        f"{decoding_hours * options.core_price:,.0f} |"
    )
    print(
        f"| with GPUs: the network | {flops / 1e9:.1f} GFLOP a photo at {options.gpu_rate:.0f} TFLOP/s, assumed | "
        f"{gpu_hours:,.1f} GPU-hours | {gpu_hours * options.gpu_price:,.0f} |"
    )
    print(
        f"| reading | one request and {size / 1e6:.1f} MB a photo | {terabytes:,.0f} TB | "
        f"{n / 1e6 * options.request_price:,.0f} |"
    )
    print(f"| keeping the photos, a month | | {terabytes:,.0f} TB | {terabytes * 1000 * options.storage_price:,.0f} |")
    cores, gpus = core_hours / 24, decoding_hours / max(gpu_hours, 1e-9)
    print(
        f"\nIn one day: {cores:,.0f} cores, reading {n * size / 86_400 / 1e9:.1f} GB/s. A GPU is fed by {gpus:,.0f} "
        f"decoding cores. Assumed: the photos lie where reading costs requests alone and is as fast as a core decodes; "
        f"{options.core_price} dollars a core-hour, {options.gpu_price} a GPU-hour, {options.storage_price} a GB and "
        f"month, {options.request_price} a million reads; workers add up as on this machine."
    )


if __name__ == "__main__":
    main()
