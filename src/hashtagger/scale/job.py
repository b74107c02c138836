"""A tagging run, split into parts. Finished parts are on disk, so a killed run can be resumed by either engine.

During the run there is a folder beside the output, with ``photos.jsonl``, the list of photos as of the start;
``job.json``, the settings that determine the rows; and a file of rows for each finished part.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Literal

from hashtagger.errors import TaggingError
from hashtagger.i18n import _
from hashtagger.recommend import Recommender
from hashtagger.scale import storage
from hashtagger.scale.inputs import list_photos
from hashtagger.scale.tables import from_lines, to_line
from hashtagger.scale.tagging import Row

_PHOTOS, _SETTINGS = "photos.jsonl", "job.json"
_TARGET_PARTS, _MOST_BATCHES = 64, 64


@dataclass(frozen=True)
class Settings:
    """The settings that determine the rows of a run; it can only be resumed with the same settings.

    Attributes:
        inputs: The inputs as given.
        batch: Batch size of the network, 1 or more.
        vocabulary: Name or file of the label set; None for that of the weights.
        weights: Weights file; None for the bundled one.
        runtime: ``"torch"`` or ``"onnx"``.
        model: Digest of the file that the runtime loads, and of the labels.
        working_directory: Base of relative inputs and of relative paths in lists; None if all inputs are absolute.
    """

    inputs: tuple[str, ...]
    batch: int
    vocabulary: str | None
    weights: str | None
    runtime: Literal["torch", "onnx"]
    model: str
    working_directory: str | None

    def recommender(self, device: str) -> Recommender:
        """Load the network onto a device: ``"cpu"`` or ``"cuda"``."""
        return Recommender(self.vocabulary, self.weights, device, self.runtime)


@dataclass(frozen=True)
class Part:
    """A slice of the run's photo list: ``count`` photos, starting at byte ``offset`` of the list."""

    number: int
    offset: int
    count: int


@dataclass(frozen=True)
class Job:
    """A run and its folder. All fields are plain values, so that a job can be pickled for other machines."""

    folder: str
    settings: Settings
    parts: tuple[Part, ...]

    @property
    def photos(self) -> int:
        """Number of photos in the run."""
        return sum(part.count for part in self.parts)

    def photos_of(self, part: Part) -> list[str]:
        """Return the paths and URLs of a part's photos."""
        fs, path = storage.locate(f"{self.folder}/{_PHOTOS}")
        with fs.open(path, "rb") as lines:
            lines.seek(part.offset)
            return [json.loads(line) for line in islice(lines, part.count)]

    @contextmanager
    def writing(self, part: Part) -> Iterator[Callable[[Row], object]]:
        """Give a function that writes one row of a part; the part counts as done once the context exits normally."""
        with storage.replacing(f"{self.folder}/{_name(part)}") as file:
            yield lambda row: file.write(to_line(row))

    def missing(self) -> list[Part]:
        """Return the parts that are not done."""
        done = storage.names_in(self.folder)
        return [part for part in self.parts if _name(part) not in done]

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all parts, in order.

        Raises:
            TaggingError: A part is damaged.
        """
        for part in self.parts:
            yield from self._rows_of(part)

    def _rows_of(self, part: Part) -> list[Row]:
        place = f"{self.folder}/{_name(part)}"
        fs, path = storage.locate(place)
        with fs.open(path, "rb") as lines:
            try:
                rows = list(from_lines(lines))
            except ValueError:
                rows = []
        if len(rows) != part.count:  # after a power failure, a file may be empty or lack its end
            raise TaggingError(_("{path}: damaged; remove it and add --resume").format(path=place))
        return rows

    def remove(self) -> None:
        """Remove the folder, the settings file last, so that an interrupted removal can be completed."""
        storage.remove(self.folder, _SETTINGS)


def begun(folder: str) -> bool:
    """Return whether a folder holds a run."""
    return storage.exists(f"{folder}/{_SETTINGS}")


def begin(folder: str, settings: Settings) -> Job:
    """List the photos and create the folder of a run.

    Raises:
        TaggingError: The inputs cannot be listed or hold no photos, or the folder exists and is not a run's.
    """
    if storage.exists(folder) and not all(name.startswith(_PHOTOS) for name in storage.names_in(folder)):
        raise TaggingError(_("{path}: is in the way; it is not the folder of a tagging run").format(path=folder))
    count = 0
    try:
        with storage.replacing(f"{folder}/{_PHOTOS}") as file:
            for photo in list_photos(settings.inputs):
                file.write(json.dumps(photo).encode() + b"\n")
                count += 1
        if not count:
            raise TaggingError(_("no photos in {places}").format(places=", ".join(settings.inputs)))
    except TaggingError:
        with suppress(OSError):
            storage.remove(folder)
        raise
    with storage.replacing(f"{folder}/{_SETTINGS}") as file:
        file.write(json.dumps({**asdict(settings), "photos": count}, indent=1).encode())
    return _load(folder, settings, count)


def resume(folder: str, settings: Settings) -> Job:
    """Open the folder of a run that was started with the same settings.

    Raises:
        TaggingError: The run was started with other settings, or its folder is damaged.
    """
    fs, path = storage.locate(f"{folder}/{_SETTINGS}")
    try:
        old = json.loads(fs.cat_file(path))
    except ValueError as error:
        raise _damaged(folder) from error
    new = json.loads(json.dumps(asdict(settings)))
    others = [field.name for field in fields(Settings) if old.get(field.name) != new[field.name]]
    if others:
        raise TaggingError(
            _("{path}: was begun with another {what}; give the same, or remove the folder").format(
                path=folder, what=", ".join(others)
            )
        )
    return _load(folder, settings, old["photos"])


def _load(folder: str, settings: Settings, photos: int) -> Job:
    """Split the list into parts of whole batches: at most 64 parts, or more where a part would exceed 64 batches.

    Small parts lose little work when a run is killed and keep many workers busy; large ones keep the files few.
    """
    batches = -(-photos // settings.batch)
    size = settings.batch * min(_MOST_BATCHES, -(-batches // _TARGET_PARTS))
    offsets, position, count = [], 0, 0
    fs, path = storage.locate(f"{folder}/{_PHOTOS}")
    with fs.open(path, "rb") as lines:
        for line in lines:
            if count % size == 0:
                offsets.append(position)
            position += len(line)
            count += 1
    if count != photos:
        raise _damaged(folder)
    parts = (Part(i, offset, min(size, photos - i * size)) for i, offset in enumerate(offsets))
    return Job(folder, settings, tuple(parts))


def _damaged(folder: str) -> TaggingError:
    return TaggingError(_("{path}: damaged; remove this folder and start again").format(path=folder))


def _name(part: Part) -> str:
    return f"{part.number:08}.jsonl"
