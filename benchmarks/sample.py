"""Write a manifest of a small, balanced sample of labelled photos, for comparisons that would take days on all photos.

    python benchmarks/sample.py ../shared/photos --train 60 --val 20 --out sample.jsonl
    hashtagger compare sample.jsonl --recipe hashtags_ko_cpu --models ... --out compare/

Photos of each label and split are ordered by the hash of their file name, so everyone gets the same sample.
"""

import argparse
import hashlib
from collections import Counter
from pathlib import Path

from hashtagger.training.photos import OTHER, Photo, read_photos, write_manifest


def sample(photos: list[Photo], sizes: dict[str, int]) -> list[Photo]:
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for photo in sorted(photos, key=lambda photo: hashlib.sha256(photo.path.name.encode()).digest()):
        side = (photo.split, photo.key)
        if photo.key != OTHER and taken[side] < sizes.get(photo.split, 0):
            taken[side] += 1
            chosen.append(photo)
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="manifest, or folder with one")
    parser.add_argument("--train", type=int, default=60, help="training photos per label")
    parser.add_argument("--val", type=int, default=20, help="validation photos per label")
    parser.add_argument("--out", type=Path, required=True, help="manifest to write")
    options = parser.parse_args()
    chosen = sample(read_photos(options.data), {"train": options.train, "val": options.val})
    write_manifest(chosen, options.out)
    for split, count in sorted(Counter(photo.split for photo in chosen).items()):
        print(f"{split}: {count} photos of {len({photo.key for photo in chosen if photo.split == split})} labels")


if __name__ == "__main__":
    main()
