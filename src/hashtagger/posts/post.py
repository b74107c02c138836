"""What every source yields: a Post with its Media, whatever it was read from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, runtime_checkable

from hashtagger.posts import archive
from hashtagger.posts.mojibake import printable

MediaKind = Literal["photo", "video", "other"]


@dataclass(frozen=True, slots=True)
class Media:
    """One file of a post.

    Attributes:
        name: File name with the extension its content deserves, e.g. ``"IMG_1.jpg"``.
        location: Where it is, for messages and for telling media apart: a path, or ``archive.zip!member``.
        kind: What it holds; ``"other"`` is what travels along (RAW, sidecars, subtitles, a video's thumbnail).
        path: The file itself where it lies on disk, ``None`` inside an archive.
        archive: The archive's path, and
        member: the name within it, where it lies inside one.
        size: Bytes, where known without opening it.

    Raises:
        ValueError: Neither a path is given nor an archive and its member.
    """

    name: str
    location: str
    kind: MediaKind = "photo"
    path: Path | None = None
    archive: Path | None = None
    member: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.path is None and (self.archive is None or self.member is None):
            raise ValueError(f"{self.location}: give a path, or an archive and its member")

    def open(self) -> BinaryIO:
        """Open the bytes for reading; an OSError or zipfile.BadZipFile says why they cannot be had."""
        if self.path is not None:
            return self.path.open("rb")
        assert self.archive is not None
        assert self.member is not None
        return archive.open_member(self.archive, self.member)


@dataclass(frozen=True, slots=True)
class Post:
    """One published post.

    Attributes:
        taken_at: When it was posted or taken, aware, in the user's zone.
        media: Its files, in the order shown; empty where none of them can be found, which a Problem then says.
        caption: The text, repaired but otherwise as typed; ``""`` when there is none.
        tags: Its hashtags as typed, without ``#``, in order, not normalized.
        permalink: Its address on the web, where known.
        time_is_guess: Whether ``taken_at`` is only a guess: the file's modification time, or its folder's month.
        place: The name of the place it is marked with, where known.
    """

    taken_at: datetime
    media: tuple[Media, ...]
    caption: str = ""
    tags: tuple[str, ...] = ()
    permalink: str | None = None
    time_is_guess: bool = False
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a source could not use: which file, and why, in one line for the user."""

    location: str
    cause: str

    def __post_init__(self) -> None:
        """Make sure that both can be printed and stored, whatever bytes a file's name is of."""
        object.__setattr__(self, "location", printable(self.location))
        object.__setattr__(self, "cause", printable(self.cause))


@runtime_checkable
class Source(Protocol):
    """Something that yields posts one by one, in any order, without holding them all.

    ``problems`` grows while ``posts`` is read, and is complete when it ends.
    """

    @property
    def problems(self) -> Sequence[Problem]:
        """What could not be used so far."""
        ...

    def posts(self) -> Iterator[Post]:
        """Yield every post once."""
        ...
