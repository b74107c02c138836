"""Reading TOML files."""

import sys
from pathlib import Path
from typing import Any

from hashtagger.errors import HashtaggerError

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
        raise error(f"{path}: {cause.strerror}") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise error(f"{path}: {cause}") from cause
