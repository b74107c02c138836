"""Arguments that name photos: files, folders, globs."""

import os.path
from pathlib import Path

from hashtagger.images import find_photos, matches


def expand(arguments: tuple[str, ...]) -> list[str]:
    """List the photos that arguments name, in their order, each once.

    A folder gives the photos below it and a glob what it matches; anything else is taken for a file,
    existing or not, so that a missing one is reported and not lost.
    """
    photos: dict[str, None] = {}
    for argument in arguments:
        for match in matches(argument) or [argument]:
            if os.path.isdir(match):  # noqa: PTH112  (Path raises at too long a name)
                photos.update(dict.fromkeys(map(str, find_photos(Path(match)))))
            else:
                photos[match] = None
    return list(photos)
