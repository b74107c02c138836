"""Recipe: everything that determines how a network is trained, read from a TOML file."""

import dataclasses
import difflib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.models import normalization
from hashtagger.toml import bundled, find_toml, read_toml

_BUNDLED = Path(__file__).parent / "recipes"
_CHOICES = {"optimizer": ("sgd", "adam", "adamw"), "schedule": ("cosine", "plateau"), "loss": ("softmax", "sigmoid")}
_LEAST = {"batch": 2, "seed": -(10**12)}
"""Minimum of a number; 0 by default. Batch norm needs two photos, and torch's seeds are limited to 64 bits."""
_MOST = {"learning_rate": 1000, "seed": 10**12}
"""Maximum of a number; numbers that are neither here nor in ``_SHARES`` are unbounded."""
_SHARES = frozenset(
    "val_share other_share ema label_smoothing also_share teacher_share drop_rate crop "  # noqa: SIM905
    "flip rescale jitter trivial_augment erase mix_share".split()
)
"""Entries whose maximum is 1."""


@dataclass(frozen=True)
class Recipe:
    """How to train a network. All extras are off by default; a recipe file turns on what it needs.

    Attributes:
        vocabulary: Vocabulary whose labels are learned; ``""`` takes the labels from the class folders' names.
        model: timm name of the network.
        model_options: Extra arguments for ``timm.create_model``.
        sizes: Side of the training photos in pixels, one entry per stage.
        epochs: Epochs of each stage.
        image_size: Side of the photos in pixels for validation and use; 0 means the last of ``sizes``.
        mean: Subtracted from the RGB input (0..1) to normalize it, one number per channel.
        std: Divides the input after that, one number per channel.
        batch: Photos per step (on each device).
        seed: Seeds everything random.
        precision: Lightning's name, such as ``"bf16-mixed"`` or ``"32-true"``. ``"auto"`` chooses bfloat16 if the
            device computes it in hardware, because CPUs that do not are many times slower with it than with float32.
        val_share: Fraction of the photos used for validation, 0..1, if the data has no split of its own.
        group_by_source: Keep all photos of one source on the same side of that split.
        other: Keys in the data whose photos fit no label of the vocabulary; they are learned as ``other``.
        min_photos: Labels with fewer photos are left out of the network, and their photos become ``other`` too;
            0 keeps every label of the vocabulary.
        balance_to: Minimum number of training photos per label: smaller labels are filled up with augmented copies,
            which are written into the run's folder; 0 writes none.
        balance: Exponent of the class balancing: 0 draws all photos equally often, 0.5 classes by the square root of
            their size, 1 all classes equally often.
        other_share: Fraction of the photos drawn that fit no label, 0..1; 0 draws them like the photos of a label.
        optimizer: ``"sgd"`` (Nesterov), ``"adam"`` or ``"adamw"``.
        learning_rate: Peak learning rate of the schedule.
        momentum: The momentum of SGD; the other optimizers ignore it.
        weight_decay: Decay of weights with two or more dimensions; norms and biases have none.
        schedule: ``"cosine"`` after a warm-up, or ``"plateau"``: halved when validation stops improving.
        warmup: Epochs of rising learning rate (may be a fraction).
        patience: Epochs without improvement before the plateau schedule halves the learning rate.
        floor: Minimum learning rate of the plateau schedule.
        stop_after: Epochs without improvement before training stops early; 0 never stops early.
        ema: Decay per step of the moving average of the weights, 0..1; 0 keeps no average.
        clip: Maximum norm of the gradient; 0 does not clip.
        loss: ``"softmax"`` (cross-entropy) or ``"sigmoid"`` (binary cross-entropy per label).
        label_smoothing: 0..1.
        also_share: Fraction of the target, 0..1, that a photo's further labels share (softmax only).
        teachers: Weights files of networks whose mean prediction is part of the target (softmax only): knowledge
            distillation. Relative paths start at the working directory.
        teacher_size: Side of the photos in pixels for the teachers; 0 means the size each is used at.
        teacher_share: Fraction of the target that comes from the teachers, 0..1.
        teacher_features: Weight of a second loss: how well a linear map of the network's pooled features predicts those
            of the teachers; 0 disables it.
        drop_rate: Dropout before the classifier, 0..1.
        crop: Smallest and largest fraction of the photo's area that a random crop keeps.
        flip: Probability of a horizontal flip.
        rescale: Probability of downscaling the photo first, so that its sharpness gives no clue to its label.
        rescale_to: Smallest and largest shorter side after that downscaling, in pixels.
        jitter: Strength of random brightness, contrast and saturation, 0..1, and of hue, a quarter as strong.
        trivial_augment: Probability of one random TrivialAugment operation.
        erase: Probability of filling a random rectangle with grey.
        mixup: Alpha of MixUp; 0 disables it.
        cutmix: Alpha of CutMix; 0 disables it.
        mix_share: Fraction of the batches that MixUp or CutMix applies to, 0..1.
        mix_off: Number of final epochs without MixUp and CutMix.
    """

    vocabulary: str = "hashtags_ko"
    model: str = "drn_c_26"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] = (96,)
    epochs: tuple[int, ...] = (10,)
    image_size: int = 0
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    batch: int = 64
    seed: int = 0
    precision: str = "auto"
    val_share: float = 0.3
    group_by_source: bool = False
    other: tuple[str, ...] = ()
    min_photos: int = 0
    balance_to: int = 0
    balance: float = 0.0
    other_share: float = 0.0
    optimizer: str = "sgd"
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup: float = 0.0
    patience: int = 3
    floor: float = 0.0
    stop_after: int = 0
    ema: float = 0.0
    clip: float = 0.0
    loss: str = "softmax"
    label_smoothing: float = 0.0
    also_share: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_size: int = 0
    teacher_share: float = 0.5
    teacher_features: float = 0.0
    drop_rate: float = 0.0
    crop: tuple[float, ...] = (1.0, 1.0)
    flip: float = 0.0
    rescale: float = 0.0
    rescale_to: tuple[int, ...] = (64, 128)
    jitter: float = 0.0
    trivial_augment: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_share: float = 1.0
    mix_off: int = 0

    def __post_init__(self) -> None:
        """Validate the entries.

        Raises:
            TrainingError: A choice does not exist, a number is out of range, or the stages do not match.
        """
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise TrainingError(
                    _("recipe: {name} = {value!r} is none of: {choices}").format(
                        name=name, value=getattr(self, name), choices=", ".join(choices)
                    )
                )
        for name, value in vars(self).items():
            least, most = _LEAST.get(name, 0), 1 if name in _SHARES else _MOST.get(name, math.inf)
            if isinstance(value, int | float) and not least <= value <= most:
                raise TrainingError(
                    _("recipe: {name} = {value} must lie in {least}..{most}").format(
                        name=name, value=value, least=least, most=most
                    )
                )
            if name in ("crop", "rescale_to") and not (len(value) == 2 and 0 < value[0] <= value[1] <= most):
                raise TrainingError(
                    _("recipe: {name} = {value} must be two rising numbers above 0, {most} at most").format(
                        name=name, value=list(value), most=most
                    )
                )
            if name in ("mean", "std") and not (
                len(value) == 3 and all(math.isfinite(one) and (one > 0 or name == "mean") for one in value)
            ):
                raise TrainingError(
                    _("recipe: {name} = {value} must be three numbers, those of std above 0").format(
                        name=name, value=list(value)
                    )
                )
        if {"num_classes", "drop_rate", "pretrained"} & self.model_options.keys():
            raise TrainingError(
                _(
                    "recipe: model_options takes none of num_classes (the labels decide it), drop_rate (has its own "
                    "line) and pretrained (--init pretrained)"
                )
            )
        if self.teachers and self.loss != "softmax":
            raise TrainingError(_("recipe: teachers require the loss softmax"))
        stages_match = len(self.sizes) == len(self.epochs) and min(self.sizes, default=0) > 0
        if not stages_match or min(self.epochs) < 0 or not self.total_epochs:
            raise TrainingError(
                _("recipe: sizes {sizes} and epochs {epochs} must be positive and of the same length").format(
                    sizes=list(self.sizes), epochs=list(self.epochs)
                )
            )

    @property
    def total_epochs(self) -> int:
        """Total epochs of all stages."""
        return sum(self.epochs)

    @property
    def final_size(self) -> int:
        """Side of the photos in pixels for validation and use."""
        return self.image_size or self.sizes[-1]

    def size_at(self, epoch: int) -> int:
        """Side of the training photos in pixels in epoch ``epoch``, counted from 0."""
        for size, epochs in zip(self.sizes, self.epochs, strict=True):
            if epoch < epochs:
                return size
            epoch -= epochs
        return self.sizes[-1]

    def to_toml(self) -> str:
        """Format the recipe as TOML that :func:`load_recipe` reads back."""
        return "".join(f"{name} = {_toml(value)}\n" for name, value in dataclasses.asdict(self).items())


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON strings, integers and booleans are valid TOML; floats need repr, because JSON has no infinity.
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def available() -> list[str]:
    """Names of the recipes that come with hashtagger."""
    return bundled(_BUNDLED)


