"""Read labelled photos from class folders or a manifest."""

import json
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hashtagger.errors import TrainingError, cause_of
from hashtagger.i18n import _
from hashtagger.images import find_photos
from hashtagger.vocabulary import load_vocabulary

_log = logging.getLogger(__name__)

MANIFEST = "manifest.jsonl"
OTHER = "other"
"""Key of photos that no label fits."""

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Folder names that are commonly used for splits (torchvision, Keras, Kaggle), and the splits they mean."""
_WRITTEN = ("recipe.toml", "report.json", "comparison.md", "findings.jsonl")
"""A folder that contains one of these files was written by ``train``, ``evaluate``, ``compare`` or ``clean``."""

_OPTIONAL: dict[str, Callable[[Any], bool]] = {
    # Split names become part of file names in a report.
    "split": lambda value: isinstance(value, str) and Path(value).name == value,
    "source": lambda value: isinstance(value, str),
    "also": lambda value: isinstance(value, list) and all(isinstance(key, str) for key in value),
}


@dataclass(frozen=True)
class Photo:
    """One labelled photo.

    Attributes:
        path: Path of its file.
        key: Key of its label, or :data:`OTHER`.
        split: ``"train"``, ``"val"``, ``"val_other"`` or another name; ``""`` if none is given.
        source: Where the photo came from; photos of one source tend to look alike.
        also: Further labels that fit.
    """

    path: Path
    key: str
    split: str = ""
    source: str = ""
    also: tuple[str, ...] = ()


def read_photos(data: "str | os.PathLike[str]") -> list[Photo]:
    """List the photos of a manifest, or of class folders.

    Args:
        data: One of: a ``.jsonl`` file with one object per line (``key``, ``file`` relative to the manifest, and
            optionally ``split``, ``source`` and ``also``); a folder that contains a ``manifest.jsonl``; a folder with
            one subfolder of photos per class, named by its key; or such class folders inside folders ``train``,
            ``val`` and ``test``, which then are the splits.

    Raises:
        TrainingError: There are no photos, or a line of the manifest is invalid.
        ImageError: A folder cannot be listed.
    """
    return photos_of(*read_entries(data))


def photos_of(root: Path, entries: Iterable[Mapping[str, Any]]) -> list[Photo]:
    """Convert the entries of :func:`read_entries` to photos."""
    return [
        Photo(
            path=root / entry["file"],
            # Folder names may be NFD on macOS.
            key=unicodedata.normalize("NFC", entry["key"]),
            split=entry.get("split") or "",
            source=entry.get("source") or "",
            also=tuple(unicodedata.normalize("NFC", key) for key in entry.get("also") or ()),
        )
        for entry in entries
    ]


def read_entries(data: "str | os.PathLike[str]") -> tuple[Path, list[dict[str, Any]]]:
    """Read a manifest's entries with all their fields, or make equivalent entries for class folders.

    Returns:
        The folder that each ``file`` is relative to, and the entries.

    Raises:
        TrainingError, ImageError: As :func:`read_photos`.
    """
    data = Path(data)
    manifest = data / MANIFEST if data.is_dir() else data
    root = manifest.parent
    if manifest.is_file():
        entries = list(_read_manifest(manifest))
    elif data.is_dir():
        entries = _list_class_folders(data)
    else:
        raise TrainingError(_("{path}: no such folder or manifest").format(path=data))
    if not entries:
        raise TrainingError(_("{path}: no photos in class folders or a manifest").format(path=data))
    return root, entries


def _list_class_folders(data: Path) -> list[dict[str, Any]]:
    """List the photos in class folders, which may lie in split folders; warn about photos that lie elsewhere."""
    found = [photo.relative_to(data) for photo in find_photos(data)]
    folders = {folder for file in found for folder in file.parents if folder.name}
    written = {folder for folder in folders if any((data / folder / name).is_file() for name in _WRITTEN)}
    files = [file for file in found if written.isdisjoint(file.parents)]
    splits = _split_folders(files)
    entries: list[dict[str, Any]] = []
    for file in files:
        *above, _name = file.parts
        if splits and len(above) > 1:
            entries.append({"file": file.as_posix(), "key": above[1], "split": splits.get(above[0], above[0])})
        elif above and not splits:
            entries.append({"file": file.as_posix(), "key": above[0]})
    if entries:
        _warn_of_unused(data, folders, splits, len(found) - len(entries))
    return entries


def _split_folders(files: Sequence[Path]) -> dict[str, str]:
    """Map each top folder that stands for a split to that split; empty if the top folders are classes."""
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    splits = {top: _SPLITS[top.lower()] for top in tops if top.lower() in _SPLITS}
    # A single class may be called "test" and have subfolders; several such top folders, or no others, are splits.
    several = len(splits) > 1 or len(splits) == len(tops)
    return splits if several and any(len(file.parts) > 2 for file in files) else {}


def _warn_of_unused(data: Path, folders: set[Path], splits: Mapping[str, str], unused: int) -> None:
    """Warn about class folders without photos, and of photos in no class folder."""
    places = [data / split for split in splits] or [data]
    below = {folder.relative_to(data) for place in places for folder in place.iterdir() if folder.is_dir()}
    empty = sorted(str(folder) for folder in below - folders if not folder.name.startswith("."))
    if empty:
        _log.warning(_("no photos in these folders: {names}").format(names=", ".join(empty)))
    if unused:
        said = _("ignored because they are not in a class folder or belong to an earlier run: {n} photos")
        _log.warning(said.format(n=unused))


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line number, from 1, and the object of each non-blank line; ``{}`` if a line is not a JSON object.

    Raises:
        TrainingError: The file cannot be read, or is not UTF-8.
    """
    try:
        # Not str.splitlines, which also splits at characters that occur in file names, such as U+2028.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: {cause_of(error)}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {}
            yield number, entry if isinstance(entry, dict) else {}


