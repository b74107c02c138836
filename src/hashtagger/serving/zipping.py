"""Streaming a sorted library as one ZIP."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZipFile, ZipInfo

_CHUNK = 1 << 20


def files_below(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of a sorted tree with its path in the tree, without the organizer's own hidden files."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            yield path, path.relative_to(root).as_posix()


def zipped(files: Iterable[tuple[Path, str]]) -> Iterator[bytes]:
    """Yield a ZIP of files piece by piece, uncompressed, because photos hardly compress.

    Args:
        files: Each file's path on disk and in the ZIP; files that no longer exist are skipped.
    """
    out = _Pieces()
    with ZipFile(out, "w") as archive:
        for path, name in files:
            try:
                source = path.open("rb")
            except FileNotFoundError:
                continue
            with source, archive.open(ZipInfo.from_file(path, name, strict_timestamps=False), "w") as member:
                while chunk := source.read(_CHUNK):
                    member.write(chunk)
                    yield out.take()
    yield out.take()


class _Pieces:
    """A write-only buffer for :class:`ZipFile`, drained with :meth:`take`."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing; :class:`ZipFile` calls this."""

    def close(self) -> None:
        """Do nothing; there is nothing to close."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
