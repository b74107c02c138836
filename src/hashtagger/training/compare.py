"""Train several networks on the same photos and compare them."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.models.weights import load_weights
from hashtagger.training import metrics
from hashtagger.training.compare_report import write_comparison
from hashtagger.training.evaluate import predict, with_interval
from hashtagger.training.extra import require
from hashtagger.training.network import check_network, count_macs
from hashtagger.training.photos import OTHER, read_photos
from hashtagger.training.recipe import Recipe
from hashtagger.training.train import PHOTOS, train

_BATCH = 32
_PASSES = 10


def compare(
    data: "str | os.PathLike[str]",
    out: "str | os.PathLike[str]",
    tries: Mapping[str, Recipe],
    *,
    init: "str | os.PathLike[str] | None" = None,
    devices: str = "auto",
) -> list[dict[str, Any]]:
    """Train each try and measure it on the photos that its run holds out.

    All tries use the same photos and, where their recipes agree, the same split and number of epochs. The folder
    ``out`` receives ``comparison.md``, ``.csv`` and ``.png``, ``scatter.png``, and the run folder of each try, named
    after it; the tables are rewritten after each try.

    Args:
        data: Class folders or a manifest.
        out: Output folder; created if missing.
        tries: Recipes by name.
        init: What each try starts from, as in :func:`~hashtagger.training.train.train`.
        devices: ``"auto"`` or ``"1"`` (one GPU if available), or ``"cpu"``.

    Returns:
        One row per try, in order: ``name``, ``model``, ``image_size`` (pixels), ``top1``, ``top3`` and ``macro_f1``
        (0..1, each with its 95% interval), ``loss`` (cross-entropy), ``parameters``, ``macs`` (multiply-accumulates
        for one photo), ``epochs`` (trained), ``train_seconds`` (of those epochs, without reading and splitting the
        photos), ``images_per_second`` (network alone, batches of 32), ``latency_ms`` (network alone, one photo) and
        ``megabytes`` (of the weights file).

    Raises:
        TrainingError: The photos, a recipe or the folder cannot be used, or a network does not accept its image size.
        ModelError: A network does not exist.
        WeightsError: ``init`` does not fit the network of each try, or the weights of a teacher cannot be read.
        MissingExtraError: Lightning or Matplotlib is not installed.
    """
    require("lightning", "matplotlib")
    if devices not in ("auto", "1", "cpu"):
        raise TrainingError(_("devices {devices!r}: compare takes one: auto, 1 or cpu").format(devices=devices))
    out = Path(out)
    for name, recipe in tries.items():
        check_network(recipe, init)
        if (out / name).exists():
            raise TrainingError(_("{path}: already exists; choose another folder").format(path=out / name))
    rows = []
    for name, recipe in tries.items():
        run = train(data, out / name, recipe, init=init, devices="1" if devices == "auto" else devices)
        budget = {"epochs": run["epochs"], "train_seconds": run["seconds"]}
        rows.append({"name": name, **measure(Path(run["weights"]), recipe, devices), **budget})
        write_comparison(rows, out)
    return rows


def measure(weights: Path, recipe: Recipe, devices: str = "auto") -> dict[str, Any]:
    """Measure the accuracy, size and speed of a run's weights; see :func:`compare` for the arguments and entries."""
    import numpy as np
    import torch

    network, config = load_weights(weights)
    kept = [photo for photo in read_photos(weights.with_name(PHOTOS)) if photo.split == "val" and photo.key != OTHER]
    answers, _problems = predict(network, config, kept, "cpu" if devices == "cpu" else "auto")
    said = answers.logits.argmax(axis=1)
    likelihood = metrics.softmax(answers.logits)[np.arange(len(said)), answers.truth]
    macro_f1 = partial(metrics.macro_f1, labels=len(config.keys))
    device = next(network.parameters()).device

    def seconds(batch: int) -> float:
        pixels = torch.rand(batch, 3, config.image_size, config.image_size, device=device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return median_seconds(lambda: network(pixels))

    return {
        "model": config.architecture,
        "image_size": config.image_size,
        "top1": with_interval(np.mean, answers.hits()),
        "top3": with_interval(np.mean, answers.hits(3)),
        "macro_f1": with_interval(macro_f1, answers.truth, said),
        "loss": float(-np.log(np.maximum(likelihood, 1e-30)).mean()),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "macs": count_macs(recipe, len(config.keys)),
        "images_per_second": _BATCH / seconds(_BATCH),
        "latency_ms": 1000 * seconds(1),
        "megabytes": weights.stat().st_size / 1e6,
    }


def median_seconds(run: Callable[[], Any]) -> float:
    """Median time in seconds of ten runs, after one warm-up run."""
    import torch

    def once() -> float:
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start

    with torch.inference_mode():
        once()
        return statistics.median(once() for _pass in range(_PASSES))
