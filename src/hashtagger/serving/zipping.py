"""A sorted library as one ZIP, made while it is sent: nothing is written on the server but the list of its files."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZipFile, ZipInfo

_CHUNK = 1 << 20


def write_list(path: Path, files: Iterable[tuple[str, str]]) -> None:
    """Keep a list of files for :func:`read_list`: each where it lies, and its path in the ZIP."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(pair) + "\n" for pair in files)


def read_list(path: Path) -> Iterator[tuple[Path, str]]:
    """Read a list of files; without its file there is none."""
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for line in file:
                source, name = json.loads(line)
                yield Path(source), name


def zipped(files: Iterable[tuple[Path, str]]) -> Iterator[bytes]:
    """Yield a ZIP of files piece by piece, each file as it is: photos do not get smaller.

    Args:
        files: Each where it lies, and its path in the ZIP; one that is gone by now is left out.
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
