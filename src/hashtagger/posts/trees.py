"""A common view of an export's folders and ZIP archives, with files named by their path from the export's root."""

import os
import re
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from hashtagger.i18n import _
from hashtagger.posts import archive, sniff
from hashtagger.posts.directory import SplitZipError
from hashtagger.posts.entry import read_entry
from hashtagger.posts.jsonstream import entries
from hashtagger.posts.mojibake import escaped, readable
from hashtagger.posts.photos import is_hidden
from hashtagger.posts.post import Media, MediaKind, Problem

PRIVATE = frozenset({"direct", "messages", "inbox", "message_requests", "archived_threads", "filtered_threads"})
"""Folders and JSON keys of private messages, which are never read."""

LISTING = re.compile(
    r"(?P<stem>posts|archived_posts|reels|igtv_videos|stories|archived_stories|profile_photos|other_content)"
    r"(?:_\d+)?\.(?P<kind>json|html)"
)
_LISTING_FOLDERS = frozenset({"", "content", "media", "posts", "reels", "igtv", "stories", "past_instagram_insights"})
_OF_LISTINGS = frozenset(
    {"content", "media", "your_instagram_activity", "past_instagram_insights", "logged_information"}
)
"""Folders at the root of an export that contain lists of posts."""

_MONTH = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])")
_OF_MONTHS = ("photos", "videos", "stories", "profile")
"""Folders at the root of an export from 2018 to 2020 that hold media by month of upload."""
_OF_KINDS = ("posts", "reels", "stories", "profile", "other", "archived_posts", "igtv")
"""Subfolders of ``media`` in later exports; most contain a folder per month, the others files."""
_MEDIA = re.compile(rf"media/(?:{'|'.join(_OF_KINDS)})/|(?:{'|'.join(_OF_MONTHS)})/{_MONTH.pattern}/")
_MEDIA_OF_MONTH = re.compile(rf"(?:media/[^/]+|{'|'.join(_OF_MONTHS)})/({_MONTH.pattern})/")
_OF_EXPORTS = _OF_LISTINGS.union(_OF_MONTHS)
"""Folders at the root of an export that belong to it."""

_PIECE = re.compile(r"\.(?:z\d\d|zip\.\d{3})$", re.IGNORECASE)
"""Ending of the names of a split archive's pieces, except for the last piece of some."""


class Tree(Protocol):
    """One unpacked folder or one ZIP archive of an export."""

    def listings(self) -> Iterator[str]:
        """Yield the names of its lists of posts, in JSON or HTML."""
        ...

    def files(self, folders: Sequence[str]) -> Iterator[str]:
        """Yield the names of the files below some of its folders, except hidden and private ones."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open one of its files; raises OSError or zipfile.BadZipFile."""
        ...

    def find(self, name: str, hint: MediaKind | None) -> Media | None:
        """Find a media file; ``None`` if it is not there. Raises OSError or zipfile.BadZipFile."""
        ...

    def location(self, name: str) -> str:
        """Return where one of its files is, for messages."""
        ...


def is_listing(name: str) -> bool:
    """Return whether a path from an export's root is that of a list of posts, in JSON or HTML."""
    if not name.endswith((".json", ".html")):
        return False
    path = PurePosixPath(name)
    if name == "media.json":
        return True
    if len(path.parts) > 1 and path.parts[0] not in _OF_LISTINGS:
        return False
    if not PRIVATE.isdisjoint(path.parts) or path.parent.name not in _LISTING_FOLDERS:
        return False
    return LISTING.fullmatch(path.name) is not None


@dataclass(frozen=True)
class Folder:
    """An unpacked export."""

    root: Path

    def listings(self) -> Iterator[str]:
        """Yield the names of its lists of posts, without walking the month folders of media."""
        for folder, folders, names in os.walk(self.root):
            inside = Path(folder).relative_to(self.root)
            wanted = PRIVATE.isdisjoint if inside.parts else _OF_LISTINGS.intersection
            folders[:] = [name for name in sorted(folders) if wanted({name}) and not _MONTH.fullmatch(name)]
            if len(inside.parts) >= 3:
                folders.clear()
            yield from filter(is_listing, ((inside / name).as_posix() for name in sorted(names)))

    def files(self, folders: Sequence[str]) -> Iterator[str]:
        """Yield the names of the files below some of its folders, except hidden and private ones."""
        for folder in folders:
            for current, inner, names in os.walk(self.root / folder):
                inner[:] = [name for name in sorted(inner) if not is_hidden(name) and name not in PRIVATE]
                inside = Path(current).relative_to(self.root).as_posix()
                yield from (f"{inside}/{name}" for name in sorted(names) if not is_hidden(name))

    def open(self, name: str) -> BinaryIO:
        """Open one of its files."""
        return (self.root / name).open("rb")

    def find(self, name: str, hint: MediaKind | None) -> Media | None:
        """Find a media file."""
        # macOS may have decomposed Korean names when unpacking.
        for form in dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))):
            path = self.root / form
            try:
                status = path.stat()
            except (OSError, ValueError):  # a name longer than the file system allows is not there either
                continue
            if stat.S_ISREG(status.st_mode):
                named, kind = sniff.name_and_kind(path.name, partial(self.open, form), hint)
                return Media(readable(named), escaped(str(path)), kind or "other", path=path, size=status.st_size)
        return None

    def location(self, name: str) -> str:
        """Return where one of its files is, for messages."""
        return str(self.root / name)


