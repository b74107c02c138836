"""The common result of all sources: posts with their media."""

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
        name: File name with an extension that matches the content, e.g. ``"IMG_1.jpg"``.
        location: A path or ``archive.zip!member``, for messages and to tell media apart.
        kind: Type of content; ``"other"`` for companion files (RAW, sidecars, subtitles, a video's thumbnail).
        path: Path of a file on disk; ``None`` for a file in an archive.
        archive: Path of the archive; ``None`` for a file on disk.
        member: Name in the archive; ``None`` for a file on disk.
        size: Size in bytes, where known without opening the file.

    Raises:
        ValueError: Neither a path nor an archive and its member are given.
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
        """Open the content for reading; raises OSError or zipfile.BadZipFile if that fails."""
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
        media: Its files, in the order shown; empty if none of them can be found, which a Problem reports.
        caption: The text as typed, with its encoding repaired; ``""`` if there is none.
        tags: Its hashtags as typed, without ``#``, in order, not normalized.
        permalink: Its URL, where known.
        time_is_guess: Whether ``taken_at`` is only a guess: the file's modification time, or its folder's month.
        place: The name of its location, where known.
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
        """Make both fields printable and storable, whatever bytes a file name contains."""
        object.__setattr__(self, "location", printable(self.location))
        object.__setattr__(self, "cause", printable(self.cause))


@runtime_checkable
class Source(Protocol):
    """Something that yields posts one by one, in any order, without holding them all.

    ``problems`` grows while ``posts`` is iterated, and is complete when the iteration ends.
    """

    @property
    def problems(self) -> Sequence[Problem]:
        """What could not be used so far."""
        ...

    def posts(self) -> Iterator[Post]:
        """Yield every post once."""
        ...
