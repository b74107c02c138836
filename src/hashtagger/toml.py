"""Read TOML files, and find the bundled ones."""

import os
import sys
from pathlib import Path
from typing import Any

from hashtagger.errors import HashtaggerError, cause_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path, error: type[HashtaggerError]) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.
        error: Raised, with a one-line message that names the file, if it cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as cause:
        raise error(f"{path}: {cause_of(cause)}") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise error(f"{path}: {cause}") from cause


def bundled(folder: Path) -> list[str]:
    """Names of the TOML files in a folder, without ``.toml``."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def find_toml(given: "str | os.PathLike[str]", folder: Path, error: type[HashtaggerError], unknown: str) -> Path:
    """Find a TOML file by its path, or by its name in a folder.

    Args:
        given: A path that ends in ``.toml``, which is returned as is, or one of the names that :func:`bundled` lists.
        folder: The folder with the named files.
        error: Raised if there is no file with that name.
        unknown: The error's message, with the fields ``{name}`` and ``{known}``.
    """
    path = Path(given)
    if path.suffix != ".toml":
        path = folder / f"{given}.toml"
        if not path.is_file():
            raise error(unknown.format(name=str(given), known=", ".join(bundled(folder))))
    return path