def _read_manifest(manifest: Path) -> Iterator[dict[str, Any]]:
    for number, entry in read_json_lines(manifest):
        if not all(isinstance(entry.get(name), str) for name in ("file", "key")):
            raise TrainingError(
                _("{path}: line {number} is not a JSON object with file and key").format(path=manifest, number=number)
            )
        for name, fits in _OPTIONAL.items():
            if entry.get(name) and not fits(entry[name]):
                raise TrainingError(
                    _("{path}: line {number}: {name} = {value!r} is not as expected").format(
                        path=manifest, number=number, name=name, value=entry[name]
                    )
                )
        yield entry


def choose_keys(photos: Sequence[Photo], vocabulary: str, *, found_only: bool = False) -> tuple[str, ...]:
    """Choose the label keys of a network's outputs, in order: those of the vocabulary or else, sorted, of the photos.

    With ``found_only``, keys without photos are left out.

    Raises:
        TrainingError: A photo's key is not in the vocabulary.
    """
    found = Counter(photo.key for photo in photos if photo.key != OTHER)
    keys = tuple(load_vocabulary(vocabulary).keys) if vocabulary else tuple(sorted(found))
    unknown = sorted(found.keys() - set(keys))
    if unknown:
        raise TrainingError(
            _("{count} photos have keys that vocabulary {name} lacks: {keys}").format(
                count=sum(found[key] for key in unknown), name=vocabulary, keys=", ".join(unknown)
            )
        )
    return tuple(key for key in keys if key in found) if found_only else keys


def set_aside(photos: Sequence[Photo], other: Sequence[str], min_photos: int) -> list[Photo]:
    """Relabel photos whose key is in ``other`` or has fewer than ``min_photos`` photos.

    Such a photo gets the first of its further labels that is kept as a label, or else :data:`OTHER`.
    """
    counts = Counter(photo.key for photo in photos)
    kept = {key for key, count in counts.items() if count >= min_photos} - {*other, OTHER}

    def relabelled(photo: Photo) -> Photo:
        return replace(photo, key=next((key for key in (photo.key, *photo.also) if key in kept), OTHER))

    return [photo if photo.key == OTHER else relabelled(photo) for photo in photos]


def write_manifest(photos: Sequence[Photo], path: Path) -> None:
    """Write photos, each with its split, as a manifest that :func:`read_photos` reads back."""
    entries = ({**asdict(photo), "file": str(photo.path.resolve())} for photo in photos)
    lines = (json.dumps({k: v for k, v in entry.items() if k != "path"}) for entry in entries)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
