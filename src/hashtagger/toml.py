"""TOML files: reading one, and finding those that come with hashtagger."""

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
        path: Of the file.
        error: What is raised where it cannot be read or is no TOML, with a line that names it.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as cause:
        raise error(f"{path}: {cause_of(cause)}") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise error(f"{path}: {cause}") from cause


def bundled(folder: Path) -> list[str]:
    """Names of the TOML files of a folder."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def find_toml(given: "str | os.PathLike[str]", folder: Path, error: type[HashtaggerError], unknown: str) -> Path:
    """Give a file of one's own as it is, or find one of a folder by its name.

    Args:
        given: A path that ends in ``.toml``, or one of :func:`bundled`.
        folder: Where the named ones are.
        error: What is raised where there is none of that name, and
        unknown: with which message, of ``{name}`` and ``{known}``.
    """
    path = Path(given)
    if path.suffix != ".toml":
        path = folder / f"{given}.toml"
        if not path.is_file():
            raise error(unknown.format(name=str(given), known=", ".join(bundled(folder))))
    return path
