"""Listing the photos that a command's inputs name."""

import codecs
import glob
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from hashtagger.errors import TaggingError, cause_of
from hashtagger.i18n import _
from hashtagger.images import SUFFIXES, matches, warn_of_links
from hashtagger.scale.storage import cause, is_url, locate

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def list_photos(inputs: Iterable[str]) -> Iterator[str]:
    """List photos lazily, in order.

    Args:
        inputs: Each a photo, a folder (searched recursively, without hidden files and folders), a glob (its matches
            are sorted in memory), ``@FILE`` (a list with one path or URL per line; ``@-`` for standard input), or an
            fsspec URL of a photo, a folder or a glob.

    Yields:
        Paths and URLs. An input with a photo's suffix is yielded even if it does not exist, so that the missing file
        is reported in the table.

    Raises:
        TaggingError: A file or folder does not exist, a glob matches nothing, a list cannot be read, a folder cannot
            be listed, or a URL's scheme is unknown.
    """
    for given in inputs:
        if given.startswith("@"):
            yield from _lines(given[1:])
        elif is_url(given):
            yield from _remote(given)
        else:
            found = matches(given)
            if not found:
                raise TaggingError(_("{glob}: matches nothing").format(glob=given))
            for match in found:
                yield from _local(match)


def is_absolute(given: str) -> bool:
    """Return whether an input is independent of the working directory; a list is not, its lines may be relative."""
    return not given.startswith("@") and (is_url(given) or os.path.isabs(given))  # noqa: PTH117


def _local(place: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise TaggingError(f"{error.filename}: {cause_of(error)}") from error

    if not os.path.isdir(place):  # noqa: PTH112  (Path raises at too long a name)
        if not os.path.lexists(place) and Path(place).suffix.lower() not in SUFFIXES:
            raise TaggingError(_("{path}: no such file or folder").format(path=place))
        return iter([place])
    return _walk(_warning_of_links(os.walk(place, onerror=refuse)))


def _warning_of_links(
    folders: Iterable[tuple[str, list[str], list[str]]],
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Pass on what ``os.walk`` yields, which lists symbolic links to folders but does not enter them."""
    for folder, below, names in folders:
        paths = (os.path.join(folder, name) for name in below if not name.startswith("."))  # noqa: PTH118
        warn_of_links([path for path in paths if os.path.islink(path)])  # noqa: PTH114
        yield folder, below, names


def _remote(url: str) -> Iterator[str]:
    if url.startswith(("http://", "https://")):
        # Over HTTP a folder cannot be told from a photo without fetching it, and "?" starts a query, not a glob.
        return iter([url])
    fs, path = locate(url)
    scheme = url.partition("://")[0]
    # The "::s3://bucket/all.zip" of "zip://photos::s3://bucket/all.zip", a folder in a remote archive.
    container = "".join(url.partition("::")[1:])
    try:
        if glob.has_magic(path):
            entries = sorted(fs.glob(path, detail=True).items())
            if not entries:
                raise TaggingError(_("{glob}: matches nothing").format(glob=url))
            found: Iterator[str] = chain.from_iterable(
                _walk(_folders(fs, match)) if about["type"] == "directory" else [match]
                for match, about in entries
                if not match.rpartition("/")[2].startswith(".")
            )
        elif fs.isdir(path):
            found = _walk(_folders(fs, path))
        else:
            return iter([url])
    except TaggingError:
        raise
    # Each file system raises its own exceptions.
    except Exception as error:
        raise TaggingError(f"{url}: {cause(error)}") from error
    return (f"{scheme}://{photo}{container}" for photo in found)


def _folders(fs: "AbstractFileSystem", folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk folders like ``os.walk``; fsspec's own ``walk`` silently skips folders that cannot be listed."""
    try:
        entries = fs.ls(folder, detail=True)
    except Exception as error:
        raise TaggingError(f"{fs.unstrip_protocol(folder)}: {cause(error)}") from error
    below, names = {}, []
    for entry in entries:
        path = entry["name"].rstrip("/")
        name = path.rpartition("/")[2]
        if path == folder.rstrip("/"):
            continue  # some object stores list a folder as an entry of itself
        if path == ".":
            # tar -C names the files ./1.jpg, so everything is in a folder of that name, which is not a hidden one.
            yield from _folders(fs, path)
            continue
        if entry["type"] == "directory":
            below[name] = path
        else:
            names.append(name)
    chosen = list(below)
    yield folder, chosen, names
    for name in chosen:
        yield from _folders(fs, below[name])


def _walk(folders: Iterable[tuple[str, list[str], Iterable[str]]]) -> Iterator[str]:
    """Yield the photos of folders from ``os.walk``, top down and sorted, one folder's names in memory at a time."""
    for folder, below, names in folders:
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield os.path.join(folder, name) if folder else name  # noqa: PTH118  (of any file system)


def _lines(file: str) -> Iterator[str]:
    import fsspec

    try:
        with sys.stdin.buffer if file == "-" else fsspec.open(file, "rb") as lines:
            first = lines.readline()
            if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's > writes this
                yield from filter(None, (first + lines.read()).decode("utf-16").splitlines())
                return
            for line in chain([first.removeprefix(codecs.BOM_UTF8)], lines):
                if text := os.fsdecode(line).rstrip("\r\n"):
                    yield text
    except (OSError, ValueError, ImportError) as error:
        raise TaggingError(f"@{file}: {cause_of(error)}") from error
