"""Vocabulary and Label: the closed list of labels that a model can predict, read from a TOML file."""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from hashtagger.errors import UnknownLabelError, VocabularyError, cause_of
from hashtagger.i18n import _
from hashtagger.toml import bundled, find_toml, read_toml

_BUNDLED = Path(__file__).parent / "vocabularies"
_REQUIRED = ("key", "tag", "name")
_KEY = re.compile(r"[^\s/\\]+")
_TAG = re.compile(r"[^\s#]+")


@dataclass(frozen=True)
class Label:
    """One entry of a vocabulary.

    Attributes:
        key: ASCII name, also used for the class folder: ``"dog"``.
        tag: Canonical hashtag in NFC, without ``#``: ``"강아지"``.
        name: English name: ``"Dog"``.
        variants: Other spellings, words and forms of the tag, in NFC, without ``#``.
        details: All other fields of the entry (address, coordinates, description), as TOML types.
    """

    key: str
    tag: str
    name: str
    variants: tuple[str, ...] = field(default=(), repr=False)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True)
class Vocabulary:
    """An ordered list of labels; a model's output ``i`` is ``labels[i]``.

    Iterating yields the labels. ``vocabulary["dog"]`` returns the label with that key or tag (``"강아지"`` or
    ``"#강아지"``), or raises :class:`~hashtagger.errors.UnknownLabelError`, a KeyError. ``in`` accepts the same.
    """

    name: str
    title: str
    labels: tuple[Label, ...] = field(repr=False)

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

    def __contains__(self, key: object) -> bool:
        return key in self.labels if isinstance(key, Label) else isinstance(key, str) and self._find(key) is not None

    def __getitem__(self, key: str) -> Label:
        if not isinstance(key, str):
            found = type(key).__name__
            raise TypeError(f"a label is found by its key or tag, not by {found}; for positions there is .labels")
        label = self._find(key)
        if label is None:
            raise UnknownLabelError(
                _("vocabulary {name} has no label {key!r}; it has: {known}").format(
                    name=self.name, key=key, known=", ".join(self.keys)
                )
            )
        return label

    def _find(self, key: str) -> Label | None:
        tag = _as_tag(key)
        # Keys take precedence: the tag of one label may be the key of another.
        by_tag = (label for label in self.labels if label.tag == tag)
        return next((label for label in self.labels if label.key == key), None) or next(by_tag, None)

    def index(self, key: str) -> int:
        """Index, among the model's outputs, of the label with a key or tag.

        Raises:
            UnknownLabelError: There is no such label.
        """
        return self.labels.index(self[key])


def available() -> list[str]:
    """Names of the bundled vocabularies."""
    return bundled(_BUNDLED)


def load_vocabulary(vocabulary: "str | os.PathLike[str] | Vocabulary" = "hashtags_ko") -> Vocabulary:
    """Load a bundled vocabulary by name, or your own from a TOML file.

    The file has a ``title`` and, for each label, a ``[[labels]]`` table with ``key`` (no spaces), ``tag`` (one word,
    with or without ``#``), ``name`` and optionally ``variants``; all other fields become :attr:`Label.details`.

    Args:
        vocabulary: A name listed by :func:`available`, such as ``"hashtags_ko"``, or a path that ends in ``.toml``.
            A Vocabulary is returned as is.

    Raises:
        VocabularyError: There is no such vocabulary, or the file is incomplete or inconsistent.
    """
    if isinstance(vocabulary, Vocabulary):
        return vocabulary
    unknown = _("no vocabulary {name!r}; there are: {known} (or give a .toml file)")
    path = find_toml(vocabulary, _BUNDLED, VocabularyError, unknown)
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise VocabularyError(f"{path}: {cause_of(error)}") from error


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
    key, tag = entry["key"], _as_tag(entry["tag"])
    if not _KEY.fullmatch(key):
        raise VocabularyError(
            _("{path}: key {key!r} of label {number} names its folder: no spaces and no slashes").format(
                path=path, key=key, number=number
            )
        )
    if not _TAG.fullmatch(tag):
        raise VocabularyError(
            _("{path}: tag {tag!r} of label {number} is not a hashtag: give one word").format(
                path=path, tag=entry["tag"], number=number
            )
        )
    if not isinstance(entry.get("variants", []), list):
        raise VocabularyError(_("{path}: variants of label {number} are not a list").format(path=path, number=number))
    details = {name: value for name, value in entry.items() if name not in (*_REQUIRED, "variants")}
    return Label(
        key=key,
        tag=tag,
        name=entry["name"],
        variants=tuple(_as_tag(str(variant)) for variant in entry.get("variants", [])),
        details=details,
    )


def _as_tag(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().lstrip("#＃")
