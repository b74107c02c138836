"""Read plain photo folders: files are grouped by name and dated by EXIF, XMP, file name or time of change."""

import io
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from itertools import groupby
from pathlib import Path

from hashtagger.errors import cause_of
from hashtagger.i18n import _
from hashtagger.posts import metadata, sniff
from hashtagger.posts.dates import from_name
from hashtagger.posts.film import FILMS
from hashtagger.posts.mojibake import decoded, escaped, readable
from hashtagger.posts.post import Media, MediaKind, Post, Problem
from hashtagger.tagtext import caption_tags

_LONGEST_TEXT = 100_000
"""Most bytes of a caption file; Instagram's captions have at most 2,200 characters."""
_JUNK = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "__macosx", "$recycle.bin"})


def is_hidden(name: str) -> bool:
    """Return whether a name is hidden or system clutter: dot files, ``._`` forks, thumbnail caches, recycle bins."""
    return name.startswith(".") or name.lower() in _JUNK


def walk(root: Path, problems: list[Problem]) -> Iterator[tuple[Path, list[str]]]:
    """Walk a folder tree, yielding each folder with the sorted names of its files, except hidden ones.

    Links to folders are not followed, because they may form cycles; they become problems, as do unreadable folders.
    """

    def unreadable(error: OSError) -> None:
        problems.append(Problem(str(error.filename), cause_of(error)))

    for current, folders, names in os.walk(root, onerror=unreadable):
        kept = sorted(name for name in folders if not is_hidden(name))
        links = {name for name in kept if (Path(current) / name).is_symlink()}
        problems += [
            Problem(str(Path(current) / name), _("a link to a folder is not followed")) for name in sorted(links)
        ]
        folders[:] = [name for name in kept if name not in links]
        found = sorted(name for name in names if not is_hidden(name))
        names.clear()  # os.walk holds on to them, and there may be a million
        yield Path(current), found


def has_media(root: Path) -> bool:
    """Return whether a folder tree contains a photo, video or companion file, judging by file names."""
    return root.is_dir() and any(sniff.of_name(name) for __, names in walk(root, []) for name in names)


class PhotoSource:
    """The photos and videos of a folder tree; files that differ only in their extensions form one post.

    Args:
        root: The folder.
        zone: The time zone that times are converted to, also assumed for cameras that record none.
    """

    def __init__(self, root: Path, zone: tzinfo) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._zone = zone

    def posts(self) -> Iterator[Post]:
        """Yield every post once, folder by folder, sorted by name."""
        self.problems = []
        for folder, names in walk(self._root, self.problems):
            yield from posts_of_photos(folder, names, self._zone, self.problems)


def posts_of_photos(folder: Path, names: Sequence[str], zone: tzinfo, problems: list[Problem]) -> Iterator[Post]:
    """Yield posts made from the files of one folder.

    Args:
        folder: The folder.
        names: The names of its files.
        zone: As for `PhotoSource`.
        problems: Receives the files that are not media or are damaged; damaged ones still become part of a post.
    """
    for __, group in groupby(sorted(sorted(names), key=_stem), key=_stem):
        if post := _post(folder, list(group), zone, problems):
            yield post


def _stem(name: str) -> str:
    stem = sniff.stem(name)
    # IMG_1.JPG.xmp, as darktable and digiKam name it, belongs to IMG_1.JPG.
    if name.lower().endswith(".xmp") and sniff.of_name(stem):
        return _stem(stem)
    return unicodedata.normalize("NFC", stem).casefold()


def _post(folder: Path, names: list[str], zone: tzinfo, problems: list[Problem]) -> Post | None:
    texts = [name for name in names if name.lower().endswith(".txt")]
    media = [found for name in names if name not in texts and (found := media_file(folder / name, problems))]
    main = [one for one in media if one.kind != "other"] or [
        one for one in media if sniff.extension(one.name) in sniff.RAW
    ]
    if not main:
        problems.extend(Problem(one.location, _("has no photo or video that it belongs to")) for one in media)
        problems.extend(Problem(str(folder / name), _("neither photo nor video; left where it is")) for name in texts)
        return None
    # Displayed files come first: photos, then videos, then RAW files and sidecars.
    media.sort(key=lambda one: _ORDER[one.kind])
    known = metadata.merged(_read(media, zone, problems))
    guess = False
    moment = known.exif_time or known.xmp_time or from_name(Path(main[0].name).stem, zone)
    if moment is None:
        guess, moment = True, known.changed or _modified(main[0], zone, problems)
    if moment is None:
        return None
    caption = known.caption or next((text for name in texts if (text := read_text(folder / name, problems))), "")
    return Post(moment, tuple(media), caption, caption_tags(caption, known.keywords), None, guess)


def read_text(path: Path, problems: list[Problem]) -> str:
    """Read a caption file without its final line break; ``""`` if it cannot be read."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LONGEST_TEXT)
    except OSError as error:
        problems.append(Problem(str(path), cause_of(error)))
        return ""
    return io.IncrementalNewlineDecoder(None, translate=True).decode(decoded(raw)).removesuffix("\n")


_ORDER: dict[MediaKind, int] = {"photo": 0, "video": 1, "other": 2}


def media_file(path: Path, problems: list[Problem]) -> Media | None:
    """Return a file as Media; one that is not media, or is inaccessible, becomes a problem and gives ``None``."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            problems.append(Problem(str(path), _("not a regular file")))
            return None
        name, kind = path.name, sniff.of_name(path.name)
        if kind is not None or not sniff.extension(name):
            name, kind = sniff.name_and_kind(name, lambda: path.open("rb"))
        if kind is None:
            problems.append(Problem(str(path), _("neither photo nor video; left where it is")))
            return None
        return Media(readable(name), escaped(str(path)), kind, path=path, size=status.st_size)
    except OSError as error:
        problems.append(Problem(str(path), cause_of(error)))
        return None


def _read(media: Iterable[Media], zone: tzinfo, problems: list[Problem]) -> Iterator[metadata.Metadata]:
    for one in media:
        if one.path is None:
            continue
        ending = sniff.extension(one.name)
        if ending == "xmp":
            found = metadata.read_sidecar(one.path, zone)
        elif one.kind == "photo" or ending in sniff.RAW:
            found = metadata.read_photo(one.path, zone)
        elif ending in FILMS:
            found = metadata.read_film(one.path, zone)
        else:
            continue
        if found.damage:
            problems.append(Problem(one.location, found.damage))
        yield found


def _modified(media: Media, zone: tzinfo, problems: list[Problem]) -> datetime | None:
    assert media.path is not None, "photo folders hold no archive members"
    try:
        return datetime.fromtimestamp(media.path.stat().st_mtime, zone)
    except (OSError, ValueError, OverflowError) as error:
        problems.append(Problem(media.location, str(error)))
        return None
