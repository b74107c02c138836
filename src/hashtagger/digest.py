"""SHA-256 of files, in hex."""

import hashlib
from pathlib import Path
from typing import BinaryIO


def digest_of(file: BinaryIO) -> str:
    """Hash an open file from its current position to the end."""
    state = hashlib.sha256()
    while chunk := file.read(1 << 20):
        state.update(chunk)
    return state.hexdigest()


def digest_at(path: Path) -> str:
    """Hash a file.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return digest_of(file)