@dataclass(frozen=True)
class Archive:
    """A ZIP archive of an export, read in place.

    Attributes:
        path: The archive.
        prefix: Path of the export's root in the archive, ``""`` or ending in a slash.
    """

    path: Path
    prefix: str

    def _names(self) -> Iterator[str]:
        for name in archive.open_archive(self.path).names():
            if name.startswith(self.prefix) and not name.endswith("/"):
                inside = name[len(self.prefix) :]
                parts = inside.split("/")
                if PRIVATE.isdisjoint(parts) and not any(map(is_hidden, parts)):
                    yield inside

    def listings(self) -> Iterator[str]:
        """Yield the names of its lists of posts."""
        return iter(sorted(filter(is_listing, self._names())))

    def files(self, folders: Sequence[str]) -> Iterator[str]:
        """Yield the names of the files below some of its folders, except hidden and private ones."""
        beginnings = tuple(folder + "/" for folder in folders)
        return (name for name in self._names() if name.startswith(beginnings))

    def open(self, name: str) -> BinaryIO:
        """Open one of its files."""
        return archive.open_member(self.path, self.prefix + name)

    def find(self, name: str, hint: MediaKind | None) -> Media | None:
        """Find a media file."""
        member = self.prefix + name
        found = archive.open_archive(self.path).find(member)
        if found is None:
            return None
        named, kind = sniff.name_and_kind(PurePosixPath(name).name, lambda: self.open(name), hint)
        return Media(named, self.location(name), kind or "other", archive=self.path, member=member, size=found.size)

    def location(self, name: str) -> str:
        """Return where one of its files is, for messages."""
        return f"{self.path}!{self.prefix}{name}"


def folders_of_exports(path: Path) -> list[Folder]:
    """Find export roots at a folder or up to two levels below it.

    An export may come in several parts, so folders with only media count if one on the same level lists posts, or if
    none at all does, because the list may be in an archive. In the latter case, months of photos are not enough, which
    anyone's folder may have.
    """
    level = [path]
    parts: list[Folder] = []
    for __ in range(3):
        folders = [(Folder(folder), _has_media(folder)) for folder in level]
        listed = [folder for folder, media in folders if _lists_posts(folder, folder.listings(), media)]
        if listed:
            return [folder for folder, media in folders if media or folder in listed]
        parts = parts or [folder for folder, media in folders if media and _has_kinds(folder.root)]
        level = [child for folder in level for child in _subfolders(folder)]
    return parts


def _has_media(root: Path) -> bool:
    months = (month for name in _OF_MONTHS for month in _subfolders(root / name))
    return _has_kinds(root) or any(_MONTH.fullmatch(month.name) for month in months)


def _has_kinds(root: Path) -> bool:
    return any((root / "media" / kind).is_dir() for kind in _OF_KINDS)


def _lists_posts(tree: Tree, listings: Iterable[str], has_media: bool) -> bool:
    """Return whether files named like lists of posts are such lists, since other programs write a media.json too.

    They are if they are in a folder of an export or next to its media, or if they contain a post.
    """
    return any(has_media or "/" in name or _holds_post(tree, name) for name in listings)


def _holds_post(tree: Tree, name: str) -> bool:
    try:
        with tree.open(name) as stream:
            return any(read_entry(entry, timezone.utc) for _key, entry in entries(stream))
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _subfolders(path: Path) -> list[Path]:
    # scandir streams the entries: a folder may hold a million photos.
    try:
        with os.scandir(path) as inside:
            names = [one.name for one in inside if one.is_dir() and not is_hidden(one.name) and one.name not in PRIVATE]
    except OSError:  # an unreadable folder is skipped
        return []
    return [path / name for name in sorted(names)]


def _is_archive(name: str) -> bool:
    # The first piece of a split archive is enough to report it.
    return name.lower().endswith((".zip", ".zip.001")) and not is_hidden(name)


