"""Operations on single files: hashing, verified writing, and linking or renaming without ever overwriting."""

import errno
import hashlib
import io
import os
import shutil
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hashtagger.digest import digest_at as digest_at
from hashtagger.digest import digest_of as digest_of

CHUNK = 1 << 20
# Elsewhere each file is flushed with fsync(): Windows has no sync(), and on macOS it does not wait.
SYNC_ALL = sys.platform == "linux"
# Hard-link a symbolic link itself, not its target, where the platform supports that.
_NO_FOLLOW = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}


def without_dots(path: Path) -> Path:
    """Resolve a path that contains ``..``, so that a file always has the same path."""
    return path.resolve() if ".." in path.parts else path


def remove(path: "str | Path", *links: "str | Path") -> None:
    """Remove a file, even a read-only one; those of its other hard links given in ``links`` stay read-only."""
    try:
        os.unlink(path)  # noqa: PTH108 - creating a Path takes longer than removing the file
    except PermissionError:
        mode = os.lstat(path).st_mode
        if mode & stat.S_IWRITE:
            raise
        # Windows refuses to remove read-only files, and all hard links to a file share that attribute.
        same = [link for link in (path, *links) if is_one(link, path)]
        os.chmod(path, mode | stat.S_IWRITE)  # noqa: PTH101
        try:
            os.unlink(path)  # noqa: PTH108
        finally:
            for link in same:
                with suppress(FileNotFoundError):
                    os.chmod(link, mode)  # noqa: PTH101


def remove_tree(folder: Path) -> None:
    """Remove one of our folders with its contents, ignoring errors."""
    for path, _folders, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                remove(Path(path, name))
    shutil.rmtree(folder, ignore_errors=True)


def write(data: bytes, target: str) -> None:
    """Write bytes to a new file; if that fails, no partial file is left.

    Raises:
        FileExistsError: ``target`` exists already.
        OSError: Writing failed.
    """
    file = open(target, "xb", buffering=0)  # noqa: PTH123, SIM115 - avoids creating a Path, as above
    try:
        with file:
            _write_all(file, data)
    except OSError:
        remove(target)
        raise


def write_checked(chunks: Iterable[bytes], target: Path) -> str:
    """Write a new file and read it back to verify it: a single chunk byte by byte, several by their hash.

    Returns:
        The SHA-256 of the data, in hex.

    Raises:
        OSError: Writing failed, or the data read back differs (``EIO``).
    """
    state = hashlib.sha256()
    written, last = 0, b""
    with target.open("xb", buffering=0) as file:
        for last in chunks:
            state.update(last)
            _write_all(file, last)
            written += 1
    digest = state.hexdigest()
    same = target.read_bytes() == last if written < 2 else digest_at(target) == digest
    if not same:
        raise OSError(errno.EIO, "the data read back differs from the data written", str(target))
    return digest


def _write_all(file: io.FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    if not SYNC_ALL:
        os.fsync(file.fileno())


def sync() -> None:
    """Flush everything written to the drives, where the system can do that in one call."""
    if SYNC_ALL:
        os.sync()


def link(origin: "str | Path", final: "str | Path") -> bool:
    """Create a hard link to a file (or symbolic link) atomically, never overwriting.

    Returns:
        ``False`` if the file system cannot make the link.

    Raises:
        FileExistsError: ``final`` exists already.
    """
    try:
        os.link(origin, final, **_NO_FOLLOW)
    except OSError as error:
        if error.errno in _CANNOT_LINK:
            return False
        raise
    return True


def duplicate(origin: Path, final: Path, temporary: Path) -> None:
    """Copy a file where hard links are not available; ``final`` appears complete or not at all.

    Raises:
        FileExistsError: ``final`` exists already.
    """
    temporary.unlink(missing_ok=True)
    shutil.copy2(origin, temporary, follow_symlinks=False)
    rename(temporary, final)


def rename(origin: Path, final: Path) -> None:
    """Rename a file without overwriting, except for a race of microseconds between the check and the rename.

    Raises:
        FileExistsError: ``final`` exists already.
    """
    if os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))
    origin.rename(final)


def is_empty(path: Path) -> bool:
    """Return whether there is an empty file at a path."""
    return path.is_file() and path.stat().st_size == 0


def is_one(path: "str | Path", other: "str | Path") -> bool:
    """Return whether two paths are hard links to the same file."""
    with suppress(OSError):
        return os.path.samestat(os.lstat(path), os.lstat(other))
    return False


def is_unchanged(path: Path, size: int | None, mtime: int) -> bool:
    """Return whether there is a file with that size and modification time (ns)."""
    with suppress(OSError):
        found = path.stat()
        return (found.st_size, found.st_mtime_ns) == (size, mtime)
    return False


def is_torn(path: Path, whole: Path) -> bool:
    """Return whether a file is an incomplete copy as left by a power cut.

    It is either empty, or has the modification time of the whole file and its first bytes, then zeros or nothing.
    """
    found, expected = path.lstat(), whole.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > expected.st_size:
        return False
    if found.st_size and found.st_mtime_ns != expected.st_mtime_ns:
        return False
    same = True
    with path.open("rb") as torn, whole.open("rb") as file:
        while chunk := torn.read(CHUNK):
            wanted = file.read(len(chunk)) if same else b""
            if not wanted.startswith(chunk.rstrip(b"\0")):
                return False
            same = chunk == wanted
    return not same or found.st_size < expected.st_size


class Fingerprint(NamedTuple):
    """Identifies a file that we put into the tree; the fields are in the order of the journal's columns.

    Attributes:
        digest: SHA-256 of our copy, in hex; ``None`` if we made a link.
        source: The file that a link points to; it may be gone or replaced by now.
        size: Recorded size of the source in bytes.
        mtime: Recorded modification time of the source in ns.
    """

    digest: str | None
    source: str
    size: int | None
    mtime: int

    def is_at(self, path: Path) -> bool:
        """Return whether a path still has what we put there, judging a copy by its hash and a link by its target."""
        source = Path(self.source)
        if not os.path.lexists(path):
            return False
        if path.is_symlink():
            return self.digest is None and path.readlink() == source
        if not path.is_file():
            return False
        if self.digest is not None:
            return digest_at(path) == self.digest
        with suppress(OSError):
            if path.samefile(source):
                return True
        if not is_unchanged(path, self.size, self.mtime):
            return False
        # If the tree was copied to another drive, its hard links have become separate files.
        return not is_unchanged(source, self.size, self.mtime) or digest_at(path) == digest_at(source)
