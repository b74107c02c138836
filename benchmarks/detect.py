"""Speed and localization accuracy of the class map and the sliding window, on the same pictures in one run.

The pictures have known object positions: a photo of a thing is pasted onto an enlarged photo of another tag.
Both methods score the same windows of a picture; the window with the most evidence is the detection.

- pointing: share of pictures in which the detection's centre lies in the pasted photo (the pointing game of
  Zhang et al., "Top-Down Neural Attention by Excitation Backprop", ECCV 2016). Chance level is the share of
  the picture's area that is pasted.
- IoU: mean intersection over union of the detection and the pasted photo.

    python benchmarks/detect.py ../shared/photos/val --pictures 24
"""

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.ops import box_iou

from hashtagger.explain.detect import evidence, map_scores, window_scores, windows
from hashtagger.images import load_image
from hashtagger.recommend import Recommender

THINGS = ("cat", "chicken", "dog", "fashion", "flower", "nail_art", "selfie", "tteokbokki")
SCENES = ("cafe", "camping", "hiking", "reading", "summer", "travel")
SIZE = (480, 360)
PARTS = (0.3, 0.6)
"""Minimum and maximum of the pasted photo's shorter side, as a fraction of the picture's height."""
METHODS = {"map": map_scores, "window": window_scores}


def compose(photos: Path, rng: random.Random, thing: str) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """Paste a photo of a thing at a random place onto a scene; return the picture and the photo's box."""
    scene = rng.choice(sorted((photos / rng.choice(SCENES)).iterdir()))
    picture = load_image(scene).resize(SIZE, Image.Resampling.BICUBIC)
    photo = load_image(rng.choice(sorted((photos / thing).iterdir())))
    scale = SIZE[1] * rng.uniform(*PARTS) / min(photo.size)
    width, height = (min(round(side * scale), most) for side, most in zip(photo.size, SIZE, strict=True))
    left, top = rng.randint(0, SIZE[0] - width), rng.randint(0, SIZE[1] - height)
    picture.paste(photo.resize((width, height), Image.Resampling.BICUBIC), (left, top))
    return picture, (left, top, left + width, top + height)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, help="folder of class folders")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    recommender = Recommender(weights=options.weights, device=options.device)
    model, config = recommender.model, recommender.config
    rng = random.Random(options.seed)
    boxes = windows(*SIZE)
    seconds: dict[str, list[float]] = {name: [] for name in METHODS}
    pointed: dict[str, list[bool]] = {name: [] for name in METHODS}
    overlap: dict[str, list[float]] = {name: [] for name in METHODS}
    chance = []
    # Warm up, so that the one-time setup of the first run is not measured.
    map_scores(model, config, Image.new("RGB", SIZE), boxes[:1])
    window_scores(model, config, Image.new("RGB", SIZE), boxes[:64])
    for number in range(options.pictures):
        thing = THINGS[number % len(THINGS)]
        picture, place = compose(options.photos, rng, thing)
        index = recommender.vocabulary.index(thing)
        chance.append((place[2] - place[0]) * (place[3] - place[1]) / (SIZE[0] * SIZE[1]))
        for name, score in METHODS.items():
            start = time.perf_counter()
            found = evidence(score(model, config, picture, boxes), boxes)[:, index]
            seconds[name].append(time.perf_counter() - start)
            find = boxes[int(found.argmax())]
            x, y = (find[0] + find[2]) / 2, (find[1] + find[3]) / 2
            pointed[name].append(place[0] <= x <= place[2] and place[1] <= y <= place[3])
            overlap[name].append(float(box_iou(torch.tensor([place]).float(), torch.from_numpy(find)[None])))
        print(f"\r{number + 1}/{options.pictures}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    # The sum, not the median: on a shared machine, load then affects short and long runs in proportion.
    ratio = sum(seconds["window"]) / sum(seconds["map"])
    print(
        f"{config.architecture}, {config.image_size} px, {options.pictures} pictures of {SIZE[0]}x{SIZE[1]}, ", end=""
    )
    print(f"{len(boxes)} windows each, {torch.get_num_threads()} threads, {options.device}")
    print("| method | seconds a picture | pointing | IoU |")
    print("|---|---|---|---|")
    for name in METHODS:
        print(
            f"| {name} | {np.mean(seconds[name]):.3f} | {np.mean(pointed[name]):.3f} | {np.mean(overlap[name]):.3f} |"
        )
    print(f"| chance | | {np.mean(chance):.3f} | |")
    print(f"the map is {ratio:.0f} times faster than the window")


if __name__ == "__main__":
    main()
