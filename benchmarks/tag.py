"""Photos to Parquet, end to end: python benchmarks/tag.py [--photos FOLDER] [--count 1024] [--rounds 3].

Compares `hashtagger tag` on 12-megapixel JPEGs with a straightforward loop (Pillow, torchvision's transforms, the
network in eager float32, one photo at a time) and with its two halves alone on all cores: decoding, and the network
on decoded pixels. They take turns for several rounds, and the best time of each counts. On a CPU the halves share the
cores, so no pipeline can beat the sum of their times; with a GPU it can be as fast as the slower half.
Without --photos the photos are made from scikit-learn's two, with added noise.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from common import camera_photos, link, machine

from hashtagger.recommend import Recommender
from hashtagger.scale.run import decoding_threads, tag_photos

_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of 12-megapixel JPEGs")
    parser.add_argument("--count", type=int, default=1024, help="photos to tag")
    parser.add_argument("--loop", type=int, default=32, help="how many of them the straightforward loop tags")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = camera_photos(options.photos, folder / "made", 8)
        many = sorted(link(photos, folder / "many", options.count).rglob("*.jpg"))
        measure(folder, photos, many, options)


def measure(folder: Path, photos: list[Path], many: list[Path], options: argparse.Namespace) -> None:
    size = sum(path.stat().st_size for path in photos) / len(photos) / 1e6
    recommender = Recommender()
    pixels = np.stack([recommender.prepare(path) for path in many[:_BATCH]])
    loop = straightforward(many[: options.loop], folder / "loop.parquet")
    ways: dict[str, Callable[[], int]] = {
        "the straightforward loop": loop,
        "decoding alone": lambda: decode(recommender, many),
        "the network alone": lambda: score(recommender, pixels, len(many)),
        "hashtagger tag": lambda: tag(folder),
    }
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(options.rounds):
        for name, run in ways.items():
            begin = time.perf_counter()
            done = run()
            least[name] = min(least[name], (time.perf_counter() - begin) / done)
    loaded = min(loading() for _ in range(options.rounds))
    least["hashtagger tag"] -= loaded / len(many)
    print(f"{machine('torch', 'onnxruntime', 'pillow', 'pyarrow')}\n")
    print(
        f"{len(many)} JPEGs of {size:.1f} MB; {recommender.image_size} px, {recommender.choice.runtime} on "
        f"{recommender.device}, batches of {_BATCH}, {decoding_threads()} decoding threads. Loading the network is "
        f"left out ({loaded:.1f} s).\n\n| | ms a photo | photos/s |\n|---|---|---|"
    )
    for name, seconds in least.items():
        print(f"| {name} | {seconds * 1e3:.1f} | {1 / seconds:.1f} |")
    tagged, plain = least["hashtagger tag"], least["the straightforward loop"]
    halves = (least["decoding alone"], least["the network alone"])
    print("\n| ratio | | aim |\n|---|---|---|")
    print(f"| the loop's time to ours | {plain / tagged:.1f} | 5 or more |")
    print(f"| our time to that of the slower half | {tagged / max(halves):.2f} | 1.2 or less |")
    print(f"| our time to that of both halves, one after the other | {tagged / sum(halves):.2f} | |")


def straightforward(photos: list[Path], output: Path) -> Callable[[], int]:
    """Prepare the loop that one would write first."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from PIL import Image
    from torchvision import transforms

    from hashtagger.models.find import find_weights
    from hashtagger.models.weights import load_weights

    model, config = load_weights(find_weights())
    transform = transforms.Compose(
        [
            transforms.Resize(config.image_size),
            transforms.CenterCrop(config.image_size),
            transforms.ToTensor(),
            transforms.Normalize(config.mean, config.std),
        ]
    )

    def run() -> int:
        rows = []
        with torch.no_grad():
            for path in photos:
                scores = model(transform(Image.open(path).convert("RGB"))[None]).softmax(1)[0]
                score, best = scores.max(0)
                rows.append({"photo": str(path), "key": config.keys[best], "score": float(score)})
        pq.write_table(pa.Table.from_pylist(rows), output)
        return len(photos)

    return run


def decode(recommender: Recommender, photos: list[Path]) -> int:
    with ThreadPoolExecutor(decoding_threads()) as pool:
        return sum(1 for _ in pool.map(recommender.prepare, photos))


def score(recommender: Recommender, pixels: np.ndarray, count: int) -> int:
    for _ in range(0, count, _BATCH):
        recommender.score_pixels(pixels)
    return -(-count // _BATCH) * _BATCH


def tag(folder: Path) -> int:
    output = folder / "tags.parquet"
    output.unlink(missing_ok=True)
    return tag_photos([str(folder / "many")], output, batch=_BATCH).photos


def loading() -> float:
    begin = time.perf_counter()
    Recommender()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
