"""Fit a network's classifier alone, on the pooled features of the training photos (a linear probe).

    python benchmarks/linear_probe.py DATA                        # how good are the features of a published network?
    python benchmarks/linear_probe.py DATA --weights FILE         # of a network of ours?
    python benchmarks/linear_probe.py DATA --weights FILE --out FILE    # save the network with that classifier

Prints the accuracy on each of the other splits. Photos that fit no label make the classifier unsure about them, as in
training. timm downloads a published network, or reads it from a file.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hashtagger.images import load_image
from hashtagger.models import create_model, normalization
from hashtagger.models.config import ModelConfig
from hashtagger.models.preprocess import preprocess
from hashtagger.models.weights import load_weights, save_weights
from hashtagger.training.loading import sampling_weights, targets
from hashtagger.training.metrics import macro_f1, ranked_right
from hashtagger.training.photos import OTHER, Photo, read_photos
from hashtagger.vocabulary import load_vocabulary

_BATCH = 64
_BALANCE = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="manifest, or folder with one")
    parser.add_argument("--weights", type=Path, help="weights file with the network")
    parser.add_argument("--network", default="tf_efficientnet_lite2", help="timm name of a published one instead")
    parser.add_argument("--file", help="file of its weights, to download none")
    parser.add_argument("--size", type=int, default=192, help="side of its photos in pixels")
    parser.add_argument("--penalty", type=float, default=0.001, help="inverse strength of the regression's penalty (C)")
    parser.add_argument("--other-share", type=float, default=0.4, help="weight of photos that fit no label, 0 to 1")
    parser.add_argument("--out", type=Path, help="weights file to write")
    options = parser.parse_args()
    if options.weights:
        network, config = load_weights(options.weights)
    else:
        network, config = published(options.network, options.file, options.size)
    photos = read_photos(options.data)
    features = pooled(network.to(memory_format=torch.channels_last), photos, config)
    splits = np.array([photo.split for photo in photos])
    learned = [photo for photo in photos if photo.split == "train"]
    weights = np.array(sampling_weights(learned, _BALANCE, options.other_share))
    target = targets(learned, config.keys, loss="softmax").numpy()
    matrix, bias = fit(features[splits == "train"], target, weights, options.penalty)
    logits = features @ matrix.T + bias
    right = targets(photos, config.keys, loss="sigmoid").numpy() > 0
    for split in sorted(set(splits) - {"train"}):
        chosen = [number for number, photo in enumerate(photos) if photo.split == split and photo.key != OTHER]
        truth = np.array([config.keys.index(photos[number].key) for number in chosen])
        top1, top3 = (ranked_right(logits[chosen], right[chosen], ranks).mean() for ranks in (1, 3))
        macro = macro_f1(truth, logits[chosen].argmax(axis=1), len(config.keys))
        print(f"{split}: {len(chosen)} photos, top-1 {top1:.3f}, top-3 {top3:.3f}, macro-F1 {macro:.3f}")
    if options.out:
        classifier = network.get_classifier()
        with torch.no_grad():
            classifier.weight.copy_(torch.from_numpy(matrix).view_as(classifier.weight))
            classifier.bias.copy_(torch.from_numpy(bias))
        save_weights(options.out, network, config)


def published(name: str, file: str | None, size: int) -> tuple[torch.nn.Module, ModelConfig]:
    """Load a published network, with a new classifier for the twenty hashtags."""
    vocabulary = load_vocabulary("hashtags_ko")
    overlay = {"file": file} if file else {}
    network = create_model(name, pretrained=True, num_classes=len(vocabulary), pretrained_cfg_overlay=overlay).eval()
    mean, std = normalization(name)
    keys = tuple(vocabulary.keys)
    return network, ModelConfig(name, vocabulary.name, keys, size, mean, std, labels=tuple(vocabulary))


def pooled(network: torch.nn.Module, photos: list[Photo], config: ModelConfig) -> np.ndarray:
    """Compute the pooled features of each photo: (photos, features)."""
    rows = []
    with torch.inference_mode():
        for start in range(0, len(photos), _BATCH):
            read = [load_image(one.path, shorter_side=config.image_size) for one in photos[start : start + _BATCH]]
            pixels = torch.from_numpy(np.stack([preprocess(image, config) for image in read]))
            seen = network.forward_features(pixels.contiguous(memory_format=torch.channels_last))
            rows.append(network.forward_head(seen, pre_logits=True).flatten(1).numpy())
    return np.concatenate(rows)


def fit(features: np.ndarray, target: np.ndarray, weights: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit a logistic regression to standardized features.

    Args:
        features: (photos, features).
        target: (photos, labels): rows sum to 1.
        weights: (photos,): relative weight of each photo.
        penalty: Inverse strength of the penalty.

    Returns:
        The classifier's matrix (labels, features) and bias (labels,), for features as they are.
    """
    # scikit-learn takes one label a row: a photo that fits none counts as each of them in part.
    rows, labels = target.nonzero()
    share = weights[rows] * target[rows, labels]
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(C=penalty, max_iter=300)
    regression.fit(scaler.transform(features)[rows], labels, sample_weight=share / share.sum() * len(features))
    matrix = regression.coef_ / scaler.scale_
    return matrix, regression.intercept_ - matrix @ scaler.mean_


if __name__ == "__main__":
    main()
