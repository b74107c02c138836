"""Train a network on labelled photos by a recipe."""

import contextlib
import csv
import dataclasses
import importlib.util
import json
import logging
import os
import platform
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.errors import TrainingError, WeightsError
from hashtagger.i18n import _
from hashtagger.models import create_model
from hashtagger.models.weights import ModelConfig, load_weights, save_weights
from hashtagger.training.balance import write_variations
from hashtagger.training.dataset import (
    OTHER,
    Photo,
    choose_keys,
    read_photos,
    set_aside,
    split_photos,
    write_manifest,
)
from hashtagger.training.extra import require
from hashtagger.training.plots import draw_curves
from hashtagger.training.recipe import Recipe, load_recipe
from hashtagger.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hashtagger.training.module import Tagger

WEIGHTS = "weights.safetensors"
PHOTOS = "photos.jsonl"
"""A run's manifest: measured by :func:`~hashtagger.training.evaluate.evaluate`, it is what the run kept aside."""


def train(
    data: "str | os.PathLike[str]",
    out: "str | os.PathLike[str]",
    recipe: Recipe,
    *,
    init: "str | os.PathLike[str] | None" = None,
    resume: bool = False,
    devices: str = "auto",
    nodes: int = 1,
    strategy: str = "auto",
) -> dict[str, Any]:
    """Train a network and keep the best of its epochs.

    The folder ``out`` gets ``weights.safetensors`` (the best epoch so far), ``metrics.csv`` (a row an
    epoch), ``curves.png``, ``recipe.toml``, ``photos.jsonl`` (which photos train and which validate),
    ``run.json`` (all that the run was), and ``checkpoints/`` with the best and the last epoch.

    Args:
        data: Class folders or a manifest, as :func:`~hashtagger.training.dataset.read_photos` takes them.
        out: The run's folder; made if missing.
        recipe: How to train.
        init: Weights file to start from; tensors that do not fit, and a classifier of other labels, start fresh.
        resume: Go on from the last checkpoint in ``out``, by the recipe and with the photos that lie there; a
            folder without one starts anew.
        devices: ``"auto"``, ``"cpu"``, a number of devices of each machine, or their numbers: ``"0,1"``. The recipe's
            batch is that of one device.
        nodes: Machines; the same command is started on each, as Lightning's documents on clusters say.
        strategy: How the devices share the work, one of Lightning's names: ``"ddp"``.

    Returns:
        What ``run.json`` says: the data, the recipe, the best epoch's measures, unreadable photos.

    Raises:
        TrainingError: The photos, the recipe or the run's folder cannot be used.
        WeightsError: ``init`` is not a weights file of this network.
        MissingExtraError: Lightning is not installed.
    """
    require("lightning", "matplotlib")
    out = Path(out)
    last = out / "checkpoints" / "last.ckpt"
    begun = last.exists()
    if begun and not resume:
        raise TrainingError(_("{path}: holds a run already; add --resume to go on with it").format(path=out))
    if begun:
        recipe = load_recipe(out / "recipe.toml")
    # A run goes on with its own split: were it drawn anew, photos that were learned from might validate.
    photos = _learnable(read_photos(out / PHOTOS if begun else data), recipe, data)
    keys = choose_keys(photos, recipe.vocabulary, found_only=recipe.min_photos > 0)
    photos = split_photos(photos, recipe.val_share, seed=recipe.seed, group_by_source=recipe.group_by_source)
    sides = {
        "train": [photo for photo in photos if photo.split == "train"],
        "val": [photo for photo in photos if photo.split == "val" and photo.key != OTHER],
    }
    for name, side in sides.items():
        if not side:
            raise TrainingError(_("{path}: no photos in split {split}").format(path=data, split=name))
    unlearned = [key for key in keys if key not in {photo.key for photo in sides["train"]}]
    if unlearned:
        print(_("no photos to learn these labels from: {keys}").format(keys=", ".join(unlearned)), file=sys.stderr)
    unused = sum(not photo.split for photo in photos)
    if unused:
        print(_("{n} photos have no split, as others have, and are not used").format(n=unused), file=sys.stderr)
    if not begun:
        (out / "checkpoints").mkdir(parents=True, exist_ok=True)
        # A path in it may be of bytes that are no text.
        (out / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8", errors="surrogateescape")
        write_manifest(photos, out / PHOTOS)
    if recipe.balance_to:
        sides["train"] += write_variations(sides["train"], recipe, out / "variations", anew=not begun)
    with contextlib.redirect_stdout(sys.stderr):
        tagger = _fit(sides, recipe, keys, out, init, last if begun else None, _hardware(devices, nodes, strategy))
    if tagger.global_rank:
        # With several devices Lightning runs the same command once more for each; one of them reports.
        sys.exit()
    draw_curves(tagger.history, out / "curves.png")
    best = max(tagger.history, key=lambda row: row["val_top1"])
    run = {
        "data": str(data),
        "init": tagger.init,
        "photos": {name: dict(Counter(photo.key for photo in side)) for name, side in sides.items()},
        "recipe": dataclasses.asdict(recipe),
        "versions": _versions(),
        "best": best,
        "weights": str(out / WEIGHTS),
        "problems": list(tagger.problems),
    }
    (out / "run.json").write_text(json.dumps(run, indent=1), encoding="utf-8")
    return run


def _learnable(photos: Sequence[Photo], recipe: Recipe, data: "str | os.PathLike[str]") -> list[Photo]:
    """Set aside what the recipe does not learn, and say which labels have too few photos for it."""
    left = set_aside(photos, recipe.other, recipe.min_photos)
    keys = {photo.key for photo in left} - {OTHER}
    if not keys:
        raise TrainingError(
            _("{path}: no label with enough photos to learn (min_photos of the recipe: {n})").format(
                path=data, n=recipe.min_photos
            )
        )
    rare = sorted({photo.key for photo in photos} - {*keys, *recipe.other, OTHER})
    if rare:
        print(
            _("labels of fewer than {n} photos (min_photos) are not learned: {keys}").format(
                n=recipe.min_photos, keys=", ".join(rare)
            ),
            file=sys.stderr,
        )
    return left


def _fit(
    sides: Mapping[str, list[Photo]],
    recipe: Recipe,
    keys: tuple[str, ...],
    out: Path,
    init: "str | os.PathLike[str] | None",
    checkpoint: Path | None,
    hardware: Mapping[str, Any],
) -> "Tagger":
    import lightning as L  # noqa: N812
    import torch
    from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    from hashtagger.training.module import Tagger
    from hashtagger.training.progress import ProgressBar

    torch.manual_seed(recipe.seed)
    network = create_model(
        recipe.model, num_classes=len(keys), drop_rate=recipe.drop_rate, **dict(recipe.model_options)
    )
    if init and not checkpoint:
        fresh = init_weights(network, Path(init), keys)
        print(_("{n} tensors take nothing from {path} and start fresh").format(n=len(fresh), path=init))
    vocabulary = load_vocabulary(recipe.vocabulary) if recipe.vocabulary else None
    config = ModelConfig(
        architecture=recipe.model,
        vocabulary=vocabulary.name if vocabulary else "",
        keys=keys,
        image_size=recipe.final_size,
        mean=recipe.mean,
        std=recipe.std,
        model_args=dict(recipe.model_options),
        tags=tuple(vocabulary[key].tag for key in keys) if vocabulary else (),
    )
    teachers = [_load_teacher(path, config) for path in recipe.teachers]
    tagger = Tagger(network, recipe, config, sides["train"], sides["val"], teachers, lambda module: _keep(module, out))
    tagger.init = str(init) if init else None
    folder = out / "checkpoints"
    every_epoch: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    callbacks: list[Callback] = [
        ModelCheckpoint(folder, "best", monitor="val_top1", mode="max", **every_epoch),
        ModelCheckpoint(folder, "last", **every_epoch),
        ProgressBar(),
    ]
    if recipe.stop_after:
        callbacks.append(EarlyStopping("val_top1", mode="max", patience=recipe.stop_after))
    # Of Lightning's own remarks (on loggers to try, on the average that is never in training mode) none is the user's.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        trainer = L.Trainer(
            **hardware,
            precision=recipe.precision,  # type: ignore[arg-type]
            max_epochs=recipe.total_epochs,
            callbacks=callbacks,
            logger=_tensorboard(out),
            gradient_clip_val=recipe.clip or None,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            enable_model_summary=False,
            default_root_dir=out,
        )
    except (ValueError, TypeError, MisconfigurationException) as error:
        raise TrainingError(" ".join(str(error).split())) from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        trainer.fit(tagger, ckpt_path=checkpoint)
    if trainer.interrupted:
        raise KeyboardInterrupt
    return tagger


