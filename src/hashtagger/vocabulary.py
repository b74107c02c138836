"""Vocabulary and Label: the closed list of labels that one model can say, read from a TOML file."""

import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from hashtagger.errors import VocabularyError
from hashtagger.i18n import _
from hashtagger.toml import find_toml, packed, read_toml

_PACKED = Path(__file__).parent / "vocabularies"
_REQUIRED = ("key", "tag", "name")


@dataclass(frozen=True)
class Label:
    """One entry of a vocabulary.

    Attributes:
        key: ASCII name, also that of its class folder: ``"dog"``.
        tag: Canonical hashtag in NFC, without ``#``: ``"강아지"``.
        name: English name: ``"Dog"``.
        variants: Other spellings, words and forms of the tag, in NFC, without ``#``.
        details: Whatever else the file says of it (address, coordinates, description), as TOML gives it.
    """

    key: str
    tag: str
    name: str
    variants: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Vocabulary:
    """An ordered list of labels; a model's output ``i`` is ``labels[i]``.

    Iterating gives the labels, ``vocabulary["dog"]`` the label of a key, ``"dog" in vocabulary`` whether there is one.
    """

    name: str
    title: str
    labels: tuple[Label, ...]

    @property
    def keys(self) -> list[str]:
        """Keys in the order of the model's outputs."""
        return [label.key for label in self.labels]

    @property
    def tags(self) -> list[str]:
        """Canonical tags in the order of the model's outputs."""
        return [label.tag for label in self.labels]

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def __getitem__(self, key: str) -> Label:
        for label in self.labels:
            if label.key == key:
                return label
        raise VocabularyError(
            _("vocabulary {name} has no label {key!r}; it has: {known}").format(
                name=self.name, key=key, known=", ".join(self.keys)
            )
        )

    def index(self, key: str) -> int:
        """Position of a label's key among the model's outputs.

        Raises:
            VocabularyError: There is no such key.
        """
        return self.labels.index(self[key])


def available() -> list[str]:
    """Names of the vocabularies that come with hashtagger."""
    return packed(_PACKED)


def load_vocabulary(vocabulary: "str | os.PathLike[str] | Vocabulary" = "hashtags_ko") -> Vocabulary:
    """Load a vocabulary by its name, or from a TOML file of your own.

    A file has a ``title`` and one ``[[labels]]`` table a label, with ``key``, ``tag``, ``name``, perhaps
    ``variants``, and anything else, which becomes :attr:`Label.details`.

    Args:
        vocabulary: ``"hashtags_ko"`` or another of :func:`available`, or a path that ends in ``.toml``.
            A Vocabulary comes back as it is.

    Raises:
        VocabularyError: No such vocabulary, or the file does not say what it must.
    """
    if isinstance(vocabulary, Vocabulary):
        return vocabulary
    unknown = _("no vocabulary {name!r}; there are: {known} (or give a .toml file)")
    path = find_toml(vocabulary, _PACKED, VocabularyError, unknown)
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise VocabularyError(f"{path}: {error.strerror}") from error


@lru_cache(maxsize=32)
def _read(path: Path, _modified: int) -> Vocabulary:
    table = read_toml(path, VocabularyError)
    entries = table.get("labels")
    if not (isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries)):
        raise VocabularyError(_("{path}: no [[labels]]").format(path=path))
    labels = tuple(_label(path, number, entry) for number, entry in enumerate(entries, start=1))
    for what in ("key", "tag"):
        values = [getattr(label, what) for label in labels]
        doubled = sorted({value for value in values if values.count(value) > 1})
        if doubled:
            raise VocabularyError(
                _("{path}: {what} given twice: {values}").format(path=path, what=what, values=", ".join(doubled))
            )
    return Vocabulary(name=path.stem, title=str(table.get("title", path.stem)), labels=labels)


def _label(path: Path, number: int, entry: Mapping[str, Any]) -> Label:
    missing = [name for name in _REQUIRED if not isinstance(entry.get(name), str) or not entry[name]]
    if missing:
        raise VocabularyError(
            _("{path}: label {number} lacks {missing}").format(path=path, number=number, missing=", ".join(missing))
        )
    if not isinstance(entry.get("variants", []), list):
        raise VocabularyError(_("{path}: variants of label {number} are no list").format(path=path, number=number))
    details = {name: value for name, value in entry.items() if name not in (*_REQUIRED, "variants")}
    return Label(
        key=entry["key"],
        tag=unicodedata.normalize("NFC", entry["tag"]),
        name=entry["name"],
        variants=tuple(unicodedata.normalize("NFC", str(variant)) for variant in entry.get("variants", [])),
        details=details,
    )
