"""A sorted library as one ZIP, made while it is sent."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZipFile, ZipInfo

_CHUNK = 1 << 20


def files_below(root: Path) -> Iterator[tuple[Path, str]]:
    """Each file of a sorted tree, and its path there; what is hidden is the organizer's own."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            yield path, path.relative_to(root).as_posix()


def zipped(files: Iterable[tuple[Path, str]]) -> Iterator[bytes]:
    """Yield a ZIP of files piece by piece, uncompressed, since photos hardly get smaller.

    Args:
        files: Where each lies, and its path in the ZIP; one that is gone by now is left out.
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
    """A file that can only be written, and is emptied now and then."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: what is written waits to be taken."""

    def close(self) -> None:
        """Do nothing: there is nothing open."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