def load_recipe(recipe: "str | os.PathLike[str]") -> Recipe:
    """Load a recipe by its name, or from a TOML file of your own.

    Args:
        recipe: One of :func:`available`, or a path that ends in ``.toml``.

    Raises:
        TrainingError: There is no such recipe, or the file has an unknown or invalid entry.
    """
    unknown = _("no recipe {name!r}; there are: {known} (or give a .toml file)")
    path = find_toml(recipe, _BUNDLED, TrainingError, unknown)
    return overlay(_DEFAULT, read_toml(path, TrainingError), path)


def overlay(recipe: Recipe, table: Mapping[str, Any], path: Path) -> Recipe:
    """Return a recipe with the entries of ``table`` replaced; ``path``, the file of the table, is named in errors.

    Raises:
        TrainingError: An entry is unknown or invalid.
    """
    return dataclasses.replace(recipe, **{name: _value(path, name, value) for name, value in table.items()})


def with_model(recipe: Recipe, model: str) -> Recipe:
    """Return a recipe for another network, with the mean and std of that network and no ``model_options``.

    Raises:
        ModelError: There is no network of that name.
    """
    mean, std = normalization(model)
    return dataclasses.replace(recipe, model=model, model_options={}, mean=mean, std=std)


def _value(path: Path, name: str, value: Any) -> Any:
    defaults = vars(_DEFAULT)
    if name not in defaults:
        near = difflib.get_close_matches(name, defaults, 1)
        said = (
            _("{path}: a recipe has no {name!r}; did you mean {near!r}?")
            if near
            else _("{path}: a recipe has no {name!r}")
        )
        raise TrainingError(said.format(path=path, name=name, near="".join(near)))
    expected = type(defaults[name])
    if expected is tuple and isinstance(value, list):
        kind = type(defaults[name][0]) if defaults[name] else str
        if all(_fits(entry, kind) for entry in value):
            return tuple(kind(entry) for entry in value)
    elif _fits(value, expected):
        return expected(value)
    raise TrainingError(_("{path}: {name} = {value!r} is not as expected").format(path=path, name=name, value=value))


def _fits(value: Any, kind: type) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)


_DEFAULT = Recipe()
