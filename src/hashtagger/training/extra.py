"""Check for the optional packages of the extra ``train``."""

import importlib.util

from hashtagger.errors import MissingExtraError
from hashtagger.i18n import _


def require(*packages: str) -> None:
    """Make sure, before any work is done, that optional packages are installed.

    Raises:
        MissingExtraError: A package is not installed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                _("{package} is missing: pip install '.[train]' in a clone of hashtagger").format(package=package)
            )
