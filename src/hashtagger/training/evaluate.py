"""Measure a network on labelled photos, and calibrate it."""

import dataclasses
import json
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.arrays import Array
from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.models.config import ModelConfig
from hashtagger.models.device import find_device
from hashtagger.models.find import locate_weights
from hashtagger.models.preprocess import preprocess
from hashtagger.models.weights import load_weights, renew_checksum, save_weights
from hashtagger.training import metrics
from hashtagger.training.extra import require
from hashtagger.training.loading import reading_loader, targets
from hashtagger.training.photos import OTHER, Photo, read_photos
from hashtagger.training.report import write_report
from hashtagger.training.train import PHOTOS
from hashtagger.vocabulary import load_vocabulary

if TYPE_CHECKING:
    import torch
    from torch import nn

_log = logging.getLogger(__name__)

PRECISION = 0.9
"""Precision that the fitted threshold aims for."""


@dataclass(frozen=True)
class Answers:
    """A network's predictions for a set of photos.

    Attributes:
        photos: Those that could be read.
        logits: float (photos, labels).
        truth: int (photos,): index of each photo's label; -1 for :data:`~hashtagger.training.photos.OTHER`.
        right: bool (photos, labels): the labels that fit each photo.
    """

    photos: list[Photo]
    logits: Array
    truth: Array
    right: Array

    def __getitem__(self, chosen: Array) -> "Answers":
        """Select the photos whose entry in ``chosen``, bool (photos,), is true."""
        photos = [photo for photo, yes in zip(self.photos, chosen, strict=True) if yes]
        return Answers(photos, self.logits[chosen], self.truth[chosen], self.right[chosen])

    def confidence(self, temperature: float) -> Array:
        """Probability, 0..1, of each photo's top label."""
        return metrics.softmax(self.logits, temperature).max(axis=1)

    def hits(self, k: int = 1) -> Array:
        """Whether a fitting label is among each photo's top ``k``."""
        return metrics.ranked_right(self.logits, self.right, k)


def evaluate(
    data: "str | os.PathLike[str]",
    out: "str | os.PathLike[str]",
    weights: "str | os.PathLike[str] | None" = None,
    *,
    vocabulary: "str | os.PathLike[str]" = "hashtags_ko",
    calibrate: str | None = None,
) -> dict[str, Any]:
    """Measure a network and write a report: ``report.json``, ``report.md`` and figures as PNG.

    Each split except ``train`` is measured separately (all photos together if there are no splits); photos with the
    key ``other`` show how often the network gives a label where none fits. Left out and reported are splits in which
    no photo can be read, and photos without a split that the ``photos.jsonl`` beside the weights lists as training
    photos. Photos are preprocessed as in :meth:`hashtagger.Recommender.recommend`.

    Args:
        data: Class folders or a manifest, as :func:`~hashtagger.training.photos.read_photos` takes them.
        out: Report folder; created if missing.
        weights: Weights file, or the name of a network with weights; by default the one bundled for ``vocabulary``.
        vocabulary: Name or file of the vocabulary whose bundled weights are measured if ``weights`` is not a file.
        calibrate: Fit temperature and threshold on the photos of this split (``"all"`` if there are no splits) and
            write them, with the main figures, into ``weights``, which must then be a file.

    Returns:
        The contents of ``report.json``.

    Raises:
        TrainingError: There are no photos to measure on, or some have labels that the network lacks; there is no such
            split to calibrate on, or no weights file to write into.
        WeightsError: The weights cannot be read.
        MissingExtraError: Matplotlib is not installed.
    """
    require("matplotlib")
    path = locate_weights(weights, load_vocabulary(vocabulary).name)
    if calibrate and (not weights or path != Path(weights)):
        raise TrainingError(_("calibrating writes into the weights file, so it takes one of your own: --weights FILE"))
    network, config = load_weights(path)
    photos = _photos_to_measure(data, path, config)
    names = list(dict.fromkeys(photo.split or "all" for photo in photos if photo.key != OTHER))
    if calibrate and calibrate not in names:
        raise TrainingError(
            _("{path}: no split {name} to calibrate on; there are: {known}").format(
                path=data, name=calibrate, known=", ".join(names)
            )
        )
    answers, problems = predict(network, config, photos)
    other = answers[answers.truth < 0]
    sets = _by_split(answers[answers.truth >= 0])
    unread = {
        name: _("{path}: no photo in split {split} can be read").format(path=data, split=name)
        for name in names
        if name not in sets
    }
    if not sets or calibrate in unread:
        raise TrainingError(unread[calibrate or names[0]])
    problems += unread.values()
    if calibrate:
        temperature, threshold = fit(sets[calibrate], other)
        config = dataclasses.replace(config, temperature=temperature, threshold=threshold)
    report = {
        "weights": path.name,
        "architecture": config.architecture,
        "image_size": config.image_size,
        "keys": config.keys,
        "temperature": config.temperature,
        "threshold": config.threshold,
        "sets": {name: measure(chosen, other, config) for name, chosen in sets.items()},
        "other": measure_other(other, config),
        "problems": problems,
    }
    write_report(report, sets, config, Path(out))
    if calibrate:
        config = dataclasses.replace(config, figures=main_figures(report))
        save_weights(path, network, config, dtype=_float_type(path))
        renew_checksum(path)
        if config.threshold == 1.0:
            said = _(
                "no threshold reaches 90% precision on {name}; {path} says nothing unless a lower threshold is given"
            )
            _log.warning(said.format(name=calibrate, path=path))
    return report