def init_weights(network: "nn.Module", path: Path, keys: tuple[str, ...]) -> list[str]:
    """Take over from a weights file what :func:`fitting_tensors` finds in it.

    Returns:
        The names of the network's tensors that stay as they are.

    Raises:
        WeightsError: As :func:`fitting_tensors`.
    """
    fitting = fitting_tensors(network, path, keys)
    network.load_state_dict(fitting, strict=False)
    return [name for name in network.state_dict() if name not in fitting]


def fitting_tensors(network: "nn.Module", path: Path, keys: tuple[str, ...]) -> "dict[str, Tensor]":
    """Find what a network can start from: the tensors of a weights file whose name and shape fit.

    A classifier of other labels than ``keys`` does not fit, whatever its shape.

    Raises:
        WeightsError: The file is missing, damaged or of another network, one that fewer than half of the tensors fit.
    """
    given, config = load_weights(path)
    if config.keys != keys:
        given.reset_classifier(0)  # type: ignore[operator]
    tensors, own = given.state_dict(), network.state_dict()
    fitting = {name: tensors[name] for name in own if name in tensors and tensors[name].shape == own[name].shape}
    if 2 * len(fitting) < len(own):
        raise WeightsError(
            _("{path}: of another network: {found} of {expected} tensors fit").format(
                path=path, found=len(fitting), expected=len(own)
            )
        )
    return fitting


