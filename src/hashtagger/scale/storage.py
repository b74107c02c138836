"""Local files, and files on any file system of fsspec: s3://, gs://, zip://, memory://, ..."""

import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from hashtagger.errors import ImageError, TaggingError, cause_of
from hashtagger.i18n import _

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def is_url(location: str) -> bool:
    """Return whether a location is a URL (``s3://bucket/a.jpg``) rather than a path."""
    return "://" in location


def locate(location: str) -> "tuple[AbstractFileSystem, str]":
    """Return the file system of a path or URL, and the path within it.

    Raises:
        TaggingError: The file system is unknown, or its package is not installed.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(location)
    except (ValueError, ImportError, OSError) as error:
        raise TaggingError(f"{location}: {cause(error)}") from error


def cause(error: Exception) -> str:
    """Return the cause of an error in one line, whatever exception the file system raised."""
    return " ".join(cause_of(error).split())


@contextmanager
def replacing(location: str, beside: str = "") -> "Iterator[IO[bytes]]":
    """Open a temporary file that replaces ``location`` when the context exits normally, and is removed otherwise.

    Args:
        location: Path or URL of the file to write.
        beside: Path or URL that the temporary file's name starts with; by default ``location``.

    Raises:
        TaggingError: The file cannot be written.
    """
    fs, path = locate(location)
    # A random name, because two workers may write the same part at the same time.
    partial = f"{locate(beside or location)[1]}.{secrets.token_hex(4)}.partial"
    try:
        fs.makedirs(fs._parent(path), exist_ok=True)
        with fs.open(partial, "wb") as file:
            yield file
        if "file" in fs.protocol:
            Path(partial).replace(path)
        else:
            fs.cp_file(partial, path)
            fs.rm_file(partial)
    except BaseException as error:
        if fs.exists(partial):
            fs.rm_file(partial)
        if isinstance(error, OSError):
            raise TaggingError(f"{location}: {cause(error)}") from error
        raise


class _NamedBytes(io.BytesIO):
    """Bytes with a file name, for error messages."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def open_photo(photo: str) -> Path | BinaryIO:
    """Return the photo at a path or URL as an input for :func:`hashtagger.images.load_image`.

    Raises:
        ImageError: The URL cannot be fetched.
    """
    if not is_url(photo):
        return Path(photo)
    try:
        fs, path = locate(photo)
        return _NamedBytes(fs.cat_file(path), photo)
    except FileNotFoundError as error:
        raise ImageError(_("{path}: no such file or folder").format(path=photo)) from error
    # Any other error of a file system must not stop the other photos either.
    except Exception as error:
        raise ImageError(f"{photo}: {cause(error)}") from error


def exists(location: str) -> bool:
    """Return whether a file or folder exists.

    Raises:
        TaggingError: The file system cannot be accessed.
    """
    return _ask(location, "exists")


def is_folder(location: str) -> bool:
    """Return whether a location is a folder.

    Raises:
        TaggingError: The file system cannot be accessed.
    """
    return _ask(location, "isdir")


def _ask(location: str, question: str) -> bool:
    fs, path = locate(location)
    try:
        fs.invalidate_cache()
        return bool(getattr(fs, question)(path))
    except Exception as error:
        raise TaggingError(f"{location}: {cause(error)}") from error


def names_in(folder: str) -> set[str]:
    """Return the names of the entries of a folder."""
    fs, path = locate(folder)
    fs.invalidate_cache()
    found: list[Any] = fs.ls(path, detail=False)
    return {name.rsplit("/", 1)[-1] for name in found}


def remove(folder: str, last: str = "") -> None:
    """Remove a folder and everything in it, the file ``last`` after all others."""
    fs, path = locate(folder)
    if others := [f"{path}/{name}" for name in names_in(folder) - {last}]:
        fs.rm(others, recursive=True)
    fs.rm(path, recursive=True)
