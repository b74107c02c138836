"""How good a network's published features are: python benchmarks/linear_probe.py DATA [--network NAME] [--file FILE].

Fits a logistic regression on the pooled features of the training photos (a linear probe) and prints its accuracy on
each of the other splits. timm downloads the network's weights, or reads them from FILE.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hashtagger.images import load_image
from hashtagger.models import create_model, normalization
from hashtagger.models.config import ModelConfig
from hashtagger.models.preprocess import preprocess
from hashtagger.training.metrics import ranked_right
from hashtagger.training.photos import OTHER, Photo, read_photos

_BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="manifest, or folder with one")
    parser.add_argument("--network", default="tf_efficientnet_lite2", help="timm name")
    parser.add_argument("--file", help="file of its weights, to download none")
    parser.add_argument("--size", type=int, default=192, help="side of the photos in pixels")
    parser.add_argument("--penalty", type=float, default=0.001, help="inverse strength of the regression's penalty (C)")
    options = parser.parse_args()
    overlay = {"file": options.file} if options.file else {}
    network = create_model(options.network, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay).eval()
    mean, std = normalization(options.network)
    config = ModelConfig(options.network, "", (), options.size, mean, std)
    photos = [photo for photo in read_photos(options.data) if photo.key != OTHER]
    features = pooled(network.to(memory_format=torch.channels_last), photos, config)
    splits = np.array([photo.split for photo in photos])
    keys = np.array([photo.key for photo in photos])
    regression = LogisticRegression(C=options.penalty, max_iter=300, class_weight="balanced")
    probe = make_pipeline(StandardScaler(), regression).fit(features[splits == "train"], keys[splits == "train"])
    for name in sorted(set(splits) - {"train"}):
        chosen = splits == name
        scores = probe.predict_proba(features[chosen])
        right = np.array([[key in (photo.key, *photo.also) for key in probe.classes_] for photo in photos])[chosen]
        top1, top3 = (ranked_right(scores, right, ranks).mean() for ranks in (1, 3))
        macro = f1_score(keys[chosen], probe.classes_[scores.argmax(axis=1)], average="macro")
        print(f"{name}: {chosen.sum()} photos, top-1 {top1:.3f}, top-3 {top3:.3f}, macro-F1 {macro:.3f}")


def pooled(network: torch.nn.Module, photos: list[Photo], config: ModelConfig) -> np.ndarray:
    """Compute the pooled features of each photo: (photos, features)."""
    rows = []
    with torch.inference_mode():
        for start in range(0, len(photos), _BATCH):
            read = [load_image(one.path, shorter_side=config.image_size) for one in photos[start : start + _BATCH]]
            pixels = torch.from_numpy(np.stack([preprocess(image, config) for image in read]))
            rows.append(network(pixels.contiguous(memory_format=torch.channels_last)).numpy())
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