def _load_teacher(path: str, config: ModelConfig) -> "tuple[nn.Module, ModelConfig]":
    teacher, its = load_weights(path)
    if (its.keys, its.mean, its.std) != (config.keys, config.mean, config.std):
        raise TrainingError(_("{path}: a teacher must have the recipe's labels, mean and std").format(path=path))
    return teacher, its


def _keep(tagger: "Tagger", out: Path) -> None:
    """Write down the history, and the weights if they are the best so far."""
    with (out / "metrics.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, tagger.history[0])
        rows.writeheader()
        rows.writerows(tagger.history)
    if tagger.is_best:
        figures = {"val": {name: round(value, 4) for name, value in tagger.history[-1].items()}}
        save_weights(out / WEIGHTS, tagger.result, dataclasses.replace(tagger.config, figures=figures))


def _hardware(devices: str, nodes: int, strategy: str) -> dict[str, Any]:
    import torch

    if devices == "cpu":
        return {"accelerator": "cpu", "devices": 1, "num_nodes": nodes, "strategy": strategy}
    try:
        chosen: Any = "auto" if devices == "auto" else [int(number) for number in devices.split(",")]
    except ValueError as error:
        raise TrainingError(
            _("devices {devices!r}: give auto, cpu, a number, or numbers like 0,1").format(devices=devices)
        ) from error
    return {
        "accelerator": "auto",
        "devices": chosen if "," in devices or devices == "auto" else chosen[0],
        "num_nodes": nodes,
        "strategy": strategy,
        "sync_batchnorm": torch.cuda.is_available(),
    }


def _tensorboard(out: Path) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return False
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(out, name="", version="tensorboard")


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = ("hashtagger", "torch", "torchvision", "timm", "lightning", "pillow")
    installed = {package: version(package) for package in packages}
    return {"python": platform.python_version(), **installed}
