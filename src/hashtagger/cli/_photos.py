"""Arguments that name photos: files, folders, globs."""

import os.path
from pathlib import Path

from hashtagger.images import find_photos, matches


def expand(arguments: tuple[str, ...]) -> list[str]:
    """Expand arguments into the photos they name, in order and without duplicates.

    A folder expands to the photos below it and a glob to its matches. Anything else is kept as a file name,
    existing or not, so that a missing file is reported.
    """
    photos: dict[str, None] = {}
    for argument in arguments:
        for match in matches(argument) or [argument]:
            if os.path.isdir(match):  # noqa: PTH112  (Path raises for names that are too long)
                photos.update(dict.fromkeys(map(str, find_photos(Path(match)))))
            else:
                photos[match] = None
    return list(photos)
