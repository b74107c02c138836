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
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.locks import only_one
from hashtagger.models.config import RESERVED, ModelConfig
from hashtagger.models.device import computes_bfloat16, find_device
from hashtagger.models.weights import load_weights, save_weights
from hashtagger.training.balance import write_variations
from hashtagger.training.extra import require
from hashtagger.training.network import PRETRAINED, check_network, init_weights, make_network
from hashtagger.training.photos import OTHER, Photo, choose_keys, read_photos, set_aside, write_manifest
from hashtagger.training.plots import draw_curves
from hashtagger.training.recipe import Recipe, load_recipe
from hashtagger.training.split import split_photos
from hashtagger.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from lightning import Trainer
    from torch import nn

    from hashtagger.training.module import Tagger

WEIGHTS = "weights.safetensors"
PHOTOS = "photos.jsonl"
"""Manifest of a run; :func:`~hashtagger.training.evaluate.evaluate` measures the photos in it that were held out."""
_RUN = "run.json"
"""Written when a run ends; a run whose folder lacks it can be resumed."""
_LISTED = 20
"""Maximum number of labels listed when training starts."""


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
    """Train a network and keep the weights of its best epoch.

    The folder ``out`` receives ``weights.safetensors`` (the best epoch so far), ``metrics.csv`` (one row per epoch),
    ``curves.png``, ``recipe.toml``, ``photos.jsonl`` (the photos with their splits), ``run.json`` (a record of the
    run), and ``checkpoints/`` with the best and the last epoch.

    Args:
        data: Class folders or a manifest, as :func:`~hashtagger.training.photos.read_photos` takes them.
        out: The run's folder; created if missing.
        recipe: How to train.
        init: Weights file to start from; tensors that do not fit, and a classifier for other labels, start fresh. Or
            ``"pretrained"``: the weights that the network's authors published, which timm downloads the first time.
        resume: Continue from the last checkpoint in ``out``, with the recipe and the photos stored there. A folder
            without a checkpoint starts a new run, and a finished run is left unchanged.
        devices: ``"auto"``, ``"cpu"``, a number of devices per machine, or their indices, such as ``"0,1"``. The
            recipe's batch size applies to each device.
        nodes: Number of machines; the same command is started on each, as Lightning's documentation on clusters says.
        strategy: How the devices share the work: one of Lightning's names, such as ``"ddp"``.

    Returns:
        The contents of ``run.json``: among others the data, the recipe, the number of epochs and their duration in
        seconds (since it was resumed, if it was), the best epoch's measures, and unreadable photos.

    Raises:
        TrainingError: The photos, the recipe or the run's folder cannot be used, or another process is training there.
        ModelError: There is no such network, it does not accept the recipe's options, or its published weights are
            asked for and cannot be had.
        WeightsError: ``init`` is not a weights file of this network.
        KeyboardInterrupt: The process was told to stop, by Ctrl-C or SIGTERM.
        MissingExtraError: Lightning is not installed.
    """
    require("lightning", "matplotlib")
    out = Path(out)
    last = out / "checkpoints" / "last.ckpt"
    begun = last.exists()
    if begun and not resume:
        raise TrainingError(_("{path}: holds a run already; add --resume to go on with it").format(path=out))
    if begun and (out / _RUN).exists():
        ended: dict[str, Any] = json.loads((out / _RUN).read_text(encoding="utf-8"))
        said = _(
            "{path}: finished after epoch {n}; to train on, choose another folder and pass these weights to --init"
        )
        print(said.format(path=out, n=ended["epochs"]), file=sys.stderr)
        return {**ended, "weights": str(out / WEIGHTS)}
    if begun:
        if not zipfile.is_zipfile(last):
            raise TrainingError(
                _("{path}: damaged; copy best.ckpt over it to go on from the best epoch").format(path=last)
            )
        recipe = load_recipe(out / "recipe.toml")
        print(_("{path}: goes on with its own photos; {data} is not read").format(path=out, data=data), file=sys.stderr)
    elif recipe.precision == "auto":
        # Stored with the recipe, so that the run is resumed in the precision that it started in.
        recipe = dataclasses.replace(recipe, precision=_precision(devices))
    # Before reading the photos, which takes long.
    check_network(recipe, None if begun else init)
    with contextlib.redirect_stdout(sys.stderr):
        trainer = _make_trainer(recipe, out, _hardware(devices, nodes, strategy))
    # A resumed run keeps its split; a new one could use training photos for validation.
    photos = _learnable(read_photos(out / PHOTOS if begun else data), recipe, data)
    keys = choose_keys(photos, recipe.vocabulary, found_only=recipe.min_photos > 0)
    photos = split_photos(photos, recipe.val_share, seed=recipe.seed, group_by_source=recipe.group_by_source)
    sides = _sides(photos, keys, data)
    with _lock(out):
        if not begun:
            _begin(out, recipe, photos)
        if recipe.balance_to:
            sides["train"] += write_variations(sides["train"], recipe, out / "variations", anew=not begun)
        with contextlib.redirect_stdout(sys.stderr):
            tagger = _make_tagger(sides, recipe, keys, out, None if begun else init)
            tagger.data = str(data)
            start = time.perf_counter()
            _fit(trainer, tagger, last if begun else None)
            seconds = time.perf_counter() - start
        if tagger.global_rank:
            # With several devices, Lightning runs this command once for each; only rank 0 reports.
            sys.exit()
        draw_curves(tagger.history, out / "curves.png")
        run = _describe(tagger, sides, out, seconds)
        (out / _RUN).write_text(json.dumps(run, indent=1), encoding="utf-8")
    return run