def _photos_to_measure(data: "str | os.PathLike[str]", weights: Path, config: ModelConfig) -> list[Photo]:
    photos = [photo for photo in read_photos(data) if photo.split != "train"]
    manifest = weights.with_name(PHOTOS)
    if manifest.is_file():
        trained = {photo.path for photo in read_photos(manifest) if photo.split == "train"}
        left = [photo for photo in photos if photo.split or photo.path.resolve() not in trained]
        if len(left) < len(photos):
            said = _("{path}: {n} of the photos were used for training and are left out")
            _log.warning(said.format(path=manifest, n=len(photos) - len(left)))
        photos = left
    unknown = sorted({photo.key for photo in photos} - {*config.keys, OTHER})
    if unknown:
        raise TrainingError(
            _(
                "{path}: does not know the labels {keys}; measure on the photos.jsonl of its run, or on a manifest "
                "where photos that fit no label have the key other"
            ).format(path=weights, keys=", ".join(unknown))
        )
    if all(photo.key == OTHER for photo in photos):
        raise TrainingError(_("{path}: no labelled photos outside the split train").format(path=data))
    return photos


def _by_split(answers: Answers) -> dict[str, Answers]:
    """Group the answers by split, in the order of the photos; photos without a split are in ``"all"``."""
    import numpy as np

    splits = np.array([photo.split or "all" for photo in answers.photos])
    return {str(name): answers[splits == name] for name in dict.fromkeys(splits.tolist())}


def _float_type(path: Path) -> "torch.dtype":
    """Find the widest dtype of a weights file's floating-point tensors."""
    from safetensors.torch import load_file

    types = {tensor.dtype for tensor in load_file(path).values() if tensor.is_floating_point()}
    return max(types, key=lambda dtype: dtype.itemsize)


def predict(
    network: "nn.Module", config: ModelConfig, photos: Sequence[Photo], device: str = "auto"
) -> tuple[Answers, list[str]]:
    """Run a network on photos, with a progress bar on terminals.

    Returns:
        The answers for the readable photos, and one line for each of the others.

    Raises:
        TrainingError: None of the photos can be read.
    """
    import numpy as np

    logits, index, problems = run_network(network, config, photos, device)
    if not index:
        raise TrainingError(_("none of the photos can be read; the first: {cause}").format(cause=problems[0]))
    read = [photos[number] for number in index]
    column = {key: number for number, key in enumerate(config.keys)}
    truth = np.array([column.get(photo.key, -1) for photo in read])
    right = targets(read, config.keys, loss="sigmoid").numpy() > 0
    return Answers(read, logits, truth, right), problems


def run_network(
    network: "nn.Module", config: ModelConfig, photos: Sequence[Photo], device: str = "auto"
) -> tuple[Array, list[int], list[str]]:
    """Run a network: its outputs, float (readable photos, outputs), the indices of those photos, and the problems."""
    import numpy as np
    import torch
    from tqdm import tqdm

    device = find_device(device)
    network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = reading_loader(photos, partial(preprocess, config=config), batch=64, shorter_side=config.image_size)
    outputs: list[Array] = [np.zeros((0, len(config.keys)), np.float32)]
    index: list[int] = []
    problems: list[str] = []
    with torch.inference_mode():
        for pixels, numbers, failed in tqdm(loader, desc=_("photos"), unit="batch", disable=None):
            problems += failed
            if len(numbers):
                answer = network(pixels.to(device, memory_format=torch.channels_last))
                outputs.append(answer.float().cpu().numpy())
                index += numbers.tolist()
    return np.concatenate(outputs[1:] or outputs), index, problems


def fit(answers: Answers, other: Answers) -> tuple[float, float]:
    """Fit temperature and threshold, the latter for 90% precision over ``answers`` and ``other`` together."""
    import numpy as np

    temperature = metrics.fit_temperature(answers.logits, answers.truth)
    confidence = np.concatenate([answers.confidence(temperature), other.confidence(temperature)])
    hits = np.concatenate([answers.hits(), np.zeros(len(other.photos), bool)])
    return temperature, metrics.fit_threshold(confidence, hits, PRECISION)


