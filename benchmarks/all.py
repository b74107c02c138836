"""Run the benchmarks of speed, memory and scale, which need no photos of your own, and write docs/benchmarks.md.

    python benchmarks/all.py docs/benchmarks.md

This takes about twenty minutes; the machine should be otherwise idle.
"""

import subprocess
import sys
from datetime import date
from pathlib import Path

import sklearn.datasets

PHOTO = Path(sklearn.datasets.__file__).parent / "images" / "flower.jpg"
RUNS: dict[str, list[str]] = {
    "The network": ["network.py"],
    "From a shell to the first hashtag": ["coldstart.py", str(PHOTO)],
    "Photos to Parquet": ["tag.py"],
    "Memory": ["memory.py"],
    "Workers, and 100 million photos": ["scale.py"],
}


def main(output: Path) -> None:
    folder = Path(__file__).parent
    pages = [
        f"# Benchmarks\n\nWritten by `make bench` on {date.today()}; every table is one run, its ways side by side."
    ]
    for title, (script, *arguments) in RUNS.items():
        print(f"{title} ...", file=sys.stderr, flush=True)
        command = [sys.executable, str(folder / script), *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        shown = " ".join(["python", f"benchmarks/{script}", *(Path(argument).name for argument in arguments)])
        pages.append(f"## {title}\n\n`{shown}`\n\n{done.stdout.strip()}")
    output.write_text("\n\n".join(pages) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
