"""The description of a network that a weights file carries in its metadata."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hashtagger.vocabulary import Label

METADATA_KEY = "hashtagger"
"""Metadata key of the :class:`ModelConfig`."""
RESERVED = frozenset(
    {"num_classes", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
)
"""Arguments of ``timm.create_model`` that metadata must not set, because they would download or open other files."""


@dataclass(frozen=True)
class ModelConfig:
    """The description of a network that a weights file carries in its metadata.

    Attributes:
        architecture: The network's timm name: ``"drn_c_26"``.
        vocabulary: Name of the vocabulary; ``""`` if the outputs belong to none.
        keys: Label keys in the order of the outputs: all keys of the vocabulary, or the learned subset.
        image_size: Side length in pixels: the shorter side is resized to it, then the centre is cropped.
        mean: Mean of each RGB channel in 0..1, subtracted from the input.
        std: Standard deviation of each channel, by which the input is divided.
        temperature: Logits are divided by it before the softmax, which calibrates the scores.
        threshold: Calibrated probability in 0..1 below which a label is not recommended.
        model_args: Further arguments of the network's constructor, none of :data:`RESERVED`.
        figures: Measured results by name of the data set, for the model card and ``hashtagger info``.
        labels: The complete labels in the order of the outputs, for use without the vocabulary; may be empty.
    """

    architecture: str
    vocabulary: str
    keys: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    temperature: float = 1.0
    threshold: float = 0.0
    model_args: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[Label, ...] = ()

    def to_json(self) -> str:
        """Serialize the config to JSON, with an extra list of ``tags`` for programs that need only these.

        Dates and times in the labels' details become strings.
        """
        tags = [label.tag for label in self.labels]
        return json.dumps({**asdict(self), "tags": tags}, ensure_ascii=False, default=str)

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Parse the output of :meth:`to_json`; unknown fields are ignored.

        For files without ``labels``, which older versions wrote, labels are made from the keys and tags.

        Raises:
            ValueError: The text is not a valid config.
        """
        values = json.loads(text)
        try:
            known = _fields(cls, values)
            for name in ("keys", "mean", "std"):
                if name in known:
                    known[name] = tuple(known[name])
            tagged = zip(known.get("keys", ()), values.get("tags", ()), strict=False)
            labels = values.get("labels") or [{"key": key, "tag": tag, "name": key} for key, tag in tagged]
            known["labels"] = tuple(map(_label, labels))
            return cls(**known)
        except (AttributeError, TypeError) as error:
            raise ValueError(str(error)) from error


def _fields(dataclass: type, values: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: values[one.name] for one in fields(dataclass) if one.name in values}


def _label(values: Mapping[str, Any]) -> Label:
    return Label(**{**_fields(Label, values), "variants": tuple(values.get("variants", ()))})
