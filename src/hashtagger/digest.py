"""SHA-256 of files, in hex."""

import hashlib
from pathlib import Path
from typing import BinaryIO


def digest_of(file: BinaryIO) -> str:
    """Hash what is left to read of an open file."""
    state = hashlib.sha256()
    while chunk := file.read(1 << 20):
        state.update(chunk)
    return state.hexdigest()


def digest_at(path: Path) -> str:
    """Hash a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return digest_of(file)
