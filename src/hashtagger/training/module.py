"""The Lightning module that trains a network."""

import copy
import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import lightning as L  # noqa: N812 (the alias in Lightning's documentation)
import torch
from torch import Tensor, nn

from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.models.config import ModelConfig
from hashtagger.models.preprocess import preprocess
from hashtagger.training import metrics
from hashtagger.training.augment import Augment, mix
from hashtagger.training.distill import Teachers, classify, feature_loss, normalize, width
from hashtagger.training.loading import reading_loader, steps_per_epoch, targets, training_loader
from hashtagger.training.photos import Photo
from hashtagger.training.recipe import Recipe


class Tagger(L.LightningModule):
    """Trains a network by a recipe, and validates the moving average of its weights if the recipe keeps one.

    All random generators are reseeded at the start of each epoch, so a run that is resumed from the end of an epoch
    continues exactly as if it had not been interrupted.

    Args:
        network: Outputs one logit for each label.
        recipe: How to train.
        config: Metadata to save with the trained weights.
        train: Photos to learn from.
        val: Photos to validate on; each must have one of the network's labels.
        teachers: Networks to learn from, besides the labels.
        after_epoch: Called with this module after each validation, when ``history`` already has the new row.

    Attributes:
        history: One row of measures per epoch.
        problems: Photos that could not be read, one line each.
        init: Weights file that the network started from; None if it was initialized randomly.
        data: Where the photos were read from.
    """

    targets: Tensor

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        config: ModelConfig,
        train: Sequence[Photo],
        val: Sequence[Photo],
        teachers: Teachers,
        after_epoch: "Callable[[Tagger], None]",
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False) if recipe.ema else None
        self.recipe, self.config, self.after_epoch = recipe, config, after_epoch
        self.train_photos, self.val_photos = train, val
        self.teachers = teachers
        self.predict_features = (
            nn.Linear(width(network), teachers.features) if teachers and recipe.teacher_features else None
        )
        self.history: list[dict[str, float]] = []
        self.problems: dict[str, None] = {}
        self.init: str | None = None
        self.data = ""
        learned = targets(train, config.keys, loss=recipe.loss, also_share=recipe.also_share)
        self.register_buffer("targets", learned, persistent=False)

    @property
    def result(self) -> nn.Module:
        """The network to validate and save."""
        return self.network if self.average is None else self.average

    def train_dataloader(self) -> Any:
        """Load this epoch's photos at this epoch's size."""
        size = self.recipe.size_at(self.current_epoch)
        return training_loader(
            self.train_photos,
            Augment(self.recipe, size),
            batch=self.recipe.batch,
            balance=self.recipe.balance,
            other_share=self.recipe.other_share,
            seed=self.epoch_seed,
            rank=self.global_rank,
            shorter_side=2 * size,
        )

    def val_dataloader(self) -> Any:
        """Load the validation photos with the same preprocessing as in use."""
        transform = partial(preprocess, config=self.config)
        return reading_loader(self.val_photos, transform, batch=self.recipe.batch, shorter_side=self.config.image_size)

    @property
    def epoch_seed(self) -> int:
        """Seed of the current epoch."""
        return self.recipe.seed * 100_000 + self.current_epoch

    def on_fit_start(self) -> None:
        """Move the teachers to the network's device."""
        self.teachers.to(self.device)

    def on_train_epoch_start(self) -> None:
        """Reseed, so that the epoch's randomness depends only on the seed, the epoch and the device."""
        seed = self.epoch_seed * 64 + self.global_rank
        random.seed(seed)
        torch.manual_seed(seed)
        self.losses: list[Tensor] = []

    def training_step(self, batch: "tuple[Tensor, Tensor, list[str]]", _number: int) -> Tensor | None:
        """Compute the loss of a batch; skip a batch of fewer than two readable photos, which batch norm cannot take."""
        pixels, index, problems = batch
        self.problems.update(dict.fromkeys(problems))
        # Read before the optimizer step, after which it is the rate of the next step.
        self.learning_rate: float = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        if len(index) < 2:
            return None
        pixels, target = pixels.float(), self.targets[index]
        if self.current_epoch < self.recipe.total_epochs - self.recipe.mix_off:
            pixels, target = mix(pixels, target, self.recipe)
        seen = normalize(pixels, self.recipe.mean, self.recipe.std)
        if self.teachers:
            answers, features = self.teachers(pixels)
            target = torch.lerp(target, answers, self.recipe.teacher_share)
        if self.predict_features:
            logits, pooled = classify(self.network, seen)
            extra = feature_loss(self.predict_features(pooled), features)
            loss = self.loss(logits, target) + self.recipe.teacher_features * extra
        else:
            loss = self.loss(self.network(seen), target)
        self.losses.append(loss.detach())
        self.log("loss", loss, prog_bar=True)
        return loss

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the mean loss of logits (batch, labels) against targets of the same shape."""
        smoothing = self.recipe.label_smoothing
        if self.recipe.loss == "softmax":
            return nn.functional.cross_entropy(logits.float(), target, label_smoothing=smoothing)
        smoothed = target * (1 - smoothing) + smoothing / target.shape[1]
        return nn.functional.binary_cross_entropy_with_logits(logits.float(), smoothed, reduction="sum") / len(target)

    def on_train_batch_end(self, *_unused: Any) -> None:
        """Update the moving average, faster in the first steps, when the weights still change quickly."""
        if self.average is None:
            return
        decay = min(self.recipe.ema, (1 + self.global_step) / (10 + self.global_step))
        pairs = list(zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([old for old, _new in floats], [new for _old, new in floats], 1 - decay)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)

    def on_validation_epoch_start(self) -> None:
        """Clear the collected answers."""
        self.answers: list[tuple[Tensor, Tensor]] = []

    def validation_step(self, batch: "tuple[Tensor, Tensor, list[str]]", _number: int) -> None:
        """Collect the logits and photo indices of a batch."""
        pixels, index, problems = batch
        self.problems.update(dict.fromkeys(problems))
        if len(index):
            pixels = pixels.contiguous(memory_format=torch.channels_last)
            self.answers.append((self.result(pixels).float(), index))
        if problems:
            # all_gather needs equally long tensors on all devices, so an unreadable photo gets an answer too, index -1.
            none = index.new_full((len(problems),), -1)
            self.answers.append((pixels.new_zeros(len(none), len(self.config.keys), dtype=torch.float32), none))

    def on_validation_epoch_end(self) -> None:
        """Compute the validation measures and add them to the history."""
        logits, index = self._gathered_answers()
        if not logits.isfinite().all():
            raise TrainingError(
                _("epoch {epoch}: the outputs of the network are not finite; a lower learning_rate may help").format(
                    epoch=self.current_epoch + 1
                )
            )
        photos = [self.val_photos[i] for i in index.tolist()]
        truth = torch.tensor([self.config.keys.index(photo.key) for photo in photos])
        right = targets(photos, self.config.keys, loss="sigmoid").bool().numpy()
        scores = logits.numpy()
        row = {
            "epoch": self.current_epoch + 1,
            "size": self.recipe.size_at(self.current_epoch),
            "learning_rate": self.learning_rate,
            "loss": float(torch.stack(self.losses).mean()) if self.losses else math.nan,
            "val_loss": float(nn.functional.cross_entropy(logits, truth)),
            "val_top1": float(metrics.ranked_right(scores, right, 1).mean()),
            "val_top3": float(metrics.ranked_right(scores, right, 3).mean()),
            "val_macro_f1": metrics.macro_f1(truth.numpy(), scores.argmax(axis=1), len(self.config.keys)),
        }
        self.history.append(row)
        self.log_dict({name: value for name, value in row.items() if name.startswith("val")}, prog_bar=True)
        said = _(
            "epoch {epoch} of {total}: loss {loss:.3f}, top-1 {val_top1:.3f}, top-3 {val_top3:.3f}, "
            "macro-F1 {val_macro_f1:.3f}"
        )
        self.print(said.format(total=self.recipe.total_epochs, **row))
        if self.global_rank == 0:
            self.after_epoch(self)

    def _gathered_answers(self) -> tuple[Tensor, Tensor]:
        """Gather the logits and indices of all validation photos, each once, and the problems, from all devices."""
        logits = torch.cat([logits for logits, _index in self.answers])
        index = torch.cat([index for _logits, index in self.answers])
        if self.trainer.world_size > 1:
            logits = self.all_gather(logits).flatten(0, 1)  # type: ignore[union-attr]
            index = self.all_gather(index).flatten()  # type: ignore[union-attr]
            of_each: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(of_each, self.problems)
            self.problems = dict.fromkeys(chain(*of_each))
        row = {number: place for place, number in enumerate(index.tolist()) if number >= 0}
        if not row:
            raise TrainingError(
                _("none of the photos can be read; the first: {cause}").format(cause=next(iter(self.problems)))
            )
        order = torch.tensor([row[number] for number in sorted(row)])
        return logits.cpu()[order], index.cpu()[order]

    @property
    def is_best(self) -> bool:
        """Whether the last epoch has the best validation top-1 so far."""
        return all(self.history[-1]["val_top1"] > row["val_top1"] for row in self.history[:-1])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the run's records to the checkpoint."""
        checkpoint.update(history=self.history, problems=self.problems, init=self.init, data=self.data)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the run's records; older checkpoints contain only the history."""
        self.history = checkpoint["history"]
        self.problems = checkpoint.get("problems", {})
        self.init = checkpoint.get("init", self.init)
        self.data = checkpoint.get("data", self.data)

    def configure_optimizers(self) -> Any:
        """Create the optimizer, without weight decay on norms and biases, and the learning rate schedule."""
        recipe = self.recipe
        learned = [self.network, *filter(None, [self.predict_features])]
        weights = [weight for module in learned for weight in module.parameters() if weight.requires_grad]
        groups = [
            {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, nesterov=recipe.momentum > 0)
        elif recipe.optimizer == "adam":
            optimizer = torch.optim.Adam(groups, recipe.learning_rate)
        else:
            optimizer = torch.optim.AdamW(groups, recipe.learning_rate)
        per_epoch = steps_per_epoch(len(self.train_photos), recipe.batch, self.trainer.world_size)
        if recipe.schedule == "plateau":
            halving = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, "max", 0.5, recipe.patience, min_lr=recipe.floor
            )
            # Lightning steps a scheduler of interval "epoch" after saving the checkpoint, which would lack that step.
            each = {"scheduler": halving, "monitor": "val_top1", "interval": "step", "frequency": per_epoch}
            return {"optimizer": optimizer, "lr_scheduler": each}
        factor = partial(warmup_cosine, warmup=recipe.warmup * per_epoch, total=recipe.total_epochs * per_epoch)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def warmup_cosine(step: int, *, warmup: float, total: int) -> float:
    """Factor of the peak learning rate, 0..1: a linear warm-up, then half a cosine down to 0.

    Loshchilov and Hutter, "SGDR", ICLR 2017 (arXiv:1608.03983).
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1.0, total - warmup))))