def measure(answers: Answers, other: Answers, config: ModelConfig) -> dict[str, Any]:
    """Measure one set of labelled photos; ``other`` counts only where abstention is measured."""
    import numpy as np

    labels = len(config.keys)
    said = answers.logits.argmax(axis=1)
    confidence, hits = answers.confidence(config.temperature), answers.hits()
    table = metrics.confusion(answers.truth, said, labels)
    return {
        "photos": len(answers.photos),
        "top1": with_interval(np.mean, hits),
        "top3": with_interval(np.mean, answers.hits(3)),
        "top1_without_also": with_interval(np.mean, said == answers.truth),
        "macro_f1": with_interval(partial(metrics.macro_f1, labels=labels), answers.truth, said),
        "calibration_error_before": with_interval(metrics.calibration_error, answers.confidence(1.0), hits),
        "calibration_error": with_interval(metrics.calibration_error, confidence, hits),
        "bins_before": metrics.calibration_bins(answers.confidence(1.0), hits),
        "bins": metrics.calibration_bins(confidence, hits),
        "abstention": _abstention(answers, other, config),
        "labels": _by_label(answers.truth, said, config.keys),
        "sources": _by_source(answers),
        "confusion": table.tolist(),
    }


def with_interval(measure: Any, *arrays: Array) -> dict[str, float]:
    """Compute a measure and its 95% bootstrap interval."""
    low, high = metrics.bootstrap(measure, arrays)
    return {"value": float(measure(*arrays)), "low": float(low), "high": float(high)}


def _abstention(answers: Answers, other: Answers, config: ModelConfig) -> dict[str, Any]:
    """Measure coverage and precision at the threshold of the weights, and at one fitted to this set."""
    import numpy as np

    confidence = answers.confidence(config.temperature)
    of_other = other.confidence(config.temperature)
    everything = np.concatenate([confidence, of_other])
    hits = np.concatenate([answers.hits(), np.zeros(len(of_other), bool)])

    def at(threshold: float) -> dict[str, Any]:
        said = everything >= threshold
        spoken = confidence >= threshold
        result: dict[str, Any] = {
            "threshold": threshold,
            "coverage": with_interval(np.mean, spoken),
            "precision": with_interval(np.mean, hits[said]) if said.any() else None,
            "precision_without_other": with_interval(np.mean, answers.hits()[spoken]) if spoken.any() else None,
        }
        if len(of_other):
            result["silent_on_other"] = with_interval(np.mean, of_other < threshold)
        return result

    return {
        "at_weights_threshold": at(config.threshold),
        "at_90_percent_precision": at(metrics.fit_threshold(everything, hits, PRECISION)),
    }


def _by_label(truth: Array, said: Array, keys: Sequence[str]) -> dict[str, Any]:
    """Count each label's photos and measure its rates with 95% intervals; they are None without photos."""
    import numpy as np

    found = np.unique(truth)

    def rates(truth: Array, said: Array) -> Array:
        table = metrics.confusion(truth, said, len(keys))
        # A resample without photos of a label has no rates for it.
        return np.where(table.sum(axis=1) > 0, metrics.precision_recall_f1(table), np.nan)[:, found]

    values = rates(truth, said)
    low, high = metrics.bootstrap(rates, [truth, said])
    names = ("precision", "recall", "f1")
    result: dict[str, Any] = {key: {"photos": 0, **dict.fromkeys(names)} for key in keys}
    for column, number in enumerate(found):
        label_rates = {
            name: {
                "value": float(values[row, column]),
                "low": float(low[row, column]),
                "high": float(high[row, column]),
            }
            for row, name in enumerate(names)
        }
        result[keys[number]] = {"photos": int((truth == number).sum()), **label_rates}
    return result


def _by_source(answers: Answers) -> dict[str, Any]:
    import numpy as np

    sources = np.array([photo.source for photo in answers.photos])
    result = {}
    for source, _count in Counter(sources.tolist()).most_common():
        chosen = answers[sources == source]
        result[source] = {
            "photos": len(chosen.photos),
            "top1": with_interval(np.mean, chosen.hits()),
            "top3": with_interval(np.mean, chosen.hits(3)),
        }
    return result


def measure_other(other: Answers, config: ModelConfig) -> dict[str, Any]:
    """Count the photos that no label fits but that are given one, and the labels given, most frequent first."""
    spoken = other.confidence(config.temperature) >= config.threshold
    labels = Counter(config.keys[number] for number in other.logits.argmax(axis=1)[spoken])
    return {"photos": len(other.photos), "said": int(spoken.sum()), "labels": dict(labels.most_common())}


def main_figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Select the report's main figures, for the weights file."""
    names = ("top1", "top3", "macro_f1", "calibration_error_before", "calibration_error")
    figures: dict[str, Any] = {}
    for name, chosen in report["sets"].items():
        figures[name] = {"photos": chosen["photos"], **{measure: chosen[measure] for measure in names}}
        figures[name].update(chosen["abstention"]["at_weights_threshold"])
    rounded: dict[str, Any] = json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 4))
    return rounded
