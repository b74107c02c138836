"""Sweep: several variations of one recipe to compare, read from a TOML file."""

import os
from pathlib import Path

from hashtagger.errors import TrainingError
from hashtagger.i18n import _
from hashtagger.toml import bundled, find_toml, read_toml
from hashtagger.training.recipe import Recipe, load_recipe, overlay

_BUNDLED = Path(__file__).parent / "sweeps"


def available() -> list[str]:
    """Names of the sweeps that come with hashtagger."""
    return bundled(_BUNDLED)


def load_sweep(sweep: "str | os.PathLike[str]") -> dict[str, Recipe]:
    """Load the tries of a sweep by its name, or from a TOML file of your own.

    The file names a ``recipe`` and has one table ``[tries.NAME]`` per try with the recipe entries that it changes;
    NAME becomes the name of its folder.

    Args:
        sweep: One of :func:`available`, or a path that ends in ``.toml``.

    Returns:
        The recipe of each try, by its name.

    Raises:
        TrainingError: There is no such sweep or recipe, or the file is invalid.
    """
    unknown = _("no sweep {name!r}; there are: {known} (or give a .toml file)")
    path = find_toml(sweep, _BUNDLED, TrainingError, unknown)
    table = read_toml(path, TrainingError)
    recipe, tries = table.get("recipe"), table.get("tries")
    if not isinstance(recipe, str) or not isinstance(tries, dict) or not tries:
        raise TrainingError(_("{path}: a sweep has a recipe and tables [tries.NAME]").format(path=path))
    for name, changes in tries.items():
        if not isinstance(changes, dict) or Path(name).name != name:
            raise TrainingError(
                _("{path}: try {name!r} is not a table, or not a valid folder name").format(path=path, name=name)
            )
    base = load_recipe(recipe)
    return {name: overlay(base, changes, path) for name, changes in tries.items()}
