"""Memory by number of photos: python benchmarks/memory.py [--counts 1000 100000] [--weights FILE].

Measures the peak memory of `hashtagger tag` in separate processes (Linux and macOS). The photos are symlinks to two
small ones and the network is tiny, since the memory of the real network does not depend on the number of photos;
--weights selects another network.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import link, machine, make_photos

_TINY = [4, 4, 8, 8, 8, 8, 8, 8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    print(f"{machine('torch', 'pyarrow')}\n\nTwo photos of 160x120 under many names", end="")
    print(f", {options.weights}\n" if options.weights else ", a tiny network on torch\n")
    print("| photos | photos/s | peak, MB | times the first |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = options.weights or folder / "tiny.safetensors"
        # On Linux a child inherits its parent's peak memory, so this process must stay small.
        making = multiprocessing.get_context("spawn").Process(target=make, args=(folder, options.weights is None))
        making.start()
        making.join()
        photos = sorted((folder / "made").iterdir())
        first = 0.0
        for count in options.counts:
            pile = link(photos, folder / f"{count}", count)
            seconds, peak = run(pile, folder / f"{count}.parquet", weights)
            first = first or peak
            print(f"| {count:,} | {count / seconds:.0f} | {peak / 1e6:.0f} | {peak / first:.2f} |", flush=True)


def make(folder: Path, network: bool) -> None:
    """Make the photos and, if ``network`` is True, the tiny network."""
    make_photos(folder / "made", 2, (160, 120))
    if not network:
        return
    from hashtagger.models import create_model
    from hashtagger.models.config import ModelConfig
    from hashtagger.models.weights import save_weights
    from hashtagger.vocabulary import load_vocabulary

    keys = tuple(load_vocabulary("hashtags_ko").keys)
    model = create_model("drn_c_26", num_classes=len(keys), channels=_TINY)
    config = ModelConfig("drn_c_26", "hashtags_ko", keys, 32, model_args={"channels": _TINY})
    save_weights(folder / "tiny.safetensors", model, config)


def run(photos: Path, output: Path, weights: Path) -> tuple[float, float]:
    """Tag in another process; return its wall time in seconds and its peak resident memory in bytes."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "hashtagger", "tag", photos, "--output", output, "--weights", weights]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"hashtagger tag ended with {process.returncode}")
    return time.perf_counter() - begin, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
