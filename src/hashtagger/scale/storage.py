"""Files on the disk or on anything that fsspec reaches: s3://, gs://, zip://, memory://, ..."""

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
    """Tell a URL (``s3://bucket/a.jpg``) from a path."""
    return "://" in location


def locate(location: str) -> "tuple[AbstractFileSystem, str]":
    """Give the file system of a path or URL, and its path there.

    Raises:
        TaggingError: There is no such file system, or its package is not installed.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(location)
    except (ValueError, ImportError, OSError) as error:
        raise TaggingError(f"{location}: {error}") from error


def cause(error: Exception) -> str:
    """Say in one line what went wrong; every file system fails in its own way."""
    return " ".join(cause_of(error).split())


@contextmanager
def replacing(location: str, beside: str = "") -> "Iterator[IO[bytes]]":
    """Open a file for writing that appears under its name only when it is whole, in place of an older one.

    Args:
        location: Its path or URL.
        beside: Path or URL beside which it lies until then; by default its own.

    Raises:
        TaggingError: It cannot be written.
    """
    fs, path = locate(location)
    # Of its own for each writer, since two workers may come to write the same part.
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
    """Bytes that a decoder's complaint can name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def open_photo(photo: str) -> Path | BinaryIO:
    """Give what :func:`hashtagger.images.load_image` takes for the photo at a path or URL.

    Raises:
        ImageError: It is at a URL and cannot be fetched.
    """
    if not is_url(photo):
        return Path(photo)
    try:
        fs, path = locate(photo)
        return _NamedBytes(fs.cat_file(path), photo)
    except FileNotFoundError as error:
        raise ImageError(_("{path}: no such file or folder").format(path=photo)) from error
    # One photo must not stop the others.
    except Exception as error:
        raise ImageError(f"{photo}: {cause(error)}") from error


def exists(location: str) -> bool:
    """Tell whether there is a file or folder.

    Raises:
        TaggingError: Its file system does not answer.
    """
    fs, path = locate(location)
    try:
        fs.invalidate_cache()
        return bool(fs.exists(path))
    except Exception as error:
        raise TaggingError(f"{location}: {cause(error)}") from error


def names_in(folder: str) -> set[str]:
    """Names of what lies in a folder."""
    fs, path = locate(folder)
    fs.invalidate_cache()
    found: list[Any] = fs.ls(path, detail=False)
    return {name.rsplit("/", 1)[-1] for name in found}


def remove(folder: str, last: str = "") -> None:
    """Remove a folder with all that is in it, the file ``last`` after all others."""
    fs, path = locate(folder)
    if others := [f"{path}/{name}" for name in names_in(folder) - {last}]:
        fs.rm(others, recursive=True)
    fs.rm(path, recursive=True)