def _archives(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as inside:
            names = [one.name for one in inside if _is_archive(one.name)]
    except OSError:
        return []
    return [path / name for name in sorted(names)]


def archives_of_exports(path: Path) -> list[Archive]:
    """Find export roots in a ZIP archive: those that list posts and those that only hold media.

    As in folders, if any root lists posts, those with only media count only at the same depth.

    Raises:
        OSError: The archive cannot be read.
        zipfile.BadZipFile: The archive is damaged.
    """
    listings: dict[str, list[str]] = {}
    media: dict[str, None] = {}
    folders: set[str] = set()
    for name in archive.open_archive(path).names():
        folder = name.rpartition("/")[0]
        if folder in folders and not name.endswith((".json", ".html")):
            continue
        folders.add(folder)
        parts = name.split("/")
        if not PRIVATE.isdisjoint(parts):
            continue
        for depth in range(min(len(parts), 4)):
            prefix, inside = "".join(part + "/" for part in parts[:depth]), "/".join(parts[depth:])
            if is_listing(inside):
                listings.setdefault(prefix, []).append(inside)
                break
            if _MEDIA.match(inside):
                media[prefix] = None
                break
    listed = [one for one, names in listings.items() if _lists_posts(Archive(path, one), names, one in media)]
    depths = {prefix.count("/") for prefix in listed}
    parts_of_media = (one for one in media if one not in listed and (not depths or one.count("/") in depths))
    return [Archive(path, prefix) for prefix in (*listed, *parts_of_media)]


def find_parts(paths: Sequence[Path]) -> tuple[list[Tree], list[Problem]]:
    """Find all parts of an export in folders and archives; also return unusable archives and the reasons.

    If none of the parts contains a list of posts, no parts are returned.
    """
    trees: list[Tree] = []
    useless: list[Problem] = []
    for path in paths:
        if path.is_dir():
            trees += map(_whole, folders_of_exports(path))
            for folder in (path, *_subfolders(path)):
                for archived in _archives(folder):
                    trees += _archives_within(archived, useless)
        else:
            trees += _archives_within(path, useless)
    if any(next(tree.listings(), None) for tree in trees):
        return trees, useless
    cause = _("holds photos of an export but no list of its posts; give the export's other ZIP archives too")
    return [], useless + [Problem(str(tree.path), cause) for tree in trees if isinstance(tree, Archive)]


def _whole(folder: Folder) -> Folder:
    """Return the whole export if a folder is one of those in it that contain its lists."""
    root = folder.root.absolute()
    while root.name and root.name in _OF_LISTINGS | _LISTING_FOLDERS:
        root = root.parent
    return Folder(root) if root != folder.root.absolute() and _has_media(root) else folder


def _archives_within(path: Path, useless: list[Problem]) -> list[Archive]:
    try:
        opened, found = archive.open_archive(path), archives_of_exports(path)
        if opened.encrypted:
            cause = _("needs a password; unpack it and give its folder")
        elif found:
            return found
        elif any(map(_is_archive, opened.names())):
            # Cloud drives pack what is downloaded together, here the parts of an export, into one more archive.
            cause = _("holds other archives; unpack it and give its folder")
        elif any(map(_is_shown, opened.names())):
            cause = _("holds photos but no Instagram export; unpack it and give its folder")
        else:
            return []
    except (OSError, zipfile.BadZipFile) as error:
        if isinstance(error, SplitZipError) or _PIECE.search(path.name):
            cause = _("one piece of a split archive; unpack the pieces together and give the folder")
        elif isinstance(error, zipfile.BadZipFile) and path.suffix.lower() != ".zip":
            cause = _("not a ZIP archive; give an export's ZIP or folder, or a folder of photos")
        else:
            cause = _("damaged, or not a ZIP archive: {error}").format(error=error)
    useless.append(Problem(str(path), cause))
    return []


def beside(paths: Sequence[Path], trees: Sequence[Tree]) -> Iterator[Problem]:
    """Count the photos and videos at paths that are in no part of the export, yielding one problem per folder."""
    roots = {tree.root for tree in trees if isinstance(tree, Folder)}
    for path in paths:
        shared = {path, *path.parents, *roots, *(parent for root in roots for parent in root.parents)}
        counts: Counter[Path] = Counter()
        for current, folders, names in os.walk(path):
            folder = Path(current)
            own = _OF_EXPORTS if folder in roots else frozenset[str]()
            folders[:] = [name for name in folders if not is_hidden(name) and name not in PRIVATE | own]
            place = next((one for one in (*reversed(folder.parents), folder) if one not in shared), folder)
            counts[place] += sum(map(_is_shown, names))
        for place, count in counts.items():
            if count:
                cause = _(
                    "{count} photos and videos here are no part of the export and are left out; to take them too, "
                    "give them as a source of their own"
                )
                yield Problem(str(place), cause.format(count=count))


def _is_shown(name: str) -> bool:
    """Return whether a path is that of a photo (RAW included) or a video, and not hidden."""
    hidden = any(map(is_hidden, name.split("/")))
    return not hidden and (sniff.of_name(name) in ("photo", "video") or sniff.extension(name) in sniff.RAW)


def month_of(name: str, zone: tzinfo) -> datetime | None:
    """Guess a time from the month of upload in a file's path, ``media/posts/202304/…``, ``photos/201811/…``."""
    found = _MEDIA_OF_MONTH.match(name)
    return datetime(int(found[1][:4]), int(found[1][4:]), 1, tzinfo=zone) if found else None


def modified(media: Media, zone: tzinfo) -> datetime | None:
    """Return a file's modification time, from the disk or its archive; ``None`` if it cannot be read."""
    try:
        if media.path is not None:
            return datetime.fromtimestamp(media.path.stat().st_mtime, zone)
        assert media.archive is not None
        found = archive.open_archive(media.archive).find(media.member or "")
        return datetime(*found.modified(), tzinfo=zone) if found else None
    except (OSError, ValueError, OverflowError, zipfile.BadZipFile):
        return None
