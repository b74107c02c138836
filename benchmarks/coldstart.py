"""Time from the shell to the first hashtag, and its breakdown: python benchmarks/coldstart.py PHOTO [--runs 5].

Each runtime recommends for one photo in separate processes. The output shows the median and minimum wall time, compared
with starting Python and importing torch, and the import time by package. The onnx runtime uses the file beside the
bundled weights, or --onnx FILE.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

_SHOWN = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--onnx", type=Path, help="ONNX file; by default the one beside the bundled weights")
    options = parser.parse_args()
    recommend = ["-m", "hashtagger", "recommend", "--threshold", "0", str(options.photo)]
    weights = ["--weights", str(options.onnx)] if options.onnx else []
    commands = {
        "python alone": ["-c", "pass"],
        "import torch": ["-c", "import torch"],
        "recommend, torch": [*recommend, "--runtime", "torch"],
        "recommend, onnx": [*recommend, "--runtime", "onnx", *weights],
    }
    print("| from a shell | median s | least s |\n|---|---|---|")
    for name, command in commands.items():
        times = [seconds(command) for _ in range(options.runs)]
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} |")
    for name in ("recommend, torch", "recommend, onnx"):
        shares = import_times(commands[name])
        print(f"\n| imports of {name} | s |\n|---|---|\n| all | {sum(shares.values()):.2f} |")
        for package, taken in shares.most_common(_SHOWN):
            print(f"| {package} | {taken:.2f} |")


def seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def import_times(command: list[str]) -> Counter[str]:
    """Return the import time in seconds by package: the sum of its modules' own times, without nested imports."""
    timed = [sys.executable, "-X", "importtime", *command]
    report = subprocess.run(timed, capture_output=True, text=True, check=True).stderr
    shares: Counter[str] = Counter()
    for microseconds, module in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", report, re.MULTILINE):
        shares[module.partition(".")[0]] += int(microseconds) / 1e6
    return shares


if __name__ == "__main__":
    main()