def _begin(out: Path, recipe: Recipe, photos: Sequence[Photo]) -> None:
    """Write what is needed to resume a run into its folder."""
    (out / "checkpoints").mkdir(exist_ok=True)
    (out / _RUN).unlink(missing_ok=True)
    # Paths in the recipe may contain bytes that are not valid UTF-8.
    (out / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8", errors="surrogateescape")
    write_manifest(photos, out / PHOTOS)


def _describe(tagger: "Tagger", sides: Mapping[str, Sequence[Photo]], out: Path, seconds: float) -> dict[str, Any]:
    """Build the record of a run; ``seconds`` is how long its epochs took, since it was resumed if it was."""
    return {
        "data": tagger.data,
        "init": tagger.init,
        "photos": {name: dict(Counter(photo.key for photo in side)) for name, side in sides.items()},
        "recipe": dataclasses.asdict(tagger.recipe),
        "versions": _versions(),
        "epochs": len(tagger.history),
        "seconds": seconds,
        "best": max(tagger.history, key=lambda row: row["val_top1"]),
        "weights": str(out / WEIGHTS),
        "problems": list(tagger.problems),
    }


def _lock(out: Path) -> "contextlib.AbstractContextManager[None]":
    """Lock a run's folder against a second command, but not against the other processes of a distributed run."""
    out.mkdir(parents=True, exist_ok=True)
    ranks = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
    if any(os.environ.get(name, "0") != "0" for name in ranks):
        return contextlib.nullcontext()
    return only_one(out, out / ".lock", TrainingError)


def _learnable(photos: Sequence[Photo], recipe: Recipe, data: "str | os.PathLike[str]") -> list[Photo]:
    """Relabel photos whose label the recipe does not learn, and print which labels have too few photos."""
    left = set_aside(photos, recipe.other, recipe.min_photos)
    keys = {photo.key for photo in left} - {OTHER}
    if not keys:
        raise TrainingError(
            _("{path}: no label with enough photos to learn (min_photos of the recipe: {n})").format(
                path=data, n=recipe.min_photos
            )
        )
    if len(keys) == 1:
        raise TrainingError(
            _("{path}: only one label ({key}); a network learns to tell two or more apart").format(
                path=data, key=keys.pop()
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


def _sides(photos: Sequence[Photo], keys: Sequence[str], data: "str | os.PathLike[str]") -> dict[str, list[Photo]]:
    """Separate training from validation photos; print how many photos each label has, and which labels have none.

    Raises:
        TrainingError: There are no photos to train on, or none to validate on.
    """
    sides = {
        "train": [photo for photo in photos if photo.split == "train"],
        "val": [photo for photo in photos if photo.split == "val" and photo.key != OTHER],
    }
    for name, side in sides.items():
        if not side:
            raise TrainingError(
                _(
                    "{path}: no photos in split {split}; if photos have splits, some must be in train (val is drawn "
                    "from these if it is missing)"
                ).format(path=data, split=name)
            )
    counts = Counter(photo.key for photo in sides["train"])
    learned = [f"{key} {counts[key]}" for key in keys if counts[key]]
    labels = ", ".join(learned[:_LISTED]) + (", …" if len(learned) > _LISTED else "")
    print(_("learning {n} labels (photos of each): {labels}").format(n=len(learned), labels=labels), file=sys.stderr)
    if unlearned := [key for key in keys if not counts[key]]:
        print(_("no photos to learn these labels from: {keys}").format(keys=", ".join(unlearned)), file=sys.stderr)
    validated = {photo.key for photo in sides["val"]}
    if unseen := [key for key in keys if counts[key] and key not in validated]:
        print(_("no photos to validate these labels with: {keys}").format(keys=", ".join(unseen)), file=sys.stderr)
    if unused := sum(not photo.split for photo in photos):
        print(_("{n} photos have no split, while others do, and are not used").format(n=unused), file=sys.stderr)
    return sides


def _make_tagger(
    sides: Mapping[str, list[Photo]],
    recipe: Recipe,
    keys: tuple[str, ...],
    out: Path,
    init: "str | os.PathLike[str] | None",
) -> "Tagger":
    """Create the network and the Lightning module that trains it."""
    import torch

    from hashtagger.training.distill import Teachers
    from hashtagger.training.module import Tagger

    torch.manual_seed(recipe.seed)
    pretrained = init is not None and os.fspath(init) == PRETRAINED
    network = make_network(recipe, len(keys), pretrained=pretrained)
    if init and not pretrained:
        fresh = init_weights(network, Path(init), keys)
        said = _("{n} tensors have no match in {path} and start fresh")
        print(said.format(n=len(fresh), path=init), file=sys.stderr)
    vocabulary = load_vocabulary(recipe.vocabulary) if recipe.vocabulary else None
    config = ModelConfig(
        architecture=recipe.model,
        vocabulary=vocabulary.name if vocabulary else "",
        keys=keys,
        image_size=recipe.final_size,
        mean=recipe.mean,
        std=recipe.std,
        model_args={name: value for name, value in recipe.model_options.items() if name not in RESERVED},
        labels=tuple(vocabulary[key] for key in keys) if vocabulary else (),
    )
    teachers = Teachers([_load_teacher(path, keys) for path in recipe.teachers], recipe.teacher_size)
    tagger = Tagger(network, recipe, config, sides["train"], sides["val"], teachers, lambda module: _save(module, out))
    tagger.init = str(init) if init else None
    return tagger


def _make_trainer(recipe: Recipe, out: Path, hardware: Mapping[str, Any]) -> "Trainer":
    """Create Lightning's trainer for a recipe.

    Raises:
        TrainingError: Lightning does not support these devices, this strategy or this precision here.
    """
    import lightning as L  # noqa: N812
    from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    from hashtagger.training.progress import ProgressBar

    folder = out / "checkpoints"
    every_epoch: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    callbacks: list[Callback] = [
        ModelCheckpoint(folder, "best", monitor="val_top1", mode="max", **every_epoch),
        ModelCheckpoint(folder, "last", **every_epoch),
        ProgressBar(),
    ]
    if recipe.stop_after:
        callbacks.append(EarlyStopping("val_top1", mode="max", patience=recipe.stop_after))
    # Lightning's hints (on loggers to try, on the average being in eval mode) are of no use to the user.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        return L.Trainer(
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


def _fit(trainer: "Trainer", tagger: "Tagger", checkpoint: Path | None) -> None:
    """Train, starting from ``checkpoint`` if there is one.

    Raises:
        KeyboardInterrupt: The process was told to stop, by Ctrl-C or SIGTERM.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            trainer.fit(tagger, ckpt_path=checkpoint)
    except SystemExit as stopped:  # raised by Lightning for both signals, with its own exit status
        raise KeyboardInterrupt from stopped
    if trainer.interrupted:
        raise KeyboardInterrupt


def _load_teacher(path: str, keys: tuple[str, ...]) -> "tuple[nn.Module, ModelConfig]":
    teacher, config = load_weights(path)
    if config.keys != keys:
        raise TrainingError(_("{path}: a teacher must have the labels that are learned").format(path=path))
    return teacher, config


def _save(tagger: "Tagger", out: Path) -> None:
    """Save the history, and the weights if they are the best so far."""
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


def _precision(devices: str) -> str:
    return "bf16-mixed" if computes_bfloat16("cpu" if devices == "cpu" else find_device()) else "32-true"


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
