"""What is done to single files: hashing, copying with a check, and landing without ever overwriting."""

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
# Elsewhere a drive is flushed file by file: Windows has no sync(), and macOS's does not wait.
SYNC_ALL = sys.platform == "linux"
# A symbolic link is linked itself, where the system knows the difference.
_AS_IT_IS = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}


def without_dots(path: Path) -> Path:
    """Resolve a path that climbs, so that files have one and the same path from wherever it was given."""
    return path.resolve() if ".." in path.parts else path


def remove(path: "str | Path", *links: "str | Path") -> None:
    """Remove a file, also a read-only one; of its other links, those named in ``links`` stay read-only then."""
    try:
        os.unlink(path)  # noqa: PTH108 - a Path takes longer to make than the file to go
    except PermissionError:
        mode = os.lstat(path).st_mode
        if mode & stat.S_IWRITE:
            raise
        # Windows removes no read-only file, and all links to one are read-only or none.
        same = [link for link in (path, *links) if is_one(link, path)]
        os.chmod(path, mode | stat.S_IWRITE)  # noqa: PTH101
        try:
            os.unlink(path)  # noqa: PTH108
        finally:
            for link in same:
                with suppress(FileNotFoundError):
                    os.chmod(link, mode)  # noqa: PTH101


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours and as much as can be of what is in it."""
    for path, _folders, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                remove(Path(path, name))
    shutil.rmtree(folder, ignore_errors=True)


def write(data: bytes, target: str) -> None:
    """Write bytes to a new file; where they do not fit, nothing stays.

    Raises:
        FileExistsError: There is something of that name.
        OSError: Writing failed.
    """
    file = open(target, "xb", buffering=0)  # noqa: PTH123, SIM115 - as above
    try:
        with file:
            _write_all(file, data)
    except OSError:
        remove(target)
        raise


def write_checked(chunks: Iterable[bytes], target: Path) -> str:
    """Write a new file, read it back and compare: what fits one chunk byte by byte, more by its hash.

    Returns:
        The SHA-256 of both, in hex.

    Raises:
        OSError: Writing failed, or what was read back differs (``EIO``).
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
        raise OSError(errno.EIO, "what was written reads back differently", str(target))
    return digest


def _write_all(file: io.FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    if not SYNC_ALL:
        os.fsync(file.fileno())


def sync() -> None:
    """Bring all that was written to the drives, where the system can do that at once."""
    if SYNC_ALL:
        os.sync()


def link(origin: "str | Path", final: "str | Path") -> bool:
    """Give a file (or symbolic link) a second name in one step, never overwriting.

    Returns:
        ``False`` where the file system cannot.

    Raises:
        FileExistsError: There is something of that name.
    """
    try:
        os.link(origin, final, **_AS_IT_IS)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True


def duplicate(origin: Path, final: Path, temporary: Path) -> None:
    """Copy a file to a second name where there are no hard links, complete or not at all.

    Raises:
        FileExistsError: There is something of that name.
    """
    temporary.unlink(missing_ok=True)
    shutil.copy2(origin, temporary, follow_symlinks=False)
    rename(temporary, final)


def rename(origin: Path, final: Path) -> None:
    """Rename, refusing to overwrite; only a file that appears within microseconds would be.

    Raises:
        FileExistsError: There is something of that name.
    """
    if os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))
    origin.rename(final)


def is_empty(path: Path) -> bool:
    """Tell whether there is a file without content."""
    return path.is_file() and path.stat().st_size == 0


def is_one(path: "str | Path", other: "str | Path") -> bool:
    """Tell whether two paths are links to one file."""
    with suppress(OSError):
        return os.path.samestat(os.lstat(path), os.lstat(other))
    return False


def is_unchanged(path: Path, size: int | None, mtime: int) -> bool:
    """Tell whether there is a file of that size and modification time (ns)."""
    with suppress(OSError):
        found = path.stat()
        return (found.st_size, found.st_mtime_ns) == (size, mtime)
    return False


def is_torn(path: Path, whole: Path) -> bool:
    """Tell whether a file is what a power cut leaves of a copy.

    That is an empty file, or one with the time of the whole one and its beginning, and then zeros or nothing.
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
    """What tells whether a path holds a file of ours, in the order of the journal's columns.

    Attributes:
        digest: SHA-256 of our copy, in hex; ``None`` where we made a link.
        source: The file that a link leads to.
        size: Size of the source in bytes, and
        mtime: its modification time in ns, as they were; it may be gone by now, or another file.
    """

    digest: str | None
    source: str
    size: int | None
    mtime: int

    def is_at(self, path: Path) -> bool:
        """Tell whether what is at a path is what we put there: a copy by its hash, a link by what it links to."""
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
        # Where the tree was copied to another drive, its links are files of their own.
        return not is_unchanged(source, self.size, self.mtime) or digest_at(path) == digest_at(source)
